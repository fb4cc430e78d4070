"""Every rule has a fixture that it hits and a near miss that it must leave alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from portraitist.audit.pipeline import Audit
from portraitist.audit.rules import RULES

CASES = Path(__file__).parent / "cases" / "rules"
Auditor = Callable[[dict[str, str]], Audit]


ALL = sorted(each.stem for each in CASES.glob("*.txt"))
"""A rule's own case, and further ones for its other mechanisms: `rule@mechanism`."""


def test_every_rule_has_a_case() -> None:
    assert {each.partition("@")[0] for each in ALL} == set(RULES)


def _half(case: str, half: str) -> dict[str, str]:
    """The files of a case below `hit/` or `miss/`; those below `both/` belong to either."""
    files: dict[str, str] = {"package.json": "{}"}
    for part in re.split(r"^=== ", (CASES / f"{case}.txt").read_text("utf-8"), flags=re.M)[1:]:
        name, _, body = part.partition("\n")
        folder, _, path = name.strip().partition("/")
        if folder in {half, "both"}:
            files[path] = body
    return files


@pytest.mark.parametrize("case", ALL)
def test_a_rule_hits_its_fixture_on_the_marked_line(case: str, audit_files: Auditor) -> None:
    files = _half(case, "hit")
    rule = case.partition("@")[0]
    found = [(each.path, each.line) for each in audit_files(files).findings if each.rule == rule]
    marked = [
        (path, number)
        for path, body in files.items()
        for number, line in enumerate(body.split("\n"), 1)
        if "HERE" in line
    ]
    assert found, "the rule found nothing"
    assert set(marked) <= set(found), found


@pytest.mark.parametrize("case", ALL)
def test_a_rule_leaves_its_near_miss_alone(case: str, audit_files: Auditor) -> None:
    found = [
        f"{each.path}:{each.line} {each.message}"
        for each in audit_files(_half(case, "miss")).findings
        if each.rule == case.partition("@")[0]
    ]
    assert not found


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_says_what_it_checks(rule: str) -> None:
    assert len((RULES[rule].__doc__ or "").split()) > 8
