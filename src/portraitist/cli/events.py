"""Audit events from the command line: a look at them, and the check that nobody has changed any.

By the instance token on the studio's own machine, or as the admin who is signed in with `login --admin`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from portraitist.cli.api import StudioApi
from portraitist.cli.errors import CliError
from portraitist.cli.members import id_of
from portraitist.cli.output import Output

AT_ONCE = 100
MEANINGS: Mapping[str, str] = {
    "changed": "the entry, or its place, was altered",
    "missing": "the entry is not there",
    "unchained": "the event was put in afterwards, or taken out of the chain",
    "truncated": "entries up to this one were there, and are cut off",
    "rewritten": "the chain was another one when this head was noted",
}


async def list_some(api: StudioApi, about: str | None, most: int, output: Output) -> None:
    """The newest events, of everybody or about one account."""
    narrowed = "" if about is None else f"&user_id={quote(await id_of(api, about), safe='')}"
    cursor, rows = "", list[tuple[str, ...]]()
    while len(rows) < most:
        limit = min(AT_ONCE, most - len(rows))
        page = await api.admin("GET", f"/events?limit={limit}{narrowed}{cursor}")
        for item in page["items"]:
            output.emit("event", **item)
            rows.append(_row(item))
        if page["next"] is None:
            break
        cursor = f"&cursor={quote(page['next'], safe='')}"
    output.table("Audit events", ("when", "what", "by", "about", "more"), rows)


async def verify(api: StudioApi, head: str | None, output: Output) -> None:
    """Check the chain. Raises CliError where something is wrong with it."""
    given = "" if head is None else f"?head={quote(head, safe='')}"
    report = await api.admin("GET", f"/events/verify{given}")
    output.emit("verified", **report)
    for finding in report["findings"]:
        where = finding["event_id"] if finding["seq"] is None else f"entry {finding['seq']}"
        output.say(f"{finding['kind']}: {where}: {MEANINGS[finding['kind']]}.")
    output.say(
        f"{report['entries']} entries, {report['waiting']} not sealed yet, {report['noted']} heads compared."
    )
    if report["head"]:
        output.say(f"Head, for noting elsewhere: {report['head']}", whole=True)
    if not report["whole"]:
        raise CliError(
            f"The audit events are not whole: {len(report['findings'])} findings.",
            next_step="Keep the database and the storage as they are; docs/runbooks/audit-events.md goes on.",
            code="events_not_whole",
        )
    output.say("Nothing was changed.")


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    by = item["actor"] if item["actor_id"] is None else f"{item['actor']} {item['actor_id'][:8]}"
    more = " ".join(f"{key}={value}" for key, value in item["detail"].items())
    return (item["at"], item["action"], by, (item["subject"] or "")[:8], more)
