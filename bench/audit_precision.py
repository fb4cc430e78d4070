"""Asks the judges' verdicts about what the report prints today.

Judges who wrote none of it read each printed finding in the source and called it right, arguable (true, but of little
worth, told twice, or resting on things outside) or wrong; `audit_verdicts.json` keeps that. This counts which of those
findings are still printed, by verdict and rule; with `--kinds` what each kind of sentence that may be printed was
called (`rules/judged.py`), which takes no checkouts. What was mended after a verdict is not new evidence: the precision
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
from portraitist.audit.rules.judged import PRINTED, is_printed, keeps

VERDICTS = ("right", "arguable", "wrong")


def same(finding: Finding, told: dict[str, Any]) -> bool:
    """Whether a verdict is about a finding: its rule, its path and a line of it."""
    at = finding.path == told["path"] and finding.line <= told["line"] <= max(
        finding.end_line, finding.line + 1
    )
    return at and finding.rule == told["rule"]


def print_kinds(told: list[dict[str, Any]]) -> None:
    """A line for each kind of sentence that may be printed, and one for all others."""
    for kind in PRINTED:
        own = [each for each in told if kind.fits(each["rule"], each["message"], each["path"])]
        counts = Counter(each["verdict"] for each in own)
        shown = ", ".join(f"{counts[each]} {each}" for each in VERDICTS)
        print(
            f"{kind.rule:24} {shown:32} {'' if keeps(counts) else 'NOT KEPT '}{kind.says or 'whatever it says'}"
        )
    left = (each for each in told if not is_printed(each["rule"], each["message"], each["path"]))
    counts = Counter(each["verdict"] for each in left)
    print(f"{'not printed':24}", ", ".join(f"{counts[each]} {each}" for each in VERDICTS))


def main() -> None:
    """Audits each judged repository that is there, and counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "checkouts", type=Path, nargs="?", help="the folder with the checkouts, as owner+name"
    )
    parser.add_argument("--open", action="store_true", help="name what is printed and was not called right")
    parser.add_argument(
        "--kinds", action="store_true", help="only count the verdicts of each kind of sentence"
    )
    options = parser.parse_args()
    told = json.loads(Path(__file__).with_name("audit_verdicts.json").read_text("utf-8"))["verdicts"]
    if options.kinds:
        print_kinds(told)
        return
    if options.checkouts is None:
        parser.error("name the folder with the checkouts, or ask for --kinds")
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
