"""A disk that fills while a command works: found early, told in one sentence, with everything kept.

Work is stopped while there is still room for the database to end cleanly; what is in hand goes on in the next run.
"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from portraitist.cli.errors import CliError
from portraitist.kit.errors import KitError

# To start: a model, its photos and pictures take about 100 MB. To go on: what PostgreSQL needs to end well.
LEAST_TO_START, LEAST_TO_GO_ON = 200 * 2**20, 32 * 2**20
LOOK_EVERY_S = 1.0
NEXT_STEP = (
    "Free some space, then run the same command again: it goes on where this stopped, and nothing is lost, trained "
    "or paid twice."
)


class DiskFull(CliError):
    """Too little room is left in a folder that the parts write to."""

    def __init__(self, folder: Path, free: int) -> None:
        super().__init__(
            f"The disk of {folder} is full: {free // 2**20} MB are left.",
            next_step=NEXT_STEP,
            code="disk_full",
        )


def folders(home: Path) -> list[Path]:
    """Where the parts of this home write: its own folders, which may lie on other disks, and the configured ones."""
    configured = [os.environ.get(name, "") for name in ("STORAGE_URL", "ENGINE_STORAGE_URL")]
    elsewhere = [Path(unquote(urlsplit(url).path)) for url in configured if url.startswith("file://")]
    engine = os.environ.get("ENGINE_WORK_DIR")
    ours = [home, home / "objects", home / "engine", home / "postgres", home / "postgres" / "state"]
    return [path.resolve() for path in (*ours, *elsewhere, *([Path(engine)] if engine else []))]


def full(places: Iterable[Path], least: int) -> DiskFull | None:
    """What to say about the first folder with less room than `least` bytes; one that isn't there yet is skipped."""
    for folder in places:
        with suppress(FileNotFoundError):
            free = shutil.disk_usage(folder).free
            if free < least:
                return DiskFull(folder, free)
    return None


async def until_full(places: list[Path]) -> DiskFull:
    """Wait until a disk is full."""
    while True:
        if found := full(places, LEAST_TO_GO_ON):
            return found
        await asyncio.sleep(LOOK_EVERY_S)


async def guarded(work: Awaitable[None], places: list[Path]) -> None:
    """Do the work, unless a disk fills: then stop it. Raises DiskFull, also for what failed for that reason."""
    working, looking = asyncio.ensure_future(work), asyncio.ensure_future(until_full(places))
    try:
        await asyncio.wait((working, looking), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise looking.result()
        await working
    except (CliError, KitError, OSError) as error:
        if not isinstance(error, DiskFull) and (found := full(places, LEAST_TO_GO_ON)):
            raise found from error
        raise
    finally:
        for task in (working, looking):
            task.cancel()
        await asyncio.gather(working, looking, return_exceptions=True)


async def tell(places: list[Path], say: Callable[[str], None]) -> None:
    """For a server: say when a disk is full, and when there is room again; for ever."""
    told = False
    while True:
        found = full(places, LEAST_TO_GO_ON)
        if found and not told:
            say(f"{found.message} Free some space; nothing is lost, and work goes on by itself then.")
        if told and not found:
            say("There is room on the disk again.")
        told = found is not None
        await asyncio.sleep(LOOK_EVERY_S)
