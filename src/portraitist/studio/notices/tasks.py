"""The worker's part of Web Push: what waits is sent, what fails is tried again for a day, who is gone is forgotten.

A worker that is killed between sending and writing it down sends again: the browser shows one, by its tag.
"""

from dataclasses import dataclass
from datetime import timedelta

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.errors import KitError
from portraitist.kit.http import ForbiddenAddress, GuardedClient
from portraitist.kit.logging import logger
from portraitist.studio.db import DueRow, StudioDatabase, UserTx
from portraitist.studio.notices import domain, pushing, repository
from portraitist.studio.notices.domain import Notice, Outcome, Subscription
from portraitist.studio.notices.pushing import Vapid
from portraitist.studio.notices.repository import Push

log = logger(__name__)
AT_ONCE = 20
DEADLINE_S = 10.0
LEASED = timedelta(minutes=10)
ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class Pusher:
    """Safe to run in every worker at the same time. `client` reaches public addresses over https only."""

    db: StudioDatabase
    clock: Clock
    client: GuardedClient
    vapid: Vapid

    async def sweep(self) -> int:
        """Send what is due; returns how many browsers took theirs."""
        now = self.clock.now()
        async with self.db.system() as tx:
            due = await repository.claim_due(tx, now, now + LEASED, AT_ONCE)
        return sum([await self._send(row) for row in due])

    async def _send(self, row: DueRow) -> bool:
        now = self.clock.now()
        async with self.db.member(row.user_id) as tx:
            push = await repository.push(tx, row.id)
            if push is None:
                return False
            found = await _of(tx, push)
            if found is None or now - push.created_at >= domain.GIVEN_UP_AFTER:
                await repository.forget_push(tx, row.id)
                return False
        outcome = await self._handed_over(*found)
        failpoints.hit("push.sent")
        async with self.db.member(row.user_id) as tx:
            match outcome:
                case Outcome.LATER:
                    await repository.put_off(tx, push.id, now + domain.pause(push.tries))
                case Outcome.NOBODY:
                    await repository.forget_subscription(tx, push.subscription_id)
                case _:
                    await repository.forget_push(tx, push.id)
        log.info("push", user_id=row.user_id, kind=found[0].kind, outcome=outcome)
        return outcome is Outcome.SENT

    async def _handed_over(self, notice: Notice, to: Subscription) -> Outcome:
        try:
            answer = await self.client.request(
                "POST",
                to.endpoint,
                headers=pushing.headers(self.vapid, to.endpoint, self.clock.now()),
                content=pushing.sealed(pushing.message(notice.kind), to),
                deadline_s=DEADLINE_S,
                max_bytes=ANSWER_BYTES,
            )
        except ForbiddenAddress:  # a browser's push service is on the public internet
            return Outcome.NOBODY
        except KitError as exc:
            log.warning("push.not_sent", reason=str(exc))
            return Outcome.LATER
        return domain.outcome(answer.status)


async def _of(tx: UserTx, push: Push) -> tuple[Notice, Subscription] | None:
    """What is to be told, and to whom; None where the member has read it, or wants no pushes any more."""
    notice = await repository.get(tx, push.notice_id)
    to = await repository.subscription(tx, push.subscription_id)
    wanted = (await repository.ways(tx)).push
    return (notice, to) if notice and to and wanted and notice.read_at is None else None
