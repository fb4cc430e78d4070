"""`tokens list|create|revoke`: API tokens of the account that is signed in here (`portraitist login`)."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options
from portraitist.cli.errors import EXIT_CODES

if TYPE_CHECKING:
    from portraitist.cli.output import Output

app = typer.Typer(
    name="tokens", help="API tokens of the signed-in account.", no_args_is_help=True, epilog=EXIT_CODES
)


@app.command("list", epilog=EXIT_CODES)
def list_(json_lines: options.Json = False) -> None:
    """Show the tokens, newest first; their secrets are known to nobody any more."""
    from portraitist.cli import account, rim
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        items = (await account.call(account.kept(Home()), "GET", "/tokens"))["items"]
        for item in items:
            output.emit("token", **item)
        rows = [
            (
                item["id"],
                item["name"],
                " ".join(item["scopes"]),
                item["expires_at"] or "never",
                item["used_at"] or "",
            )
            for item in items
        ]
        output.table("Tokens", ("id", "name", "scopes", "until", "last used"), rows)

    rim.perform(json_lines, work)


@app.command(epilog=EXIT_CODES)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="What it is good for: read, photos, train, generate, gallery, …"),
    ],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How long it is good.")] = 90,
    json_lines: options.Json = False,
) -> None:
    """Make a token for a program; it is shown this once."""
    from portraitist.cli import account, rim
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        wanted = {"name": name, "scopes": scope, "days": days}
        item = await account.call(account.kept(Home()), "POST", "/tokens", wanted)
        output.say(f"{item['token']}")
        output.say(f"Good until {item['expires_at']}; it is not shown again.")
        output.emit("token", **item)

    rim.perform(json_lines, work)


@app.command(epilog=EXIT_CODES)
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `tokens list` shows it.")],
    json_lines: options.Json = False,
) -> None:
    """Take a token back; it is good for nothing any more."""
    from portraitist.cli import account, rim
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        await account.call(account.kept(Home()), "DELETE", f"/tokens/{token_id}")
        output.say(f"Taken back: {token_id}")
        output.emit("token", id=token_id, revoked=True)

    rim.perform(json_lines, work)
