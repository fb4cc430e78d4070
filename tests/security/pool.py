"""Two members in turn through a pool of one connection, with what may go wrong in between: an error, a cut, a wait that
is called off, a look across members. Whoever comes next sees their own rows, and nobody else's.
"""

import asyncio
import random
from collections.abc import Sequence

import psycopg

from portraitist.kit.database import Database
from portraitist.studio.db import StudioDatabase, Tx

LOOK = "select distinct user_id::text as id from ai_images union select id from users"


async def cycles(url: str, members: Sequence[str], count: int, seed: int = 1) -> int:
    """How often somebody saw anything else than their own; `url` is `app`'s."""
    chance = random.Random(seed)
    leaks = 0
    async with Database(url, min_size=1, max_size=1, name="isolation") as pool:
        db = StudioDatabase(pool)
        for _ in range(count):
            await chance.choice(BETWEEN)(db, chance.choice(members))
            member = chance.choice(members)
            async with db.member(member, once=chance.random() < 0.5) as tx:
                leaks += await seen(tx) != {member}
    return leaks


async def seen(tx: Tx) -> set[str]:
    """Whose rows show in this transaction."""
    cursor = await tx.conn.execute(LOOK)
    return {row["id"] for row in await cursor.fetchall()}


async def _nothing(db: StudioDatabase, member: str) -> None:
    """The plain case."""


async def _stranger(db: StudioDatabase, member: str) -> None:
    async with db.nobody() as tx:
        assert await seen(tx) == set(), "a connection remembers its last member"


async def _sweeper(db: StudioDatabase, member: str) -> None:
    async with db.system() as tx:
        await tx.value("select count(*) as n from trainings")


async def _error(db: StudioDatabase, member: str) -> None:
    try:
        async with db.member(member) as tx:
            await tx.run("select 1 / 0")
    except psycopg.errors.DivisionByZero:
        return


async def _error_at_once(db: StudioDatabase, member: str) -> None:
    try:
        async with db.member(member, once=True) as tx:
            await tx.run("select 1 / 0")
    except psycopg.errors.DivisionByZero:
        return


async def _error_at_the_end(db: StudioDatabase, member: str) -> None:
    """What was left for the commit fails there."""
    try:
        async with db.member(member) as tx:
            await seen(tx)
            tx.later("select 1 / 0")
    except psycopg.errors.DivisionByZero:
        return


async def _error_in_a_savepoint(db: StudioDatabase, member: str) -> None:
    async with db.member(member) as tx:
        try:
            async with tx.conn.transaction():
                await tx.run("select 1 / 0")
        except psycopg.errors.DivisionByZero:
            assert await seen(tx) == {member}


async def _cut(db: StudioDatabase, member: str) -> None:
    class Cut(Exception):
        """The work in the transaction fails."""

    try:
        async with db.member(member):
            raise Cut
    except Cut:
        return


async def _called_off(db: StudioDatabase, member: str) -> None:
    async def wait() -> None:
        async with db.member(member) as tx:
            await tx.run("select pg_sleep(5)")

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


ERRORS = [_error, _error_at_once, _error_at_the_end, _error_in_a_savepoint, _cut]
BETWEEN = [*[_nothing] * 35, *[_stranger] * 22, *[_sweeper] * 22, *ERRORS * 4, _called_off]
