"""Asks the judges' verdicts about what the report prints today.

Judges who wrote none of it read each printed finding in the source and called it right, arguable (true, but of little
worth, told twice, or resting on things outside) or wrong; `audit_verdicts.json` keeps that. This counts which of those
findings are still printed, by verdict and rule. What was mended after a verdict is not new evidence: the precision
on unseen repositories is what judges say of the next ones, and stands in docs/auditor.md.
Checkouts are expected below one folder as `owner+name`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from portraitist.audit import pipeline, vocabulary
from portraitist.audit.model import Finding

VERDICTS = ("right", "arguable", "wrong")


def same(finding: Finding, told: dict[str, Any]) -> bool:
    """Whether a verdict is about a finding: its rule, its path and a line of it."""
    at = finding.path == told["path"] and finding.line <= told["line"] <= max(
        finding.end_line, finding.line + 1
    )
    return at and finding.rule == told["rule"]


def main() -> None:
    """Audits each judged repository that is there, and counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkouts", type=Path, help="the folder with the checkouts, as owner+name")
    parser.add_argument("--open", action="store_true", help="name what is printed and was not called right")
    options = parser.parse_args()
    told = json.loads(Path(__file__).with_name("audit_verdicts.json").read_text("utf-8"))["verdicts"]
    of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in told:
        of[each["repository"]].append(each)
    words = vocabulary.load()
    printed, first = Counter[str](), Counter(each["verdict"] for each in told)
    rules: dict[str, Counter[str]] = defaultdict(Counter)
    for repository, verdicts in sorted(of.items()):
        folder = options.checkouts / repository.replace("/", "+")
        if not folder.is_dir():
            print(f"absent: {repository}")
            continue
        ranked = [each for each in pipeline.audit(folder.resolve(), words).findings if each.rank is not None]
        for each in verdicts:
            if any(same(finding, each) for finding in ranked):
                printed[each["verdict"]] += 1
                rules[each["rule"]][each["verdict"]] += 1
                if options.open and each["verdict"] != "right":
                    print(f"{each['verdict']}: {repository} {each['path']}:{each['line']} {each['message']}")
    print("verdicts given:  ", ", ".join(f"{first[each]} {each}" for each in VERDICTS))
    print("of those printed:", ", ".join(f"{printed[each]} {each}" for each in VERDICTS))
    for rule, counts in sorted(rules.items(), key=lambda item: -item[1].total()):
        print(f"  {rule:26}", ", ".join(f"{counts[each]} {each}" for each in VERDICTS if counts[each]))


if __name__ == "__main__":
    main()
