"""The one folder that holds all of an installation's data: its secrets, locks, logs and runtime files.

Database and pictures lie in it too when nothing else is configured, but their own modules look after them.
"""

import contextlib
import fcntl
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portraitist.kit.errors import KitError

ENVIRONMENT = "PORTRAITIST_HOME"
DEFAULT = "~/.local/share/portraitist"
SECRET_BYTES = 32
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class HomeUnusable(KitError):
    """The folder can't be made or written."""


class HomeBusy(KitError):
    """Another live process holds the lock."""

    def __init__(self, pid: int, name: str) -> None:
        super().__init__(
            f"Another portraitist process ({pid or 'id unknown'}) is doing this already: {name}."
        )
        self.pid = pid
        self.name = name


class Home:
    """The folder, made when first used, for this user's eyes only."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path: PORTRAITIST_HOME, else ~/.local/share/portraitist."""
        chosen = path or Path(os.environ.get(ENVIRONMENT) or DEFAULT)
        self.path = chosen.expanduser().absolute()
        self._folder(self.path)

    @property
    def run_dir(self) -> Path:
        """For process ids and sockets."""
        return self._folder(self.path / "run")

    @property
    def logs_dir(self) -> Path:
        """For the logs of the parts."""
        return self._folder(self.path / "logs")

    def secret(self, name: str) -> str:
        """A random secret of this installation, made when first asked for; 43 URL-safe characters."""
        path = self._folder(self.path / "secrets") / _checked(name)
        with contextlib.suppress(FileNotFoundError):
            return path.read_text()
        handle, unfinished = tempfile.mkstemp(prefix=f".{name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was faster: its secret counts
                os.link(unfinished, path)
        finally:
            Path(unfinished).unlink()
        return path.read_text()

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a named lock; raises HomeBusy at once if another process has it. Freed by any death."""
        path = self.run_dir / f"{_checked(name)}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                held_by = os.pread(handle, 20, 0).decode(errors="replace").strip()
                raise HomeBusy(int(held_by) if held_by.isdigit() else 0, name) from exc
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(handle)

    def _folder(self, path: Path) -> Path:
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.stat().st_mode & 0o077:
                path.chmod(0o700)
        except OSError as exc:
            raise HomeUnusable(
                f"The folder {path} can't be used ({exc.strerror}); make it writable for this user or set "
                f"{ENVIRONMENT} to one that is."
            ) from exc
        return path


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"not a plain name: {name!r}")
    return name
