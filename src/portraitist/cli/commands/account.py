"""`account export|withdraw|erase|receipt`: what a member takes away or back; signed in, or a local one."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options
from portraitist.cli.errors import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from portraitist.cli.api import StudioApi
    from portraitist.cli.memory import MemberMemory
    from portraitist.cli.output import Output
    from portraitist.kit.homes import Home

app = typer.Typer(
    name="account",
    help="What you lent: take it away, take it back, have it erased.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@app.command(epilog=EXIT_CODES)
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the zip goes.")],
    folder: options.PhotosOption = None,
    member: options.Member = None,
    json_lines: options.Json = False,
) -> None:
    """Fetch everything that the studio holds of you, as one zip; goes on where it was cut off."""
    from portraitist.cli import privacy

    async def work(api: "StudioApi", _home: "Home", _memory: "MemberMemory | None", output: "Output") -> None:
        await privacy.export(api, file, output)

    _as_member(folder, member, json_lines, work)


@app.command(epilog=EXIT_CODES)
def withdraw(
    folder: options.PhotosOption = None,
    member: options.Member = None,
    yes: Yes = False,
    json_lines: options.Json = False,
) -> None:
    """Take your consent back: photos, models and pictures are erased, at the provider too; the account stays."""
    from portraitist.cli import privacy

    async def work(api: "StudioApi", home: "Home", _memory: "MemberMemory | None", output: "Output") -> None:
        privacy.confirm("All photos, models and pictures will be erased.", yes)
        await privacy.withdraw(api, home, output)

    _as_member(folder, member, json_lines, work)


@app.command(epilog=EXIT_CODES)
def erase(
    folder: options.PhotosOption = None,
    member: options.Member = None,
    yes: Yes = False,
    json_lines: options.Json = False,
) -> None:
    """Erase the account and everything made with it, at the provider too. An account's password is asked for."""
    from portraitist.cli import privacy

    async def work(api: "StudioApi", home: "Home", memory: "MemberMemory | None", output: "Output") -> None:
        privacy.confirm("The account and everything made with it will be erased.", yes)
        await privacy.erase(api, home, memory, output)

    _as_member(folder, member, json_lines, work)


@app.command(epilog=EXIT_CODES)
def receipt(
    token: Annotated[
        str | None,
        typer.Argument(metavar="TOKEN", help="The receipt's token; the last one begun here if left out."),
    ] = None,
    json_lines: options.Json = False,
) -> None:
    """Show what an erasure has come to: deleted, accepted for deletion, kept, or not deletable and why."""
    from portraitist.cli import privacy, rim
    from portraitist.cli.within import in_studio
    from portraitist.kit.homes import Home

    async def whole(output: "Output") -> None:
        home = Home()

        async def work(api: "StudioApi") -> None:
            await privacy.receipt(api, home, token, output)

        await in_studio(home, output, work)

    rim.perform(json_lines, whole)


def _as_member(
    folder: str | None,
    member: str | None,
    json_lines: bool,
    work: "Callable[[StudioApi, Home, MemberMemory | None, Output], Awaitable[None]]",
) -> None:
    """Run a command as whoever is signed in, or as the local member that the folder or the name stands for."""
    from portraitist.cli import account, rim, session
    from portraitist.cli.memory import MemberMemory, chosen_handle
    from portraitist.cli.within import in_studio
    from portraitist.kit.homes import Home

    async def whole(output: "Output") -> None:
        home = Home()
        signed_in = account.kept_or_none(home) is not None and folder is None and member is None
        memory = None if signed_in else MemberMemory(home.path / "members", chosen_handle(folder, member))

        async def job(api: "StudioApi") -> None:
            own = api if memory is None else await session.known(api, memory)
            await work(own, home, None if own.signed_in else memory, output)

        await in_studio(home, output, job)

    rim.perform(json_lines, whole)
