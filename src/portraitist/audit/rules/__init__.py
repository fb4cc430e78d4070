"""Judgement: one function for each risk, over the facts; ranking and fingerprints.

A rule's docstring says what it checks and what it cannot know. Rules add no facts.
"""

from __future__ import annotations

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding


def judge(ctx: Context) -> list[Finding]:
    """Every finding, most severe first, the first ten ranked."""
    return []
