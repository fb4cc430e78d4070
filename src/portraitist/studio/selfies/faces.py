"""Counting faces: asks the operator's own service (FACE_DETECTOR_URL). None comes with the studio.

It is sent the photo as it is kept (a JPEG without metadata) and answers {"faces": N}, if it likes with "heights": [H],
each face's height as a share of the picture's. Nobody is recognised: numbers are all that is taken.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from portraitist.kit.errors import KitError
from portraitist.kit.http import GuardedClient

ANSWER_S: Final = 15.0
MOST_BYTES: Final = 2**16
MOST_FACES: Final = 10_000


class FacesUnknown(Exception):
    """Nobody could say how many faces there are: ask again later."""


@dataclass(frozen=True)
class Faces:
    """How many a photo shows; of one alone, the share of the picture's height that it takes, if that was said."""

    number: int
    share: float | None = None


class FaceCounter(Protocol):
    """Says how many faces a photo shows."""

    async def count(self, jpeg: bytes) -> Faces:
        """Faces in the photo. Raises FacesUnknown."""


@dataclass(frozen=True)
class FaceService:
    """The operator's service behind one address."""

    client: GuardedClient
    url: str

    async def count(self, jpeg: bytes) -> Faces:
        """POST the photo; raises FacesUnknown for whatever is no clear answer."""
        try:
            answer = await self.client.request(
                "POST",
                self.url,
                headers={"content-type": "image/jpeg"},
                content=jpeg,
                deadline_s=ANSWER_S,
                max_bytes=MOST_BYTES,
            )
        except KitError as exc:
            raise FacesUnknown(str(exc)) from exc
        if answer.status != 200:
            raise FacesUnknown(f"status {answer.status}")
        return _faces(answer.content)


def _faces(body: bytes) -> Faces:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise FacesUnknown("the answer is not JSON") from exc
    faces = told.get("faces") if isinstance(told, Mapping) else None
    if type(faces) is not int or not 0 <= faces <= MOST_FACES:
        raise FacesUnknown("the answer has no number of faces")
    return Faces(faces, _share(told.get("heights")) if faces == 1 else None)


def _share(heights: object) -> float | None:
    """What is no share of a picture is nothing that was said."""
    match heights:
        case [int() | float() as height] if not isinstance(height, bool) and 0 < height <= 1:
            return float(height)
    return None
