"""Every shape that occurs in the wild: the facts that a case's `//=` comments demand, and those `//!` forbid.

`//= kind key json` stands on the line of the fact (`#=` in Python, `--=` in SQL); several are parted by ` ; `.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from portraitist.audit.model import KINDS, Fact
from portraitist.audit.pipeline import Audit

SHAPES = sorted((Path(__file__).parent / "cases" / "shapes").glob("*.txt"))
_MARK = re.compile(r"(?://|#|--)([=!])\s(.*?)(?=\s*(?://|#|--)[=!]|$)")


def _marks(audit: Audit) -> list[tuple[str, int, bool, str, str, str]]:
    found = []
    for file in audit.context.tree.files:
        for number, line in enumerate(file.text.split("\n"), 1):
            for mark in _MARK.finditer(line):
                for piece in mark.group(2).split(" ; "):
                    kind, _, rest = piece.strip().partition(" ")
                    key, _, value = rest.partition(" = ")
                    assert kind in KINDS, piece
                    found.append((file.path, number, mark.group(1) == "=", kind, key.strip(), value.strip()))
    return found


def _holds(facts: list[Fact], path: str, line: int, kind: str, key: str, value: str) -> bool:
    return any(
        each.kind == kind and each.key == key and each.path == path and each.line <= line <= each.end_line
        and (not value or each.value == json.loads(value))
        for each in facts
    )  # fmt: skip


@pytest.mark.parametrize("case", SHAPES, ids=[each.stem for each in SHAPES])
def test_the_facts_of_a_shape_are_found_and_its_traps_avoided(
    case: Path, audit_case: Callable[[Path], Audit]
) -> None:
    audit = audit_case(case)
    marks = _marks(audit)
    assert marks, "a case without marks proves nothing"
    wrong = [
        f"{path}:{line} {'missing' if wanted else 'unwanted'} {kind} {key} {value}"
        for path, line, wanted, kind, key, value in marks
        if _holds(audit.context.facts, path, line, kind, key, value) != wanted
    ]
    near = [
        f"  has {each} {each.value!r}"
        for each in audit.context.facts
        if any(f"{each.path}:{each.line} " in one for one in wrong)
    ]
    assert not wrong, "\n".join([*wrong, *near])
