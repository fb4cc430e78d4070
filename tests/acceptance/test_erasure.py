"""A member is erased with the one command on real parts: nothing of them is left in studio, engine or logs."""

import time
from pathlib import Path

import pytest

from tests.acceptance.harness import House
from tests.acceptance.leftovers import left, watching_over

pytestmark = pytest.mark.slow
WITHIN_S = 90  # the engine forgets in rounds of its own


def test_nothing_is_left_in_the_studio_or_in_the_engine(house: House, drawn: Path) -> None:
    with house.up():
        made = house.shoot(drawn, "in a studio", "pictures")
        assert made.code == 0, house.tails()
        [(user_id,)] = house.sql("portraitist", "select id from users")
        assert len({each.partition(":")[0].partition(".")[0] for each in left(house, user_id)}) > 2

        erased = house.run("account", "erase", "--photos", str(drawn), "--yes")

        assert erased.code == 0, house.tails()
        (receipt,) = erased.of("receipt")
        assert {(line["kind"], line["outcome"]) for line in receipt["artefacts"]} >= {
            ("model", "deleted"),
            ("model version", "deleted"),
            ("photo", "deleted"),
            ("picture", "deleted"),
        }
        end = time.monotonic() + WITHIN_S
        while found := list(left(house, user_id)):
            assert time.monotonic() < end, found
            watching_over(house)
            time.sleep(1)
