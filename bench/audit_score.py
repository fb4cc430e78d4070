"""Scores the auditor against facts that were verified by hand in public repositories.

Prints recall of facts, exactness of provider call sites, recall of risks (a finding of the rule overlaps the lines),
traps avoided and dropped citations.
Checkouts are expected below one folder as `owner+name`; a repository that is not there is named and skipped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portraitist.audit import pipeline, vocabulary
from portraitist.audit.model import Fact
from portraitist.audit.report import markdown
from portraitist.audit.report.claims import Citations


@dataclass
class Tally:
    """Hits out of a total, with what was missed."""

    hit: int = 0
    total: int = 0
    missed: list[str] = field(default_factory=list)

    def count(self, good: bool, name: str) -> None:
        """Counts one question."""
        self.total += 1
        self.hit += good
        if not good:
            self.missed.append(name)

    def __str__(self) -> str:
        share = 100 * self.hit / self.total if self.total else 100.0
        return f"{self.hit}/{self.total} ({share:.1f} %)"


def same(fact: Fact, want: dict[str, Any]) -> bool:
    """Kind, key, path, the line inside the fact's lines, and the value where one was verified."""
    at = (
        fact.kind == want["kind"] and fact.path == want["path"] and fact.line <= want["line"] <= fact.end_line
    )
    named = fact.key == want["key"]
    return at and named and ("value" not in want or fact.value == want["value"])


Spot = tuple[str, str, int, int]
"""A risk: its rule, its path, its first and last line."""

SECOND = "risks that a second reader lists"
"""How many of one reader's risks another reader of the same repository lists too, by the same measure."""

BOTH, ONE = "risks that both readers list", "risks that one reader alone lists"
"""How many of the risks on which two readers agree, or which only the first names, the auditor finds."""


def _place(want: dict[str, Any]) -> Spot:
    return want["rule"], want["path"], want["line"], want.get("end_line", want["line"])


def overlap(one: Spot, other: Spot) -> bool:
    """Whether two risks are of one rule and share a line."""
    return one[:2] == other[:2] and one[2] <= other[3] and other[2] <= one[3]


def score(root: Path, repository: dict[str, Any], tallies: dict[str, Tally]) -> None:
    """Adds one repository to the tallies."""
    audit = pipeline.audit(root, vocabulary.load())
    facts = audit.context.facts
    name = repository["repository"]
    for want in repository["facts"]:
        where = f"{name} {want['kind']} {want['key']} {want['path']}:{want['line']}"
        tallies["facts"].count(any(same(each, want) for each in facts), where)
    found = {
        f"{each.path}:{each.line}"
        for each in facts
        if each.kind in {"replicate.call", "http"} and each.role in {"src", "dead", "script"}
    }
    for site in sorted(found | set(repository["calls"])):
        if site in found:
            tallies["call sites, precision"].count(site in repository["calls"], f"{name} {site} is no call")
        if site in repository["calls"]:
            tallies["call sites, recall"].count(site in found, f"{name} {site}")
    told = [(each.rule, each.path, each.line, max(each.end_line, each.line + 1)) for each in audit.findings]
    second = [_place(each) for each in repository.get("second", ())]
    for want in repository["risks"]:
        where = f"{name} {want['rule']} {want['path']}:{want['line']}"
        found_here = any(overlap(_place(want), each) for each in told)
        tallies["risks"].count(found_here, where)
        if second:
            agreed = any(overlap(_place(want), each) for each in second)
            tallies[SECOND].count(agreed, where)
            tallies[BOTH if agreed else ONE].count(found_here, where)
    for trap in repository["traps"]:
        # A fact that says by its role that it lies in a test, a backup or dead code claims nothing wrong.
        as_fact = any(same(each, trap) and each.role in {"src", "script"} for each in facts)
        as_finding = any(
            each.rule == trap["kind"] and each.path == trap["path"] and each.line == trap["line"]
            for each in audit.findings
        )
        tallies["traps avoided"].count(not (as_fact or as_finding), f"{name} fell for {trap}")
    citations = Citations(audit.context.tree)
    markdown.report(audit.context, audit.findings, citations)
    tallies["reports without a dropped claim"].count(not citations.dropped, f"{name} {citations.dropped[:1]}")


def main() -> int:
    """Scores every repository that is checked out below the given folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "checkouts", type=Path, help="folder with one checkout for each repository, named owner+name"
    )
    parser.add_argument(
        "--fetch", action="store_true", help="clone what is missing from github.com at its commit"
    )
    parser.add_argument(
        "--facts",
        type=Path,
        default=Path(__file__).with_name("audit_facts.json"),
        help="another list of facts",
    )
    options = parser.parse_args()
    listed = json.loads(options.facts.read_text("utf-8"))["repositories"]
    names = (
        "facts",
        "call sites, precision",
        "call sites, recall",
        "risks",
        SECOND,
        BOTH,
        ONE,
        "traps avoided",
        "reports without a dropped claim",
    )
    tallies = {name: Tally() for name in names}
    for repository in listed:
        root = options.checkouts / repository["repository"].replace("/", "+")
        if options.fetch and not root.exists():
            subprocess.run(
                ["git", "clone", "-q", f"https://github.com/{repository['repository']}", str(root)],
                check=True,
            )
            subprocess.run(["git", "-C", str(root), "checkout", "-q", repository["commit"]], check=True)
        if root.exists():
            score(root, repository, tallies)
        else:
            sys.stdout.write(f"not there: {root.name}\n")
    for name, tally in tallies.items():
        sys.stdout.write(f"{name:34} {tally}\n")
        for missed in tally.missed:
            sys.stdout.write(f"    {missed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
