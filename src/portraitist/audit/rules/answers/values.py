"""What expressions come to for one answer of the provider: its state, and whether what it made is there.

A value is what the source says, or a mark. Statements and calls are in `walk`.
"""

from __future__ import annotations

from dataclasses import dataclass

from portraitist.audit.rules.evaluator import UNKNOWN, Mark

RUN, RESPONSE, ROW = Mark("run"), Mark("response"), Mark("row")
"""What the provider says of its work, the answer to a request that holds it, and something of the database's."""
OUTPUT, TAKEN = Mark("output"), Mark("taken")
"""What a run made, and what is made of it: there or not, nobody knows."""
SOME = Mark("some")
"""What is there, and no more is known of it."""

_WHOLE = {"data", "body", "prediction", "training", "json", "dict", "model_dump", "payload", "event"}
_EMPTY = {"find", "get", "match", "next", "pop"}
_SAME = {"===": True, "==": True, "is": True, "!==": False, "!=": False, "is not": False}


class ThrownError(Exception):
    """The program itself leaves here by an error."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: the state, what the run made (`OUTPUT`, None, or `{}` where no part of it is known), or a refusal."""

    status: str
    output: object = None
    refused: bool = False


def truth(value: object) -> bool | None:
    """Whether a value is true in a test; None where that is not known."""
    if value is UNKNOWN or value is TAKEN or value is ROW:
        return None
    if isinstance(value, Mark | dict | list):
        return True
    return bool(value)


def of_output(value: object) -> bool:
    """Whether something was taken of what the run made."""
    return value is OUTPUT or value is TAKEN


def either(left: object, right: object) -> object:
    """One of two values."""
    if left is right or (type(left) is type(right) and left == right):
        return left
    if isinstance(left, dict) and isinstance(right, dict):
        return {key: either(left.get(key), right.get(key)) for key in {**left, **right}}
    return TAKEN if of_output(left) or of_output(right) else UNKNOWN


def member(told: Told, held: object, name: str | int, *, maybe: bool = False) -> object:
    """`held.name`, `held[name]`. Raises `ThrownError` where there is nothing to take it of."""
    if held is RUN:
        return _of_run(told, name)
    if held is RESPONSE:
        known = {"ok": not told.refused, "is_success": not told.refused, "data": RUN}
        code = 404 if told.refused else 200
        return code if name in {"status", "status_code"} else known.get(str(name), UNKNOWN)
    if held is OUTPUT:
        return 1 if name == "length" else OUTPUT
    if isinstance(held, dict):
        return held.get(name, held.get(None))
    if isinstance(held, list):
        if isinstance(name, int):
            return held[name] if name < len(held) else None
        return len(held) if name == "length" else UNKNOWN
    if isinstance(held, str):
        return len(held) if name == "length" else UNKNOWN
    if held is None:
        if maybe:
            return None
        raise ThrownError
    return held if held is TAKEN or held is ROW else UNKNOWN


def _of_run(told: Told, name: str | int) -> object:
    if name in _WHOLE:
        return RUN
    if told.refused:
        return None if name in {"status", "output", "error"} else UNKNOWN
    if name == "status":
        return told.status
    if name == "output":
        return told.output
    if name == "error":
        return SOME if told.status == "failed" else None
    return SOME if name in {"id", "urls", "model", "version", "input"} else UNKNOWN


def method(told: Told, held: object, name: str, args: list[object]) -> object:
    """What a method of a value gives. Raises `ThrownError`."""
    first = args[0] if args else None
    if held is RESPONSE:
        if name == "raise_for_status" and told.refused:
            raise ThrownError
        return RUN if name == "json" else UNKNOWN
    if held is RUN or isinstance(held, dict):
        if name in {"get", "pop"} and isinstance(first, str):
            found = member(told, held, first)
            return args[1] if found is None and len(args) > 1 else found
        return held if name in _WHOLE or name in {"copy", "toJSON"} else UNKNOWN
    if held is OUTPUT:
        return TAKEN if name in _EMPTY else OUTPUT
    if isinstance(held, str):
        made = {"lower": held.lower, "toLowerCase": held.lower, "upper": held.upper, "toUpperCase": held.upper,
                "trim": held.strip, "strip": held.strip, "toString": held.strip}  # fmt: skip
        if name in made:
            return made[name]()
        if isinstance(first, str) and name in {
            "includes",
            "startsWith",
            "endsWith",
            "startswith",
            "endswith",
        }:
            return {"i": first in held, "s": held.startswith(first), "e": held.endswith(first)}[name[0]]
    if isinstance(held, list) and name in {"includes", "has", "indexOf"} and name != "indexOf":
        return contains(held, first)
    if held is None:
        raise ThrownError
    return held if held is TAKEN or held is ROW else UNKNOWN


def contains(held: object, one: object) -> object:
    """Whether a list holds a value. Raises `ThrownError` where there is no list."""
    if held is None:
        raise ThrownError
    if not isinstance(held, list | dict) or isinstance(one, Mark | dict | list):
        return UNKNOWN
    same = [compared("==", each, one) for each in held]
    return True if True in same else UNKNOWN if UNKNOWN in same else False


def compared(op: str, left: object, right: object) -> object:
    """`left == right` and its like; whatever is there is not nothing."""
    if op not in _SAME:
        return TAKEN if of_output(left) or of_output(right) else UNKNOWN
    if (left is None) is not (right is None):
        there = right if left is None else left
        known = truth(there) is not None or there == ""
        return (not _SAME[op]) if known else TAKEN if there is TAKEN else UNKNOWN
    if isinstance(left, Mark | dict | list) or isinstance(right, Mark | dict | list):
        return TAKEN if of_output(left) or of_output(right) else UNKNOWN
    return (left == right) is _SAME[op]


def kind_of(value: object) -> object:
    """`typeof value`."""
    if value is None:
        return "undefined"
    if isinstance(value, dict | list) or value is RUN:
        return "object"
    return "string" if isinstance(value, str) else UNKNOWN
