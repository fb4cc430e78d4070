"""What a set does next, decided from its rows alone; its statuses are those of the database."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from portraitist.studio.photoshoot import domain, reading
from portraitist.studio.photoshoot.domain import (
    AT_ONCE,
    Ask,
    Finish,
    Item,
    ItemStatus,
    PhotoSet,
    Resume,
    SetStatus,
    Why,
)
from portraitist.studio.photoshoot.looks import SHOTS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOOK = reading.read()
SET = PhotoSet(
    user_id="abc123def456",
    id=uuid4(),
    collection="travel",
    look=None,
    every_shot=False,
    title="Travel",
    colours=[],
    status=SetStatus.RUNNING,
    why_paused=None,
    resumes_at=None,
    revision=0,
    created_at=NOW,
    finished_at=None,
)
MIGRATION = Path(__file__).parents[4] / "src/portraitist/studio/migrations/0066_photo_sets.sql"


def shots() -> list[Item]:
    travel = BOOK.collection("travel")
    assert travel is not None
    return domain.shots(travel, None, [], every_shot=False)


def asked(item: Item, *, drawing: bool = False, drawn: bool = False) -> Item:
    return replace(item, status=ItemStatus.ASKED, generation_id=uuid4(), drawing=drawing, drawn=drawn)


def test_it_asks_in_order_for_as_many_as_may_be_under_way() -> None:
    items = shots()
    for place in range(AT_ONCE):
        assert domain.next_step(SET, items, NOW) == Ask(items[place])
        items[place] = asked(items[place], drawing=True)
    assert domain.next_step(SET, items, NOW) is None
    items[1] = asked(items[1], drawn=True)
    assert domain.next_step(SET, items, NOW) == Ask(items[AT_ONCE])


def test_it_is_done_when_all_is_drawn_refused_or_came_to_nothing() -> None:
    items = [asked(item, drawn=True) for item in shots()]
    items[2] = replace(items[2], status=ItemStatus.REFUSED, generation_id=None)
    items[5] = asked(items[5])
    assert domain.next_step(SET, items, NOW) == Finish()
    items[0] = asked(items[0], drawing=True)
    assert domain.next_step(SET, items, NOW) is None


def test_a_pause_ends_at_its_time_and_one_without_a_time_never_by_itself() -> None:
    later = NOW + timedelta(hours=3)
    assert domain.next_step(SET.paused(Why.QUOTA, later), shots(), NOW) is None
    assert domain.next_step(SET.paused(Why.QUOTA, later), shots(), later) == Resume()
    assert domain.next_step(SET.paused(Why.MODEL, None), shots(), later) is None


@pytest.mark.parametrize("status", [SetStatus.DONE, SetStatus.CANCELED])
def test_what_is_over_asks_for_nothing(status: SetStatus) -> None:
    assert domain.next_step(SET.over(status, NOW), shots(), NOW) is None


def test_only_what_was_taken_back_or_came_to_nothing_is_shot_again_and_by_another_key() -> None:
    item = shots()[0]
    refused = replace(item, status=ItemStatus.REFUSED)
    canceled = replace(item, status=ItemStatus.CANCELED)
    for each, again in (
        (item, False),
        (refused, False),
        (canceled, True),
        (asked(item), True),
        (asked(item, drawing=True), False),
        (asked(item, drawn=True), False),
    ):
        assert each.is_to_do_again is again
    anew = asked(item).again()
    assert (anew.status, anew.generation_id) == (ItemStatus.WAITING, None)
    assert domain.key_of(SET, anew) != domain.key_of(SET, item)


def test_a_set_takes_turns_with_the_members_colours() -> None:
    travel = BOOK.collection("travel")
    assert travel is not None
    items = domain.shots(travel, None, ["navy", "rust"], every_shot=False)
    assert "navy ripstop" in items[0].prompt
    assert "rust cotton gauze" in items[1].prompt and "navy linen" in items[1].prompt


def test_every_shot_of_a_set_is_each_look_in_all_its_shots_and_in_the_same_colours() -> None:
    travel = BOOK.collection("travel")
    assert travel is not None
    items = domain.shots(travel, None, ["navy", "rust"], every_shot=True)
    assert [(item.look, item.shot) for item in items] == [
        (look.slug, shot) for look in travel.looks for shot in SHOTS
    ]
    assert [item.position for item in items] == list(range(24))
    leads = {item.prompt for item in domain.shots(travel, None, ["navy", "rust"], every_shot=False)}
    assert leads < {item.prompt for item in items}


def test_the_database_knows_the_same_statuses() -> None:
    lists = re.findall(r"(?:status|why_paused)\s+text[^\n]*in \(([^)]*)\)", MIGRATION.read_text())
    told = [set(re.findall(r"'(\w+)'", each)) for each in lists]
    assert told == [set(SetStatus), set(Why), set(ItemStatus)]
