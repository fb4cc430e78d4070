"""What members do with sets: begin, look, cancel the rest, have it tomorrow, go on, remove. Shooting is `tasks`'.

A set begins only with a model; each of its shots is an ordinary generation, asked for in its turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from portraitist.kit import jobs
from portraitist.studio.db import DueRow, SystemTx, UserTx
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.events import service as events
from portraitist.studio.generation import service as generation
from portraitist.studio.generation import views as generations
from portraitist.studio.generation.domain import Status
from portraitist.studio.leases import leased_from
from portraitist.studio.paging import Position, Wanted, cut
from portraitist.studio.photoshoot import domain, looks, repository
from portraitist.studio.photoshoot.domain import (
    MOST_COLOURS,
    MOST_UNFINISHED,
    TOMORROW,
    Item,
    ItemStatus,
    PhotoSet,
    SetStatus,
    Why,
)
from portraitist.studio.photoshoot.looks import Collection, Look, LookBook
from portraitist.studio.training import service as training

JOB = "photoshoot"
"""The kind of the job and of the news."""


@dataclass(frozen=True)
class Order:
    """What a set shall be of: a whole collection, or one look of it; in the looks' own colours where none are given.

    `every_shot`: each look of the collection in all its shots, not only in the one that stands for it.
    """

    collection: str
    look: str | None = None
    colours: tuple[str, ...] = ()
    every_shot: bool = False

    @property
    def is_all_shots_of_all_looks(self) -> bool:
        """Whether it is the long set; of one look, every shot is taken anyhow."""
        return self.every_shot and self.look is None


@dataclass(frozen=True)
class Progress:
    """A set in a list: how many of its shots are drawn."""

    photo_set: PhotoSet
    drawn: int
    shots: int


async def begin(tx: UserTx, book: LookBook, order: Order, *, key: str | None, now: datetime) -> PhotoSet:
    """A new set. The same idempotency key gives the same set.

    Raises NotFound (`collection_not_found`, `look_not_found`), Unprocessable (`colour_unknown`, `colours_unused`,
    `key_reused`), and Conflict without a model (with the next step) or with too many sets that are not over.
    """
    if earlier := await _begun_with(tx, key, order):
        return earlier
    collection, look = found(book, order)
    colours = checked_colours(order.colours, collection, look)
    await training.require_active_version(tx)
    if await repository.unfinished(tx) >= MOST_UNFINISHED:
        raise Conflict(
            "too_many_sets",
            f"{MOST_UNFINISHED} sets of yours are not finished yet.",
            next_step="Wait for one of them, or cancel the rest of it.",
        )
    photo_set = _new(tx.user_id, collection, look, replace(order, colours=colours), now)
    items = domain.shots(collection, look, colours, photo_set.every_shot)
    if not await repository.insert(tx, photo_set, items, key):
        assert key is not None
        return await _begun_with(tx, key, order) or photo_set
    await _wake(tx, photo_set.id)
    return photo_set


def _new(user_id: str, collection: Collection, look: Look | None, order: Order, now: datetime) -> PhotoSet:
    return PhotoSet(
        user_id=user_id,
        id=uuid4(),
        collection=collection.slug,
        look=None if look is None else look.slug,
        every_shot=order.is_all_shots_of_all_looks,
        title=collection.title if look is None else look.title,
        colours=list(order.colours),
        status=SetStatus.RUNNING,
        why_paused=None,
        resumes_at=None,
        revision=0,
        created_at=now,
        finished_at=None,
    )


def found(book: LookBook, order: Order) -> tuple[Collection, Look | None]:
    """The collection and the look that are asked for; raises NotFound."""
    collection = book.collection(order.collection)
    if collection is None:
        raise NotFound(
            "collection_not_found", "There is no such collection.", next_step="Look at the collections."
        )
    if order.look is None:
        return collection, None
    look = next((each for each in collection.looks if each.slug == order.look), None)
    if look is None:
        raise NotFound(
            "look_not_found", "There is no such look in this collection.", next_step="Look at the collection."
        )
    return collection, look


def checked_colours(colours: Sequence[str], collection: Collection, look: Look | None) -> tuple[str, ...]:
    """The colours, each once. Raises Unprocessable for one that is not known, and where none can be used."""
    chosen = tuple(dict.fromkeys(colours))
    known = looks.palette()
    unknown = [colour for colour in chosen if colour not in known]
    if unknown or len(chosen) > MOST_COLOURS:
        raise Unprocessable(
            "colour_unknown",
            f"Up to {MOST_COLOURS} of the studio's colours can be taken.",
            next_step="Choose among the colours that are shown.",
        )
    if chosen and not (look or collection).takes_colours:
        raise Unprocessable(
            "colours_unused",
            f"“{(look or collection).title}” is shot without colours.",
            next_step="Shoot it as it is, or choose another one.",
        )
    return chosen


async def _begun_with(tx: UserTx, key: str | None, order: Order) -> PhotoSet | None:
    """What this key began. Raises Unprocessable where it was for something else."""
    earlier = None if key is None else await repository.by_key(tx, key)
    wanted = (order.collection, order.look, order.is_all_shots_of_all_looks)
    if earlier is not None and (earlier.collection, earlier.look, earlier.every_shot) != wanted:
        raise Unprocessable(
            "key_reused", "This Idempotency-Key was used for another set.", next_step="Use a new key."
        )
    return earlier


async def get(tx: UserTx, set_id: UUID) -> PhotoSet:
    """One set of the member; raises NotFound."""
    return _there(await repository.get(tx, set_id))


async def _held(tx: UserTx, set_id: UUID) -> PhotoSet:
    """The set, to be changed: the worker waits until this is done. Raises NotFound."""
    return _there(await repository.held(tx, set_id))


def _there(photo_set: PhotoSet | None) -> PhotoSet:
    if photo_set is None:
        raise NotFound("set_not_found", "There is no such set.", next_step="Look at your sets.")
    return photo_set


async def see(tx: UserTx, set_id: UUID) -> tuple[PhotoSet, list[tuple[Item, generations.Seen | None]]]:
    """A set with its shots, and what became of each; raises NotFound."""
    photo_set = await get(tx, set_id)
    items = await repository.items(tx, set_id)
    seen = await generations.some(tx, [item.generation_id for item in items if item.generation_id])
    by_id = {each.generation.id: each for each in seen}
    return photo_set, [
        (item, by_id.get(item.generation_id) if item.generation_id else None) for item in items
    ]


async def page(tx: UserTx, page: Wanted) -> tuple[list[Progress], str | None]:
    """A page of the member's sets, newest first, and the cursor of the next."""
    shown, following = cut(
        await repository.page(tx, page), page, lambda each: Position(each.created_at, each.id)
    )
    counted = await repository.counted(tx, [each.id for each in shown])
    return [Progress(each, *counted.get(each.id, (0, 0))) for each in shown], following


async def cancel(tx: UserTx, set_id: UUID, now: datetime) -> PhotoSet:
    """Cancel the rest: what has not begun is not shot; what is being drawn comes. Twice changes nothing.

    Raises Conflict (`set_ended`) where nothing is left.
    """
    photo_set = await _held(tx, set_id)
    if photo_set.status is SetStatus.CANCELED:
        return photo_set
    if photo_set.status is SetStatus.DONE:
        raise _ended()
    await _cancel(tx, photo_set, now)
    return await get(tx, set_id)


async def remove(tx: UserTx, set_id: UUID, now: datetime) -> None:
    """Take a set out of the list, for good. What was drawn stays with the member, and of the rest nothing is shot.

    Raises NotFound.
    """
    photo_set = await _held(tx, set_id)
    if not photo_set.is_over:
        await _cancel(tx, photo_set, now)
    await repository.delete(tx, set_id)
    await events.announce(tx, JOB, set_id)


async def _cancel(tx: UserTx, photo_set: PhotoSet, now: datetime) -> None:
    """What waits is not shot, and what the provider does not know of yet is taken back."""
    set_id = photo_set.id
    await _record(tx, photo_set.over(SetStatus.CANCELED, now), None)
    for item in await repository.items(tx, set_id):
        if item.status is ItemStatus.WAITING:
            await repository.save_item(tx, set_id, replace(item, status=ItemStatus.CANCELED))
        elif item.drawing and item.generation_id is not None:
            seen = await generations.see(tx, item.generation_id)
            if seen.generation.status is Status.QUEUED:
                await generation.cancel(tx, item.generation_id, now)


async def pause(tx: UserTx, set_id: UUID, now: datetime) -> PhotoSet:
    """The rest tomorrow: it goes on by itself a day from now. Raises Conflict (`set_ended`) where nothing is left."""
    photo_set = await _held(tx, set_id)
    if photo_set.is_over:
        raise _ended()
    if photo_set.status is SetStatus.RUNNING:
        await _record(tx, photo_set.paused(Why.WISH, now + TOMORROW), None)
    return await get(tx, set_id)


async def go_on(tx: UserTx, set_id: UUID, now: datetime) -> PhotoSet:
    """Go on now: with what waits, what was canceled, and what came to nothing. One that runs just runs.

    Raises Conflict (`set_ended`) where everything is drawn or refused.
    """
    photo_set = await _held(tx, set_id)
    items = await repository.items(tx, set_id)
    again = [item for item in items if item.is_to_do_again]
    if photo_set.is_over and not again:
        raise _ended()
    if photo_set.status is SetStatus.RUNNING and not again:
        return photo_set
    await training.require_active_version(tx)
    await _record(tx, photo_set.running(), leased_from(now))
    for item in again:
        await repository.save_item(tx, set_id, item.again())
    await _wake(tx, set_id)
    return await get(tx, set_id)


async def claim_due(tx: SystemTx, now: datetime, limit: int) -> list[DueRow]:
    """Sets that can go on, leased to the job that the caller gives each."""
    return await repository.claim_due(tx, now, leased_from(now), limit)


async def _record(tx: UserTx, after: PhotoSet, leased_until: datetime | None) -> None:
    await repository.save(tx, after, leased_until)
    await events.announce(tx, JOB, after.id)


async def _wake(tx: UserTx, set_id: UUID) -> None:
    await jobs.enqueue(tx.conn, JOB, str(set_id), user_id=tx.user_id, priority=1)
    await events.announce(tx, JOB, set_id)


def _ended() -> Conflict:
    return Conflict(
        "set_ended", "This set is finished.", next_step="Look at its pictures, or shoot another one."
    )
