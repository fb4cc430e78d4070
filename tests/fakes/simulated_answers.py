"""Requests to the simulated Replicate and its answers, as values. What is answered is said in `simulated_cloud`."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request, its path below the host; `upload` is the file of a multipart body, `range` a header."""

    method: str
    url: str
    token: str = ""
    body: Any = None
    range: str = ""
    upload: tuple[str, bytes, str] | None = None


@dataclass(frozen=True)
class Answer:
    """What the cloud says to it."""

    status: int
    content: bytes
    content_type: str = "application/json"
    content_range: str = ""


def stamp(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"  # of UTC


def said(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


def in_range(whole: Answer, wanted: str) -> Answer:
    """The part of a file that was asked for."""
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
    if whole.status != 200 or found is None:
        return whole
    first, last, size = int(found[1]), int(found[2]), len(whole.content)
    if first >= size:
        return Answer(416, b"")
    part = whole.content[first : last + 1]
    said = f"bytes {first}-{first + len(part) - 1}/{size}"
    return Answer(206, part, whole.content_type, said)


def page(items: list[dict[str, Any]], more: str | None = None) -> Answer:
    return said({"next": more, "previous": None, "results": items})


def refused(status: int, detail: str) -> Answer:
    body = json.dumps({"detail": detail, "status": status}).encode()
    return Answer(status, body, "application/problem+json")
