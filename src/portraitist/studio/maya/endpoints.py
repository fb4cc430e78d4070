"""`/api/v1/maya`: conversations, cards to shoot, style and memory. JSON in, JSON or a stream out; rules elsewhere."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.responses import Response

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.db import UserTx
from portraitist.studio.errors import StudioError
from portraitist.studio.generation import views
from portraitist.studio.generation.endpoints import (
    NO_MODEL,
    REFUSED,
    GenerationOut,
    RefusalsDep,
    new_seed,
)
from portraitist.studio.http import CoreDep, IdempotencyKey, NowDep
from portraitist.studio.maya import knowing, service
from portraitist.studio.maya.bodies import (
    ChatOut,
    ChatsOut,
    ConversationOut,
    MessageOut,
    NoteIn,
    NoteOut,
    NotesOut,
    SaidIn,
    StyleIn,
    StyleOut,
    TurnOut,
    cards_of,
)
from portraitist.studio.maya.domain import Role, Style
from portraitist.studio.maya.service import Turn
from portraitist.studio.maya.talking import Live, Maya
from portraitist.studio.openapi import problems
from portraitist.studio.paging import USUAL, Cursor, Limit, wanted

router = APIRouter(prefix="/api/v1/maya", tags=["maya"])
NO_CHAT = problems("maya_chat_not_found")
NO_ANSWER = (
    "maya_away",
    "maya_slow",
    "maya_refused",
    "maya_unreadable",
    "maya_budget_spent",
    "maya_answering",
)
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
EXAMPLE = (
    'event: words\ndata: {"text": "A yellow raincoat"}\n\nevent: turn\ndata: {"said": {…}, "answer": {…}}\n\n'
)
ANSWERED: dict[int | str, dict[str, Any]] = {
    201: {
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
        "description": "The answer; with `Accept: text/event-stream` in pieces while it comes.",
    }
}
Accept = Annotated[str, Header(description="`text/event-stream` for the answer while it comes.")]


async def maya_of(request: Request) -> Maya:
    """Maya on this process."""
    return cast(Maya, request.app.state.maya)


MayaDep = Annotated[Maya, Depends(maya_of)]


@router.post("/chats", status_code=201)
async def begin_chat(user_id: MemberId, core: CoreDep, now: NowDep) -> ChatOut:
    """A new conversation."""
    async with core.db.member(user_id) as tx:
        return ChatOut.of(await service.begin(tx, now()))


@router.get("/chats", responses=problems("cursor_invalid"))
async def list_chats(
    user_id: MemberId, core: CoreDep, cursor: Cursor = None, limit: Limit = USUAL
) -> ChatsOut:
    """The member's conversations, the one talked in last first."""
    async with core.db.member(user_id) as tx:
        found, following = await service.page(tx, wanted(cursor, limit))
    return ChatsOut(items=[ChatOut.of(chat) for chat in found], next=following)


@router.get("/chats/{chat_id}", responses=NO_CHAT)
async def get_chat(chat_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> ConversationOut:
    """A conversation: what was said, the cards, and the pictures that were shot of them."""
    async with core.db.member(user_id) as tx:
        talk = await service.conversation(tx, chat_id, now())
        seen = await views.some(tx, [shot.generation_id for shot in talk.shots])
    return ConversationOut.of(talk, {each.generation.id: each for each in seen})


@router.delete("/chats/{chat_id}", status_code=204, responses=NO_CHAT)
async def delete_chat(chat_id: UUID, user_id: MemberId, core: CoreDep) -> None:
    """Remove a conversation with its cards; pictures stay."""
    async with core.db.member(user_id) as tx:
        await service.delete(tx, chat_id)


@router.post(
    "/chats/{chat_id}/messages",
    status_code=201,
    response_model=TurnOut,
    responses=ANSWERED
    | problems(
        "maya_chat_not_found",
        "maya_card_not_found",
        "maya_words_empty",
        "maya_words_too_long",
        "maya_chat_full",
        "key_reused",
        *REFUSED,
        *NO_ANSWER,
    ),
)
async def say(
    chat_id: UUID,
    body: SaidIn,
    user_id: MemberId,
    core: CoreDep,
    maya: MayaDep,
    *,
    key: IdempotencyKey = None,
    accept: Accept = "application/json",
) -> Any:
    """Say something to Maya, and have her answer with concept cards. What failed is kept, and can be asked again.

    In a stream `words` are pieces of her reply, `anew` takes them back, `turn` is the whole, `problem` the end without.
    """
    turn, live = await maya.say(user_id, chat_id, body.words, refines=body.card_id, key=key)
    return await _answered(user_id, core, turn, live, accept)


@router.post(
    "/messages/{message_id}/again",
    status_code=201,
    response_model=TurnOut,
    responses=ANSWERED
    | problems("maya_message_not_found", "maya_chat_not_found", "maya_nothing_to_retry", *NO_ANSWER),
)
async def again(
    message_id: UUID,
    user_id: MemberId,
    core: CoreDep,
    maya: MayaDep,
    *,
    accept: Accept = "application/json",
) -> Any:
    """Ask anew for an answer that failed."""
    turn, live = await maya.again(user_id, message_id)
    return await _answered(user_id, core, turn, live, accept)


@router.post(
    "/cards/{card_id}/shoot",
    status_code=201,
    responses=problems(
        "maya_card_not_found",
        *NO_MODEL,
        *REFUSED,
        "key_reused",
        "seeds_used_up",
        "generation_quota_spent",
    ),
)
async def shoot(
    card_id: UUID,
    user_id: MemberId,
    core: CoreDep,
    now: NowDep,
    *,
    refusals: RefusalsDep,
    key: IdempotencyKey = None,
) -> GenerationOut:
    """Three pictures of a card, with the member's own model; they appear in its message."""
    async with core.db.member(user_id) as tx:
        generation = await service.shoot(
            tx,
            card_id,
            key=key,
            new_seed=new_seed,
            now=now(),
            per_day=core.settings.generations_per_member,
            refusals=refusals,
        )
        return GenerationOut.of(await views.see(tx, generation.id))


@router.get("/style")
async def get_style(user_id: MemberId, core: CoreDep) -> StyleOut:
    """What the member has told of their taste."""
    async with core.db.member(user_id) as tx:
        return StyleOut.of(await knowing.style(tx))


@router.put("/style")
async def put_style(body: StyleIn, user_id: MemberId, core: CoreDep, now: NowDep) -> StyleOut:
    """The member's taste from now on; what is a no-go is in no card."""
    style = Style(tuple(body.colours), tuple(body.settings), body.limits, tuple(body.no_go))
    async with core.db.member(user_id) as tx:
        return StyleOut.of(await knowing.change_style(tx, style, now()))


@router.get("/memory")
async def get_memory(user_id: MemberId, core: CoreDep) -> NotesOut:
    """What Maya remembers across conversations."""
    async with core.db.member(user_id) as tx:
        return NotesOut(items=[NoteOut.of(note) for note in await knowing.notes(tx)])


@router.post(
    "/memory",
    status_code=201,
    responses=problems(
        "maya_note_invalid", "maya_memory_full", "maya_note_known", "prompt_sexual", "prompt_minor"
    ),
)
async def remember(body: NoteIn, user_id: MemberId, core: CoreDep, now: NowDep) -> NoteOut:
    """Have Maya remember a thing."""
    async with core.db.member(user_id) as tx:
        return NoteOut.of(await knowing.remember(tx, body.note, Role.MEMBER, now()))


@router.patch(
    "/memory/{note_id}",
    responses=problems(
        "maya_note_not_found", "maya_note_invalid", "maya_note_known", "prompt_sexual", "prompt_minor"
    ),
)
async def change_note(note_id: UUID, body: NoteIn, user_id: MemberId, core: CoreDep) -> NoteOut:
    """Put other words to what is remembered."""
    async with core.db.member(user_id) as tx:
        return NoteOut.of(await knowing.change_note(tx, note_id, body.note))


@router.delete("/memory/{note_id}", status_code=204, responses=problems("maya_note_not_found"))
async def forget(note_id: UUID, user_id: MemberId, core: CoreDep) -> None:
    """Have Maya forget a thing."""
    async with core.db.member(user_id) as tx:
        await knowing.forget(tx, note_id)


async def _answered(
    user_id: str, core: CoreDep, turn: Turn, live: Live | None, accept: str
) -> TurnOut | Response:
    """The turn when it is done, or a stream of it; a failure before the first word is a plain problem in both."""
    if "text/event-stream" not in accept:
        if live is not None:
            await live.over()
        return await _turn(user_id, core, turn)
    if live is not None:
        await live.begun()
    told = _told(user_id, core, turn, live)
    return StreamingResponse(told, 201, media_type="text/event-stream", headers=STREAM_HEADERS)


async def _told(user_id: str, core: CoreDep, turn: Turn, live: Live | None) -> AsyncIterator[str]:
    if live is not None:
        async for piece in live.pieces():
            yield event("anew", {}) if piece is None else event("words", {"text": piece})
        if live.failure is not None:
            yield event("problem", problem_of(live.failure))
            return
    yield event("turn", await _turn(user_id, core, turn))


async def _turn(user_id: str, core: CoreDep, turn: Turn) -> TurnOut:
    async with core.db.member(user_id) as tx:
        return await turn_out(tx, turn, core.clock.now())


async def turn_out(tx: UserTx, turn: Turn, now: datetime) -> TurnOut:
    """The turn as it stands."""
    talk = await service.conversation(tx, turn.said.chat_id, now)
    by_id = {message.id: message for message in talk.messages}
    said, answer = by_id[turn.said.id], by_id[turn.answer.id]
    return TurnOut(said=MessageOut.of(said, []), answer=MessageOut.of(answer, cards_of(talk, answer, {})))


def event(name: str, data: BaseModel | dict[str, Any]) -> str:
    """One server-sent event."""
    text = data.model_dump_json() if isinstance(data, BaseModel) else json.dumps(data)
    return f"event: {name}\ndata: {text}\n\n"


def problem_of(failure: StudioError) -> dict[str, Any]:
    """A failure after the first word, as far as a problem says it."""
    return {
        "status": failure.status,
        "code": failure.code,
        "detail": failure.message,
        "next_step": failure.next_step,
    }
