"""`join`, `login`, `logout`, `password`, `reset`: an account of one's own at a studio, here or elsewhere."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options

if TYPE_CHECKING:
    from portraitist.cli.output import Output

Email = Annotated[str, typer.Option("--email", prompt="E-mail address", help="The account's address.")]
Link = Annotated[str, typer.Argument(metavar="LINK", help="The one-time link, in quotes.")]
Address = Annotated[
    str | None,
    typer.Argument(metavar="ADDRESS", help="The studio's address; the one that runs here if left out."),
]


def join(link: Link, email: Email, json_lines: options.Json = False) -> None:
    """Make an account with a one-time link; the first one, which `up` prints, makes the admin's."""
    from portraitist.cli import account, rim

    async def work(output: "Output") -> None:
        await account.join(link, email, account.ask_password(again=True), output)

    rim.perform(json_lines, work)


def login(
    email: Email,
    address: Address = None,
    admin: Annotated[bool, typer.Option("--admin", help="For an admin's work too (`members`).")] = False,
    json_lines: options.Json = False,
) -> None:
    """Sign in at a studio; this machine gets a token of its own. The password may come on standard input."""
    from portraitist.cli import account, rim
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        await account.login(Home(), address, email, account.ask_password(), output, admin=admin)

    rim.perform(json_lines, work)


def logout(json_lines: options.Json = False) -> None:
    """Take this machine's token back."""
    from portraitist.cli import account, rim
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        await account.logout(Home(), output)

    rim.perform(json_lines, work)


def password(json_lines: options.Json = False) -> None:
    """Change the password of the signed-in account: the one that holds and the new one, asked for one by one.

    Both may come on standard input, a line each. Browsers have to sign in anew; tokens stay good.
    """
    from portraitist.cli import account, rim
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        current = account.ask_password(prompt="Password until now")
        await account.change_password(Home(), current, account.ask_password(again=True), output)

    rim.perform(json_lines, work)


def reset(link: Link, json_lines: options.Json = False) -> None:
    """Set a new password with the one-time link that an admin handed over; everything has to sign in anew."""
    from portraitist.cli import account, rim

    async def work(output: "Output") -> None:
        await account.reset(link, account.ask_password(again=True), output)

    rim.perform(json_lines, work)
