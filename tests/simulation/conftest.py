"""The simulation is put in place once for all its tests."""

from collections.abc import Iterator

import pytest

from tests.simulation.installing import installed


@pytest.fixture
def simulation() -> Iterator[None]:
    """The product runs on the simulation for the time of this test."""
    with installed():
        yield
