"""What a page of the provider's list makes of the rows that wait for a look."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

import pytest

from portraitist.studio.db import listed
from portraitist.studio.generation import domain as generation
from portraitist.studio.provider.port import Glance, RemoteStatus
from portraitist.studio.training import domain as training
from portraitist.studio.training import looking
from portraitist.studio.training.domain import RARER, Timing
from portraitist.studio.training.looking import Standing
from portraitist.studio.training.lookout import DEEPEST, LONGEST_REST, Round
from portraitist.studio.training.tasks import watched

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
POLL = timedelta(seconds=2)
KIND = watched(Timing(POLL, timedelta(seconds=30), timedelta(seconds=60)))
BAR = "flux_train_replicate:  50%|███| {step}/1000 [00:01<00:01,  1.05s/it]\n"


def row(provider_id: str, status: str = "training", step: int | None = None) -> Standing:
    return Standing(uuid4(), "member", provider_id, status, 3, NOW - timedelta(minutes=1), NOW, step)


def reading(*rows: Standing, most_pages: int = 9) -> Round:
    by_id = {each.provider_id: each for each in rows}
    return Round(KIND, "engine", by_id, set(by_id), most_pages)


def test_a_run_that_stands_as_its_row_says_is_put_off() -> None:
    waiting, running = row("a", "submitted"), row("b")
    look = reading(waiting, running)
    page = [Glance("a", RemoteStatus.STARTING, ""), Glance("b", RemoteStatus.PROCESSING, "")]
    assert look.compare(page, NOW) == []
    assert {each.id for each in look.unchanged} == {waiting.id, running.id}
    assert all(each.next_check_at == NOW + POLL for each in look.unchanged)
    assert look.is_over


def test_a_run_that_has_moved_gets_a_look_of_its_own() -> None:
    started, ended, odd = row("a", "submitted"), row("b"), row("c")
    look = reading(started, ended, odd)
    page = [
        Glance("a", RemoteStatus.PROCESSING, ""),
        Glance("b", RemoteStatus.SUCCEEDED, ""),
        Glance("c", RemoteStatus.UNKNOWN, ""),
    ]
    assert look.compare(page, NOW) == [started, ended, odd]
    assert look.unchanged == []


def test_runs_of_others_are_passed_over_and_missing_ones_stay_due() -> None:
    missing = row("a")
    look = reading(missing)
    assert look.compare([Glance("of another account", RemoteStatus.SUCCEEDED, "")], NOW) == []
    assert (look.unchanged, look.due, list(look.waiting)) == ([], {"a"}, ["a"])


def test_steps_go_with_the_row_only_where_the_bar_has_moved() -> None:
    same, further = row("a", step=500), row("b", step=500)
    look = reading(same, further)
    page = [
        Glance("a", RemoteStatus.PROCESSING, BAR.format(step=500)),
        Glance("b", RemoteStatus.PROCESSING, BAR.format(step=510)),
    ]
    look.compare(page, NOW)
    assert [(each.step, each.total_steps) for each in look.unchanged] == [(None, None), (510, 1000)]
    assert look.progressed == [further]


def test_deep_pages_are_read_more_rarely() -> None:
    deep = row("a")
    look = reading(deep)
    for _ in range(12):
        look.compare([], NOW)
    look.compare([Glance("a", RemoteStatus.PROCESSING, "")], NOW)
    assert look.unchanged[0].next_check_at == NOW + min(DEEPEST * POLL, LONGEST_REST)


def test_where_the_provider_tells_of_ends_deep_pages_are_read_more_rarely_still() -> None:
    told = watched(Timing(POLL, timedelta(seconds=30), timedelta(seconds=60), told=True))
    deep = row("a")
    look = Round(told, "engine", {"a": deep}, {"a"}, 9, pages=12)
    look.compare([Glance("a", RemoteStatus.PROCESSING, "")], NOW)
    assert look.unchanged[0].next_check_at == NOW + min(DEEPEST * POLL, LONGEST_REST) * RARER


@pytest.mark.parametrize("ended", [training.ENDED, generation.ENDED])
def test_what_has_ended_is_never_due(ended: frozenset[StrEnum]) -> None:
    assert f"status not in ({listed(ended)})" in looking._AGENDA


def test_a_list_that_never_shows_them_is_not_read_to_its_end() -> None:
    look = reading(row("a"), most_pages=3)
    for _ in range(3):
        assert not look.is_over
        look.compare([], NOW)
    assert look.is_over
