"""An admin's work on accounts from the command line: who there is, who may come, a way back in.

By the instance token on the studio's own machine, or as the admin who is signed in with `login --admin`. Links are
shown once, to be handed over; nothing of what members made is seen here.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage
from portraitist.cli.output import Output
from portraitist.kit.homes import Home
from portraitist.studio.log_names import pseudonyms_of


async def list_all(api: StudioApi, output: Output) -> None:
    """Every account with an address."""
    rows = []
    async for item in _accounts(api):
        output.emit("account", **item)
        state = "disabled" if item["disabled_at"] else ""
        rows.append((item["id"], item["email"], item["role"], item["created_at"], state))
    output.table("Members", ("id", "address", "role", "since", ""), rows)


async def change(
    api: StudioApi, who: str, output: Output, *, role: str | None = None, disabled: bool | None = None
) -> None:
    """Another role or state; whoever is changed has to sign in anew."""
    wanted = {"role": role, "disabled": disabled}
    body = {key: value for key, value in wanted.items() if value is not None}
    item = await api.admin("PATCH", f"/members/{quote(await id_of(api, who), safe='')}", body)
    state = "disabled" if item["disabled_at"] else item["role"]
    output.say(f"{item['email']} is {state} now, and signed in nowhere.")
    output.emit("account", **item)


async def reset_link(api: StudioApi, who: str, output: Output) -> None:
    """A link with which a member sets a new password."""
    item = await api.admin("POST", f"/members/{quote(await id_of(api, who), safe='')}/reset-link")
    output.say("For this member alone, once; with it: portraitist reset LINK")
    _hand_over(item, output)


async def log_name(api: StudioApi, who: str, output: Output) -> None:
    """How the logs of the studio on this machine call an account: they never name its id."""
    name = pseudonyms_of(Home()).of(await id_of(api, who))
    output.say(name, whole=True)
    output.emit("log_name", log_name=name)


async def invite(api: StudioApi, email: str | None, admin: bool, output: Output) -> None:
    """A link that makes one account."""
    item = await api.admin("POST", "/invitations", {"email": email, "role": "admin" if admin else "member"})
    output.say(f"For {email or 'whoever you give it to'}, once; with it: portraitist join LINK")
    _hand_over(item, output)


async def sign_up(api: StudioApi, who: str, output: Output) -> None:
    """Who may join: nobody (closed), holders of an invitation, or everybody (open)."""
    item = await api.admin("PUT", "/settings/sign_up", {"value": who})
    output.say(f"Sign up: {item['value']}")
    output.emit("setting", **item)


async def invitations(api: StudioApi, output: Output) -> None:
    """Invitations that may still be used."""
    items = (await api.admin("GET", "/invitations"))["items"]
    for item in items:
        output.emit("invitation", **item)
    rows = [(item["id"], item["email"] or "anybody", item["role"], item["expires_at"]) for item in items]
    output.table("Invitations", ("id", "for", "as", "until"), rows)


async def take_back(api: StudioApi, link_id: str, output: Output) -> None:
    """An invitation opens nothing any more."""
    await api.admin("DELETE", f"/invitations/{quote(link_id, safe='')}")
    output.say(f"Taken back: {link_id}")
    output.emit("invitation", id=link_id, taken_back=True)


def _hand_over(item: Mapping[str, Any], output: Output) -> None:
    output.say(str(item["url"]), whole=True)
    output.say(f"It is good until {item['expires_at']} and is not shown again.")
    output.emit("link", **item)


async def _accounts(api: StudioApi) -> AsyncIterator[Mapping[str, Any]]:
    cursor = ""
    while True:
        page = await api.admin("GET", f"/members?limit=100&cursor={cursor}")
        for item in page["items"]:
            yield item
        if page["next"] is None:
            return
        cursor = page["next"]


async def id_of(api: StudioApi, who: str) -> str:
    """The id of an account that was named by its address or its id. Raises BadUsage."""
    if "@" not in who:
        return who
    async for item in _accounts(api):
        if item["email"].casefold() == who.casefold():
            return str(item["id"])
    raise BadUsage(
        f"There is no account {who}.",
        next_step="See who there is: portraitist members list",
        code="no_member",
    )
