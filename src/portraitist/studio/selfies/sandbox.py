"""The process that opens photos: `python -I -m portraitist.studio.selfies.sandbox LIMITS`.

Photos come in, answers go out. It gives up what it does not need before the first byte arrives: memory, time,
files, network. Decides nothing.
"""

import contextlib
import math
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

from portraitist.studio.selfies import pixels
from portraitist.studio.selfies.domain import Code, Decoded, Limits
from portraitist.studio.selfies.frames import LENGTH, READY, frame, pack_answer, parse_limits

_NOBODY = 65_534


def main() -> None:
    """Answer photos from stdin until it ends."""
    limits = parse_limits(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes stdin
    warnings.simplefilter("ignore")
    pixels.prepare(limits)
    _give_up(limits)
    photos, answers = sys.stdin.buffer, sys.stdout.buffer
    _send(answers, READY)
    while (data := _receive(photos, limits)) is not None:
        _allow_seconds(limits.seconds)
        _send(answers, pack_answer(_opened(data)))


def _opened(data: bytes) -> Decoded | Code:
    try:
        return pixels.decode(data)
    except MemoryError:
        return Code.TOO_LARGE
    except Exception:  # noqa: BLE001  the rim of the sandbox: whatever a decoder raises is one photo refused
        return Code.UNREADABLE


def _give_up(limits: Limits) -> None:
    # First to go when the machine runs out of memory; not everywhere allowed, and only a courtesy.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _lower(resource.RLIMIT_AS, limits.memory_bytes)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    # stdin, stdout and stderr stay; a fourth descriptor, be it a file or a socket, cannot be had.
    _lower(resource.RLIMIT_NOFILE, 3)
    if os.geteuid() == 0:
        _become_nobody()


def _become_nobody() -> None:
    """Root could raise its limits again. Not possible in every container: then the other limits must do."""
    with contextlib.suppress(OSError):
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _allow_seconds(seconds: int) -> None:
    """Let this photo have so many seconds of processor; the limit counts from the process's start."""
    used = math.ceil(sum(os.times()[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _receive(photos: BinaryIO, limits: Limits) -> bytes | None:
    """The next photo; None when the parent has closed the pipe, or is not one that we know."""
    head = photos.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    if length > limits.max_bytes:
        return None
    data = photos.read(length)
    return data if len(data) == length else None


def _send(answers: BinaryIO, data: bytes) -> None:
    answers.write(frame(data))
    answers.flush()


if __name__ == "__main__":
    main()
