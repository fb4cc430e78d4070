"""How an answer of Maya's comes about: what was said is stored, her mind is asked, what it answers is stored.

No transaction is open while the mind is asked. An answer goes on when whoever asked has left; on this process it can be
read while it comes, everywhere else it is there when it is done.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from uuid import UUID

from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.accounts import service as accounts
from portraitist.studio.accounts.domain import Member
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.errors import Conflict, StudioError
from portraitist.studio.maya import knowing, mind, service, weaving
from portraitist.studio.maya.domain import Budget, Card, Concept, Message, State
from portraitist.studio.maya.mind import Anew, Answer, Asked, Line, MayaAway, MayaFailed, Mind
from portraitist.studio.maya.service import Conversation, Turn
from portraitist.studio.prompting.craft import SUBJECT
from portraitist.studio.prompting.refusing import Refusals
from portraitist.studio.training import service as training

log = logger(__name__)
BEFORE_A_SHOOT: Final = {
    "no_photos_yet": "First I need you: add at least ten good photos, and your model can be trained.",
    "no_model": "Your photos are in. Start the training of your model, then we shoot these.",
    "model_in_training": "Your model is still in training. These ideas wait here until it's ready.",
    "training_to_retry": "Your model is trained but not in use yet: one click on its page looks again, then we shoot.",
}
"""Her next step where there is no model to shoot with, by the code of the gate."""


class Live:
    """An answer that is being made on this process; it is read from its beginning by whoever comes."""

    def __init__(self, message_id: UUID) -> None:
        self.message_id = message_id
        self.failure: StudioError | None = None
        self._pieces: list[str | None] = []
        self._over = False
        self._moved = asyncio.Event()

    def say(self, piece: str | None) -> None:
        """Another piece of the reply; None: it begins again."""
        self._pieces.append(piece)
        self._wake()

    def end(self, failure: StudioError | None) -> None:
        """It is stored, or has failed."""
        self.failure, self._over = failure, True
        self._wake()

    async def pieces(self) -> AsyncIterator[str | None]:
        """The reply in pieces, to its end."""
        at = 0
        while True:
            moved = self._moved
            while at < len(self._pieces):
                yield self._pieces[at]
                at += 1
            if self._over:
                return
            await moved.wait()

    async def begun(self) -> None:
        """Wait for the first piece or the end. Raises what the answer failed with, if it is over without a word."""
        while not self._pieces and not self._over:
            await self._moved.wait()
        if self._over and not self._pieces and self.failure is not None:
            raise self.failure

    async def over(self) -> None:
        """Wait for the end. Raises what the answer failed with."""
        async for _ in self.pieces():
            pass
        if self.failure is not None:
            raise self.failure

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


@dataclass
class Maya:
    """Maya on this process: her mind, and the answers under way. `budget`: None where answers cost nothing."""

    db: StudioDatabase
    clock: Clock
    mind: Mind
    kind: Literal["look book", "language model"]
    refusals: Refusals
    budget: Budget | None = None
    seconds: float = 60.0
    _live: dict[UUID, Live] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def say(
        self, user_id: str, chat_id: UUID, words: str, *, refines: UUID | None = None, key: str | None = None
    ) -> tuple[Turn, Live | None]:
        """Say something; the answer is made beside. Raises what `service.say` and `knowing.reserve` raise."""
        now = self.clock.now()
        async with self.db.member(user_id) as tx:
            turn = await service.say(
                tx, chat_id, words, refines=refines, key=key, refusals=self.refusals, now=now
            )
            usage = await self._reserve(tx) if turn.is_new else None
        return turn, self._begin(user_id, turn, usage)

    async def again(self, user_id: str, message_id: UUID) -> tuple[Turn, Live | None]:
        """Have an answer that failed made anew. Raises what `service.again` and `knowing.reserve` raise."""
        async with self.db.member(user_id) as tx:
            turn = await service.again(tx, message_id, self.clock.now())
            usage = await self._reserve(tx)
        return turn, self._begin(user_id, turn, usage)

    def live(self, message_id: UUID) -> Live | None:
        """The answer, if it is being made on this process."""
        return self._live.get(message_id)

    def prepare(self) -> None:
        """Have her mind at hand before the first question, beside other work."""
        task = asyncio.create_task(self.mind.ready())
        self._tasks.add(task)
        task.add_done_callback(self._prepared)

    def _prepared(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("maya.not_ready", kind=type(exc).__name__, reason=str(exc))

    async def close(self) -> None:
        """End what is being made; its members can ask again."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.mind.close()

    async def _reserve(self, tx: UserTx) -> UUID | None:
        return None if self.budget is None else await knowing.reserve(tx, self.budget, self.clock.now())

    def _begin(self, user_id: str, turn: Turn, usage: UUID | None) -> Live | None:
        if not turn.is_new:
            return self.live(turn.answer.id)
        live = self._live[turn.answer.id] = Live(turn.answer.id)
        task = asyncio.create_task(self._answer(user_id, turn, usage, live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return live

    async def _answer(self, user_id: str, turn: Turn, usage: UUID | None, live: Live) -> None:
        failure: StudioError | None = None
        try:
            asked, parent = await self._asked(user_id, turn)
            answer = await self._made(asked, live)
            await self._store(user_id, turn, answer, parent, usage)
        except StudioError as exc:
            failure = exc
        except asyncio.CancelledError:
            failure = mind.slow()
            raise
        except Exception as exc:  # the rim of a task that nobody awaits: whoever reads it is told
            log.error("maya.broke", exc_info=exc)
            failure = mind.away()
        finally:
            if failure is not None:
                await asyncio.shield(self._store_failure(user_id, turn, failure, usage))
            live.end(failure)
            self._live.pop(turn.answer.id, None)

    async def _made(self, asked: Asked, live: Live) -> Answer:
        await self.mind.ready()
        try:
            async with asyncio.timeout(self.seconds):
                async for piece in self.mind.answer(asked):
                    if isinstance(piece, Answer):
                        return piece
                    live.say(None if isinstance(piece, Anew) else piece)
        except TimeoutError as exc:
            raise mind.slow() from exc
        raise mind.unreadable()

    async def _asked(self, user_id: str, turn: Turn) -> tuple[Asked, Card | None]:
        """The question as her mind gets it, and the card it is about."""
        async with self.db.member(user_id) as tx:
            talk = await service.conversation(tx, turn.said.chat_id, self.clock.now())
            member = await accounts.me(tx)
            style, notes = await knowing.style(tx), await knowing.notes(tx)
            step = await _before_a_shoot(tx)
        card = _meant(talk, turn.said)
        asked = Asked(
            words=mind.without_private(turn.said.text, _names(member)),
            said=tuple(_lines(talk, turn.said, _names(member))),
            style=style,
            notes=tuple(mind.without_private(note.note, _names(member)) for note in notes),
            subject=mind.usual_subject(member.subject_word),
            refining=None if card is None else _hidden(card.concept, member.subject_word),
            step=step,
        )
        return asked, card

    async def _store(
        self, user_id: str, turn: Turn, answer: Answer, parent: Card | None, usage: UUID | None
    ) -> None:
        now = self.clock.now()
        async with self.db.member(user_id) as tx:
            subject = (await accounts.me(tx)).subject_word
            concepts = [
                replace(each, prompt=each.prompt.replace(SUBJECT, subject)) for each in answer.concepts
            ]
            said = replace(
                turn.answer,
                status=State.ANSWERED,
                text=answer.reply,
                suggestions=answer.suggestions,
                answered_at=now,
            )
            await service.settle(tx, said, concepts, None if parent is None else parent.id)
            await knowing.remember_all(tx, answer.remember, now)
            await self._put_right(tx, usage, answer.tokens_in, answer.tokens_out)

    async def _store_failure(
        self, user_id: str, turn: Turn, failure: StudioError, usage: UUID | None
    ) -> None:
        tokens = failure.tokens if isinstance(failure, (MayaFailed, MayaAway)) else (0, 0)
        failed = replace(
            turn.answer,
            status=State.FAILED,
            error_code=failure.code,
            error=failure.message,
            answered_at=self.clock.now(),
        )
        async with self.db.member(user_id) as tx:
            await service.settle(tx, failed, (), None)
            await self._put_right(tx, usage, *tokens)

    async def _put_right(self, tx: UserTx, usage: UUID | None, tokens_in: int, tokens_out: int) -> None:
        if usage is not None and self.budget is not None:
            await knowing.put_right(tx, usage, self.budget, tokens_in, tokens_out)


async def _before_a_shoot(tx: UserTx) -> str | None:
    try:
        await training.require_active_version(tx)
    except Conflict as exc:
        return BEFORE_A_SHOOT.get(exc.code, exc.message)
    return None


def _meant(talk: Conversation, said: Message) -> Card | None:
    """The card that the words are about: the one that was named, or the first of the last answer for a mere wish."""
    if said.refines is not None:
        return next((card for card in talk.cards if card.id == said.refines), None)
    if weaving.wish(said.text) is None:
        return None
    before = [message for message in talk.messages if message.place < said.place]
    answers = [cards for message in reversed(before) if (cards := talk.cards_of(message))]
    return answers[0][0] if answers else None


def _lines(talk: Conversation, until: Message, names: tuple[str, ...]) -> list[Line]:
    """What was said before, each answer with the titles of its cards."""
    lines = []
    for message in talk.messages:
        if message.place >= until.place or not message.text:
            continue
        titles = "; ".join(card.title for card in talk.cards_of(message))
        told = f"{message.text} [Cards: {titles}]" if titles else message.text
        lines.append(Line(message.role, mind.without_private(told, names)))
    return lines


def _names(member: Member) -> tuple[str, ...]:
    """What a member is called here; none of it goes to a mind."""
    handle = member.handle.partition(":")[2]
    return tuple(
        name for name in (handle, member.email or "", (member.email or "").partition("@")[0]) if name
    )


def _hidden(concept: Concept, subject: str) -> Concept:
    """The card with SUBJECT where its prompt begins with the member's own word."""
    prompt = concept.prompt
    return (
        replace(concept, prompt=SUBJECT + prompt[len(subject) :]) if prompt.startswith(subject) else concept
    )
