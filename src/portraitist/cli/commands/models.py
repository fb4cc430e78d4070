"""`models list|activate`: the versions of a member's model."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options
from portraitist.cli.errors import EXIT_CODES

if TYPE_CHECKING:
    from portraitist.cli.api import StudioApi
    from portraitist.cli.output import Output

app = typer.Typer(
    name="models", help="The versions of a member's model.", no_args_is_help=True, epilog=EXIT_CODES
)


@app.command("list", epilog=EXIT_CODES)
def list_(
    folder: options.PhotosOption = None, member: options.Member = None, json_lines: options.Json = False
) -> None:
    """Show the versions; the active one is marked."""
    from portraitist.cli.within import as_member

    async def work(api: "StudioApi", output: "Output") -> None:
        active, versions = await api.models()
        rows = []
        for model in versions:
            is_active = active is not None and model.id == active.id
            output.emit(
                "model", id=model.id, version=model.version, active=is_active, promoted_at=model.promoted_at
            )
            rows.append(("*" if is_active else "", model.id, model.version, model.promoted_at))
        output.table("Versions", ("", "id", "version", "promoted"), rows)

    as_member(folder, member, json_lines, work)


@app.command(epilog=EXIT_CODES)
def activate(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="As `models list` shows it.")],
    folder: options.PhotosOption = None,
    member: options.Member = None,
    json_lines: options.Json = False,
) -> None:
    """Make an earlier version the active one again."""
    from portraitist.cli.within import as_member

    async def work(api: "StudioApi", output: "Output") -> None:
        await api.activate(model_id)
        output.say(f"Active: {model_id}")
        output.emit("model", id=model_id, active=True)

    as_member(folder, member, json_lines, work)
