"""An embedded server that belongs to one test, which may kill it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from portraitist.kit.embedded_postgres import EmbeddedPostgres
from portraitist.kit.processes import birth

FAST = {"fsync": "off"}


@dataclass(frozen=True)
class OwnPostgres:
    """An embedded server of one test's own, not started yet."""

    folder: Path
    embedded: EmbeddedPostgres

    def another(self) -> EmbeddedPostgres:
        """What a second process that knows the same home would hold."""
        return EmbeddedPostgres(self.folder / "home", state_root=self.folder / "state", settings=FAST)

    @property
    def data(self) -> Path:
        home = self.folder / "home" / "postgres"
        state = home / "state"
        return (state.resolve() if state.is_symlink() else home) / "data"

    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """Kill -9 the server, and see it and all its children gone."""
        pid = self.pid()
        listed = Path(f"/proc/{pid}/task/{pid}/children")
        children = [int(child) for child in listed.read_text().split()] if listed.exists() else []
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while any(map(birth, [pid, *children])):
            assert time.monotonic() < deadline, "the server's children outlive it"
            time.sleep(0.01)
