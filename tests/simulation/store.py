"""PostgreSQL's part in memory: tables, transactions, whose rows one sees.

It stands in for the repositories' SQL (see `repositories`), not for SQL. A transaction is atomic and alone: what
interleaves finer than that is shown with the real server (tests/chaos). `test_store_contract` holds both to the
same behaviour.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from portraitist.kit.errors import DatabaseUnavailable
from portraitist.studio.accounts.domain import Member
from portraitist.studio.generation.domain import Generation
from portraitist.studio.images.domain import Image
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.training.domain import Training
from portraitist.studio.training.repository import ModelVersion
from tests.simulation.scheduler import Scheduler

Job = tuple[str, str, str]  # kind, id, user_id
MODELLED_SQL = ("reset role", "set local role", "select pg_notify")


@dataclass(frozen=True)
class UserModel:
    """One row of `user_models`."""

    user_id: str
    trigger_word: str
    active: UUID | None


@dataclass
class Tables:
    """Every table as a dictionary by key; rows are frozen, so a copy of the dictionaries is a snapshot."""

    members: dict[str, Member] = field(default_factory=dict)
    selfies: dict[UUID, Selfie] = field(default_factory=dict)
    trainings: dict[UUID, Training] = field(default_factory=dict)
    generations: dict[UUID, Generation] = field(default_factory=dict)
    training_selfies: dict[UUID, list[tuple[UUID, bytes]]] = field(default_factory=dict)
    keys: dict[tuple[str, str, str], UUID] = field(default_factory=dict)  # (table, member, idempotency key)
    leases: dict[UUID, datetime | None] = field(default_factory=dict)
    twins: dict[UUID, list[dict[str, Any]]] = field(default_factory=dict)
    versions: dict[UUID, ModelVersion] = field(default_factory=dict)
    user_models: dict[str, UserModel] = field(default_factory=dict)
    images: dict[UUID, Image] = field(default_factory=dict)
    durations: dict[int, Any] = field(default_factory=dict)

    def copied(self) -> "Tables":
        """A snapshot."""
        return Tables(**{name: table.copy() for name, table in vars(self).items()})


@dataclass
class Connection:
    """What services see as `tx.conn`: savepoints."""

    store: "MemoryStore"

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """A savepoint: undone alone by an error."""
        before, jobs = self.store.tables.copied(), list(self.store.pending)
        try:
            yield
        except BaseException:
            self.store.tables, self.store.pending = before, jobs
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

    @asynccontextmanager
    async def _transaction(self, user_id: str) -> AsyncIterator[MemoryTx]:
        fault = self.fault()
        await self.scheduler.pause("database", self.scheduler.rng.choice((0.0, 0.0, 0.001, 0.05)))
        if fault == "away":
            raise DatabaseUnavailable("The database can't be reached.")
        before = self.tables.copied()
        self.pending = []
        self.scheduler.in_transaction = True
        try:
            yield MemoryTx(self, user_id)
        except BaseException:
            self.tables = before
            raise
        finally:
            self.scheduler.in_transaction = False
        jobs, self.pending = self.pending, []
        self.on_commit(self.tables)
        self.on_jobs(jobs)
        await self.scheduler.pause("committed")
        if fault == "reply lost":
            raise DatabaseUnavailable("The connection broke before the server answered.")

    def member(self, user_id: str) -> Any:
        """A transaction as one member."""
        return self._transaction(user_id)

    def system(self) -> Any:
        """A transaction of the sweeper."""
        return self._transaction("")

    def nobody(self) -> Any:
        """A transaction before a member is known."""
        return self._transaction("")
