"""The conversation's page: words in, cards in her answer, three previews in the very message.

With scripts an answer is read while it comes (`static/maya.js`, by the API); the plain forms here wait for it. What may
be said, and how an answer comes about, is `studio.maya`'s.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.db import UserTx
from portraitist.studio.errors import StudioError
from portraitist.studio.generation import views
from portraitist.studio.generation.domain import ENDED, NEXT_STEPS
from portraitist.studio.generation.endpoints import new_seed, refusals_of
from portraitist.studio.generation.views import Seen
from portraitist.studio.maya import service
from portraitist.studio.maya.domain import LONGEST_MESSAGE, REFINEMENTS
from portraitist.studio.maya.endpoints import maya_of
from portraitist.studio.maya.service import Conversation
from portraitist.studio.maya.talking import Live
from portraitist.studio.paging import wanted
from portraitist.studio.web import rendering, wording
from portraitist.studio.web.drawing import DOING
from portraitist.studio.web.engine_look import engine_of
from portraitist.studio.web.trainings import Key, missing_model
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router

router = page_router()
Words = Annotated[str, Form(max_length=4 * LONGEST_MESSAGE)]
EARLIER = 20
"""Conversations that are listed beside this one."""
STARTERS = (
    "Something for my website",
    "By the sea, early in the morning",
    "A quiet Sunday at home",
    "An evening out, a little glamorous",
)
"""What a member may begin with, in a word."""


@router.get("/maya")
async def newest(visit: OwnVisit, fresh: bool = False) -> Response:
    """The conversation talked in last, or the beginning of a new one."""
    async with visit.core.db.member(visit.user_id) as tx:
        chats, _ = await service.page(tx, wanted(limit=1))
    return await _page(visit, None if fresh or not chats else chats[0].id)


@router.get("/maya/chats/{chat_id}")
async def chat_page(chat_id: UUID, visit: OwnVisit) -> Response:
    """One conversation."""
    return await _page(visit, chat_id)


@router.post("/maya/say")
async def say(
    visit: OwnVisit,
    *,
    words: Words = "",
    key: Key = "",
    chat: Annotated[UUID | None, Form()] = None,
    card: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Say something and wait for the answer; where the words are refused, they stay in the field."""
    maya, chat_id = await maya_of(visit.request), chat
    try:
        if chat_id is None:
            async with visit.core.db.member(visit.user_id) as tx:
                chat_id = (await service.begin(tx, visit.now)).id
        turn, live = await maya.say(visit.user_id, chat_id, words, refines=card, key=key or None)
    except StudioError as exc:
        return await _page(visit, chat, words=words, refused=exc)
    await _until_told(live)
    return rendering.seen(f"/maya/chats/{turn.said.chat_id}#last")


@router.post("/maya/chats/{chat_id}/again/{message_id}")
async def again(chat_id: UUID, message_id: UUID, visit: OwnVisit) -> Response:
    """Have an answer that failed made anew."""
    maya = await maya_of(visit.request)
    _, live = await maya.again(visit.user_id, message_id)
    await _until_told(live)
    return rendering.seen(f"/maya/chats/{chat_id}#last")


@router.post("/maya/chats/{chat_id}/cards/{card_id}/shoot")
async def shoot(chat_id: UUID, card_id: UUID, visit: OwnVisit, key: Key = "") -> Response:
    """Three previews of a card."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.shoot(
            tx,
            card_id,
            chat_id=chat_id,
            key=key or None,
            new_seed=new_seed,
            now=visit.now,
            per_day=visit.core.settings.generations_per_member,
            refusals=await refusals_of(visit.request),
        )
    return visit.done(f"/maya/chats/{chat_id}", "asked")


@router.post("/maya/chats/{chat_id}/delete")
async def delete(chat_id: UUID, visit: OwnVisit) -> Response:
    """Remove a conversation; its pictures stay."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.delete(tx, chat_id)
    return visit.done("/maya", "chat-deleted")


async def _until_told(live: Live | None) -> None:
    """Wait for the answer; one that fails is told on the page, where it stands as such."""
    if live is not None:
        async for _ in live.pieces():
            pass


async def _page(
    visit: MemberVisit, chat_id: UUID | None, *, words: str = "", refused: StudioError | None = None
) -> Response:
    talk: Conversation | None = None
    seen: Mapping[UUID, Seen] = {}
    async with visit.core.db.member(visit.user_id) as tx:
        if chat_id is not None:
            talk = await service.conversation(tx, chat_id, visit.now)
            seen = await _shots(tx, talk)
        chats, _ = await service.page(tx, wanted(limit=EARLIER))
        no_model = await missing_model(tx)
    shown: dict[str, Any] = {
        **no_model,
        "talk": talk,
        "seen": seen,
        "chats": [each for each in chats if each.id != chat_id],
        "doing": DOING,
        "ended": ENDED,
        "next_steps": NEXT_STEPS,
        "refinements": REFINEMENTS,
        "starters": STARTERS,
        "words": words,
        "refused": refused,
        "refused_step": wording.step_after(refused) if refused else None,
        "longest": LONGEST_MESSAGE,
        "key": uuid4().hex,
        "engine": await engine_of(visit.request),
    }
    return visit.page("maya/chat.html", shown, here="pictures", status=refused.status if refused else 200)


async def _shots(tx: UserTx, talk: Conversation) -> Mapping[UUID, Seen]:
    found = await views.some(tx, [shot.generation_id for shot in talk.shots])
    return {each.generation.id: each for each in found}
