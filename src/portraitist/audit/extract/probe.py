"""Sources made to be slow: whether the parser comes to an end with one, tried in a process of its own.

At the end of a file with thousands of unclosed starts the parser's last step takes time by the square of their
number, and nothing hears of it. Such sources repeat themselves as no sound one does; only those are tried here. What a
parser is and what becomes of its tree is in `base`.
"""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable

_SMALL = 8_192
"""A source of fewer bytes takes some seconds at the worst."""

_PIECE, _STEP = 4_096, 16_384
_REPEATED = 25
"""A piece of so many bytes that can be packed by more than this repeats itself; one is looked at in each step."""

_SECONDS = 3
"""CPU time, of the child alone: a sound file of 2 MB takes a tenth of it."""


def is_endless(source: bytes, parse: Callable[[bytes], object]) -> bool:
    """Whether a source that repeats itself keeps the parser busy for longer than any sound one does."""
    if len(source) < _SMALL or not hasattr(os, "fork") or not _repeats(source):
        return False
    child = os.fork()
    if child == 0:
        _try(source, parse)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _repeats(source: bytes) -> bool:
    pieces = (source[at : at + _PIECE] for at in range(0, len(source), _STEP))
    return any(len(each) > _REPEATED * len(zlib.compress(each, 1)) for each in pieces)


def _try(source: bytes, parse: Callable[[bytes], object]) -> None:
    """In the child: parses and ends, whatever happens; the timer's signal kills it where it takes too long."""
    try:
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        parse(source)
    finally:
        os._exit(0)
