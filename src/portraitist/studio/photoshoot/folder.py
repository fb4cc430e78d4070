"""The looks on offer as an operator's folder has them now: read when it starts, and anew when a file of it has changed.

What may stand in a file is `reading`'s; a file that can't be taken is told in the log and to admins, and the others are
offered.
"""

import asyncio
from pathlib import Path

from portraitist.kit.logging import logger
from portraitist.studio.photoshoot import reading
from portraitist.studio.photoshoot.looks import LookBook
from portraitist.studio.photoshoot.reading import Problem

log = logger(__name__)
Seen = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of change of each file."""


class Looks:
    """What can be shot. `problems`: what is wrong in the folder since it was read last."""

    def __init__(self, folder: Path | None) -> None:
        """Read it. Raises LooksInvalid with everything that is wrong, and OSError for a folder that can't be read."""
        self._folder = folder
        # looked at before it is read, so that a change meanwhile is seen at the next look
        self._seen: Seen | str = _seen(folder) if folder else ""
        self._book = reading.read(folder)
        self._turn = asyncio.Lock()
        self.problems: tuple[Problem, ...] = ()

    async def now(self) -> LookBook:
        """Every collection on offer. A folder that did not change costs a look at its files' times."""
        if self._folder is not None:
            async with self._turn:
                await asyncio.to_thread(self._look, self._folder)
        return self._book

    def _look(self, folder: Path) -> None:
        try:
            seen: Seen | str = _seen(folder)
            if seen == self._seen:
                return
            self._book, problems = reading.offered(folder, self._book)
        except OSError as exc:  # everything stays on offer until it is back
            seen, problems = str(exc), [Problem(str(folder), "", "", f"it can't be read: {exc.strerror}")]
            if seen == self._seen:
                return
        self._seen, self.problems = seen, tuple(problems)
        log.info("looks.read", collections=len(self._book.collections), problems=len(problems))
        for each in problems:
            log.warning("looks.left_out", problem=str(each))


def _seen(folder: Path) -> Seen:
    stats = ((path.name, path.lstat()) for path in sorted(folder.glob("*.toml")))
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
