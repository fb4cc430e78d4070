"""What a command can end with: the exit codes, and the errors that carry one.

CliError                        1  the work failed
├── BadUsage                    2  the command can't be used like that; nothing was started
├── PartAway                    3  a part that the command needs is away, or held by another process
│   └── StudioLost              3  the studio went away under a running command
└── Interrupted               130  Ctrl-C or a stop signal; running again goes on

An error text is one sentence saying what happened; `next_step` says what to do now.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Documented in every `--help`; scripts rely on it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    AWAY = 3
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 done · 1 the work failed · 2 bad input or usage, nothing was started · "
    "3 a part is away or in use · 130 interrupted, run again to go on."
)


class CliError(Exception):
    """The work failed."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, next_step: str | None = None, code: str = "failed") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code


class BadUsage(CliError):
    """The command can't be used like that; nothing was started."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, next_step: str | None = None, code: str = "usage") -> None:
        super().__init__(message, next_step=next_step, code=code)


class PartAway(CliError):
    """A part that the command needs is away, or held by another process."""

    exit_code = ExitCode.AWAY

    def __init__(self, message: str, *, next_step: str | None = None, code: str = "part_away") -> None:
        super().__init__(message, next_step=next_step, code=code)


class StudioLost(PartAway):
    """The studio stopped answering in the middle of the work."""


class Interrupted(CliError):
    """Ctrl-C or a stop signal."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str = "Stopped.", *, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step, code="interrupted")
