"""`doctor`: check each part of this machine, and say how to mend what is wrong."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from portraitist.cli import options


def doctor(json_lines: options.Json = False) -> None:
    """Check every part and say how to mend what is wrong. Exit code 0 when all is well, else 1."""
    from portraitist.cli import checks, rim

    rim.perform(json_lines, checks.examine)
