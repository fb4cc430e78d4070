"""The rim of every command: runs it, turns each ending into one sentence and an exit code.

Ctrl-C and SIGTERM cancel the running work, which then stops cleanly. Only here is a broad exception caught.
"""

import asyncio
import errno
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from portraitist.cli.errors import BadUsage, CliError, ExitCode, Interrupted, PartAway
from portraitist.cli.output import Output
from portraitist.kit.errors import DatabaseUnavailable, KitError
from portraitist.studio.errors import StudioError

GOES_ON = "Run the same command again: it goes on where this stopped, and nothing is trained or paid twice."


def perform(json_lines: bool, work: Callable[[Output], Coroutine[Any, Any, None]]) -> None:
    """Run `work` to its end on an event loop; exits the process with the documented code."""
    output = Output(json_lines=json_lines)
    sys.exit(_outcome(output, lambda: asyncio.run(_until_signal(work(output)))))


def perform_plain(json_lines: bool, work: Callable[[Output], None]) -> None:
    """The same for work that needs no event loop."""
    output = Output(json_lines=json_lines)
    sys.exit(_outcome(output, lambda: work(output)))


def _outcome(output: Output, run: Callable[[], None]) -> ExitCode:
    try:
        run()
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _told(output, Interrupted("Stopped.", next_step=GOES_ON))
    except CliError as error:
        return _told(output, error)
    except DatabaseUnavailable as error:
        return _told(output, PartAway(str(error), code="database_away"))
    except KitError as error:
        return _told(output, CliError(str(error), code="part_failed"))
    except StudioError as error:  # settings that web or worker can't start with
        return _told(output, BadUsage(error.message, next_step=error.next_step, code=error.code))
    except OSError as error:
        return _told(output, _of_the_machine(error))
    except Exception as error:  # noqa: BLE001 - the rim: a bug of ours becomes a sentence and a report
        return _told(output, _bug(error))
    return ExitCode.OK


def _told(output: Output, error: CliError) -> ExitCode:
    output.error(error)
    return error.exit_code


def _of_the_machine(error: OSError) -> CliError:
    """An error of the file system or network, in words."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CliError(
            f"The disk is full{where}.", next_step="Free some space. " + GOES_ON, code="disk_full"
        )
    if isinstance(error, PermissionError):
        return BadUsage(f"No permission{where}: {error.strerror}.", code="no_permission")
    return CliError(f"The machine refused{where}: {error.strerror or error}.", code="machine")


def _bug(error: Exception) -> CliError:
    """Keep the traceback for a report; show one sentence."""
    with NamedTemporaryFile("w", prefix="portraitist-", suffix=".log", delete=False) as report:
        traceback.print_exception(error, file=report)
    return CliError(
        f"Something unexpected went wrong: {type(error).__name__}: {error}.",
        next_step=f"This is a bug; please report it with the file {Path(report.name)}.",
        code="bug",
    )


async def _until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Let SIGTERM, and a closed terminal, end the work as Ctrl-C does; once the clean-up began, nothing does."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _cancel_once, task)
    await task


def _cancel_once(task: asyncio.Task[None]) -> None:
    if not task.cancelling():
        task.cancel()
