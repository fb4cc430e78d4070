"""The engine as one command: ready, healed, ended; nothing is left running behind it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from portraitist.engine.config import Settings

from .harness import command_of

pytestmark = pytest.mark.slow

SERVE = "from portraitist.engine.main import serve; from portraitist.engine.config import Settings; serve(Settings())"


@pytest.fixture
def served(new_settings: Callable[..., Settings]) -> Iterator[tuple[Settings, subprocess.Popen[bytes]]]:
    settings = new_settings()
    settings.work_dir.mkdir()
    with (settings.work_dir / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            env={**os.environ, **settings.environment()},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: health(settings).get("status") == "ready")
        yield settings, process
    finally:
        process.kill()
        process.wait()


def health(settings: Settings) -> dict[str, object]:
    try:
        return dict(httpx2.get(f"{settings.address}/healthz", trust_env=False).json())
    except httpx2.TransportError:
        return {}


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def ours(settings: Settings) -> list[int]:
    """Worker processes and their children that belong to this engine, by their environment."""
    mark = f"ENGINE_WORK_DIR={settings.work_dir}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def worker_of(settings: Settings) -> list[int]:
    return [pid for pid in ours(settings) if "portraitist.engine.worker" in command_of(pid)]


def test_a_killed_worker_is_started_again_and_sigterm_ends_all(
    served: tuple[Settings, subprocess.Popen[bytes]],
) -> None:
    settings, process = served
    [first] = worker_of(settings)
    os.kill(first, signal.SIGKILL)
    until(lambda: worker_of(settings) not in ([], [first]))
    until(lambda: health(settings).get("status") == "ready")
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    until(lambda: ours(settings) == [], 5)


def test_a_killed_server_leaves_no_worker_behind(
    served: tuple[Settings, subprocess.Popen[bytes]],
) -> None:
    settings, process = served
    process.kill()
    process.wait()
    until(lambda: ours(settings) == [], 15)


def test_a_second_server_on_the_same_work_folder_is_refused(
    served: tuple[Settings, subprocess.Popen[bytes]],
) -> None:
    settings, _ = served
    second = subprocess.run(
        [sys.executable, "-c", SERVE],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert second.returncode != 0
    assert b"is doing this already: engine" in second.stderr
