"""What the machine tells of its processes: a process id alone is soon somebody else's.

It reads only. Starting and ending processes is their owners' work.
"""

import contextlib
import shlex
import subprocess
from pathlib import Path

PROC = Path("/proc")


def command_line(pid: int) -> list[str]:
    """A process's arguments; none for the dead, for zombies and for what can't be seen."""
    if _has_proc():
        with contextlib.suppress(OSError):
            return (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        return []
    with contextlib.suppress(ValueError):
        return shlex.split(_ps("command=", pid))
    return []


def birth(pid: int) -> str:
    """What tells a process from a later one with the same id; empty when it is dead."""
    if _has_proc():
        with contextlib.suppress(OSError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            return "" if fields[0] == "Z" else fields[19]  # state, and start time in clock ticks since boot
        return ""
    return _ps("lstart=", pid)


def _has_proc() -> bool:
    return (PROC / "self" / "stat").exists()


def _ps(column: str, pid: int) -> str:
    shown = subprocess.run(["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()
