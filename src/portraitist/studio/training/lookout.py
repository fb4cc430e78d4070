"""Looking at many runs of one account through the provider's list: a hundred at the price of one.

A list is a hint, as a webhook is: it never decides. A run that stands there as its row says is put off; one that
has moved, or is missing, is handed to a job of its own, which asks for it alone. For trainings and generations.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portraitist.kit import jobs
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.db import StudioDatabase, SystemTx
from portraitist.studio.events import service as events
from portraitist.studio.leases import LEASE, leased_from
from portraitist.studio.provider import logs
from portraitist.studio.provider.port import (
    Glance,
    Provider,
    ProviderError,
    ProviderRateLimited,
    RemoteStatus,
)
from portraitist.studio.training import looking
from portraitist.studio.training.looking import PutOff, Standing
from portraitist.studio.training.paid_calls import CLOCKS_DIFFER

log = logger(__name__)
JOB = "looks"
WORTH_A_PAGE = 5  # rows: a page with a hundred logs costs about as much as asking for so many one by one
PAGES_FOR_NOTHING = 2  # beyond one for every WORTH_A_PAGE rows; then the rest is asked for one by one
AT_ONCE = 100
DEEP = ((1, 1), (10, 4))  # pages from the newest → how many polls apart they are read at least; the rest: 16
DEEPEST = 16
LONGEST_REST = timedelta(seconds=40)
LONGEST_HOLD = timedelta(seconds=60)


@dataclass(frozen=True)
class Watched:
    """One kind of run: its rows, its list, and which words of the list mean that nothing has changed.

    Where the provider tells us by webhooks, deep pages are read that many times rarer too.
    """

    job: str
    table: str
    priority: int
    poll: timedelta
    rarer: int
    sweep: timedelta
    look_after: Callable[[timedelta], timedelta]
    pages: Callable[[Provider, datetime], AsyncIterator[Sequence[Glance]]]
    still: Mapping[str, RemoteStatus]


@dataclass
class Round:
    """One reading of a list: what is waited for, and what was seen."""

    kind: Watched
    account_id: str
    waiting: dict[str, Standing]
    due: set[str]
    most_pages: int
    pages: int = 0
    unchanged: list[PutOff] = field(default_factory=list)
    progressed: list[Standing] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the next page is not worth reading."""
        return not self.due or self.pages >= self.most_pages

    def compare(self, page: Sequence[Glance], now: datetime) -> list[Standing]:
        """Note what is as it was; the rows whose run has moved. Only ids that a row of this account has count."""
        moved = []
        for glance in page:
            row = self.waiting.pop(glance.id, None)
            self.due.discard(glance.id)
            if row is None:
                continue
            if self.kind.still.get(row.status) is glance.status:
                self._note(row, glance, now)
            else:
                moved.append(row)
        self.pages += 1
        return moved

    def _note(self, row: Standing, glance: Glance, now: datetime) -> None:
        apart = next((polls for pages, polls in DEEP if self.pages < pages), DEEPEST)
        rest = min(apart * self.kind.poll, LONGEST_REST) * self.kind.rarer
        rest = max(rest - self.kind.sweep, rest / 2)
        at = now + max(rest, self.kind.look_after(now - row.submitted_at))
        seen = logs.parse_progress(glance.logs) if glance.logs else None
        if seen is None or not seen.total or seen.step == row.step:
            self.unchanged.append(PutOff(row.id, row.revision, at))
        else:
            self.unchanged.append(PutOff(row.id, row.revision, at, seen.step, seen.total, seen.phase))
            self.progressed.append(row)


@dataclass(frozen=True)
class Lookout:
    """Reads lists where many rows are due; one reader for an account's list in the fleet."""

    db: StudioDatabase
    clock: Clock
    providers: Mapping[str, Provider]
    kinds: Sequence[Watched]
    least: int
    """Due rows of one account from which its list is read: fewer are cheaper asked for one by one."""

    async def claim(self, tx: SystemTx, now: datetime) -> list[str]:
        """Lists to be read now, as ids of jobs; until a reader is done the sweep leaves their rows alone."""
        found = []
        for kind in self.kinds:
            for crowd in await looking.crowded(tx, kind.table, now, self.least):
                account_id = crowd.account_id
                if account_id in self.providers and await looking.take(
                    tx, kind.job, account_id, now, leased_from(now)
                ):
                    found.append(f"{kind.job} {account_id}")
        return found

    async def turn(self, subject: str, _user_id: str) -> None:
        """The job: read one list, as far back as there are rows whose time has come."""
        name, _, account_id = subject.partition(" ")
        kind = next(kind for kind in self.kinds if kind.job == name)
        provider, began = self.providers.get(account_id), self.clock.now()
        async with self.db.system() as tx:
            rows = await looking.standing(tx, kind.table, account_id, began)
        due = {row.provider_id for row in rows if row.next_check_at <= began}
        most_pages = PAGES_FOR_NOTHING + len(rows) // WORTH_A_PAGE
        reading = Round(kind, account_id, {row.provider_id: row for row in rows}, due, most_pages)
        free_from = began
        if provider is not None and due:
            free_from = await self._looked(reading, provider, began)
        await self._done(reading, free_from)

    async def _looked(self, reading: Round, provider: Provider, began: datetime) -> datetime:
        """Read, and hand over what is missing; when the list may be read again."""
        try:
            await self._read(reading, provider, began)
        except ProviderRateLimited as exc:  # everybody waits: asking one by one would be more of it
            return self.clock.now() + min(timedelta(seconds=exc.retry_after_s), LONGEST_HOLD)
        except ProviderError as exc:
            log.warning("looks.not_listed", account=reading.account_id, reason=str(exc))
        await self._hand_over(reading.kind, [reading.waiting[missing] for missing in sorted(reading.due)])
        return began

    async def _read(self, reading: Round, provider: Provider, began: datetime) -> None:
        oldest = min(reading.waiting[each].submitted_at for each in reading.due) - CLOCKS_DIFFER
        held_since = began
        async for page in reading.kind.pages(provider, oldest):
            now = self.clock.now()
            await self._hand_over(reading.kind, reading.compare(page, now))
            if reading.is_over:
                return
            if now > held_since + LEASE.length / 3:
                held_since = now
                async with self.db.system() as tx:
                    await looking.hold(tx, reading.kind.job, reading.account_id, leased_from(now))

    async def _hand_over(self, kind: Watched, rows: Sequence[Standing]) -> None:
        """Have each of these asked for by a job of its own."""
        for first in range(0, len(rows), AT_ONCE):
            ids, now = [row.id for row in rows[first : first + AT_ONCE]], self.clock.now()
            async with self.db.system() as tx:
                leased = await looking.hand_over(tx, kind.table, ids, now, leased_from(now))
                jobs_of = [(str(row.id), row.user_id) for row in leased]
                await jobs.enqueue_all(tx.conn, kind.job, jobs_of, priority=kind.priority)

    async def _done(self, reading: Round, next_reader_from: datetime) -> None:
        """Put off what is as it was, tell of progress, and let the list go."""
        async with self.db.system() as tx:
            await looking.hold(tx, reading.kind.job, reading.account_id, next_reader_from)
            if reading.unchanged:
                await looking.put_off(tx, reading.kind.table, reading.unchanged)
            await events.announce_all(
                tx, reading.kind.job, [(row.user_id, row.id) for row in reading.progressed]
            )
