"""The worker's part of mail: wishes become letters, letters are sent, what fails is tried again for a while.

A link's secret is made for each try and known to nobody afterwards. A worker that is killed between sending and
writing it down sends again, with another link: the one before opens nothing.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.accounts import domain, opening
from portraitist.studio.accounts import repository as members
from portraitist.studio.accounts.mail import letters, repository, service
from portraitist.studio.accounts.mail.letters import Letter
from portraitist.studio.accounts.mail.repository import Mail
from portraitist.studio.accounts.mail.smtp import Mailer, NotSent
from portraitist.studio.db import DueRow, StudioDatabase, UserTx
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import STUDIO, Action

log = logger(__name__)
AT_ONCE = 20
LEASED = timedelta(minutes=10)  # more than the slowest server takes for as many


@dataclass(frozen=True)
class Post:
    """Safe to run in every worker at the same time. `address`: where people reach the studio."""

    db: StudioDatabase
    clock: Clock
    mailer: Mailer
    address: str

    async def sweep(self) -> int:
        """Look wishes up and send what is due; returns how many letters were sent."""
        for _ in range(AT_ONCE):
            if not await self._look_up():
                break
        now = self.clock.now()
        async with self.db.system() as tx:
            due = await repository.claim_due(tx, now, now + LEASED, AT_ONCE)
        return sum([await self._send(row) for row in due])

    async def _look_up(self) -> bool:
        """Make one wish a letter, if somebody has the address; False where nobody wishes for anything."""
        async with self.db.nobody() as tx:
            wish = await repository.next_wish(tx)
            user_id = None if wish is None else await repository.member_of(tx, wish.address)
            if wish is not None and user_id is not None:
                member = await opening.as_member(tx, user_id)
                await service.tell(member, wish.kind, wish.created_at)
        return wish is not None

    async def _send(self, row: DueRow) -> bool:
        now = self.clock.now()
        async with self.db.member(row.user_id) as tx:
            mail = await repository.get(tx, row.id)
            to = None if mail is None else (await members.member(tx)).email
            if mail is None or to is None or letters.is_given_up(mail.kind, mail.created_at, now):
                await repository.remove(tx, row.id)
                return False
            letter = await self._written(tx, mail)
        try:
            await self.mailer.send(to, letter, now)
        except NotSent as exc:
            return await self._failed(row, mail, exc)
        async with self.db.member(row.user_id) as tx:
            await repository.remove(tx, row.id)
        log.info("mail.sent", user_id=row.user_id, kind=mail.kind)
        return True

    async def _written(self, tx: UserTx, mail: Mail) -> Letter:
        if mail.kind not in letters.LINK_KINDS:
            return letters.announcement(mail.kind, self.address, mail.created_at, mail.detail)
        secret, link_id, now = secrets.token_urlsafe(32), uuid4(), self.clock.now()
        until, digest = now + domain.LINK_LIVES[mail.kind], domain.token_hash(secret)
        await repository.replace_link(tx, mail.kind, link_id, digest, now=now, until=until)
        await trail.note(tx, Action.LINK_MADE, STUDIO, link=link_id, kind=mail.kind)
        return letters.with_link(mail.kind, self.address, secret, domain.LINK_LIVES[mail.kind])

    async def _failed(self, row: DueRow, mail: Mail, exc: NotSent) -> bool:
        log.warning(
            "mail.not_sent", user_id=row.user_id, kind=mail.kind, reason=str(exc), tries=mail.tries + 1
        )
        async with self.db.member(row.user_id) as tx:
            if exc.for_good:
                await repository.remove(tx, row.id)
            else:
                await repository.put_off(tx, row.id, self.clock.now() + letters.pause(mail.tries))
        return False
