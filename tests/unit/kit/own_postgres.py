"""An embedded server that belongs to one test, which may kill it."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from portraitist.kit.embedded_postgres import EmbeddedPostgres


@dataclass(frozen=True)
class OwnPostgres:
    """An embedded server of one test's own, not started yet."""

    folder: Path
    embedded: EmbeddedPostgres

    def another(self) -> EmbeddedPostgres:
        """What a second process that knows the same home would hold."""
        return EmbeddedPostgres(self.folder / "home", state_root=self.folder / "state")

    @property
    def data(self) -> Path:
        home = self.folder / "home" / "postgres"
        state = home / "state"
        return (state.resolve() if state.is_symlink() else home) / "data"

    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        os.kill(self.pid(), signal.SIGKILL)
