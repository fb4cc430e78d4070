"""What a command prints: sentences for people, one JSON object per line for programs, and the live bar.

With `--json` stdout carries JSON lines only and the sentences go to stderr. On a terminal the bar moves; anywhere
else it becomes a plain line at each new phase and every tenth of the way. No command logic lives here.
"""

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table

from portraitist.cli.errors import CliError

# A phase that took less is not worth a line of its own.
WORTH_TELLING_S = 1.0


class Bar(Protocol):
    """Progress of one long piece of work."""

    def update(self, text: str, fraction: float | None) -> None:
        """Show `text`; `fraction` is 0..1, or None where nobody can say."""


class Output:
    """The voice of one command."""

    def __init__(self, *, json_lines: bool = False) -> None:
        self.json_lines = json_lines
        self._people = Console(stderr=json_lines, highlight=False)
        self._alarm = Console(stderr=True, highlight=False)

    def say(self, text: str, *, whole: bool = False) -> None:
        """A sentence for the person; `whole` is never broken into lines (a path, an address).

        Only a terminal breaks lines, between words: a log has one line for each sentence.
        """
        self._people.print(escape(text), soft_wrap=whole or not self._people.is_terminal)

    def emit(self, event: str, **fields: Any) -> None:
        """A JSON line for a program; silent without `--json`."""
        if self.json_lines:
            sys.stdout.write(json.dumps({"event": event, **fields}, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under headings."""
        self.say(title)
        table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._people.print(table)

    def error(self, error: CliError) -> None:
        """What went wrong and what to do: one sentence each."""
        whole = not self._alarm.is_terminal
        self._alarm.print(f"[bold red]{escape(error.message)}[/]", soft_wrap=whole)
        if error.next_step:
            self._alarm.print(escape(error.next_step), soft_wrap=whole)
        self.emit("error", code=error.code, message=error.message, next_step=error.next_step)

    @contextmanager
    def bar(self) -> Iterator[Bar]:
        """A bar for the time of the block."""
        if not self._people.is_terminal:
            yield _PlainBar(self)
            return
        text = TextColumn(
            "{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        )
        columns = (SpinnerColumn(), text, _KnownBar(), TimeElapsedColumn())
        live = Progress(*columns, console=self._people, transient=True, expand=True, refresh_per_second=5)
        with live as progress:
            bar = _LiveBar(progress)
            try:
                yield bar
            finally:
                bar.end()


class _KnownBar(ProgressColumn):
    """A bar where it is known how far the work is; where not, the spinner alone says that it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = BarColumn(bar_width=24)

    def render(self, task: Task) -> RenderableType:
        return self._bar.render(task) if task.total else ""


class _LiveBar:
    """A moving bar on a terminal; each phase that is over leaves a line with the time that it took."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)
        self._phase = ""
        self._began = time.monotonic()

    def update(self, text: str, fraction: float | None) -> None:
        if _phase(text) != self._phase:
            self.end()
            self._phase, self._began = _phase(text), time.monotonic()
        total = None if fraction is None else 1.0
        self._progress.update(self._task, description=escape(text), total=total, completed=fraction or 0.0)

    def end(self) -> None:
        """The phase is over."""
        took = time.monotonic() - self._began
        if self._phase and took >= WORTH_TELLING_S:
            minutes, seconds = divmod(round(took), 60)
            self._progress.console.print(f"[green]✓[/] {escape(self._phase)} [dim]{minutes}:{seconds:02}[/]")
        self._phase = ""


def _phase(text: str) -> str:
    """What a bar's text says without its counts: "Training 3/80, 1:20 left" is "Training"."""
    return re.split(r"[\d(,;]", text, maxsplit=1)[0].strip()


class _PlainBar:
    """Lines for a log file: one when the phase changes, one for each tenth."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told = ("", 0)

    def update(self, text: str, fraction: float | None) -> None:
        now = (_phase(text), int((fraction or 0.0) * 10))
        if now != self._told:
            self._told = now
            self._output.say(text)
