"""How a job moves a row on: load it, take a step, record it, and go on for as long as there is something to do.

The same for trainings and generations. Which step a status has is the tasks'; whether a record still holds is said
by the row's revision.
"""

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from portraitist.kit import jobs
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.events import service as events
from portraitist.studio.leases import lease_until
from portraitist.studio.training.service import ADMISSION

STEPS_AT_ONCE = 12  # a row that moves on more often than this at one go would be a loop


class Moving(Protocol):
    """What trainings and generations have in common."""

    @property
    def user_id(self) -> str: ...
    @property
    def id(self) -> UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def next_check_at(self) -> datetime: ...
    @property
    def admitted_at(self) -> datetime | None: ...


Row = TypeVar("Row", bound=Moving)


class Rows(Protocol[Row]):
    """The two repositories, as far as moving on needs them."""

    async def get(self, tx: UserTx, row_id: UUID, /) -> Row | None: ...
    async def save(self, tx: UserTx, after: Row, leased_until: datetime | None, /) -> Row | None: ...


async def advance(
    row: Row | None,
    step: Callable[[Row], Awaitable[Row]],
    record: Callable[[Row, Row], Awaitable[Row | None]],
    is_due: Callable[[Row], bool],
) -> None:
    """Move a row on until it has to wait, has ended, or was moved on by somebody else. Safe to run twice."""
    for _ in range(STEPS_AT_ONCE):
        if row is None or not is_due(row):
            return
        after = await step(row)
        if after is row:
            return
        row = await record(row, after)


def is_due(row: Moving, ended: AbstractSet[str], now: datetime) -> bool:
    """Whether it is this row's time: it has not ended, has its turn, and need not wait."""
    waits_its_turn = row.status == "queued" and row.admitted_at is None
    return row.status not in ended and not waits_its_turn and row.next_check_at <= now


async def record(
    db: StudioDatabase,
    rows: Rows[Row],
    kind: str,
    after: Row,
    now: datetime,
    *,
    place_free: bool = False,
    along: Callable[[UserTx], Awaitable[None]] | None = None,
    beside: Callable[[UserTx], Awaitable[None]] | None = None,
) -> Row | None:
    """Store a decision and tell the member's pages; the row as it is now, or None where it had moved on.

    `place_free`: it left its place at the provider, so somebody else may start now. `beside`: what is entered with it.
    `along`: what is entered whether or not it had moved on, and left for `later`. Without `beside` all of it is one
    round trip, and what had moved on is told of once more, which does no harm.
    """
    async with db.member(after.user_id, once=beside is None) as tx:
        await events.announce(tx, kind, after.id)
        if along is not None:
            await along(tx)
        if place_free:
            await jobs.enqueue(tx.conn, ADMISSION, kind, user_id=after.user_id, priority=2)
        saved = await rows.save(tx, after, lease_until(after.next_check_at, now))
        if saved is not None and beside is not None:
            await beside(tx)
    return saved
