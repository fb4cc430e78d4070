"""`portraitist audit PATH`: options, progress bar, output files and exit codes.

0 report, 1 the `--fail-on` level is met, 2 usage, 3 incomplete. The report is written before any other code
than 0 is returned, and nothing is ever written under PATH.
"""

from __future__ import annotations

import enum
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from portraitist.audit import baseline as baselines
from portraitist.audit import pipeline, rules, vocabulary
from portraitist.audit.model import Finding
from portraitist.audit.report import machine, markdown
from portraitist.audit.report.claims import Citations

app = typer.Typer(
    add_completion=False, help="Audit a repository that trains and generates through Replicate."
)

LEVELS = ("note", "warning", "error")


class Level(enum.StrEnum):
    """From which level on a finding fails the run."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@app.command()
def audit(
    path: Annotated[Path, typer.Argument(help="The repository to read. Nothing in it is run or written.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the markdown report here instead of standard output.")
    ] = None,
    json_out: Annotated[
        str | None,
        typer.Option("--json", help="Write facts and findings as JSON to FILE, or - for standard output."),
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write the findings as SARIF 2.1.0 to FILE.")
    ] = None,
    fail_on: Annotated[
        Level | None, typer.Option("--fail-on", help="Exit 1 when a finding has this level or a higher one.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", help="An earlier JSON output: its findings do not fail the run."),
    ] = None,
    vocabulary_file: Annotated[
        Path | None, typer.Option("--vocabulary", help="A TOML file with words to add.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option("--select", help="Judge by these rules only, such as missing-auth,idor."),
    ] = None,
    ignore: Annotated[str | None, typer.Option("--ignore", help="Judge by all rules but these.")] = None,
    excerpts: Annotated[
        bool, typer.Option("--excerpts", help="Append the lines of the ranked risks, at most 80 each.")
    ] = False,
) -> None:
    """Read the repository at PATH and report, with file:line for every claim."""
    root = _folder(path)
    for each in (out, sarif, Path(json_out) if json_out and json_out != "-" else None):
        _refuse_inside(root, each)
    try:
        chosen = rules.chosen(select, ignore)
        words = vocabulary.load(vocabulary_file)
        known = baselines.read(baseline) if baseline is not None else frozenset[str]()
    except (rules.UnknownRuleError, vocabulary.VocabularyError, baselines.BaselineError) as error:
        raise typer.BadParameter(str(error)) from error
    result = _audited(root, words, chosen)
    citations = Citations(result.context.tree)
    text = markdown.report(result.context, result.findings, citations, excerpts=excerpts)
    _write(out, text, silent=json_out == "-")
    if json_out is not None:
        _write(
            None if json_out == "-" else Path(json_out),
            machine.as_json(result.context, result.findings, citations.dropped),
        )
    if sarif is not None:
        _write(sarif, machine.as_sarif(result.context, result.findings))
    _finish(result.incomplete, baselines.new(result.findings, known), fail_on)


def _audited(root: Path, words: vocabulary.Vocabulary, chosen: list[str]) -> pipeline.Audit:
    """The audit. A fault of ours is no finding: it ends with the code of what is incomplete, and says where it was."""
    try:
        with _progress() as tick:
            return pipeline.audit(root, words, tick, chosen)
    except Exception as error:
        traceback.print_exc()
        sys.stderr.write(f"incomplete: {root}: the auditor itself failed; the lines above say where\n")
        raise typer.Exit(3) from error


def _folder(path: Path) -> Path:
    try:
        if not path.is_dir():
            raise typer.BadParameter(f"{path} is not a folder")
        return path.resolve()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from error


def _refuse_inside(root: Path, target: Path | None) -> None:
    """Output under PATH would change what is audited."""
    if target is not None and (target.resolve() == root or root in target.resolve().parents):
        raise typer.BadParameter(f"{target} lies inside the audited folder; choose a place outside it")


def _write(target: Path | None, text: str, *, silent: bool = False) -> None:
    if target is not None:
        try:
            target.write_text(text, "utf-8")
        except OSError as error:
            raise typer.BadParameter(f"cannot write {target}: {error.strerror}") from error
    elif not silent:
        sys.stdout.write(text)


@contextmanager
def _progress() -> Iterator[pipeline.Progress | None]:
    """A bar on standard error when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - nobody else needs it, and it takes a while to load
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(
        TextColumn("reading"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _finish(incomplete: list[tuple[str, str]], fresh: list[Finding], fail_on: Level | None) -> None:
    for path, reason in incomplete:
        sys.stderr.write(f"incomplete: {path}: {reason}\n")
    if incomplete:
        raise typer.Exit(3)
    if fail_on is not None and any(
        LEVELS.index(machine.level(each)) >= LEVELS.index(fail_on.value) for each in fresh
    ):
        raise typer.Exit(1)
