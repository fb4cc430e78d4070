"""Appending audit events in the transaction of what they tell of, reading them, and checking the chain.

Whoever does something that matters for security calls `note` (a member's transaction), `note_about` (an admin's or the
host's) or `note_unknown` (before anybody is known). Sealing is `sealing`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from portraitist.studio.db import GlassTx, RegistrarTx, StudioDatabase, Tx, UserTx
from portraitist.studio.paging import Wanted
from portraitist.studio.trail import repository
from portraitist.studio.trail.domain import (
    HOST,
    NOBODY,
    Action,
    Actor,
    Check,
    Event,
    Fact,
    Finding,
    Head,
    Kind,
    facts,
)

AT_ONCE = 1000
MOST_FINDINGS = 1000


@dataclass(frozen=True)
class Report:
    """What a check of the trail came to. `waiting` events are not sealed yet; `head` is for noting elsewhere."""

    entries: int
    waiting: int
    head: Head | None
    noted: int
    findings: Sequence[Finding]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


async def note(tx: UserTx, action: Action, by: Actor | None = None, **detail: Fact) -> None:
    """Something was done to or by the member of this transaction; `by`: by somebody else. Committed with it."""
    await repository.append_own(tx, action, by, facts(detail))


async def note_about(tx: RegistrarTx, user_id: str | None, action: Action, **detail: Fact) -> None:
    """An admin or the host did something to this member, or (None) to the studio."""
    await repository.append_about(tx, user_id, action, await actor_of(tx), facts(detail))


async def note_unknown(tx: Tx, action: Action, by: Actor = NOBODY, **detail: Fact) -> None:
    """Somebody who is not known did something."""
    await repository.append_unknown(tx, action, by, facts(detail))


async def note_through_glass(tx: GlassTx, subject: UUID, action: Action, by: Actor, **detail: Fact) -> None:
    """An admin looked at something of this member's."""
    await repository.append_seen(tx, subject, action, by, facts(detail))


async def actor_of(tx: RegistrarTx) -> Actor:
    """Who acts in an admin's transaction."""
    return HOST if tx.by is None else Actor("admin", await repository.subject_of(tx, tx.by))


async def subject_of(tx: RegistrarTx, user_id: str) -> UUID | None:
    """By which number events name this member; None where there is no such member."""
    return await repository.subject_of(tx, user_id)


async def recently(tx: UserTx, action: Action, seconds: float) -> bool:
    """Whether such an event about the member is no older than that, by the database's clock."""
    return await repository.recently(tx, action, seconds)


async def page(tx: UserTx | RegistrarTx, wanted: Wanted, subject: UUID | None = None) -> list[Event]:
    """Events, newest first, and one more than the page has: a member's own, or an admin's view of all or one."""
    return await repository.page(tx, subject, wanted)


async def verified(db: StudioDatabase, noted: Sequence[Head]) -> Report:
    """Check every entry against its digest and the chain against the heads noted outside of the database."""
    check, findings, entries = Check(noted), list[Finding](), 0
    while True:
        async with db.registrar() as tx:
            links = await repository.links(tx, check.head.seq, AT_ONCE)
        for link in links:
            findings += check.take(link)
        entries += len(links)
        if len(links) < AT_ONCE:
            break
    findings += check.end()
    async with db.registrar() as tx:
        waiting, never = await repository.outside(tx, MOST_FINDINGS)
    findings += [Finding(Kind.UNCHAINED, None, event_id) for event_id in never]
    return Report(entries, waiting, check.head if entries else None, len(noted), findings[:MOST_FINDINGS])
