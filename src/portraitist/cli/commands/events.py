"""`events list|verify`: the audit events of the studio, for its host and admins."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options
from portraitist.cli.errors import EXIT_CODES

if TYPE_CHECKING:
    from portraitist.cli.api import StudioApi
    from portraitist.cli.output import Output

app = typer.Typer(
    name="events",
    help="What was recorded of the studio's security, and whether it is whole.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)


@app.command("list", epilog=EXIT_CODES)
def list_(
    member: Annotated[
        str | None, typer.Option("--about", metavar="MEMBER", help="About this account (address or id) only.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many, newest first.")] = 100,
    json_lines: options.Json = False,
) -> None:
    """Show audit events, newest first."""
    from portraitist.cli import events

    _run(json_lines, lambda api, output: events.list_some(api, member, most, output))


@app.command(epilog=EXIT_CODES)
def verify(
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="NUMBER:DIGEST", help="A head that you noted before, elsewhere."),
    ] = None,
    json_lines: options.Json = False,
) -> None:
    """Find audit events that were changed, taken out, put in, swapped or cut off; 1 where any was."""
    from portraitist.cli import events

    _run(json_lines, lambda api, output: events.verify(api, head, output))


def _run(json_lines: bool, work: "Callable[[StudioApi, Output], Awaitable[None]]") -> None:
    from portraitist.cli import rim
    from portraitist.cli.within import in_studio
    from portraitist.kit.homes import Home

    async def whole(output: "Output") -> None:
        await in_studio(Home(), output, lambda api: work(api, output))

    rim.perform(json_lines, whole)
