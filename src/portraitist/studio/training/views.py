"""What members see of their trainings: rows with what belongs to them, in one statement each. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.errors import NotFound
from portraitist.studio.paging import Position, Wanted, cut
from portraitist.studio.training import progress
from portraitist.studio.training.domain import Training
from portraitist.studio.training.progress import Durations
from portraitist.studio.training.repository import ENDED_LISTED, ModelVersion

# what a provider said, and the schema it gave, are for the worker: they are long, and nobody is shown them
_COLUMNS = ", ".join(
    f"null::jsonb as {field.name}" if field.name in ("raw_output", "candidate_schema") else f"t.{field.name}"
    for field in fields(Training)
)
_SELECT: LiteralString = f"""select {_COLUMNS},
        array(select s.source_sha256 from training_selfies s where s.training_id = t.id order by 1) as photos,
        v.replicate_model_id || ':' || v.replicate_version_id as version,
        coalesce(v.id = m.active_version_id, false) as active, now() as seen_at,
        usual.*
    from trainings t left join model_versions v on v.training_id = t.id
        left join user_models m on m.user_id = t.user_id
        left join lateral (
            -- of the last thirty on this account, whoever's they were
            select percentile_cont(0.5) within group (order by waited_s) as waited_s,
                percentile_cont(0.5) within group (order by ran_s) as ran_s,
                percentile_cont(0.5) within group (order by checked_s) as checked_s
            from (select * from training_durations d where d.account_id = t.account_id
                  order by d.id desc limit 30) recent
            where t.status not in ({ENDED_LISTED})) usual on true"""  # noqa: S608  # our field names
_NEWEST: LiteralString = "order by t.created_at desc, t.id desc"
MOVING = 50
"""As many at most are told at once."""


@dataclass(frozen=True)
class Seen:
    """A training as the member sees it: the row, the photos it saw, the version it led to, the time it takes."""

    training: Training
    photos: list[bytes]
    version: str | None
    active: bool
    elapsed_s: int
    remaining_s: int | None


async def see(tx: UserTx, training_id: UUID) -> Seen:
    """One training of the member; raises NotFound."""
    found = await _seen(tx, f"{_SELECT} where t.id = %(id)s", {"id": training_id})
    if not found:
        raise absent()
    return found[0]


async def page(tx: UserTx, page: Wanted) -> tuple[list[Seen], str | None]:
    """A page of the member's trainings, newest first, and the cursor of the next."""
    after = "where (t.created_at, t.id) < (%(at)s, %(id)s)" if page.after else ""
    values = {"limit": page.limit + 1, **(vars(page.after) if page.after else {})}
    found = await _seen(tx, f"{_SELECT} {after} {_NEWEST} limit %(limit)s", values)
    return cut(found, page, lambda seen: Position(seen.training.created_at, seen.training.id))


async def moving(tx: UserTx, ended_after: datetime | None = None) -> list[Seen]:
    """Trainings that have not ended, parked ones too, and those that ended later than that, newest first."""
    return await _seen(
        tx,
        f"""{_SELECT} where t.status not in ({ENDED_LISTED}) or t.finished_at > %(after)s
            {_NEWEST} limit {MOVING}""",
        {"after": ended_after},
    )


_VERSIONS: LiteralString = f"""select {", ".join(f"v.{field.name}" for field in fields(ModelVersion))},
        array(select s.source_sha256 from training_selfies s where s.training_id = v.training_id order by 1) as photos
    from model_versions v"""  # noqa: S608  # our own field names


async def active_version(tx: UserTx) -> tuple[ModelVersion, list[bytes]] | None:
    """The version that pictures are made with, and the photos it was made of."""
    found = await _versions(tx, f"{_VERSIONS} where v.id = (select active_version_id from user_models)", {})  # noqa: S608
    return found[0] if found else None


async def versions(tx: UserTx, page: Wanted) -> list[tuple[ModelVersion, list[bytes]]]:
    """At most one version more than the page has, newest first, each with the photos it was made of."""
    after = "and (v.created_at, v.id) < (%(at)s, %(id)s)" if page.after else ""
    values = {"limit": page.limit + 1, **(vars(page.after) if page.after else {})}
    return await _versions(
        tx,
        f"{_VERSIONS} where v.erased_at is null {after} order by v.created_at desc, v.id desc limit %(limit)s",
        values,
    )


async def _versions(
    tx: UserTx, sql: LiteralString, values: Mapping[str, Any]
) -> list[tuple[ModelVersion, list[bytes]]]:
    cursor = await tx.conn.execute(sql, values)
    names = [field.name for field in fields(ModelVersion)]
    return [
        (ModelVersion(**{name: row[name] for name in names}), row["photos"])
        for row in await cursor.fetchall()
    ]


async def version_names(tx: UserTx, version_ids: set[UUID]) -> dict[UUID, str]:
    """`owner/name:version` of some versions of the member's model."""
    cursor = await tx.conn.execute(
        """select id, replicate_model_id || ':' || replicate_version_id as name from model_versions
           where id = any(%s)""",
        (list(version_ids),),
    )
    return {row["id"]: row["name"] for row in await cursor.fetchall()}


def absent() -> NotFound:
    """The answer for what is not there and for what is another member's."""
    return NotFound(
        "training_not_found",
        "There is no such training.",
        next_step="Look at your trainings (GET /api/v1/trainings).",
    )


async def _seen(tx: UserTx, sql: LiteralString, values: Mapping[str, Any]) -> list[Seen]:
    cursor = await tx.conn.execute(sql, values)
    rows: Sequence[dict[str, Any]] = await cursor.fetchall()
    trainings = [Training(**{field.name: row[field.name] for field in fields(Training)}) for row in rows]
    return [
        Seen(
            training,
            row["photos"],
            row["version"],
            row["active"],
            progress.elapsed_s(training, row["seen_at"]),
            progress.remaining_s(training, _usual(row), row["seen_at"]),
        )
        for training, row in zip(trainings, rows, strict=True)
    ]


def _usual(row: Mapping[str, Any]) -> Durations | None:
    if row["ran_s"] is None:
        return None
    return Durations(row["waited_s"], row["ran_s"], row["checked_s"])
