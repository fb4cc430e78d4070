"""Replicate's JSON ↔ our types. Pure and forgiving: what a provider sends is never trusted to have a shape.

Also the trained version inside a training's output and the addresses of pictures. What is written in logs is
read in `logs`, signatures of webhooks are checked in `signatures`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NoReturn, cast
from urllib.parse import urlsplit

from portraitist.studio.architecture import TRAINER_VERSION
from portraitist.studio.provider.port import (
    JSON,
    FilePart,
    Glance,
    RemoteFile,
    RemotePrediction,
    RemoteStatus,
    RemoteTraining,
    RemoteVersion,
)

_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|z|[+-]\d{2}:\d{2})", re.ASCII
)
_REFERENCE = re.compile(r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(?::|/versions/)(?P<id>[0-9a-f]{64})", re.ASCII)
_BARE_ID = re.compile(r"[0-9a-f]{64}")
_API_PREFIX = re.compile(r"(?:v1/)?models/")
_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", re.ASCII)
PARTIAL = 206
_UNSTORABLE = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""Where NUL and lone surrogates can come from; without it nothing needs to be replaced."""
_OUTPUT_NAME = re.compile(r"/out-(\d{1,4})\.\w+\Z", re.ASCII)


MOST_SECONDS = 1e9  # what a run can't have taken
LOG_END = 2_000  # characters in which the last bar is


class MalformedAnswer(ValueError):
    """A provider's answer that can't be what was asked for: not JSON, or without an id."""


@dataclass(frozen=True)
class TrainedVersion:
    """The version that a training made."""

    owner: str
    name: str
    version_id: str


@dataclass(frozen=True)
class Unparsed:
    """Why no trained version was found in an output."""

    reason: Literal["no_output", "no_version", "unreadable", "other_destination", "trainer_version"]


def decode(content: bytes) -> JSON:
    """JSON that PostgreSQL can store: NUL and lone surrogates are replaced. Raises MalformedAnswer."""
    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass")
        found = json.loads(text, parse_constant=_refuse_constant)
        return _storable(found) if _UNSTORABLE.search(text) else cast(JSON, found)
    except (ValueError, RecursionError) as exc:  # ValueError covers bad UTF-8 and endless digits too
        raise MalformedAnswer("not JSON") from exc


def mapping(value: JSON) -> Mapping[str, JSON]:
    """The object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def training(value: JSON) -> RemoteTraining:
    """A training object. Raises MalformedAnswer without an id."""
    found = mapping(value)
    return RemoteTraining(
        id=_required(found, "id"),
        status=status(found.get("status")),
        version=_text(found.get("version")),
        input=mapping(found.get("input")),
        output=found.get("output"),
        logs=_logs(found.get("logs")),
        error=_text(found.get("error")),
        webhook=_text(found.get("webhook")),
        created_at=timestamp(found.get("created_at")),
        started_at=timestamp(found.get("started_at")),
        completed_at=timestamp(found.get("completed_at")),
        metrics=mapping(found.get("metrics")),
    )


def prediction(value: JSON) -> RemotePrediction:
    """A prediction object. Raises MalformedAnswer without an id."""
    found = mapping(value)
    return RemotePrediction(
        id=_required(found, "id"),
        status=status(found.get("status")),
        version=_text(found.get("version")),
        input=mapping(found.get("input")),
        output=found.get("output"),
        output_urls=output_indexes(found.get("output")),
        data_removed=found.get("data_removed") is True,
        logs=_logs(found.get("logs")),
        error=_text(found.get("error")),
        webhook=_text(found.get("webhook")),
        created_at=timestamp(found.get("created_at")),
        started_at=timestamp(found.get("started_at")),
        completed_at=timestamp(found.get("completed_at")),
        metrics=mapping(found.get("metrics")),
    )


def seconds_of(metrics: Mapping[str, JSON]) -> float | None:
    """How long the provider's machine was at work, as it says itself; None where it says nothing that can be true."""
    told = metrics.get("predict_time")
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= MOST_SECONDS:
        return None
    return float(told)


def glance(value: JSON) -> Glance:
    """A run of a list, only so far as to see whether it has moved. Raises MalformedAnswer without an id."""
    found = mapping(value)
    return Glance(_required(found, "id"), status(found.get("status")), _logs(found.get("logs"))[-LOG_END:])


def version(value: JSON, owner: str, name: str) -> RemoteVersion:
    """A version object of the model `owner/name`. Raises MalformedAnswer without an id."""
    found = mapping(value)
    return RemoteVersion(
        _required(found, "id"),
        owner,
        name,
        mapping(found.get("openapi_schema")),
        timestamp(found.get("created_at")),
    )


def file(value: JSON) -> RemoteFile:
    """A file object. Raises MalformedAnswer without an id or an address."""
    found = mapping(value)
    return RemoteFile(_required(found, "id"), _required(mapping(found.get("urls")), "get"))


def file_part(status: int, content_range: str, data: bytes, first: int, size: int) -> FilePart:
    """What came of a file that was asked for from `first` on, `size` bytes at most: those, or all of it."""
    said = _RANGE.fullmatch(content_range.strip())
    if status != PARTIAL or said is None or int(said[1]) != first:
        return FilePart(0, data, is_last=True)
    is_last = len(data) < size if said[2] == "*" else first + len(data) >= int(said[2])
    return FilePart(first, data, is_last)


def status(value: JSON) -> RemoteStatus:
    """The status named, or UNKNOWN."""
    try:
        return RemoteStatus(value) if isinstance(value, str) else RemoteStatus.UNKNOWN
    except ValueError:
        return RemoteStatus.UNKNOWN


def timestamp(value: JSON) -> datetime | None:
    """An RFC 3339 time in UTC, to the microsecond; None for anything else.

    Replicate mixes 3, 6 and 9 digits of a second in one object.
    """
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def output_indexes(output: JSON) -> tuple[tuple[int, str], ...]:
    """Addresses of a prediction's pictures, each with its index among those asked for.

    `…/out-2.png` says 2, since a safety checker takes single pictures away; where names don't say, or say the
    same twice, the position does. Anything but http(s) addresses is left out.
    """
    values = output if isinstance(output, list) else [output]
    urls = [url for url in values if isinstance(url, str) and url.startswith(("https://", "http://"))]
    named = [_named_index(url) for url in urls]
    indexes = [index for index in named if index is not None]
    if len(set(indexes)) < len(urls):
        return tuple(enumerate(urls))
    return tuple(sorted(zip(indexes, urls, strict=True)))


def parse_trained_version(output: object, destination: str) -> TrainedVersion | Unparsed:
    """The version a training made, which must belong to its own destination `owner/name`. Never raises.

    `output.version` comes first; `output.model` and a bare string are read too. Forms: `owner/name:64hex`,
    `owner/name/versions/64hex`, both also as addresses, and a bare `64hex`, which belongs to the destination.
    The trainer's own version is never one.
    """
    if output is None or output in ("", [], {}):
        return Unparsed("no_output")
    given = [output.get("version"), output.get("model")] if isinstance(output, Mapping) else [output]
    texts = [text for text in given if isinstance(text, str) and text.strip()]
    if not texts:
        return Unparsed("no_version")
    found = next((match for text in texts if (match := _reference(text, destination))), None)
    if found is None:
        return Unparsed("unreadable")
    if f"{found.owner}/{found.name}" != destination:
        return Unparsed("other_destination")
    return Unparsed("trainer_version") if found.version_id == TRAINER_VERSION else found


def _reference(text: str, destination: str) -> TrainedVersion | None:
    bare = _without_host(text.strip())
    if _BARE_ID.fullmatch(bare):
        owner, _, name = destination.partition("/")
        return TrainedVersion(owner, name, bare) if owner and name else None
    match = _REFERENCE.fullmatch(bare)
    return TrainedVersion(match["owner"], match["name"], match["id"]) if match else None


def _without_host(text: str) -> str:
    """The reference without scheme, host, query, fragment and the API's own path."""
    _, scheme, rest = text.rpartition("://")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0].rstrip("/")
    first, slash, path = rest.partition("/")
    if scheme or ("." in first and path.count("/") >= 1):
        rest = path if slash else rest
    return _API_PREFIX.sub("", rest.lstrip("/"), count=1) if scheme else rest.lstrip("/")


def _named_index(url: str) -> int | None:
    try:
        match = _OUTPUT_NAME.search(urlsplit(url).path)
    except ValueError:
        return None
    return int(match[1]) if match else None


def _required(found: Mapping[str, JSON], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise MalformedAnswer(f"no {key}")
    return value


def _text(value: JSON) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _logs(value: JSON) -> str:
    if isinstance(value, list):  # never seen from the cloud; a list of lines still reads as one text
        return "\n".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _storable(value: object) -> JSON:
    if isinstance(value, str):
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {cast(str, _storable(key)): _storable(item) for key, item in value.items()}
    return cast(JSON, value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
