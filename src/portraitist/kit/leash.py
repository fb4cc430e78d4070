"""Started in front of each supervised part: ties its life to the supervisor's, then becomes the part.

A program of its own (it runs between fork and exec, where a process with threads may do next to nothing).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """`leash.py SUPERVISOR_PID PROGRAM ARGUMENT…`"""
    supervisor, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):  # it died before we could ask to be told
        sys.exit("the supervisor is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as exc:
        sys.exit(f"{command[0]} can't be run: {exc.strerror}")


if __name__ == "__main__":
    main()
