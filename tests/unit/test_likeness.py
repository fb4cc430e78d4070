"""The measure that tells two members apart, on photos alone: it must be able to say no."""

from pathlib import Path

import pytest
from tests.likeness import assert_nearer_to_own, nearest
from tests.photos import astronaut_selfies, drawn_selfies


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    folder = tmp_path_factory.mktemp("people")
    return astronaut_selfies(folder / "astronaut"), drawn_selfies(folder / "drawn")


def test_a_photo_is_its_own_nearest(people: tuple[list[Path], list[Path]]) -> None:
    astronaut, _ = people
    assert nearest(astronaut[0], astronaut) == pytest.approx(0, abs=1e-6)


def test_photos_left_out_are_nearer_to_their_own_person(people: tuple[list[Path], list[Path]]) -> None:
    astronaut, drawn = people
    assert_nearer_to_own(astronaut[:4], astronaut[4:], drawn)
    assert_nearer_to_own(drawn[:4], drawn[4:], astronaut)


def test_the_two_people_exchanged_is_red(people: tuple[list[Path], list[Path]]) -> None:
    astronaut, drawn = people
    with pytest.raises(AssertionError, match="nearer to the other"):
        assert_nearer_to_own(astronaut[:4], drawn, astronaut[4:])
