"""What the report prints has a record: of each kind of sentence, judges have hardly ever called one wrong."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from portraitist.audit.rules import RULES
from portraitist.audit.rules.judged import LEAST, PRINTED, Kind, is_printed, keeps

VERDICTS = json.loads((Path(__file__).parents[2] / "bench" / "audit_verdicts.json").read_text("utf-8"))[
    "verdicts"
]


def _record(kind: Kind) -> Counter[str]:
    return Counter(
        each["verdict"] for each in VERDICTS if kind.fits(each["rule"], each["message"], each["path"])
    )


@pytest.mark.parametrize("kind", PRINTED, ids=lambda kind: f"{kind.rule} {kind.says}")
def test_a_kind_that_is_printed_has_kept_its_place(kind: Kind) -> None:
    assert kind.rule in RULES
    assert keeps(_record(kind)), dict(_record(kind))


def test_what_is_printed_was_seldom_wrong() -> None:
    """Of all that was ever judged, what may be printed now stands far above what may not."""
    told: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for each in VERDICTS:
        told[is_printed(each["rule"], each["message"], each["path"])][each["verdict"]] += 1
    shares = {printed: 1 - counts["wrong"] / counts.total() for printed, counts in told.items()}
    assert shares[True] > 0.93
    assert shares[False] < 0.75


@pytest.mark.parametrize(
    ("right", "arguable", "wrong", "kept"),
    [
        (0, 0, 0, True),  # never met: nothing speaks against it
        (1, 1, 1, True),
        (1, 0, 2, False),
        (LEAST, 0, 0, True),
        (7, 0, 1, True),
        (6, 0, 1, False),
        (4, 5, 0, False),  # true, and hardly ever worth a reader's time
    ],
)
def test_a_kind_is_printed_by_its_verdicts(right: int, arguable: int, wrong: int, kept: bool) -> None:
    assert keeps(Counter(right=right, arguable=arguable, wrong=wrong)) is kept


def test_an_unjudged_sentence_is_not_printed() -> None:
    assert not is_printed("missing-auth", "POST /x does what no judge has read of", "src/x.ts")
    assert is_printed("missing-auth", "POST /x reaches run without a check that denies", "src/x.ts")
    assert not is_printed("secret-in-repo", "a secret in KEY is committed (redacted)", "docs/setup.md")
    assert is_printed("secret-in-repo", "a secret in KEY is committed (redacted)", "api/.env")
