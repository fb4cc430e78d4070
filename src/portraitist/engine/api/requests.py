"""What creating a training and a prediction have in common: the body, its webhook, the answer."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from portraitist.engine import errors, ids, lifecycle, pages, wire
from portraitist.engine.api.context import Context
from portraitist.engine.domain import DEFAULT_EVENTS, Event, Kind, Run
from portraitist.engine.errors import InvalidField
from portraitist.engine.schema import Checked
from portraitist.engine.store import runs
from portraitist.engine.store.runs import NewRun

MAX_WEBHOOK = 2_000
CancelAfter = Annotated[str | None, Header(alias="cancel-after")]
Prefer = Annotated[str | None, Header()]


class NewRunBody(BaseModel):
    """Keys that both kinds of run take."""

    model_config = ConfigDict(extra="forbid")
    input: dict[str, JsonValue]
    webhook: Annotated[str, Field(max_length=MAX_WEBHOOK)] | None = None
    webhook_events_filter: list[Event] | None = None

    def events(self) -> tuple[Event, ...]:
        """The events asked for; without a filter the cloud's default."""
        chosen = self.webhook_events_filter
        return DEFAULT_EVENTS if chosen is None else tuple(dict.fromkeys(chosen))


def check_webhook(url: str | None, *, allow_http: bool) -> list[InvalidField]:
    """HTTPS only, unless the operator allowed plain HTTP for a studio on the same host."""
    if url is None:
        return []
    parts = urlsplit(url)
    schemes = ("https", "http") if allow_http else ("https",)
    if parts.scheme in schemes and parts.hostname:
        return []
    return [InvalidField("format", "webhook", "Not a valid HTTPS URL")]


def notes_of(checked: Checked) -> tuple[str, ...]:
    """Lines that the logs begin with: what was asked and has no effect."""
    if not checked.dropped:
        return ()
    return (f"Unknown input keys were dropped: {', '.join(sorted(checked.dropped))}",)


def new_run(
    kind: Kind, body: NewRunBody, model: tuple[str, str], version_id: str, checked: Checked
) -> NewRun:
    """The row of a checked request, without a destination and a time limit."""
    return NewRun(
        id=ids.run_id(),
        kind=kind,
        owner=model[0],
        name=model[1],
        version_id=version_id,
        destination=None,
        input=wire.shown_input(checked.given),
        notes=notes_of(checked),
        webhook=body.webhook,
        webhook_events=body.events() if body.webhook is not None else (),
    )


async def found(ctx: Context, run_id: str) -> Run:
    """A run of either kind, as the cloud's ids resolve under both paths."""
    async with ctx.database.transaction() as tx:
        run = await runs.get(tx, run_id)
    if run is None:
        raise errors.not_found()
    return run


async def cancel(ctx: Context, run_id: str) -> Run:
    """Cancel a run; one that has ended is answered as it is."""
    async with ctx.database.transaction() as tx:
        await lifecycle.cancel(tx, run_id)
    return await found(ctx, run_id)


async def page(
    ctx: Context,
    kind: Kind,
    cursor: str | None,
    after: datetime | None = None,
    before: datetime | None = None,
) -> dict[str, Any]:
    """A list of runs."""
    async with ctx.database.transaction() as tx:
        rows = await runs.page(tx, kind, pages.decode(cursor), after, before)
    return wire.page(rows, lambda row: wire.run(row, ctx.address), f"{ctx.address}/v1/{kind}s")
