"""`trainings list|retry|cancel`: a member's trainings."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options
from portraitist.cli.errors import EXIT_CODES

if TYPE_CHECKING:
    from portraitist.cli.api import StudioApi
    from portraitist.cli.output import Output

app = typer.Typer(name="trainings", help="A member's trainings.", no_args_is_help=True, epilog=EXIT_CODES)

TrainingId = Annotated[str, typer.Argument(metavar="ID", help="As `trainings list` shows it.")]


@app.command("list", epilog=EXIT_CODES)
def list_(
    folder: options.PhotosOption = None, member: options.Member = None, json_lines: options.Json = False
) -> None:
    """Show the trainings, newest first."""

    async def work(api: "StudioApi", output: "Output") -> None:
        items = await api.trainings()
        for item in items:
            output.emit("training", id=item.id, status=item.status, version=item.version, error=item.error)
        rows = [(item.id, item.status, item.version or item.error or "") for item in items]
        output.table("Trainings", ("id", "status", "version or reason"), rows)

    _as_member(folder, member, json_lines, work)


@app.command(epilog=EXIT_CODES)
def retry(
    training_id: TrainingId,
    folder: options.PhotosOption = None,
    member: options.Member = None,
    json_lines: options.Json = False,
) -> None:
    """Check a trained version again whose reading or test picture failed; costs nothing new."""
    _act(training_id, "retry", folder, member, json_lines)


@app.command(epilog=EXIT_CODES)
def cancel(
    training_id: TrainingId,
    folder: options.PhotosOption = None,
    member: options.Member = None,
    json_lines: options.Json = False,
) -> None:
    """Stop a training; the active model stays."""
    _act(training_id, "cancel", folder, member, json_lines)


async def act(api: "StudioApi", training_id: str, verb: str, output: "Output") -> None:
    """`retry` or `cancel`, followed to its end."""
    from portraitist.cli.follow import follow_training

    item = await follow_training(api, await api.act_on_training(training_id, verb), output, patience_s=0)
    output.say(f"Training {item.id}: {item.status}")
    output.emit("training", id=item.id, status=item.status)


def _act(training_id: str, verb: str, folder: str | None, member: str | None, json_lines: bool) -> None:
    _as_member(folder, member, json_lines, lambda api, output: act(api, training_id, verb, output))


def _as_member(
    folder: str | None,
    member: str | None,
    json_lines: bool,
    work: Callable[["StudioApi", "Output"], Awaitable[None]],
) -> None:
    from portraitist.cli.within import as_member

    as_member(folder, member, json_lines, work)
