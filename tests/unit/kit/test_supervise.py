"""Parts are started in order, restarted when they die, and never outlive their supervisor."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portraitist.kit.ports import free_port, port_in_use
from portraitist.kit.supervise import NotReady, Part, Supervisor

pytestmark = pytest.mark.anyio

WEB = """
import http.server, os, sys
print("up", os.environ["GREETING"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
IDLE = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + IDLE
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1); " + IDLE


def part(folder: Path, name: str, code: str, *arguments: str, ready_url: str | None = None) -> Part:
    return Part(
        name=name,
        argv=[sys.executable, "-c", code, *arguments],
        env={"GREETING": "hello"},
        ready_url=ready_url,
        log=folder / "logs" / f"{name}.log",
    )


def web(folder: Path, name: str = "web") -> tuple[Part, int]:
    port = free_port()
    return part(folder, name, WEB, str(port), ready_url=f"http://127.0.0.1:{port}/"), port


class Events:
    """What the operator was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def __call__(self, name: str, text: str) -> None:
        self.told.append((name, text))

    def pids(self, name: str) -> list[int]:
        return [
            int(text.split()[-1]) for who, text in self.told if who == name and text.startswith("started")
        ]


@asynccontextmanager
async def supervised(folder: Path, *parts: Part) -> AsyncIterator[tuple[Supervisor, Events]]:
    events = Events()
    supervisor = Supervisor(list(parts), run_dir=folder, on_event=events)
    stop = asyncio.Event()
    task = asyncio.create_task(supervisor.run(stop))
    try:
        yield supervisor, events
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_the_second_part_starts_when_the_first_is_ready_and_both_end_at_stop(tmp_path: Path) -> None:
    first, first_port = web(tmp_path, "first")
    second, second_port = web(tmp_path, "second")
    async with supervised(tmp_path, first, second) as (supervisor, events):
        await supervisor.ready(15)
        assert port_in_use("127.0.0.1", first_port)
        assert port_in_use("127.0.0.1", second_port)
        order = [(name, text.split(",")[0]) for name, text in events.told]
    assert order == [("first", "started"), ("first", "ready"), ("second", "started"), ("second", "ready")]
    assert first.log.read_text().startswith("up hello")
    assert not any(alive(pid) for name in ("first", "second") for pid in events.pids(name))
    assert not (tmp_path / "first.pid").exists()


async def test_a_part_that_dies_is_started_again(tmp_path: Path) -> None:
    first, port = web(tmp_path)
    async with supervised(tmp_path, first) as (supervisor, events):
        await supervisor.ready(15)
        os.kill(events.pids("web")[0], signal.SIGKILL)
        await until(lambda: len(events.pids("web")) == 2)
        await until(lambda: port_in_use("127.0.0.1", port))
    assert ("web", "ended (killed by SIGKILL), starts again in 0.2 s") in events.told


async def test_a_part_that_keeps_dying_is_started_ever_more_slowly_and_its_last_words_are_told(
    tmp_path: Path,
) -> None:
    broken = part(
        tmp_path, "broken", "import sys; sys.exit('no such table')", ready_url="http://127.0.0.1:1/"
    )
    async with supervised(tmp_path, broken) as (supervisor, events):
        with pytest.raises(NotReady, match="no such table"):
            await supervisor.ready(1.5)
    assert 2 <= len(events.pids("broken")) <= 4
    assert ("broken", "ended (exit status 1), starts again in 0.4 s") in events.told


async def test_a_part_that_ignores_the_request_to_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.kit.supervise.STOP_GRACE_S", 0.5)
    deaf = part(tmp_path, "deaf", STUBBORN)
    async with supervised(tmp_path, deaf) as (_, events):
        await until(lambda: deaf.log.exists() and "up" in deaf.log.read_text())
    assert not alive(events.pids("deaf")[0])


async def test_what_a_part_started_itself_ends_with_it(tmp_path: Path) -> None:
    async with supervised(tmp_path, part(tmp_path, "parent", PARENT)) as (_, events):
        await until(lambda: bool(events.pids("parent")))
        parent = events.pids("parent")[0]
        await until(lambda: bool(children(parent)))
        child = children(parent)[0]
    await until(lambda: not alive(child))


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from portraitist.kit.supervise import Part, Supervisor
folder = Path(sys.argv[1])
part = Part("part", [sys.executable, "-c", sys.argv[2]], {}, None, folder / "part.log")
told = lambda name, text: print(text, file=sys.stderr, flush=True)
asyncio.run(Supervisor([part], run_dir=folder, on_event=told).run(asyncio.Event()))
"""


async def _killed_supervisor(folder: Path, code: str) -> int:
    """Run a supervisor, kill -9 it when its part runs, and return the part's process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, str(folder), code, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    line = await asyncio.wait_for(process.stderr.readline(), 15)
    pid = int(line.split()[-1])
    await until(lambda: (folder / "part.log").read_text() == "up\n")
    process.kill()
    await process.wait()
    return pid


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_a_killed_supervisor_leaves_no_children(tmp_path: Path) -> None:
    pid = await _killed_supervisor(tmp_path, IDLE)
    await until(lambda: not alive(pid), within_s=5)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_stray_that_survived_its_supervisor_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.kit.supervise.STOP_GRACE_S", 0.5)
    pid = await _killed_supervisor(tmp_path, STUBBORN)
    assert alive(pid)
    async with supervised(tmp_path, part(tmp_path, "part", IDLE)) as (_, events):
        await until(lambda: bool(events.pids("part")))
        assert not alive(pid)


async def test_a_pid_file_of_a_process_that_is_another_by_now_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "part.pid").write_text(f"{os.getpid()} 12345")
    async with supervised(tmp_path, part(tmp_path, "part", IDLE)) as (_, events):
        await until(lambda: bool(events.pids("part")))


async def test_a_large_log_is_put_aside_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portraitist.kit.supervise.LARGEST_LOG", 10)
    first = part(tmp_path, "part", "print('new', flush=True); import time; time.sleep(600)")
    first.log.parent.mkdir()
    first.log.write_text("a long old log")
    async with supervised(tmp_path, first):
        await until(lambda: first.log.exists() and first.log.read_text() == "new\n")
    assert first.log.with_name("part.log.1").read_text() == "a long old log"
