"""What members see of their generations, with pictures and the version that makes them. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.errors import NotFound
from portraitist.studio.generation.domain import Generation
from portraitist.studio.generation.repository import ENDED_LISTED
from portraitist.studio.images import service as images
from portraitist.studio.images.domain import Image
from portraitist.studio.paging import Position, Wanted, cut
from portraitist.studio.training import views as trainings

# what a provider said is for the worker: nobody is shown it
_COLUMNS = ", ".join(
    "null::jsonb as raw_output" if field.name == "raw_output" else field.name for field in fields(Generation)
)
_SELECT: LiteralString = f"select {_COLUMNS} from generation_trackers"  # noqa: S608  # our own field names
_NEWEST: LiteralString = "order by created_at desc, id desc"
MOVING = 50
"""As many at most are told at once."""


@dataclass(frozen=True)
class Seen:
    """A generation as the member sees it, with its pictures and the version that makes them."""

    generation: Generation
    images: list[Image]
    version: str


async def see(tx: UserTx, generation_id: UUID) -> Seen:
    """One generation of the member; raises NotFound."""
    found = await _seen(tx, f"{_SELECT} where id = %(id)s", {"id": generation_id})
    if not found:
        raise absent()
    return found[0]


async def some(tx: UserTx, generation_ids: Sequence[UUID]) -> list[Seen]:
    """Those of these generations that are there, in no order."""
    return await _seen(tx, f"{_SELECT} where id = any(%(ids)s)", {"ids": list(generation_ids)})


async def page(tx: UserTx, page: Wanted) -> tuple[list[Seen], str | None]:
    """A page of the member's generations, newest first, and the cursor of the next."""
    after = "where (created_at, id) < (%(at)s, %(id)s)" if page.after else ""
    values = {"limit": page.limit + 1, **(vars(page.after) if page.after else {})}
    found = await _seen(tx, f"{_SELECT} {after} {_NEWEST} limit %(limit)s", values)
    return cut(found, page, lambda seen: Position(seen.generation.created_at, seen.generation.id))


async def moving(tx: UserTx, ended_after: datetime | None = None) -> list[Seen]:
    """Generations on their way, and those that ended later than that, newest first."""
    return await _seen(
        tx,
        f"""{_SELECT} where status not in ({ENDED_LISTED})
            or finished_at > %(after)s {_NEWEST} limit {MOVING}""",
        {"after": ended_after},
    )


@dataclass(frozen=True)
class Pair:
    """The same prompt by two versions: the newest pictures of each; `new` None where it was not drawn anew yet."""

    old: Seen
    new: Seen | None


async def pairs(tx: UserTx, old: UUID, new: UUID, limit: int) -> list[Pair]:
    """Prompts that the old version has pictures of, those first that the new one has drawn too, then newest first."""
    cursor = await tx.conn.execute(
        f"""select o.id as old, n.id as new
           from (select distinct on (prompt) id, prompt, created_at from generation_trackers g
                 where g.model_version_id = %(old)s and exists (select from ai_images i
                     where i.generation_id = g.id and i.deleted_at is null)
                 order by prompt, created_at desc) o
           left join lateral (select id from generation_trackers n
                 where n.prompt = o.prompt and n.model_version_id = %(new)s
                     and (n.status not in ({ENDED_LISTED}) or exists (select from ai_images i
                         where i.generation_id = n.id and i.deleted_at is null))
                 order by n.created_at desc limit 1) n on true
           order by n.id is null, o.created_at desc limit %(limit)s""",  # noqa: S608  # our own status names
        {"old": old, "new": new, "limit": limit},
    )
    rows = await cursor.fetchall()
    ids = [each for row in rows for each in (row["old"], row["new"]) if each is not None]
    seen = {
        each.generation.id: each
        for each in await _seen(tx, f"{_SELECT} where id = any(%(ids)s)", {"ids": ids})
    }
    return [Pair(seen[row["old"]], seen.get(row["new"])) for row in rows]


def absent() -> NotFound:
    """The answer for what is not there and for what is another member's."""
    return NotFound(
        "generation_not_found",
        "There is no such generation.",
        next_step="Look at your generations (GET /api/v1/generations).",
    )


async def _seen(tx: UserTx, sql: LiteralString, values: Mapping[str, Any]) -> list[Seen]:
    generations = await tx.all(Generation, sql, values)
    if not generations:
        return []
    pictures = await images.shown(tx, [generation.id for generation in generations])
    names = await trainings.version_names(tx, {generation.model_version_id for generation in generations})
    return [Seen(each, pictures[each.id], names[each.model_version_id]) for each in generations]
