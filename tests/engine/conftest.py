"""Fixtures of the engine's suite: an untrained base, settings on a fresh database, an API, an API with worker."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

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


def migrated(url: str, folder: Path) -> None:
    """The engine's tables in a fresh database."""
    settings = Settings(database_url=SecretStr(url), token=SecretStr(TOKEN), work_dir=folder)
    with ThreadPoolExecutor(1) as thread:  # an async test's loop runs in this one
        thread.submit(asyncio.run, main.prepare(settings)).result()


def settings_in(folder: Path, url: str, base: Path, changes: dict[str, object]) -> Settings:
    """Settings of an engine that keeps everything in one folder, with a small budget and a short lease."""
    values = {
        "database_url": url,
        "token": TOKEN,
        "work_dir": folder / "work",
        "storage_url": f"file://{folder / 'objects'}",
        "port": free_port(),
        "base": base,
        "max_steps": 4,
        "lease_s": 3.0,
        **changes,
    }
    return Settings(**values)  # type: ignore[arg-type]


@pytest.fixture
def new_settings(
    postgres: Server,
    make_database: Callable[..., str],
    make_template: Callable[..., str],
    base: Path,
    tmp_path: Path,
) -> NewSettings:
    """Settings for an engine of its own: fresh database, storage and work folder."""

    def new(**changes: object) -> Settings:
        template = make_template("engine_template", lambda url: migrated(url, tmp_path))
        return settings_in(tmp_path, postgres.url(make_database(template=template)), base, changes)

    return new


@pytest.fixture(scope="module")
def new_settings_for_module(
    postgres: Server, make_template: Callable[..., str], base: Path, tmp_path_factory: pytest.TempPathFactory
) -> NewSettings:
    """The same for an engine that a module's tests share."""

    def new(**changes: object) -> Settings:
        folder = tmp_path_factory.mktemp("engine")
        database = make_template(f"engine_{folder.name}", lambda url: migrated(url, folder))
        return settings_in(folder, postgres.url(database), base, changes)

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
