"""`/api/v1/events`: server-sent events that tell a member how their trainings and generations move on.

The stream begins with what is in hand. A client that was cut off says what it heard last (`Last-Event-ID`, as
browsers do by themselves) and is told besides what has ended since, so it has missed nothing that counts.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.db import UserTx
from portraitist.studio.errors import NotFound
from portraitist.studio.events.service import MISSED, Hub, Moved, news
from portraitist.studio.generation import views as generations
from portraitist.studio.generation.endpoints import GenerationOut
from portraitist.studio.http import Core, CoreDep
from portraitist.studio.maya.service import KIND as MAYA
from portraitist.studio.notices import service as notices
from portraitist.studio.notices.service import EVENT as NOTICE
from portraitist.studio.openapi import problems
from portraitist.studio.photoshoot.service import JOB as PHOTOSHOOT
from portraitist.studio.training import views as trainings
from portraitist.studio.training.endpoints import TrainingOut
from portraitist.studio.training.service import JOB as TRAINING

router = APIRouter(prefix="/api/v1", tags=["events"])
SILENCE_S = 15.0
LIFE_S = 600.0
"""Then the client comes back and is asked who it is: a stream outlives no session by more than this."""
MARGIN = timedelta(minutes=1)  # between the clocks of two hosts, and the time a commit takes
LONGEST_ABSENCE = timedelta(days=1)
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
EXAMPLE = 'event: generation\nid: 1795273445000000\ndata: {"id": "3f0c2c1e-…", "status": "running", …}\n\n'
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}}}
}


def hub_of(request: Request) -> Hub:
    """The process's one listener."""
    return cast(Hub, request.app.state.hub)


@router.get("/events", response_class=StreamingResponse, responses=STREAM | problems("too_many_streams"))
async def events(
    user_id: MemberId,
    core: CoreDep,
    hub: Annotated[Hub, Depends(hub_of)],
    last: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID", max_length=40, description="The `id` of the last event that was heard."
        ),
    ] = None,
) -> StreamingResponse:
    """`event: training` and `event: generation` with the item as JSON, as soon as it has moved on.

    `event: notice` says how many notices are unread, when there is another or they were read.

    `event: reload` says that more has changed than is told here: look at the lists. The stream ends now and then;
    come back with the last `id`.
    """
    hub.check_room(user_id)
    heard_until = _heard_until(last, core.clock.now())
    told = _told(_Member(core, user_id), hub, heard_until)
    return StreamingResponse(told, media_type="text/event-stream", headers=HEADERS)


def _heard_until(last: str | None, now: datetime) -> datetime | None:
    """The time that a client's last event stands for; what is no id of ours is a first visit."""
    if last is None or not last.isdecimal() or not last.isascii():
        return None
    try:
        at = datetime.fromtimestamp(int(last) / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return max(at - MARGIN, now - LONGEST_ABSENCE)


@dataclass(frozen=True)
class _Member:
    """Reads what streams of one member say."""

    core: Core
    user_id: str

    async def snapshot(self, ended_after: datetime | None) -> str:
        """All that is on its way, and what ended later than that."""
        at = self.core.clock.now()
        async with self.core.db.member(self.user_id) as tx:
            training = await trainings.moving(tx, ended_after)
            asked = await generations.moving(tx, ended_after)
        events = [_event("training", TrainingOut.of(seen), at) for seen in reversed(training)]
        events += [_event("generation", GenerationOut.of(seen), at) for seen in reversed(asked)]
        if max(len(training), len(asked)) >= generations.MOVING:
            events.append("event: reload\ndata: {}\n\n")
        return "".join(events) + f"id: {_micros(at)}\nretry: 2000\n: snapshot\n\n"

    async def item(self, moved: Moved) -> str:
        """One item as it is now."""
        at = self.core.clock.now()
        if moved.kind in (MAYA, PHOTOSHOOT):
            return f'event: {moved.kind}\nid: {_micros(at)}\ndata: {{"id": "{moved.id}"}}\n\n'
        async with self.core.db.member(self.user_id, once=moved.kind in (TRAINING, NOTICE)) as tx:
            try:
                if moved.kind == NOTICE:
                    return f"event: notice\nid: {_micros(at)}\ndata: {await _unread(tx)}\n\n"
                if moved.kind == TRAINING:
                    return _event("training", TrainingOut.of(await trainings.see(tx, moved.id)), at)
                return _event("generation", GenerationOut.of(await generations.see(tx, moved.id)), at)
            except NotFound:  # gone meanwhile
                return ": gone\n\n"


async def _told(member: _Member, hub: Hub, heard_until: datetime | None) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + LIFE_S * random.uniform(0.9, 1.1)  # noqa: S311  # so that not all come back at once
    with hub.stream(member.user_id) as queue:
        heard = member.core.clock.now()
        yield await member.snapshot(heard_until)
        async for batch in news(queue, SILENCE_S):
            if batch == [MISSED]:
                yield await member.snapshot(heard - MARGIN)
            elif batch:
                yield "".join([await moved.text(partial(member.item, moved)) for moved in batch])
            else:
                yield ": still here\n\n"
            heard = member.core.clock.now()
            if loop.time() > ends_at:
                return


async def _unread(tx: UserTx) -> str:
    return json.dumps({"unread": await notices.unread(tx)})


def _event(name: str, item: TrainingOut | GenerationOut, at: datetime) -> str:
    return f"event: {name}\nid: {_micros(at)}\ndata: {item.model_dump_json()}\n\n"


def _micros(at: datetime) -> int:
    """An event's id: when it was read, in microseconds; what a client hands back to go on from there."""
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
