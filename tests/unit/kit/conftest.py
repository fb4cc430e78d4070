"""A server that a test may kill."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_postgres import FAST, OwnPostgres

from portraitist.kit.embedded_postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[OwnPostgres]:
    """Each test starts it as it needs it; making one takes a second."""
    folder = Path(tempfile.mkdtemp(prefix=f"portraitist-session-{os.getpid()}-own-"))
    folder.chmod(0o711)  # under root, the server runs as another user who must pass through
    embedded = EmbeddedPostgres(folder / "home", state_root=folder / "state", settings=FAST)
    yield OwnPostgres(folder, embedded)
    embedded.stop()
    shutil.rmtree(folder)
