"""Two people's photos, and installations to shoot them with."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import FEW_STEPS, House
from tests.photos import astronaut_selfies, drawn_selfies


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real person's folder, with a space in its name."""
    folder = tmp_path_factory.mktemp("photos") / "my selfies"
    astronaut_selfies(folder)
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn person's folder."""
    folder = tmp_path_factory.mktemp("photos") / "drawn"
    drawn_selfies(folder)
    return folder


@pytest.fixture(scope="module")
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """An installation that nobody used before; its database is stopped and its folder removed at the end.

    A module that looks at pictures says how many STEPS they need.
    """
    from portraitist.kit.embedded_postgres import EmbeddedPostgres

    folder = Path(tempfile.mkdtemp(prefix="portraitist-house-"))
    folder.chmod(0o711)  # under root, PostgreSQL runs as another user who must pass through
    house = House(folder, steps=getattr(request.module, "STEPS", FEW_STEPS))
    yield house
    EmbeddedPostgres(house.home, state_root=house.state).stop()
    shutil.rmtree(folder)
