"""What the command line remembers between runs, under HOME/members: the member's token, and what a run still owes.

A *pending* file holds the Idempotency-Keys of one shoot (a folder's prompt and its place for pictures) from before
the first call until the pictures are saved, so that running again goes on with the same work. Files are 0600.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from portraitist.cli.errors import BadUsage
from portraitist.cli.wire import Member


@dataclass(frozen=True)
class Pending:
    """The keys of one unfinished shoot."""

    training_key: str
    generation_key: str
    generation_id: str | None = None


def handle_of(folder: Path, name: str | None) -> str:
    """Whose model it is: a name, or the folder's real path."""
    return f"name:{name}" if name else f"folder:{folder.resolve()}"


def chosen_handle(folder: str | None, name: str | None) -> str:
    """The handle for commands where either names the member; raises BadUsage where neither does."""
    if not folder and not name:
        raise BadUsage("Whose? Name the member.", next_step="Add --photos FOLDER or --member NAME.")
    return handle_of(Path(folder or ".").expanduser(), name)


class MemberMemory:
    """One member's corner of HOME/members."""

    def __init__(self, members: Path, handle: str) -> None:
        self.handle = handle
        self._folder = members / hashlib.sha256(handle.encode()).hexdigest()[:16]

    def member(self) -> Member | None:
        """The member as last seen, with the token."""
        item = _load(self._folder / "member.json")
        return Member(**item) if item else None

    def keep_member(self, member: Member) -> None:
        """Remember the token; readable by its owner only."""
        _store(self._folder / "member.json", asdict(member))

    def forget(self) -> None:
        """The member is gone: nothing of theirs is remembered here."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def shot(self, prompt: str, out: str) -> "Shot":
        """The unfinished run for that prompt and that place, if any."""
        digest = hashlib.sha256(f"{prompt}\0{out}".encode()).hexdigest()[:16]
        return Shot(self._folder / f"pending-{digest}.json")


class Shot:
    """The pending file of one shoot."""

    def __init__(self, file: Path, new_key: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self._file = file
        self._new_key = new_key

    def resumed(self) -> bool:
        """Whether an earlier run left this unfinished."""
        return self._file.exists()

    def pending(self) -> Pending:
        """The keys to use: the earlier run's, or new ones, stored before they are used."""
        item = _load(self._file)
        if item:
            return Pending(**item)
        return self._keep(Pending(training_key=self._new_key(), generation_key=self._new_key()))

    def generation_is(self, generation_id: str) -> None:
        """Remember which generation the key made."""
        self._keep(replace(self.pending(), generation_id=generation_id))

    def training_failed(self) -> None:
        """The next run may start a training of its own."""
        self._keep(replace(self.pending(), training_key=self._new_key()))

    def done(self) -> None:
        """Nothing is owed any more."""
        self._file.unlink(missing_ok=True)

    def _keep(self, pending: Pending) -> Pending:
        _store(self._file, asdict(pending))
        return pending


def _load(file: Path) -> dict[str, str] | None:
    """The JSON object in the file; None where there is none, or a broken one of a full disk."""
    try:
        item = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return item if isinstance(item, dict) else None


def _store(file: Path, item: dict[str, str | None]) -> None:
    """Write beside, then rename: a reader sees the old file or the new one, whole."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_suffix(".part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(item, stream)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
