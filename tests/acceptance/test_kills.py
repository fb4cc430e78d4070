"""kill -9 of every part, at random points of the way: it still ends right, and nothing is trained or drawn twice.

The points are drawn from a seed that a failure names, so that a red run can be repeated.
"""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.harness import Done, House

pytestmark = pytest.mark.slow

PROMPT = "in a city street at night"
SEED = 20260101
PARTS = ("worker", "engine", "engine-worker", "postgres", "web")


@pytest.fixture(scope="module")
def shot_through_kills(house: House, drawn: Path) -> Done:
    """One shoot in a running studio, each part killed once at a random moment of it."""
    rng = random.Random(SEED)
    with house.up():
        process = house.start(
            "shoot",
            str(drawn),
            PROMPT,
            "--out",
            str(house.folder / "killed"),
            "--consent",
            "--member",
            "drawn",
        )
        for part in rng.sample(PARTS, len(PARTS)):
            time.sleep(rng.uniform(1.0, 8.0))
            house.kill(part)
        return house.ended(process)


def trainings_at_the_engine(house: House) -> list[tuple[str, int]]:
    return house.sql("portraitist_engine", "select status, attempts from runs where kind = 'training'")  # type: ignore[return-value]


def test_with_every_part_killed_once_the_shoot_still_ends_with_its_pictures(
    house: House, shot_through_kills: Done
) -> None:
    assert shot_through_kills.code == 0, f"seed {SEED}: {house.tails()}"
    assert len(shot_through_kills.pictures) == 3
    assert all(file.is_file() for file in shot_through_kills.pictures)


def test_nothing_was_trained_drawn_or_stored_twice(house: House, shot_through_kills: Done) -> None:
    assert [status for status, _ in trainings_at_the_engine(house)] == ["succeeded"]
    assert house.sql("portraitist", "select status from trainings") == [("completed",)]
    assert house.sql("portraitist", "select status from generation_trackers") == [("completed",)]
    assert house.sql("portraitist", "select count(*) from ai_images") == [(3,)]


def test_after_a_kill_of_up_itself_the_running_shoot_goes_on_with_parts_of_its_own(
    house: House, shot_through_kills: Done, drawn: Path
) -> None:
    with house.up() as up:
        process = house.start(
            "shoot", str(drawn), "on a beach", "--out", str(house.folder / "orphaned"), "--member", "drawn"
        )
        time.sleep(random.Random(SEED + 1).uniform(2.0, 5.0))
        up.process.send_signal(signal.SIGKILL)
        done = house.ended(process)
    assert done.code == 0, house.tails()
    assert len(done.pictures) == 3
    assert house.sql("portraitist", "select count(*) from generation_trackers") == [(2,)]


def test_a_shoot_killed_in_the_middle_of_its_training_goes_on_when_run_again(
    house: House, astronaut: Path
) -> None:
    arguments = ("shoot", str(astronaut), PROMPT, "--out", str(house.folder / "again"), "--consent")
    process = house.start(*arguments)
    assert process.stdout is not None
    for line in process.stdout:
        if '"phase": "training"' in line and '"step": null' not in line:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    before = trainings_at_the_engine(house)
    done = house.run(*arguments)
    assert done.code == 0, house.tails()
    assert len(done.pictures) == 3
    assert len(trainings_at_the_engine(house)) == len(before) == 2


def test_ctrl_c_is_said_plainly_and_the_next_run_pays_for_nothing_twice(
    house: House, astronaut: Path
) -> None:
    arguments = ("shoot", str(astronaut), "in the snow", "--out", str(house.folder / "interrupted"))
    process = house.start(*arguments)
    assert process.stdout is not None
    for line in process.stdout:
        if '"event": "generation"' in line:
            break
    process.send_signal(signal.SIGINT)
    stopped = house.ended(process, timeout=60)
    assert stopped.code == 130
    assert stopped.of("error")[0]["code"] == "interrupted"
    before = house.sql("portraitist", "select count(*) from generation_trackers")
    done = house.run(*arguments)
    assert done.code == 0, house.tails()
    assert house.sql("portraitist", "select count(*) from generation_trackers") == before
