"""An operator's exceptional acts from the command line: erasing a member, and legal holds.

By the instance token on the studio's own machine, or as the admin who is signed in with `login --admin`. Break-glass is
not here: it wants an admin's own session.
"""

from urllib.parse import quote

from portraitist.cli.api import StudioApi
from portraitist.cli.members import id_of
from portraitist.cli.output import Output


async def erase(api: StudioApi, who: str, output: Output) -> None:
    """Begin to erase a member, as they could themselves; the receipt's token is theirs."""
    item = await api.admin("DELETE", f"/members/{await _name(api, who)}")
    output.say(
        "It has begun. For the member, to see what became of everything (portraitist account receipt TOKEN):"
    )
    output.say(str(item["receipt_token"]), whole=True)
    output.emit("erasure", **item)


async def hold(api: StudioApi, who: str, reason: str, output: Output) -> None:
    """Place a legal hold."""
    item = await api.admin("POST", f"/members/{await _name(api, who)}/hold", {"reason": reason})
    output.say(f"{who} is held: nothing of theirs is removed, shown or begun (docs/runbooks/legal-hold.md).")
    output.emit("hold", **item)


async def release(api: StudioApi, who: str, output: Output) -> None:
    """End a legal hold."""
    item = await api.admin("DELETE", f"/members/{await _name(api, who)}/hold")
    output.say(f"{who} is held no longer; an erasure that waited goes on.")
    output.emit("hold", **item)


async def holds(api: StudioApi, output: Output) -> None:
    """Every hold, newest first."""
    items = (await api.admin("GET", "/holds"))["items"]
    for item in items:
        output.emit("hold", **item)
    rows = [
        (item["user_id"], item["placed_at"], item["released_at"] or "holds", item["reason"]) for item in items
    ]
    output.table("Legal holds", ("member", "since", "until", "reason"), rows)


async def _name(api: StudioApi, who: str) -> str:
    return quote(await id_of(api, who), safe="")
