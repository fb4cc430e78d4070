"""Verify, store, wake: what a webhook claims is never believed, but read from the provider by the job it wakes.

Everything works without webhooks too, only later.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.errors import BadInput, NotSignedIn
from portraitist.studio.generation import service as generation
from portraitist.studio.provider import wire
from portraitist.studio.training import service as training
from portraitist.studio.webhooks import repository
from portraitist.studio.webhooks.keys import IN_A_THREAD, Keys
from portraitist.studio.webhooks.repository import Kind, Message, Subject

log = logger(__name__)
KEEP = timedelta(days=1)
"""How long deliveries are remembered: signatures hold for minutes, so no replay of an older one can pass."""


@dataclass(frozen=True)
class Intake:
    """Where webhooks arrive."""

    db: StudioDatabase
    clock: Clock
    keys: Keys

    async def take(
        self, account_id: str, kind: Kind, token: str, headers: Mapping[str, str], body: bytes
    ) -> str:
        """Verify, store, wake; what was done is the outcome. Nothing is looked up before the signature holds.

        Raises NotSignedIn, the same for every reason, and BadInput for a body that shows no run.
        """
        if not await self.keys.signed(account_id, headers, body, self.clock.now()):
            raise NotSignedIn("webhook_refused", "This is not a webhook of ours.")
        message = Message(account_id, headers["webhook-id"][:200], kind, await _run_in(body))
        async with self.db.nobody() as tx:
            subject = await repository.subject(tx, kind, token)
            if subject is None:
                log.warning("webhook.of_nothing", account=account_id, run=kind, id=message.provider_id)
                return "unknown"
            own = await repository.as_member(tx, subject.user_id)
            outcome = await _taken(own, subject, message, self.clock.now())
        failpoints.hit("webhooks.taken")
        return outcome


async def clear_old(db: StudioDatabase, clock: Clock) -> None:
    """Forget deliveries that no replay could repeat any more."""
    async with db.system() as tx:
        await repository.clear(tx, clock.now() - KEEP)


async def _taken(tx: UserTx, subject: Subject, message: Message, now: datetime) -> str:
    outcome = "woke"
    if subject.account_id != message.account_id or subject.provider_id not in (None, message.provider_id):
        outcome = "quarantined"
        log.error("webhook.quarantined", subject=str(subject.id), provider_id=message.provider_id)
    if not await repository.store(tx, subject, message, outcome, now):
        return "known"
    failpoints.hit("webhooks.stored")
    if outcome == "woke":
        wake = generation.wake if message.kind == "generation" else training.wake
        await wake(tx, subject.id, now)
    return outcome


async def _run_in(body: bytes) -> str:
    """The id of the run that the body shows."""
    try:
        if len(body) < IN_A_THREAD:
            return wire.prediction(wire.decode(body)).id
        return (await asyncio.to_thread(lambda: wire.prediction(wire.decode(body)))).id
    except wire.MalformedAnswer as exc:
        raise BadInput("webhook_unreadable", "This webhook shows no run.") from exc
