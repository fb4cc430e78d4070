"""A zip that is made while it is sent, with a length that is known before and the same bytes each time: so it can be
gone on with at any byte. Entries are stored as they are. What is in it is `export`'s.
"""

import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from portraitist.kit.objects import ObjectStore
from portraitist.studio.gallery.zipping import PERMISSIONS, ZIP_EPOCH, Sink

LOCAL_HEADER, DESCRIPTOR, CENTRAL_HEADER, END = 30, 16, 46, 22
LONG_OFFSET, LONG_END = 12, 76  # what a zip needs more where places have more than 31 bits
CHUNK = 2**18
Size = Callable[["Entry"], Awaitable[int | None]]


@dataclass(frozen=True)
class Entry:
    """One file of the zip: bytes at hand, a span of the temporary file, or a stored file. `size` as far as known."""

    name: str
    when: datetime | None
    content: bytes | None = None
    span: tuple[int, int] | None = None
    key: str | None = None
    size: int | None = None

    @property
    def length(self) -> int:
        """Bytes, where they are known without asking the storage."""
        if self.content is not None:
            return len(self.content)
        if self.span is not None:
            return self.span[1]
        assert self.size is not None, "asked for where it is known"
        return self.size


async def length_of(entries: Iterator[Entry], size: Size) -> tuple[int, frozenset[str]]:
    """How long the zip will be, and the names of entries whose file is gone and which are left out."""
    at = central = count = 0
    gone: set[str] = set()
    for entry in entries:
        length = await size(entry)
        if length is None:
            gone.add(entry.name)
            continue
        name = len(entry.name.encode())
        central += CENTRAL_HEADER + name + (LONG_OFFSET if at > zipfile.ZIP64_LIMIT else 0)
        at += LOCAL_HEADER + name + length + DESCRIPTOR
        count += 1
    long = count > zipfile.ZIP_FILECOUNT_LIMIT or max(at, central) > zipfile.ZIP64_LIMIT
    return at + central + END + (LONG_END if long else 0), frozenset(gone)


async def stream(
    entries: Iterator[Entry], gone: frozenset[str], spool: IO[bytes], objects: ObjectStore
) -> AsyncIterator[bytes]:
    """The zip in pieces. A file that goes missing meanwhile raises, and the zip stays visibly broken."""
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # it writes only
        for entry in entries:
            if entry.name in gone:
                continue
            info = zipfile.ZipInfo(entry.name, entry.when.timetuple()[:6] if entry.when else ZIP_EPOCH)
            info.external_attr = PERMISSIONS
            with archive.open(info, "w") as target:
                async for chunk in _bytes_of(entry, spool, objects):
                    target.write(chunk)
                    yield sink.fetch()
            yield sink.fetch()
    yield sink.fetch()


async def from_byte(pieces: AsyncIterator[bytes], start: int) -> AsyncIterator[bytes]:
    """The same without its first `start` bytes."""
    left = start
    async for piece in pieces:
        rest = piece[left:]
        left = max(0, left - len(piece))
        if rest:
            yield rest


async def _bytes_of(entry: Entry, spool: IO[bytes], objects: ObjectStore) -> AsyncIterator[bytes]:
    if entry.content is not None:
        yield entry.content
    elif entry.span is not None:
        start, length = entry.span
        for at in range(start, start + length, CHUNK):
            spool.seek(at)
            yield spool.read(min(CHUNK, start + length - at))
    elif entry.key is not None:
        async for chunk in objects.stream(entry.key):
            yield chunk
