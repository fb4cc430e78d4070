"""PostgreSQL's part in memory: tables, transactions, whose rows one sees.

It stands in for the repositories' SQL (see `repositories`), not for SQL. A transaction is atomic and alone: what
interleaves finer than that is shown with the real server (tests/chaos). `test_store_contract` holds both to the
same behaviour.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Final, TypeVar
from uuid import UUID

from portraitist.kit.errors import DatabaseUnavailable
from portraitist.studio.accounts.domain import Member
from portraitist.studio.generation.domain import Generation
from portraitist.studio.images.domain import Image
from portraitist.studio.notices.domain import Notice
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.training.domain import Training
from portraitist.studio.training.repository import ModelVersion
from portraitist.studio.training.weights import Archive
from portraitist.studio.webhooks.repository import Message, Subject
from tests.simulation.scheduler import Scheduler

Job = tuple[str, str, str]  # kind, id, user_id
Key = TypeVar("Key")
Row = TypeVar("Row")
MODELLED_SQL = ("reset role", "set local role", "select pg_notify")
ABSENT: Final = object()
WAITS = (0.0, 0.0, 0.001, 0.05)
"""Seconds until a connection is had."""


class Table(dict[Key, Row]):
    """Rows by key; every change is noted, so that it can be undone. Rows are frozen: a change is another row."""

    changes: list[tuple["Table[Any, Any]", Any, Any]]

    def __setitem__(self, key: Key, row: Row) -> None:
        self.changes.append((self, key, self.get(key, ABSENT)))
        super().__setitem__(key, row)

    def __delitem__(self, key: Key) -> None:
        self.changes.append((self, key, self[key]))
        super().__delitem__(key)

    def put_back(self, key: Key, row: Any) -> None:
        """Undo one change."""
        if row is ABSENT:
            super().__delitem__(key)
        else:
            super().__setitem__(key, row)


@dataclass(frozen=True)
class UserModel:
    """One row of `user_models`."""

    user_id: str
    trigger_word: str
    active: UUID | None


@dataclass(frozen=True)
class Delivery:
    """One row of `webhook_deliveries`."""

    subject: Subject
    message: Message
    outcome: str


@dataclass
class Tables:
    """Every table by its key, and what was changed since the transaction began."""

    members: dict[str, Member] = field(default_factory=Table)
    selfies: dict[UUID, Selfie] = field(default_factory=Table)
    trainings: dict[UUID, Training] = field(default_factory=Table)
    generations: dict[UUID, Generation] = field(default_factory=Table)
    training_selfies: dict[UUID, list[tuple[UUID, bytes]]] = field(default_factory=Table)
    keys: dict[tuple[str, str, str], UUID] = field(default_factory=Table)  # (table, member, idempotency key)
    leases: dict[UUID, datetime | None] = field(default_factory=Table)
    twins: dict[UUID, list[dict[str, Any]]] = field(default_factory=Table)
    versions: dict[UUID, ModelVersion] = field(default_factory=Table)
    user_models: dict[str, UserModel] = field(default_factory=Table)
    images: dict[UUID, Image] = field(default_factory=Table)
    purging: dict[UUID, datetime] = field(default_factory=Table)  # by picture
    cleared: dict[UUID, datetime] = field(default_factory=Table)  # trainings without late zips
    durations: dict[int, Any] = field(default_factory=Table)
    looks: dict[tuple[str, str], datetime] = field(default_factory=Table)  # (account, kind): read until
    archives: dict[UUID, Archive] = field(default_factory=Table)  # by training
    parts_cleared: dict[UUID, datetime] = field(default_factory=Table)  # copies without late parts
    copying: dict[UUID, datetime] = field(default_factory=Table)  # their leases
    deliveries: dict[tuple[str, str], Delivery] = field(default_factory=Table)  # (account, webhook's id)
    notices: dict[tuple[str, str, str], Notice] = field(default_factory=Table)  # (member, kind, event)

    changes: list[tuple[Table[Any, Any], Any, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for table in vars(self).values():
            if isinstance(table, Table):
                table.changes = self.changes

    def undo(self, but: int = 0) -> None:
        """Take every change back but so many of the first."""
        for table, key, row in reversed(self.changes[but:]):
            table.put_back(key, row)
        del self.changes[but:]


@dataclass
class Connection:
    """What services see as `tx.conn`: savepoints."""

    store: "MemoryStore"

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """A savepoint: undone alone by an error."""
        before, jobs = len(self.store.tables.changes), list(self.store.pending)
        try:
            yield
        except BaseException:
            self.store.tables.undo(before)
            self.store.pending = jobs
            raise


@dataclass
class MemoryTx:
    """A transaction; `user_id` is empty for the sweeper's and for nobody's."""

    store: "MemoryStore"
    user_id: str = ""

    @property
    def tables(self) -> Tables:
        """The tables as this transaction sees them."""
        return self.store.tables

    @property
    def conn(self) -> Connection:
        """The connection."""
        return Connection(self.store)

    async def run(self, sql: str, params: Any = ()) -> int:
        """Only roles and notifications; tables are the repositories' business."""
        assert sql.startswith(MODELLED_SQL), f"not modelled: {sql}"
        return 0

    def later(self, sql: str, params: Any = ()) -> None:
        """As `run`: nothing that is left for the end of a transaction is modelled."""
        assert sql.startswith(MODELLED_SQL), f"not modelled: {sql}"

    async def value(self, sql: str, params: Any = ()) -> Any:
        """Only the server's clock."""
        assert sql == "select now()", f"not modelled: {sql}"
        return self.store.scheduler.clock.now()


@dataclass
class MemoryStore:
    """Stands where the studio's database stands."""

    scheduler: Scheduler
    on_jobs: Callable[[list[Job]], None] = lambda jobs: None
    on_commit: Callable[[Tables], None] = lambda tables: None
    fault: Callable[[], str | None] = lambda: None
    """`away` (before anything), `reply lost` (committed, but the caller does not hear of it), or None."""
    tables: Tables = field(default_factory=Tables)
    pending: list[Job] = field(default_factory=list)
    pool: None = None  # rates across the fleet are tested with the real table

    async def begin(self) -> str | None:
        """Wait for a connection and open a transaction; the fault that it will meet at its end."""
        fault = self.fault()
        await self.scheduler.pause("database", WAITS[int(self.scheduler.rng.random() * len(WAITS))])
        if fault == "away":
            raise DatabaseUnavailable("The database can't be reached.")
        self.tables.changes.clear()
        self.pending = []
        self.scheduler.in_transaction = True
        return fault

    def roll_back(self) -> None:
        """Nothing of this transaction has happened."""
        self.scheduler.in_transaction = False
        self.tables.undo()

    async def commit(self, fault: str | None) -> None:
        """All of it has, and others learn of it."""
        self.scheduler.in_transaction = False
        jobs, self.pending = self.pending, []
        if self.tables.changes:
            self.tables.changes.clear()
            self.on_commit(self.tables)
        self.on_jobs(jobs)
        await self.scheduler.pause("committed")
        if fault == "reply lost":
            raise DatabaseUnavailable("The connection broke before the server answered.")

    def member(self, user_id: str, *, once: bool = False) -> Any:
        """A transaction as one member."""
        return Transaction(self, user_id)

    def system(self, *, once: bool = False) -> Any:
        """A transaction of the sweeper."""
        return Transaction(self, "")

    def nobody(self) -> Any:
        """A transaction before a member is known."""
        return Transaction(self, "")


class Transaction:
    """What `async with db.member(…)` enters and leaves. Alone from its begin to its end."""

    __slots__ = ("fault", "store", "user_id")

    def __init__(self, store: MemoryStore, user_id: str) -> None:
        self.store, self.user_id = store, user_id

    async def __aenter__(self) -> MemoryTx:
        self.fault = await self.store.begin()
        return MemoryTx(self.store, self.user_id)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.store.commit(self.fault)
        else:
            self.store.roll_back()
