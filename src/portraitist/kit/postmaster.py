"""Whether a PostgreSQL server of a data folder is alive, and whether it takes connections.

It starts and stops nothing; it clears away what a killed server left, so that the next one can start.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from portraitist.kit.errors import KitError
from portraitist.kit.processes import command_line

PORT = 5432  # names the socket file; no TCP port is opened
SOCKET_NAME = f".s.PGSQL.{PORT}"
ASK_AGAIN_S = 0.05


class NotAnswering(KitError):
    """A live server takes no connections."""


@dataclass(frozen=True)
class Postmaster:
    """A running server."""

    pid: int
    socket_dir: Path


def postmaster(data: Path) -> Postmaster | None:
    """The live server of this data folder; a pid file alone proves nothing."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        found = Postmaster(int(lines[0]), Path(lines[4]))  # pid, data, start time, port, socket folder, …
    except (OSError, ValueError, IndexError):
        return None
    return found if str(data) in command_line(found.pid) else None


def answering(data: Path, within_s: float) -> Postmaster | None:
    """The live server, once it takes connections: it may be recovering, or dying under our eyes.

    None when there is none; raises NotAnswering when it lives and takes none for `within_s`.
    """
    deadline = time.monotonic() + within_s
    while (found := postmaster(data)) and time.monotonic() < deadline:
        if PGconn.ping(make_conninfo(host=str(found.socket_dir), port=PORT).encode()) == Ping.OK:
            return found
        time.sleep(ASK_AGAIN_S)
    if found:
        raise NotAnswering(f"The embedded database (process {found.pid}) runs, but does not answer.")
    return None


def forget_the_dead(data: Path, socket_dir: Path) -> None:
    """Remove what a killed server left: its pid may belong to somebody else by now.

    Called under the lock and after `postmaster` said that none runs. PostgreSQL itself still refuses to
    start while an orphan of the old server holds the shared memory.
    """
    for path in (data / "postmaster.pid", socket_dir / f"{SOCKET_NAME}.lock", socket_dir / SOCKET_NAME):
        path.unlink(missing_ok=True)
