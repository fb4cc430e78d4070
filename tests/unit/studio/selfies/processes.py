"""Looking at sandboxes from outside, as the operating system shows them."""

import os
import subprocess
import sys
from pathlib import Path

from portraitist.studio.selfies.domain import Code, Decoded, Limits
from portraitist.studio.selfies.frames import LENGTH, READY, frame, pack_limits, parse_answer

MODULE = "portraitist.studio.selfies.sandbox"


def sandboxes() -> list[int]:
    """Process ids of this process's sandboxes that live."""
    mine = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if parent == str(os.getpid()) and MODULE.encode() in (entry / "cmdline").read_bytes():
                mine.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile
    return mine


def environment(pid: int) -> bytes:
    """The variables that the process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def owner(pid: int) -> int:
    """The user that the process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


def peak_mib(pid: int | str = "self") -> float:
    """The most memory that the process ever held, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def opened_alone(data: bytes, limits: Limits) -> tuple[Decoded | Code | None, float]:
    """What a sandbox of its own makes of the photo (None when it died), and the MiB it took on top."""
    command = [sys.executable, "-I", "-m", MODULE, pack_limits(limits)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.read(LENGTH.size + len(READY))
        before = peak_mib(process.pid)
        process.stdin.write(frame(data))
        process.stdin.flush()
        head = process.stdout.read(LENGTH.size)
        if not head:
            return None, 0.0
        answer = parse_answer(process.stdout.read(*LENGTH.unpack(head)))
        return answer, peak_mib(process.pid) - before
