"""Which runs need a look, in which order, and the one thing that helps."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from portraitist.studio.admin.prices import Prices
from portraitist.studio.admin.work import Help, Kind, Trouble, in_order, judged
from portraitist.studio.training.overview import Run

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def run(**more: Any) -> Run:
    usual: dict[str, Any] = {
        "id": UUID(int=1),
        "user_id": "anna",
        "status": "training",
        "phase": "training",
        "step": 500,
        "total_steps": 1000,
        "error_code": None,
        "canceling": False,
        "admitted": True,
        "created_at": NOW - timedelta(minutes=3),
        "submitted_at": NOW - timedelta(minutes=2),
        "next_check_at": NOW + timedelta(seconds=5),
        "finished_at": None,
    }
    return Run(**usual | more)


LONG_AGO = NOW - timedelta(hours=2)
CASES: dict[str, tuple[Kind, dict[str, Any], Trouble | None, Help | None]] = {
    "at work": ("training", {}, None, None),
    "waiting for a place": (
        "training",
        {"status": "queued", "admitted": False, "next_check_at": LONG_AGO},
        None,
        None,
    ),
    "without a worker": ("training", {"next_check_at": LONG_AGO}, Trouble.UNATTENDED, None),
    "parked": (
        "training",
        {"status": "extraction_failed", "next_check_at": NOW + timedelta(hours=4)},
        Trouble.NOT_IN_USE,
        Help.RETRY,
    ),
    "tried again": ("training", {"error_code": "provider_away"}, Trouble.TRIED_AGAIN, Help.CANCEL),
    "long training": ("training", {"submitted_at": LONG_AGO}, Trouble.LONG, Help.CANCEL),
    "long drawing": (
        "generation",
        {"status": "running", "submitted_at": NOW - timedelta(minutes=11)},
        Trouble.LONG,
        Help.CANCEL,
    ),
    "training of as long": ("training", {"submitted_at": NOW - timedelta(minutes=11)}, None, None),
    "failed training": ("training", {"status": "failed", "finished_at": NOW}, Trouble.FAILED, Help.AGAIN),
    "failed pictures": ("generation", {"status": "failed", "finished_at": NOW}, Trouble.FAILED, None),
    "done": ("training", {"status": "completed", "finished_at": NOW}, None, None),
    "being canceled": ("training", {"submitted_at": LONG_AGO, "canceling": True}, Trouble.LONG, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_judged_by_its_row_and_the_time(case: str) -> None:
    kind, more, trouble, help_ = CASES[case]
    found = judged(kind, run(**more), NOW)
    assert (found.trouble, found.help) == (trouble, help_)


def test_what_needs_a_look_stands_first_and_the_oldest_before() -> None:
    well, young, old, worst = (
        run(user_id="well"),
        run(user_id="young", error_code="x", created_at=NOW - timedelta(minutes=1)),
        run(user_id="old", error_code="x", created_at=NOW - timedelta(minutes=9)),
        run(user_id="worst", next_check_at=LONG_AGO, created_at=NOW),
    )
    ordered = in_order([judged("training", each, NOW) for each in (well, young, old, worst)])
    assert [each.run.user_id for each in ordered] == ["worst", "old", "young", "well"]


def test_steps_are_told_while_it_trains_and_never_as_done() -> None:
    assert judged("training", run(step=1000), NOW).percent == 99
    assert judged("training", run(step=None), NOW).percent is None
    assert judged("training", run(status="verifying"), NOW).percent is None


def test_without_a_price_there_is_no_cost() -> None:
    assert Prices("USD").of(100, 100, 9) is None
    assert Prices("USD", per_training_second=0.5).of(100, 40, 9) == 50
    assert Prices("EUR", 0.01, 0.1, 1.0).of(100, 40, 9) == pytest.approx(1 + 4 + 9)
