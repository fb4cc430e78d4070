"""The rules of an erasure: its stages, its pauses, its receipt. No database, no clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.privacy import domain
from portraitist.studio.privacy.domain import (
    ARROWS,
    FIRST,
    LOOKS,
    Artefact,
    Destination,
    Erasure,
    Outcome,
    Plan,
    Scope,
    Stage,
    kind_of_file,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MODEL = Destination("engine", "studio/k3v9x0q7m2ab-selfie-lora", ("a" * 64, "b" * 64))


def erasure(scope: Scope = Scope.ACCOUNT, stage: Stage = Stage.STOP, plan: Plan | None = None) -> Erasure:
    return Erasure(
        user_id="k3v9x0q7m2ab",
        id=UUID(int=1),
        scope=scope,
        stage=stage,
        revision=0,
        tries=0,
        next_check_at=NOW,
        plan=plan or Plan(),
        artefacts=(),
        waits_for=None,
        created_at=NOW,
        erased_at=None,
    )


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_comes_to_its_end_from_its_first_stage(scope: Scope) -> None:
    reached, ahead = set(), {FIRST[scope]}
    while ahead:
        stage = ahead.pop()
        reached.add(stage)
        ahead |= ARROWS[stage] - reached
    assert Stage.DONE in reached
    assert ARROWS[Stage.DONE] == frozenset()


@pytest.mark.parametrize(("before", "after"), [(a, b) for a in Stage for b in Stage if b not in ARROWS[a]])
def test_no_other_arrow_can_be_taken(before: Stage, after: Stage) -> None:
    with pytest.raises(ValueError, match="no way"):
        erasure(stage=before).to(after, NOW)


def test_files_go_before_the_rows_that_name_them_and_both_after_what_runs() -> None:
    assert ARROWS[Stage.STOP] == {Stage.PROVIDER}
    assert ARROWS[Stage.PROVIDER] == {Stage.STORAGE}
    assert ARROWS[Stage.STORAGE] == {Stage.DATABASE}


@given(st.integers(0, 500))
def test_pauses_grow_to_hours_and_no_further(tries: int) -> None:
    before = replace(erasure(), tries=tries)
    after = before.wait(NOW, "the provider")
    pause = after.next_check_at - NOW
    assert domain.FIRST_PAUSE <= pause <= domain.LONGEST_PAUSE
    assert after.wait(NOW, "the provider").next_check_at - NOW >= pause


def test_late_arrivals_are_looked_for_three_times_in_a_day_and_for_a_picture_once() -> None:
    watched = erasure(stage=Stage.DATABASE).to(Stage.WATCH, NOW)
    when = [watched.next_check_at]
    while (watched := watched.looked(when[-1])).stage is not Stage.DONE:
        when.append(watched.next_check_at)
    assert when == [NOW + after for after in LOOKS]
    picture = erasure(Scope.PICTURE, Stage.DATABASE).to(Stage.WATCH, NOW)
    assert picture.looked(NOW + LOOKS[0]).stage is Stage.DONE


def test_our_own_part_waits_an_hour_for_the_provider_and_the_provider_has_thirty_days() -> None:
    asked = erasure()
    assert not asked.is_impatient(NOW + timedelta(minutes=59))
    assert asked.is_impatient(NOW + timedelta(hours=1))
    assert not asked.is_given_up(NOW + timedelta(days=29))
    assert asked.is_given_up(NOW + timedelta(days=30))


def test_a_plan_is_read_as_it_was_stored() -> None:
    plan = Plan(
        owed=(MODEL,),
        gone=(Destination("cloud", "a/b"),),
        files=(("cloud", "file"),),
        tokens=("token",),
        runs=3,
        keys=("members/a/generations/b/0.png",),
        picture_id="x",
        stored={"photo": 10},
        looks=2,
    )
    assert Plan.from_json(plan.to_json()) == plan


def test_the_receipt_says_of_a_model_that_it_is_asked_for_then_deleted_or_given_up_with_the_reason() -> None:
    owed = erasure(plan=Plan(owed=(MODEL,))).provider_noted()
    assert [(each.kind, each.outcome, each.count) for each in owed.artefacts] == [
        ("model", Outcome.ACCEPTED, 1),
        ("model version", Outcome.ACCEPTED, 2),
    ]
    gone = owed.with_plan(owed.plan.after(MODEL, gone=True)).provider_noted()
    assert {each.outcome for each in gone.artefacts} == {Outcome.DELETED}
    given_up = owed.provider_noted("because")
    assert {(each.outcome, each.why) for each in given_up.artefacts} == {(Outcome.NOT_DELETABLE, "because")}


def test_a_line_that_is_noted_again_replaces_the_earlier_one() -> None:
    first = Artefact("photo", domain.STORAGE, Outcome.DELETED, 1)
    assert erasure().noted(first).noted(replace(first, count=2)).artefacts == (replace(first, count=2),)


@pytest.mark.parametrize("scope", Scope)
def test_what_is_not_deleted_has_a_reason(scope: Scope) -> None:
    assert all(line.why for line in domain.kept_elsewhere(scope, 3))


def test_files_are_called_by_what_they_are() -> None:
    said = {
        "members/a/selfies/x.jpg": "photo",
        "members/a/uploads/b/0": "photo on its way",
        "members/a/trainings/b/photos-c.zip": "zip of photos",
        "members/a/trainings/b/weights.tar": "copy of weights",
        "members/a/trainings/b/weights-parts/0": "copy of weights",
        "members/a/generations/b/0.png": "picture",
        "members/a/else/b": "file",
    }
    assert {key: kind_of_file(key) for key in said} == said
