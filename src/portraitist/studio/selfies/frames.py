"""The words between judge and sandbox: length-prefixed frames over pipes, JSON and raw bytes, no pickle.

Pure. The judge trusts nothing that a sandbox says: an answer is parsed strictly, or is an `AnswerError`.
"""

import json
import struct
from dataclasses import asdict
from math import isfinite

from portraitist.studio.selfies.domain import GROUND, Code, Decoded, Limits, Measure

LENGTH = struct.Struct(">I")
READY = b"ready"
"""A sandbox's first frame: its decoders are loaded and its limits stand."""
MAX_ANSWER = 24 * 2**20
"""A picture of 2,048 × 2,048 pixels of noise takes 8 MB; more is no honest answer."""


class AnswerError(ValueError):
    """A sandbox said something that is no answer."""


def frame(data: bytes) -> bytes:
    """The data behind its length."""
    return LENGTH.pack(len(data)) + data


def pack_answer(result: Decoded | Code) -> bytes:
    """A sandbox's answer on one photo, without the outer length."""
    if isinstance(result, Code):
        return frame(json.dumps({"code": result}).encode())
    measure = asdict(result.measure) | {"ground": list(result.measure.ground)}
    return frame(json.dumps(measure).encode()) + frame(result.jpeg) + frame(result.thumbnail)


def parse_answer(answer: bytes) -> Decoded | Code:
    """The answer's meaning; anything else raises `AnswerError`."""
    head, *pictures = _split(answer)
    try:
        fields = json.loads(head)
        if not pictures:
            return Code(fields["code"])
        jpeg, thumbnail = pictures
        measure = _measure(fields)
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise AnswerError(str(exc)) from exc
    return Decoded(jpeg, thumbnail, measure)


def pack_limits(limits: Limits) -> str:
    """The limits as a sandbox's one argument."""
    return json.dumps(asdict(limits))


def parse_limits(argument: str) -> Limits:
    """The limits that `pack_limits` wrote."""
    return Limits(**json.loads(argument))


def _split(answer: bytes) -> list[bytes]:
    parts = []
    at = 0
    while at < len(answer):
        if at + LENGTH.size > len(answer):
            raise AnswerError("a length is cut off")
        (length,) = LENGTH.unpack_from(answer, at)
        at += LENGTH.size
        if at + length > len(answer):
            raise AnswerError("a part is cut off")
        parts.append(answer[at : at + length])
        at += length
    if not parts:
        raise AnswerError("an empty answer")
    return parts


def _measure(fields: dict[str, object]) -> Measure:
    def number(name: str, least: float = 0) -> float:
        value = fields[name]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not isfinite(value)
            or value < least
        ):
            raise AnswerError(f"{name} is no measure")
        return float(value)

    dhash = fields["dhash"]
    if isinstance(dhash, bool) or not isinstance(dhash, int) or not -(2**63) <= dhash < 2**63:
        raise AnswerError("dhash is no hash")
    return Measure(
        width=int(number("width")),
        height=int(number("height")),
        sharpness=number("sharpness"),
        mean_luma=number("mean_luma"),
        clipped_dark=number("clipped_dark"),
        clipped_bright=number("clipped_bright"),
        dhash=dhash,
        warmth=min(number("warmth", least=-255), 255),
        ground=_ground(fields["ground"]),
    )


def _ground(told: object) -> bytes:
    if not isinstance(told, list) or len(told) != GROUND:
        raise AnswerError("ground is no measure")
    return bytes(told)  # raises ValueError and TypeError for what is no byte
