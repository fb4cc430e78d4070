"""Fixtures of the auditor's tests: a case file becomes a small repository in a scratch folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from portraitist.audit import pipeline, vocabulary

CASES = Path(__file__).parent / "cases"

Unpack = Callable[[Path], Path]


def unpack(case: Path, target: Path) -> Path:
    """Writes the files of a case (`=== path` lines separate them) under `target`."""
    for part in re.split(r"^=== ", case.read_text("utf-8"), flags=re.M)[1:]:
        name, _, body = part.partition("\n")
        file = target / name.strip()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(body, "utf-8")
    return target


@pytest.fixture
def audit_case(tmp_path: Path) -> Callable[[Path], pipeline.Audit]:
    """Audits one case file."""
    return lambda case: _audited(unpack(case, tmp_path / "repo"))


@pytest.fixture
def audit_files(tmp_path: Path) -> Callable[[dict[str, str]], pipeline.Audit]:
    """Audits files given as a mapping from path to text."""

    def run(files: dict[str, str]) -> pipeline.Audit:
        for name, body in files.items():
            file = tmp_path / "repo" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body, "utf-8")
        return _audited(tmp_path / "repo")

    return run


def _audited(root: Path) -> pipeline.Audit:
    """The audit of a folder, of which no rule broke."""
    audit = pipeline.audit(root, vocabulary.load())
    assert not audit.context.unjudged
    return audit
