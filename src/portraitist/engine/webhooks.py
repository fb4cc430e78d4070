"""Sending webhooks: one message at a time from the outbox, signed, never following a redirect.

Which messages there are is `lifecycle`'s decision. Only the terminal one is tried again, the last time about
a minute after the first, as the cloud does it.
"""

import json
from dataclasses import dataclass
from datetime import timedelta

from portraitist.engine import signing, wire
from portraitist.engine.domain import Run
from portraitist.engine.store import Tx, runs, webhooks
from portraitist.engine.store.webhooks import Message
from portraitist.kit.clock import Clock
from portraitist.kit.database import Database
from portraitist.kit.http import ForbiddenAddress, GuardedClient, HttpError, ResponseTooLarge
from portraitist.kit.logging import logger

TIMEOUT_S = 10.0
FIRST_PAUSE_S = 0.5
MAX_TRIES = 8
HOLD = timedelta(seconds=30)
"""A message taken by a sender that died comes up again after this."""

log = logger("engine.webhooks")


def pause_after(tries: int) -> timedelta:
    """How long to wait after so many failed tries: 0.5 s, 1 s, 2 s … 32 s."""
    return timedelta(seconds=FIRST_PAUSE_S * 2 ** (tries - 1))


@dataclass(frozen=True)
class Sender:
    """Empties the outbox."""

    database: Database
    http: GuardedClient
    clock: Clock
    address: str
    secret: str

    async def next(self) -> bool:
        """Send one message that is due, if there is one."""
        async with self.database.transaction() as tx:
            message = await webhooks.take(tx, HOLD)
            run = await runs.get(tx, message.run_id) if message is not None else None
        if message is None:
            return False
        delivered = run is None or run.webhook is None or await self._send(message, run, run.webhook)
        async with self.database.transaction() as tx:
            await _settle(tx, message, delivered=delivered)
        return True

    async def _send(self, message: Message, run: Run, url: str) -> bool:
        body = json.dumps(wire.run(run, self.address)).encode()
        now = int(self.clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            **signing.webhook_headers(self.secret, message.id, now, body),
        }
        try:
            answer = await self.http.request("POST", url, headers=headers, content=body, deadline_s=TIMEOUT_S)
        except (HttpError, ForbiddenAddress, ResponseTooLarge) as error:
            log.info("webhook_failed", run=run.id, webhook_event=message.event, reason=str(error))
            return False
        if not 200 <= answer.status < 300:
            log.info("webhook_refused", run=run.id, webhook_event=message.event, status=answer.status)
        return 200 <= answer.status < 300


async def _settle(tx: Tx, message: Message, *, delivered: bool) -> None:
    if delivered or message.event != "completed" or message.attempts >= MAX_TRIES:
        await webhooks.delete(tx, message.id)
    else:
        await webhooks.postpone(tx, message.id, pause_after(message.attempts))
