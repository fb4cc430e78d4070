"""`/api/v1/events`: server-sent events that tell a member how their trainings and generations move on.

The stream begins with a snapshot of what is in hand, so a client that reconnects has missed nothing.
"""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.errors import NotFound
from portraitist.studio.events.service import MISSED, Hub, Moved, news
from portraitist.studio.generation import service as generation
from portraitist.studio.generation.endpoints import GenerationOut
from portraitist.studio.http import Core, CoreDep
from portraitist.studio.training import service as training
from portraitist.studio.training.endpoints import TrainingOut

router = APIRouter(prefix="/api/v1", tags=["events"])
SILENCE_S = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def hub_of(request: Request) -> Hub:
    """The process's one listener."""
    return cast(Hub, request.app.state.hub)


@router.get(
    "/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
)
async def events(user_id: MemberId, core: CoreDep, hub: Annotated[Hub, Depends(hub_of)]) -> StreamingResponse:
    """`event: training` and `event: generation` with the item as JSON, as soon as it has moved on."""
    return StreamingResponse(_stream(core, hub, user_id), media_type="text/event-stream", headers=HEADERS)


async def _stream(core: Core, hub: Hub, user_id: str) -> AsyncIterator[str]:
    with hub.stream(user_id) as queue:
        yield await _snapshot(core, user_id)
        async for moved in news(queue, SILENCE_S):
            if moved is None:
                yield ": still here\n\n"
            elif moved == MISSED:
                yield await _snapshot(core, user_id)
            else:
                yield await _item(core, user_id, moved)


async def _snapshot(core: Core, user_id: str) -> str:
    async with core.db.member(user_id) as tx:
        running = await training.in_hand(tx)
        asked = await generation.in_hand(tx)
    items = [_event("training", TrainingOut.of(running))] if running else []
    return "".join(
        [*items, *(_event("generation", GenerationOut.of(seen)) for seen in asked), ": snapshot\n\n"]
    )


async def _item(core: Core, user_id: str, moved: Moved) -> str:
    async with core.db.member(user_id) as tx:
        try:
            if moved.kind == training.JOB:
                return _event("training", TrainingOut.of(await training.see(tx, moved.id)))
            return _event("generation", GenerationOut.of(await generation.see(tx, moved.id)))
        except NotFound:  # gone meanwhile
            return ": gone\n\n"


def _event(name: str, item: TrainingOut | GenerationOut) -> str:
    return f"event: {name}\nid: {item.id}\ndata: {item.model_dump_json()}\n\n"
