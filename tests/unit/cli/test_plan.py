"""What a shoot does about the model, from the folder and what the studio knows."""

import pytest

from portraitist.cli.plan import Follow, Plan, Refuse, Reuse, Situation, Train, decide
from portraitist.cli.wire import Training

TWELVE = frozenset(f"photo{number}" for number in range(12))
OTHERS = frozenset(f"other{number}" for number in range(12))


def situation(folder: frozenset[str] = TWELVE, **changes: object) -> Situation:
    values = {"folder": folder, "selfies": {}, "active_photos": None, "in_hand": None, "retrain": False}
    return Situation(**{**values, **changes})  # type: ignore[arg-type]


def training(photos: frozenset[str]) -> Training:
    return Training("t", "training", "training", 1, 2, "", None, None, None, photos)


def judged(*photos: str, good: bool = True) -> dict[str, bool]:
    return dict.fromkeys(photos, good)


@pytest.mark.parametrize(
    ("now", "plan"),
    [
        (situation(), Train(upload=TWELVE, remove=frozenset())),
        (situation(selfies=judged(*TWELVE)), Train(upload=frozenset(), remove=frozenset())),
        (situation(selfies=judged("gone")), Train(upload=TWELVE, remove=frozenset({"gone"}))),
        (situation(active_photos=TWELVE), Reuse(new=0, gone=0)),
        (situation(active_photos=TWELVE | {"gone"}), Reuse(new=0, gone=1)),
        (situation(TWELVE | {"new"}, active_photos=TWELVE), Reuse(new=1, gone=0)),
        (situation(OTHERS, active_photos=TWELVE), Refuse(left=0, known=12)),
        (situation(OTHERS, active_photos=TWELVE, retrain=True), Refuse(left=0, known=12)),
        (situation(in_hand=training(TWELVE)), Follow(training(TWELVE))),
        (situation(OTHERS, in_hand=training(TWELVE)), Refuse(left=0, known=12)),
    ],
)
def test_each_situation_has_its_plan(now: Situation, plan: Plan) -> None:
    assert decide(now) == plan


def test_a_photo_that_was_rejected_before_does_not_count_as_new() -> None:
    now = situation(TWELVE | {"blurry"}, active_photos=TWELVE, selfies=judged("blurry", good=False))
    assert decide(now) == Reuse(new=0, gone=0)


def test_retraining_uploads_what_is_new_and_takes_back_what_left_the_folder() -> None:
    now = situation(TWELVE | {"new"}, active_photos=TWELVE, selfies=judged(*TWELVE, "gone"), retrain=True)
    assert decide(now) == Train(upload=frozenset({"new"}), remove=frozenset({"gone"}))


def test_another_choice_of_photos_is_free_before_anything_was_trained() -> None:
    assert decide(situation(OTHERS, selfies=judged(*TWELVE))) == Train(upload=OTHERS, remove=TWELVE)


def test_half_of_the_known_photos_is_enough_to_be_the_same_person() -> None:
    half = frozenset(sorted(TWELVE)[:6])
    assert decide(situation(half, active_photos=TWELVE)) == Reuse(new=0, gone=6)
    less = frozenset(sorted(TWELVE)[:5])
    assert decide(situation(less, active_photos=TWELVE)) == Refuse(left=5, known=12)
