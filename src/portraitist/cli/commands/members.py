"""`members list|log-name|invite|…|role|disable|enable|erase|hold|release|holds`: accounts, for host and admins."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options
from portraitist.cli.errors import EXIT_CODES

if TYPE_CHECKING:
    from portraitist.cli.api import StudioApi
    from portraitist.cli.output import Output

app = typer.Typer(
    name="members",
    help="Accounts of the studio, for its host and admins.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)


class Role(StrEnum):
    """What an account may do."""

    MEMBER = "member"
    ADMIN = "admin"


class SignUp(StrEnum):
    """Who may join."""

    CLOSED = "closed"
    INVITATION = "invitation"
    OPEN = "open"


Who = Annotated[str, typer.Argument(metavar="MEMBER", help="The account's address or id.")]
InvitationId = Annotated[str, typer.Argument(metavar="ID", help="As `members invitations` shows it.")]


@app.command("list", epilog=EXIT_CODES)
def list_(json_lines: options.Json = False) -> None:
    """Show every account: address, role, since when, whether it is disabled."""
    from portraitist.cli import members

    _run(json_lines, members.list_all)


@app.command("sign-up", epilog=EXIT_CODES)
def sign_up(
    who: Annotated[SignUp, typer.Argument(metavar="WHO", help="closed, invitation or open.")],
    json_lines: options.Json = False,
) -> None:
    """Say who may join: nobody, who was invited, or everybody."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.sign_up(api, who.value, output))


@app.command("log-name", epilog=EXIT_CODES)
def log_name(who: Who, json_lines: options.Json = False) -> None:
    """Say how the logs of the studio on this machine call an account."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.log_name(api, who, output))


@app.command(epilog=EXIT_CODES)
def invite(
    email: Annotated[str | None, typer.Option("--email", help="For this address only.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="The account will be an admin's.")] = False,
    json_lines: options.Json = False,
) -> None:
    """Make a one-time link to an account; hand it over yourself."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.invite(api, email, admin, output), hands_out=True)


@app.command(epilog=EXIT_CODES)
def invitations(json_lines: options.Json = False) -> None:
    """Show invitations that may still be used."""
    from portraitist.cli import members

    _run(json_lines, members.invitations)


@app.command("take-back", epilog=EXIT_CODES)
def take_back(link_id: InvitationId, json_lines: options.Json = False) -> None:
    """Take an invitation back."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.take_back(api, link_id, output))


@app.command("reset-link", epilog=EXIT_CODES)
def reset_link(who: Who, json_lines: options.Json = False) -> None:
    """Make a one-time link with which a member sets a new password; hand it over yourself."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.reset_link(api, who, output), hands_out=True)


@app.command(epilog=EXIT_CODES)
def role(
    who: Who,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="member or admin.")],
    json_lines: options.Json = False,
) -> None:
    """Make a member an admin, or an admin a member; they sign in anew."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.change(api, who, output, role=role.value))


@app.command(epilog=EXIT_CODES)
def disable(who: Who, json_lines: options.Json = False) -> None:
    """Shut an account: no signing in, no token; what it holds stays."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.change(api, who, output, disabled=True))


@app.command(epilog=EXIT_CODES)
def enable(who: Who, json_lines: options.Json = False) -> None:
    """Open a disabled account again."""
    from portraitist.cli import members

    _run(json_lines, lambda api, output: members.change(api, who, output, disabled=False))


@app.command(epilog=EXIT_CODES)
def erase(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_lines: options.Json = False,
) -> None:
    """Erase an account and everything made with it, at the provider too; hand the receipt's token over."""
    from portraitist.cli import oversight, privacy

    async def work(api: "StudioApi", output: "Output") -> None:
        privacy.confirm(f"The account {who} and everything made with it will be erased.", yes)
        await oversight.erase(api, who, output)

    _run(json_lines, work)


@app.command(epilog=EXIT_CODES)
def hold(
    who: Who,
    reason: Annotated[str, typer.Option("--reason", help="Why; for the studio's operator alone.")],
    json_lines: options.Json = False,
) -> None:
    """Place a legal hold: the member's things are kept as they are, out of everybody's reach; erasures wait."""
    from portraitist.cli import oversight

    _run(json_lines, lambda api, output: oversight.hold(api, who, reason, output))


@app.command(epilog=EXIT_CODES)
def release(who: Who, json_lines: options.Json = False) -> None:
    """End a legal hold; an erasure that waited goes on."""
    from portraitist.cli import oversight

    _run(json_lines, lambda api, output: oversight.release(api, who, output))


@app.command(epilog=EXIT_CODES)
def holds(json_lines: options.Json = False) -> None:
    """Show legal holds, released ones too."""
    from portraitist.cli import oversight

    _run(json_lines, oversight.holds)


def _run(
    json_lines: bool, work: "Callable[[StudioApi, Output], Awaitable[None]]", *, hands_out: bool = False
) -> None:
    """`hands_out`: a link, which needs an address that stays when the command is over."""
    from portraitist.cli import account, parts, rim
    from portraitist.cli.errors import PartAway
    from portraitist.cli.within import in_studio
    from portraitist.kit.homes import Home

    async def whole(output: "Output") -> None:
        home = Home()
        if hands_out and account.kept_or_none(home) is None and parts.running_at(home) is None:
            raise PartAway(
                "No studio runs here, and a link leads to one that does.",
                next_step="Start it: portraitist up",
                code="not_up",
            )
        await in_studio(home, output, lambda api: work(api, output))

    rim.perform(json_lines, whole)
