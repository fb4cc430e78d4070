"""What a command prints: sentences for people, one JSON object per line for programs, and the live bar.

With `--json` stdout carries JSON lines only and the sentences go to stderr. On a terminal the bar moves; anywhere
else it becomes a plain line at each new phase and every tenth of the way. No command logic lives here.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from portraitist.cli.errors import CliError

PLAIN_STEP = 0.1


class Bar(Protocol):
    """Progress of one long piece of work."""

    def update(self, text: str, fraction: float | None) -> None:
        """Show `text`; `fraction` is 0..1, or None where nobody can say."""


class Output:
    """The voice of one command."""

    def __init__(self, *, json_lines: bool = False) -> None:
        self.json_lines = json_lines
        self._people = Console(stderr=json_lines, highlight=False, soft_wrap=True)
        self._alarm = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A sentence for the person."""
        self._people.print(escape(text))

    def emit(self, event: str, **fields: Any) -> None:
        """A JSON line for a program; silent without `--json`."""
        if self.json_lines:
            sys.stdout.write(json.dumps({"event": event, **fields}, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under headings."""
        table = Table(*columns, title=title, title_justify="left", show_edge=False, pad_edge=False)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._people.print(table, soft_wrap=False)

    def error(self, error: CliError) -> None:
        """What went wrong and what to do: one sentence each."""
        self._alarm.print(f"[red]{escape(error.message)}[/red]")
        if error.next_step:
            self._alarm.print(escape(error.next_step))
        self.emit("error", code=error.code, message=error.message, next_step=error.next_step)

    @contextmanager
    def bar(self) -> Iterator[Bar]:
        """A bar for the time of the block."""
        if not self._people.is_terminal:
            yield _PlainBar(self)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._people, transient=True) as progress:
            yield _LiveBar(progress)


class _LiveBar:
    """A moving bar on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def update(self, text: str, fraction: float | None) -> None:
        total = None if fraction is None else 1.0
        self._progress.update(self._task, description=escape(text), total=total, completed=fraction or 0.0)


class _PlainBar:
    """Lines for a log file: one when the phase changes, one for each tenth."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._phase = ""
        self._told = 0.0

    def update(self, text: str, fraction: float | None) -> None:
        phase = text.split(" ", 1)[0]
        moved = fraction is not None and fraction - self._told >= PLAIN_STEP
        if phase == self._phase and not moved:
            return
        self._phase, self._told = phase, fraction or 0.0
        self._output.say(text)
