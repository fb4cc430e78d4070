"""A whole installation in a folder of its own, driven only through the command line, as a user would.

What a user can't do stands here too, for looking and for harm: SQL as the superuser, and kill -9.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from portraitist.kit.embedded_postgres import EmbeddedPostgres
from portraitist.kit.processes import birth
from tests.fakes.replicate_cloud import ReplicateCloud

# Steps of a training where nobody looks at the pictures.
FEW_STEPS = 8
# Signs in a command's JSON lines.
TRAINS = r'"phase": "training", "step": \d'
DRAWS = '"event": "generation"'
PATIENCE_S = 600


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    events: list[dict[str, Any]]
    said: str
    seconds: float

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Its JSON lines of one kind."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def pictures(self) -> list[Path]:
        """The pictures that it saved."""
        (saved,) = self.of("saved")
        return [Path(file) for file in saved["pictures"]]


class House:
    """One PORTRAITIST_HOME and the commands run against it."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int = FEW_STEPS,
        through: Sequence[str] = (),
        python: str = sys.executable,
    ) -> None:
        """`through`: a command that starts the commands, for instance in mounts of their own or as another user."""
        self.folder = folder
        self.through = tuple(through)
        self.python = python
        self.home = folder / "home"
        self.state = folder / "state"
        self.environ = {
            "PORTRAITIST_HOME": str(self.home),
            "PORTRAITIST_STATE": str(self.state),
            "HOME": str(folder),
            "ENGINE_MAX_STEPS": str(steps),
            "ENGINE_LEASE_S": "5",
            **{
                name: os.environ[name]
                for name in ("PATH", "PYTHONPATH", "LANG", "ENGINE_BASE")
                if name in os.environ
            },
        }

    def run(self, *arguments: str, timeout: float = PATIENCE_S, **environ: str) -> Done:
        """Run a command to its end, nobody at the keyboard."""
        return self.ended(self.start(*arguments, **environ), timeout)

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start a command with --json; `ended` waits for it."""
        with (self.folder / "said.log").open("a") as log:
            return subprocess.Popen(
                [*self.through, self.python, "-m", "portraitist.cli", *arguments, "--json"],
                env={**self.environ, **environ},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def until(self, process: "subprocess.Popen[str]", sign: str) -> None:
        """Read a started command's JSON lines until one matches the regular expression."""
        assert process.stdout is not None
        for line in process.stdout:
            if re.search(sign, line):
                return
        raise AssertionError(f"no line like {sign} came:\n{self.tails()}")

    def ended(self, process: "subprocess.Popen[str]", timeout: float = PATIENCE_S) -> Done:
        """Wait for a started command."""
        began = time.monotonic()
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"not done within {timeout} s:\n{self.tails()}") from None
        events = [json.loads(line) for line in out.splitlines()]
        said = (self.folder / "said.log").read_text()
        return Done(process.returncode, events, said, time.monotonic() - began)

    def shoot(self, photos: Path, prompt: str, out: str, *more: str, **environ: str) -> Done:
        """The main job, consent given."""
        return self.ended(self.shooting(photos, prompt, out, *more, **environ))

    def shooting(
        self, photos: Path, prompt: str, out: str, *more: str, **environ: str
    ) -> "subprocess.Popen[str]":
        """The main job, only started."""
        folder = str(self.folder / out)
        return self.start("shoot", str(photos), prompt, "--out", folder, "--consent", *more, **environ)

    @contextmanager
    def up(self) -> Iterator["Up"]:
        """A running studio on a free port; stopped as Ctrl-C does."""
        process = self.start("up", "--port", "0")
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"up did not start:\n{self.tails()}"
        event = json.loads(line)
        try:
            yield Up(process, event["url"], event["token"], event["first_link"])
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)
            process.stdout.close()

    def sql(self, database: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask, or change, as the superuser whom no policy stops."""
        server = EmbeddedPostgres(self.home, state_root=self.state).start()
        with psycopg.connect(server.url(database), autocommit=True) as connection:
            cursor = connection.execute(query, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def pid(self, part: str) -> int:
        """The process of a part: web, worker, engine, or the engine's worker, or postgres; 0 when there is none."""
        if part == "postgres":
            with suppress(OSError, ValueError):
                (file,) = self.state.glob("*/data/postmaster.pid")
                return int(file.read_text().split()[0])
            return 0
        folder = self.home / "engine" / "work" / "run" if part == "engine-worker" else self.home / "run"
        with suppress(OSError, ValueError, IndexError):
            return int((folder / f"{part}.pid").read_text().split()[0])
        return 0

    def kill(self, part: str) -> bool:
        """kill -9, if it runs."""
        pid = self.pid(part)
        if not pid or not birth(pid):
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def tails(self) -> str:
        """The ends of all logs, for a failure's message."""
        files = [self.folder / "said.log", *sorted((self.home / "logs").glob("*.log"))]
        texts = [
            (file, file.read_text(errors="replace").splitlines()[-12:]) for file in files if file.exists()
        ]
        return "\n".join(
            f"== {file.name}\n" + "\n".join(line[:400] for line in lines) for file, lines in texts
        )


def cloud_at(cloud: ReplicateCloud, url: str) -> dict[str, str]:
    """The environment that configures this provider."""
    return {
        "REPLICATE_BASE_URL": url,
        "REPLICATE_API_TOKEN": cloud.token,
        "REPLICATE_USERNAME": cloud.username,
    }


@dataclass(frozen=True)
class Up:
    """A running `portraitist up`."""

    process: "subprocess.Popen[str]"
    url: str
    token: str
    first_link: str | None
    """The one-time link to the first account; None once there is one."""
