"""A zip of many pictures, made while it is sent: memory stays the same for three pictures and for thirty thousand.

The standard library writes a zip to anything that takes bytes, so no thread and no queue is needed: a sink keeps what
was written until the next piece is sent. Pictures are stored as they are (png does not shrink).
"""

import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectMissing, ObjectStore
from portraitist.studio.images.domain import Image

log = logger(__name__)
INDEX = "pictures.json"
PERMISSIONS = 0o644 << 16
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a zip can hold."""


class Sink:
    """Takes what the zip writer writes, until it is fetched. Not seekable, so nothing is written twice."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def fetch(self) -> bytes:
        held, self._held = bytes(self._held), bytearray()
        return held


@dataclass
class _Names:
    """File names of one zip: each once, whatever the pictures are called."""

    _taken: set[str] = field(default_factory=set)

    def of(self, image: Image) -> str:
        name, number = image.file_name, 2
        while name.lower() in self._taken:  # not every system tells upper from lower case
            name = f"{image.file_name.removesuffix('.png')} ({number}).png"
            number += 1
        self._taken.add(name.lower())
        return name


async def stream(pictures: AsyncIterator[Image], objects: ObjectStore) -> AsyncIterator[bytes]:
    """The zip in pieces: the pictures, then what is known of each, as JSON.

    A picture that is removed meanwhile is left out. A storage that fails raises, and the zip stays visibly broken.
    """
    sink, names = Sink(), _Names()
    about: list[dict[str, Any]] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # it writes only
        async for image in pictures:
            name = names.of(image)
            try:
                async for piece in _entry(archive, name, image, objects, sink):
                    yield piece
            except ObjectMissing:
                log.info("gallery.picture_gone_while_zipped", image=str(image.id))
                continue
            about.append(_about(image, name))
        # Dated like its newest picture, so that the same pictures make the same bytes whenever they are asked for.
        made = max((entry["made_at"] for entry in about), default=None)
        when = datetime.fromisoformat(made).timetuple()[:6] if made else ZIP_EPOCH
        index = zipfile.ZipInfo(INDEX, when)
        index.external_attr = PERMISSIONS
        archive.writestr(index, json.dumps(about, ensure_ascii=False, indent=1))
    yield sink.fetch()


async def _entry(
    archive: zipfile.ZipFile, name: str, image: Image, objects: ObjectStore, sink: Sink
) -> AsyncIterator[bytes]:
    chunks = objects.stream(image.object_key)
    first = await anext(chunks, b"")  # what is missing is known before its entry begins
    info = zipfile.ZipInfo(name, image.created_at.timetuple()[:6])
    info.external_attr = PERMISSIONS
    with archive.open(info, "w") as entry:
        entry.write(first)
        yield sink.fetch()
        async for chunk in chunks:
            entry.write(chunk)
            yield sink.fetch()
    yield sink.fetch()


def _about(image: Image, name: str) -> dict[str, Any]:
    return {
        "file": name,
        "id": str(image.id),
        "generation_id": str(image.generation_id),
        "words": image.words,
        "made_at": image.created_at.isoformat(),
        "width": image.width,
        "height": image.height,
        "sha256": image.sha256.hex(),
        "saved": image.saved,
        "favourite": image.favourite,
    }
