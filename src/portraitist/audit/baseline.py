"""Baselines: findings that are known already, by fingerprint; a moved line keeps its fingerprint."""

from __future__ import annotations

import json
from pathlib import Path

from portraitist.audit.model import Finding


class BaselineError(ValueError):
    """A baseline file that is no earlier JSON output of the auditor."""


def read(path: Path) -> frozenset[str]:
    """The fingerprints in an earlier `--json` output. Raises `BaselineError` when it is none."""
    try:
        loaded = json.loads(path.read_text("utf-8"))
        return frozenset(str(each["fingerprint"]) for each in loaded["findings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"{path.name} is not an earlier JSON output of the auditor") from error


def new(findings: list[Finding], known: frozenset[str]) -> list[Finding]:
    """The findings that are not in the baseline."""
    return [each for each in findings if each.fingerprint not in known]
