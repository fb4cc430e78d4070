"""Fixtures of the engine's suite: an untrained base, settings on a fresh database, an API, an API with worker."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portraitist.engine import main
from portraitist.engine.config import Settings
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.ports import free_port

from .harness import TOKEN, Engine, serving

MAKE_BASE = """
import sys, torch
from pathlib import Path
from portraitist.engine.tiny import bundle
torch.manual_seed(0)
parts = bundle.Parts.new()
with torch.no_grad():
    for parameter in [*parts.transformer.parameters(), *parts.autoencoder.parameters()]:
        parameter.add_(torch.randn_like(parameter) * 0.01)
bundle.write(parts, Path(sys.argv[1]), {"recipe": 1})
"""

NewSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that nobody trained, made in a process of its own: torch stays out of the tests' process."""
    path = tmp_path_factory.mktemp("base") / "checkpoint"
    subprocess.run([sys.executable, "-c", MAKE_BASE, str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def new_settings(
    postgres: Server,
    make_database: Callable[..., str],
    make_template: Callable[..., str],
    base: Path,
    tmp_path: Path,
) -> NewSettings:
    """Settings for an engine of its own: fresh database, storage and work folder."""

    def fill(url: str) -> None:
        asyncio.run(main.prepare(Settings(database_url=url, token=TOKEN, work_dir=tmp_path)))

    def new(**changes: object) -> Settings:
        database = make_database(template=make_template("engine_template", fill))
        values = {
            "database_url": postgres.url(database),
            "token": TOKEN,
            "work_dir": tmp_path / "work",
            "storage_url": f"file://{tmp_path / 'objects'}",
            "port": free_port(),
            "base": base,
            "max_steps": 4,
            "lease_s": 3.0,
            **changes,
        }
        return Settings(**values)  # type: ignore[arg-type]

    return new


@pytest.fixture
def api(new_settings: NewSettings) -> Iterator[Engine]:
    """An API without a worker: runs stay in `starting`."""
    with serving(new_settings()) as engine:
        yield engine


@pytest.fixture
def engine(new_settings: NewSettings) -> Iterator[Engine]:
    """An API and one worker."""
    with serving(new_settings()) as running:
        running.start_worker()
        yield running
