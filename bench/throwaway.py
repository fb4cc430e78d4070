"""A PostgreSQL server, studio databases and CPU clocks for the benches that need a whole studio; removed afterwards.

Benches are run from the repository's root and use the simulator and the rig of the tests.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg
from tests.conftest import FAST
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import EmbeddedPostgres, Server
from portraitist.studio import roles

TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(**settings: str) -> Iterator[Server]:
    """A throw-away server. It does not wait for the disk: nobody pulls the plug here."""
    folder = Path(tempfile.mkdtemp(prefix="portraitist-bench-"))
    folder.chmod(0o711)
    embedded = EmbeddedPostgres(folder / "home", state_root=folder / "state", settings=FAST | settings)
    try:
        yield embedded.start()
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


def database(running: Server, name: str) -> str:
    """A fresh, migrated studio database of this name."""
    with psycopg.connect(running.url("postgres"), autocommit=True) as conn:
        conn.execute(f"create database {name}".encode())
    asyncio.run(roles.migrate(running.url(name), app_password=APP_PASSWORD))
    return name


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children, the living and the dead."""
    total = 0.0
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            own, of_dead = fields[11:13], fields[13:15]
            total += sum(map(int, own + (of_dead if each == pid else []))) / TICKS
    return total


def postmaster(running: Server) -> int:
    """The server's own process."""
    with psycopg.connect(running.url("postgres")) as conn:
        row = conn.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        status = Path(f"/proc/{row[0]}/stat")
        if not status.exists():
            raise SystemExit("the server's processes can't be seen from here")
        return int(status.read_text().rpartition(")")[2].split()[1])


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found
