"""Audit events are appended and chained; nobody changes one unseen: each kind of tampering by the owner is found."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.studio_database import APP_PASSWORD, OWNER, OWNER_PASSWORD

from portraitist.kit.clock import SystemClock
from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.objects import ObjectStore
from portraitist.studio.db import StudioDatabase
from portraitist.studio.trail import service
from portraitist.studio.trail.domain import Action, Head, Kind, Link, sealed
from portraitist.studio.trail.sealing import Sealer, noted

pytestmark = pytest.mark.anyio
A, B = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
Owner = psycopg.Connection[tuple[Any, ...]]


@dataclass
class Trail:
    """A studio's database and storage, and what seals there."""

    db: StudioDatabase
    sealer: Sealer
    objects: ObjectStore

    async def note(self, count: int, user_id: str = A) -> None:
        for number in range(count):
            async with self.db.member(user_id) as tx:
                await service.note(tx, Action.TOKEN_MADE, number=number)

    async def kinds(self) -> set[Kind]:
        return {finding.kind for finding in (await self.report()).findings}

    async def report(self) -> service.Report:
        return await service.verified(self.db, await noted(self.objects))


@pytest.fixture
async def trail(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[Trail]:
    url = postgres.url(studio_database, "app", APP_PASSWORD)
    async with Database(url, max_size=8, name="trail") as pool:
        db, objects = StudioDatabase(pool), ObjectStore.from_url(f"file://{tmp_path}/objects")
        async with db.nobody() as tx:
            for user_id in (A, B):
                await tx.run("select enrol_local_member(%s, %s, 'person', now())", (user_id, user_id))
        yield Trail(db, Sealer(db, objects, SystemClock()), objects)


@pytest.fixture
def owner(postgres: Server, studio_database: str) -> Iterator[Owner]:
    """The owner of the tables, who can take every lock away first."""
    url = postgres.url(studio_database, OWNER, OWNER_PASSWORD)
    with psycopg.connect(url, autocommit=True) as conn:
        yield conn


def unlocked(owner: Owner) -> Owner:
    for table in ("audit_events", "audit_chain"):
        owner.execute(f"alter table {table} disable trigger user".encode())
        owner.execute(f"alter table {table} no force row level security".encode())
    owner.execute(b"alter table audit_chain drop constraint audit_chain_event_id_fkey")
    return owner


async def test_events_are_sealed_into_one_whole_chain(trail: Trail) -> None:
    await trail.note(3)
    assert await trail.sealer.sweep() == 3
    await trail.note(2, B)
    assert (await trail.report()).waiting == 2
    assert await trail.sealer.sweep() == 2
    report = await trail.report()
    assert (report.entries, report.waiting, report.whole) == (5, 0, True)
    assert await noted(trail.objects) == [report.head], "the newest head of the day is noted outside"


async def test_many_who_append_and_seal_at_once_make_one_chain(trail: Trail) -> None:
    async def some() -> None:
        for _ in range(5):
            await trail.note(2)
            await trail.sealer.sweep()

    await asyncio.gather(*(some() for _ in range(6)))
    await trail.sealer.sweep()
    report = await trail.report()
    assert (report.entries, report.waiting, report.whole) == (60, 0, True)


async def test_an_event_that_is_committed_after_younger_ones_is_sealed_too(trail: Trail) -> None:
    async with trail.db.member(B) as slow:
        await service.note(slow, Action.SIGNED_OUT)
        await trail.note(2)
        assert await trail.sealer.sweep() == 2
    assert await trail.sealer.sweep() == 1
    assert (await trail.report()).whole


async def test_what_is_rolled_back_leaves_no_event(trail: Trail) -> None:
    with pytest.raises(ZeroDivisionError):
        async with trail.db.member(A) as tx:
            await service.note(tx, Action.SIGNED_OUT)
            raise ZeroDivisionError
    assert await trail.sealer.sweep() == 0


@pytest.mark.parametrize("statement", ["update {} set {} = {}", "delete from {}", "truncate {}"])
@pytest.mark.parametrize("table", ["audit_events", "audit_chain"])
async def test_nobody_changes_an_entry_by_a_plain_statement(
    trail: Trail, owner: Owner, postgres: Server, studio_database: str, table: str, statement: str
) -> None:
    await trail.note(2)
    await trail.sealer.sweep()
    column = "detail" if table == "audit_events" else "digest"
    query = statement.format(table, column, column).encode()
    for role in ("app", "dispatch", "registrar"):
        with (
            psycopg.connect(postgres.url(studio_database, "app", APP_PASSWORD)) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(f"set role {role}".encode())
            conn.execute(query)
    with pytest.raises(psycopg.Error, match=r"appended, never changed|referenced in a foreign key"):
        owner.execute(query)


async def test_a_members_transaction_appends_in_nobody_elses_name_and_sets_no_time(trail: Trail) -> None:
    async with trail.db.registrar() as registrar:
        foreign = await service.subject_of(registrar, B)
    insert = "insert into audit_events (action, actor, subject) values ('session.opened', 'member', %s)"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        async with trail.db.member(A) as tx:
            await tx.run(insert, (foreign,))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with trail.db.member(A) as tx:
            await tx.run("insert into audit_events (action, actor, at) values ('a.b', 'nobody', now())")


async def test_a_member_reads_the_own_trail_only(trail: Trail) -> None:
    await trail.note(2, A)
    await trail.note(1, B)
    async with trail.db.nobody() as tx:
        assert await tx.value("select count(*) from audit_events") == 0
    async with trail.db.member(B) as tx:
        assert await tx.value("select count(*) from audit_events") == 1


@pytest.mark.parametrize("value", ["anna@example.org", "a portrait in the rain", "x" * 65, "Zoë"])
def test_nothing_that_could_be_a_persons_word_is_taken_as_a_detail(value: str) -> None:
    from portraitist.studio.trail.domain import facts

    with pytest.raises(ValueError, match="no plain word"):
        facts({"detail": value})


Tamper = Callable[[Owner], Any]
SWAP = """with one as (select event_id from audit_chain where seq = 2),
    other as (select event_id from audit_chain where seq = 4)
    update audit_chain c set event_id = case c.seq when 2 then (select event_id from other)
        else (select event_id from one) end where c.seq in (2, 4)"""
TAMPERINGS: dict[str, tuple[tuple[str, ...], set[Kind]]] = {
    "changed": (("update audit_events set actor = 'host' where detail->>'number' = '2'",), {Kind.CHANGED}),
    "dated back": (
        ("update audit_events set at = at - interval '1 hour' where detail->>'number' = '2'",),
        {Kind.CHANGED},
    ),
    "event taken out": (("delete from audit_events where detail->>'number' = '2'",), {Kind.MISSING}),
    "entry taken out": (
        (
            "delete from audit_chain where seq = 3",
            "delete from audit_events where detail->>'number' = '2'",
        ),
        {Kind.MISSING},
    ),
    "swapped": (
        ("alter table audit_chain drop constraint audit_chain_event_id_key", SWAP),
        {Kind.CHANGED},
    ),
    "closed up after taking one out": (
        (
            "delete from audit_events where detail->>'number' = '2'",
            "delete from audit_chain where seq = 3",
            "update audit_chain set seq = seq - 1 where seq > 3",
        ),
        {Kind.CHANGED, Kind.TRUNCATED},
    ),
    "put in between": (
        (
            "update audit_chain set seq = -seq where seq > 2",
            "insert into audit_events (action, actor) values ('token.made', 'nobody')",
            "insert into audit_chain (seq, event_id, digest) select 3, id, sha256('x') from audit_events "
            "where actor = 'nobody'",
            "update audit_chain set seq = 1 - seq where seq < 0",
        ),
        {Kind.CHANGED, Kind.REWRITTEN},
    ),
    "put in long before": (
        ("insert into audit_events (action, actor, at) values ('a.b', 'nobody', now() - interval '9 days')",),
        {Kind.UNCHAINED},
    ),
    "cut off at the end": (
        (
            "delete from audit_chain where seq > 3",
            "delete from audit_events where (detail->>'number')::int > 2",
        ),
        {Kind.TRUNCATED},
    ),
    "all gone": (("delete from audit_chain", "delete from audit_events"), {Kind.TRUNCATED}),
}


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_tampering_by_the_owner_is_found(trail: Trail, owner: Owner, what: str) -> None:
    await trail.note(5)
    await trail.sealer.sweep()
    assert await trail.kinds() == set()
    unlocked(owner).execute(b"alter table audit_chain drop constraint if exists audit_chain_seq_check")
    statements, kinds = TAMPERINGS[what]
    for statement in statements:
        owner.execute(statement.encode())
    assert await trail.kinds() == kinds


async def test_a_chain_that_was_made_anew_as_a_whole_is_told_by_the_head_outside(
    trail: Trail, owner: Owner
) -> None:
    """Somebody who may do everything in the database changes an entry and computes all digests again."""
    await trail.note(4)
    await trail.sealer.sweep()
    unlocked(owner).execute(b"update audit_events set actor = 'host' where detail->>'number' = '0'")
    before, seq = bytes(32), 0
    async with trail.db.registrar() as tx:
        from portraitist.studio.trail import repository

        links: list[Link] = await repository.links(tx, 0, 100)
    for link in links:
        assert link.event is not None
        seq, before = link.seq, sealed(before, link.seq, link.event)
        owner.execute("update audit_chain set digest = %s where seq = %s", (before, seq))

    assert await trail.kinds() == {Kind.REWRITTEN}
    for key in await trail.objects.list("audit"):
        await trail.objects.delete(key)
    assert (await service.verified(trail.db, [])).whole, "without any head noted elsewhere nobody can tell"
    elsewhere = Head(links[-1].seq, links[-1].digest)
    assert [f.kind for f in (await service.verified(trail.db, [elsewhere])).findings] == [Kind.REWRITTEN]


async def test_an_erased_members_events_stay_and_lead_to_nobody(trail: Trail, owner: Owner) -> None:
    await trail.note(2, A)
    await trail.sealer.sweep()
    async with trail.db.registrar() as tx:
        subject = await service.subject_of(tx, A)
    async with trail.db.member(A) as tx:
        await tx.run("delete from users where id = %s", (A,))
    assert (await trail.report()).whole
    left = unlocked(owner).execute(b"select subject, e::text from audit_events e").fetchall()
    assert {row[0] for row in left} == {UUID(str(subject))}
    assert not [row for row in left if A in row[1]]
