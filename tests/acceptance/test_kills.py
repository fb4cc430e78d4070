"""kill -9 of every part, at random points of the way: it still ends right, and nothing is trained or drawn twice.

The points are drawn from a seed that a failure names, so that a red run can be repeated.
"""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.harness import DRAWS, TRAINS, Done, House

pytestmark = pytest.mark.slow

PROMPT = "in a city street at night"
SEED = 20260101
AS_DRAWN = ("--member", "drawn")
PARTS = ("worker", "engine", "engine-worker", "postgres", "web")


@pytest.fixture(scope="module")
def shot_through_kills(house: House, drawn: Path) -> Done:
    """One shoot, killed in the middle of its training; then in a running studio, each part killed once at random."""
    killed = house.shooting(drawn, PROMPT, "killed", *AS_DRAWN)
    house.until(killed, TRAINS)
    killed.kill()
    killed.communicate()
    rng = random.Random(SEED)
    with house.up():
        process = house.shooting(drawn, PROMPT, "killed", *AS_DRAWN)
        for part in rng.sample(PARTS, len(PARTS)):
            time.sleep(rng.uniform(1.0, 8.0))
            house.kill(part)
        return house.ended(process)


def trainings_at_the_engine(house: House) -> list[tuple[str, int]]:
    return house.sql("portraitist_engine", "select status, attempts from runs where kind = 'training'")  # type: ignore[return-value]


def test_with_the_shoot_and_every_part_killed_once_it_still_ends_with_its_pictures(
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
        process = house.shooting(drawn, "on a beach", "orphaned", *AS_DRAWN)
        time.sleep(random.Random(SEED + 1).uniform(2.0, 5.0))
        up.process.send_signal(signal.SIGKILL)
        done = house.ended(process)
    assert done.code == 0, house.tails()
    assert len(done.pictures) == 3
    assert house.sql("portraitist", "select count(*) from generation_trackers") == [(2,)]


def test_ctrl_c_is_said_plainly_and_the_next_run_pays_for_nothing_twice(
    house: House, shot_through_kills: Done, drawn: Path
) -> None:
    arguments = (drawn, "in the snow", "interrupted", *AS_DRAWN)
    process = house.shooting(*arguments)
    house.until(process, DRAWS)
    process.send_signal(signal.SIGINT)
    stopped = house.ended(process, timeout=60)
    assert stopped.code == 130
    assert stopped.of("error")[0]["code"] == "interrupted"
    before = house.sql("portraitist", "select count(*) from generation_trackers")
    done = house.shoot(*arguments)
    assert done.code == 0, house.tails()
    assert house.sql("portraitist", "select count(*) from generation_trackers") == before
