"""The one writer of `erasures` and `erasure_receipts`. SQL only."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from portraitist.studio.db import DueRow, SystemTx, Tx, UserTx
from portraitist.studio.privacy.domain import Artefact, Erasure, Outcome, Plan, Scope, Stage


@dataclass(frozen=True)
class Receipt:
    """One row of `erasure_receipts`: all that is left of an erasure in the end."""

    id: UUID
    scope: str
    stage: str
    artefacts: Sequence[Mapping[str, Any]]
    waits_for: str | None
    held: bool
    started_at: datetime
    erased_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class _Row:
    user_id: str
    id: UUID
    scope: str
    stage: str
    revision: int
    tries: int
    next_check_at: datetime
    plan: Mapping[str, Any]
    created_at: datetime
    erased_at: datetime | None
    artefacts: Sequence[Mapping[str, Any]]
    waits_for: str | None
    held: bool


async def insert(tx: UserTx, erasure: Erasure, token_hash: bytes, leased_until: datetime) -> None:
    """Begin: the receipt, and the work."""
    await tx.run(
        """insert into erasure_receipts (id, token_hash, scope, stage, artefacts, started_at)
           values (%s, %s, %s, %s, %s, %s)""",
        (
            erasure.id,
            token_hash,
            erasure.scope,
            erasure.stage,
            _artefacts(erasure),
            erasure.created_at,
        ),
    )
    await tx.run(
        """insert into erasures (user_id, id, scope, stage, next_check_at, leased_until, plan, created_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            erasure.user_id,
            erasure.id,
            erasure.scope,
            erasure.stage,
            erasure.next_check_at,
            leased_until,
            Jsonb(erasure.plan.to_json()),
            erasure.created_at,
        ),
    )


async def get(tx: UserTx, erasure_id: UUID) -> Erasure | None:
    """One erasure that is under way."""
    row = await tx.maybe(
        _Row,
        """select e.user_id, e.id, e.scope, e.stage, e.revision, e.tries, e.next_check_at, e.plan, e.created_at,
               e.erased_at, r.artefacts, r.waits_for, r.held
           from erasures e join erasure_receipts r on r.id = e.id where e.id = %s""",
        (erasure_id,),
    )
    if row is None:
        return None
    return Erasure(
        user_id=row.user_id,
        id=row.id,
        scope=Scope(row.scope),
        stage=Stage(row.stage),
        revision=row.revision,
        tries=row.tries,
        next_check_at=row.next_check_at,
        plan=Plan.from_json(row.plan),
        artefacts=tuple(Artefact(**{**line, "outcome": Outcome(line["outcome"])}) for line in row.artefacts),
        waits_for=row.waits_for,
        created_at=row.created_at,
        erased_at=row.erased_at,
        held=row.held,
    )


async def save(tx: UserTx, after: Erasure, leased_until: datetime | None, now: datetime) -> bool:
    """Store a step decided on `after.revision`; False where another was faster. The last one removes the work."""
    held = await tx.run(
        """update erasures set stage = %s, tries = %s, next_check_at = %s, leased_until = %s, plan = %s,
               erased_at = %s, revision = revision + 1
           where id = %s and revision = %s""",
        (
            Stage.WATCH if after.stage is Stage.DONE else after.stage,
            after.tries,
            after.next_check_at,
            leased_until,
            Jsonb(after.plan.to_json()),
            after.erased_at,
            after.id,
            after.revision,
        ),
    )
    if not held:
        return False
    await tx.run(
        """update erasure_receipts set stage = %s, artefacts = %s, waits_for = %s, held = %s, erased_at = %s,
               finished_at = %s where id = %s""",
        (
            after.stage,
            _artefacts(after),
            after.waits_for,
            after.held,
            after.erased_at,
            now if after.stage is Stage.DONE else None,
            after.id,
        ),
    )
    if after.stage is Stage.DONE:
        await tx.run("delete from erasures where id = %s", (after.id,))
    return True


async def under_way(tx: UserTx, scopes: Sequence[Scope]) -> bool:
    """Whether an erasure of one of these scopes is under way for this member."""
    wanted = [scope.value for scope in scopes]
    return bool(
        await tx.value("select exists (select from erasures where scope = any(%s)) as found", (wanted,))
    )


async def receipt(tx: Tx, token_hash: bytes) -> Receipt | None:
    """The receipt that this token stands for, whole."""
    return await tx.maybe(
        Receipt,
        """select id, scope, stage, artefacts, waits_for, held, started_at, erased_at, finished_at
           from erasure_receipts where token_hash = %s""",
        (token_hash,),
    )


async def resume(tx: UserTx, now: datetime, until: datetime) -> list[UUID]:
    """The member's erasures that were held go on now; which those are."""
    cursor = await tx.conn.execute(
        """update erasures e set next_check_at = %s, leased_until = %s from erasure_receipts r
           where r.id = e.id and r.held returning e.id""",
        (now, until),
    )
    return [row["id"] for row in await cursor.fetchall()]


async def token_hash(tx: UserTx, erasure_id: UUID) -> bytes:
    """The digest of the token that opens this erasure's receipt."""
    return bytes(await tx.value("select token_hash from erasure_receipts where id = %s", (erasure_id,)))


async def known(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Those of these erasures that have a receipt."""
    cursor = await tx.conn.execute("select id from erasure_receipts where id = any(%s)", (list(ids),))
    return {row["id"] for row in await cursor.fetchall()}


async def enter_done(tx: Tx, erasure_id: UUID, token_hash: bytes, scope: str, now: datetime) -> None:
    """The receipt of an erasure of which nothing is here."""
    await tx.run(
        """insert into erasure_receipts (id, token_hash, scope, stage, started_at, erased_at, finished_at)
           values (%s, %s, %s, 'done', %s, %s, %s) on conflict do nothing""",
        (erasure_id, token_hash, scope, now, now, now),
    )


async def claim_due(tx: SystemTx, now: datetime, until: datetime, limit: int) -> list[DueRow]:
    """Erasures whose time has come, leased to whoever asks."""
    return await tx.all(
        DueRow,
        """with due as (
               select id from erasures where next_check_at <= %(now)s
                   and coalesce(leased_until, '-infinity') <= %(now)s
               order by next_check_at limit %(limit)s for update skip locked)
           update erasures set leased_until = %(until)s from due where erasures.id = due.id
           returning erasures.id, erasures.user_id""",
        {"now": now, "limit": limit, "until": until},
    )


def _artefacts(erasure: Erasure) -> Jsonb:
    return Jsonb([asdict(line) for line in erasure.artefacts])
