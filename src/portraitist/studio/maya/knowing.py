"""What Maya knows of a member beside the conversation: style, memory, and how much her answers may still use."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from psycopg import errors as pg

from portraitist.studio.db import UserTx
from portraitist.studio.errors import Conflict, NotFound, TooMany, Unprocessable
from portraitist.studio.maya import repository_style as repository
from portraitist.studio.maya.domain import (
    LONGEST_LIMITS,
    LONGEST_NOTE,
    MOST_NOTES,
    Budget,
    Note,
    Role,
    Style,
    tidy,
)
from portraitist.studio.prompting.refusing import Refusals

DAY = timedelta(days=1)


async def style(tx: UserTx) -> Style:
    """What the member has said of their taste."""
    return await repository.style(tx)


async def change_style(tx: UserTx, given: Style, now: datetime) -> Style:
    """The member's taste from now on."""
    kept = Style(
        tidy(given.colours), tidy(given.settings), given.limits.strip()[:LONGEST_LIMITS], tidy(given.no_go)
    )
    await repository.store_style(tx, kept, now)
    return kept


async def notes(tx: UserTx) -> list[Note]:
    """All that Maya remembers, oldest first."""
    return await repository.notes(tx)


async def remember(tx: UserTx, words: str, source: Role, now: datetime) -> Note:
    """Remember a thing. Raises Unprocessable for the words, Conflict where there is no room or it is known already."""
    note = Note(uuid4(), _checked(words), source, now)
    if len(await repository.notes(tx)) >= MOST_NOTES:
        raise Conflict(
            "maya_memory_full", f"Maya remembers {MOST_NOTES} things at most.", next_step="Delete one first."
        )
    if not await repository.insert_note(tx, note):
        raise _known()
    return note


async def remember_all(tx: UserTx, words: Sequence[str], now: datetime) -> None:
    """Remember what came up in a conversation, as far as there is room; read later in the same order."""
    room = MOST_NOTES - len(await repository.notes(tx))
    for place, each in enumerate(list(words)[: max(0, room)]):
        if note := " ".join(each.split())[:LONGEST_NOTE]:
            at = now + timedelta(microseconds=place)
            await repository.insert_note(tx, Note(uuid4(), note, Role.MAYA, at))


async def change_note(tx: UserTx, note_id: UUID, words: str) -> Note:
    """Other words for what is remembered. Raises NotFound, Unprocessable, and Conflict for what is known already."""
    await _note(tx, note_id)
    try:
        async with tx.conn.transaction():
            await repository.change_note(tx, note_id, _checked(words))
    except pg.UniqueViolation as exc:
        raise _known() from exc
    return await _note(tx, note_id)


async def forget(tx: UserTx, note_id: UUID) -> None:
    """Forget a thing. Raises NotFound."""
    await _note(tx, note_id)
    await repository.delete_note(tx, note_id)


async def reserve(tx: UserTx, budget: Budget, now: datetime) -> UUID:
    """Take what one answer may use at most, in advance: two at once can't both have the last of it. Raises TooMany."""
    await repository.one_at_a_time(tx)
    used = await repository.used(tx, now - DAY)
    if not budget.has_room(used.tokens, used.cost_micros):
        wait = (used.oldest + DAY - now).total_seconds() if used.oldest else DAY.total_seconds()
        raise TooMany(
            "maya_budget_spent",
            "You and Maya have talked a lot today.",
            next_step="She is back tomorrow; the photoshoot is open as ever.",
            retry_after_s=wait,
        )
    usage_id = uuid4()
    await repository.reserve(tx, usage_id, budget.at_most, budget.prices.cost_micros(0, budget.at_most), now)
    return usage_id


async def put_right(tx: UserTx, usage_id: UUID, budget: Budget, tokens_in: int, tokens_out: int) -> None:
    """What an answer really took."""
    cost = budget.prices.cost_micros(tokens_in, tokens_out)
    await repository.put_right(tx, usage_id, tokens_in + tokens_out, cost)


async def _note(tx: UserTx, note_id: UUID) -> Note:
    found = await repository.note(tx, note_id)
    if found is None:
        raise NotFound(
            "maya_note_not_found", "Maya remembers no such thing.", next_step="Look at what she remembers."
        )
    return found


def _checked(words: str) -> str:
    note = " ".join(words.replace("\0", " ").split())
    if not 0 < len(note) <= LONGEST_NOTE:
        raise Unprocessable(
            "maya_note_invalid",
            f"A note has 1 to {LONGEST_NOTE} characters.",
            next_step="Say it in one short sentence.",
        )
    Refusals().check(note)
    return note


def _known() -> Conflict:
    return Conflict("maya_note_known", "Maya remembers that already.", next_step="Nothing to do.")
