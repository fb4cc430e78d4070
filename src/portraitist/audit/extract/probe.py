"""Sources made to be slow: whether the parser comes to an end with one, tried in a process of its own.

At the end of a file with thousands of unclosed starts the parser's last step takes time, and memory, by the square of
their number, and nothing hears of it. Such sources repeat themselves, or lack operands, as no sound one does; only
those are tried here. What a parser is and what becomes of its tree is in `base`.
"""

from __future__ import annotations

import faulthandler
import os
import re
import resource
import signal
import zlib
from collections.abc import Callable

_SMALL = 2_048
"""A source of fewer bytes takes less than a second at the worst."""

_PIECE, _STEP = 4_096, 16_384
_REPEATED = 25
"""A piece of so many bytes that can be packed by more than this repeats itself; one is looked at in each step."""

_WINDOW, _MEMORY = 12, 5
"""zlib's measures for pieces of 4 KB."""

_NO_OPERAND, _OPERANDS = re.compile(rb"[/&^|%]\s*\*\s*\n"), 64
"""`/` and then `*` of nothing: to the parser of Python each of so many may be two things, and all remain open."""

_SECONDS, _BYTES = 3, 1 << 30
"""CPU time and memory of the child alone: a sound file of 2 MB takes a tenth of them."""


def is_endless(source: bytes, parse: Callable[[bytes], object]) -> bool:
    """Whether a source that no sound one is like keeps the parser busy for longer than any sound one does."""
    if len(source) < _SMALL or not hasattr(os, "fork") or not (_repeats(source) or _lacks_operands(source)):
        return False
    child = os.fork()
    if child == 0:
        _try(source, parse)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _repeats(source: bytes) -> bool:
    pieces = (source[at : at + _PIECE] for at in range(0, len(source), _STEP))
    return any(len(each) > _REPEATED * _packed(each) for each in pieces)


def _packed(piece: bytes) -> int:
    """How many bytes a piece can be packed into: to get zlib its usual memory takes as long."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, _MEMORY)
    return len(packer.compress(piece)) + len(packer.flush())


def _lacks_operands(source: bytes) -> bool:
    return source.count(b"*") > _OPERANDS and len(_NO_OPERAND.findall(source)) > _OPERANDS


def _try(source: bytes, parse: Callable[[bytes], object]) -> None:
    """In the child: parses and ends, whatever happens; a signal kills it where it takes too long or too much."""
    try:
        os.close(2)  # the parser says there that its memory ended, and aborts
        faulthandler.disable()
        for limit, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, _BYTES)):
            resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        parse(source)
    finally:
        os._exit(0)
