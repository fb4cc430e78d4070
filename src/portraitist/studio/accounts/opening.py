"""Opening a session, going on as a member that a secret stands for, and counting tries: what every door does.

Which doors there are is `sign_in`'s, the passkeys', the mail's and the provider's to say.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from portraitist.kit.logging import logger
from portraitist.studio.accounts import domain, guessing
from portraitist.studio.accounts import repository_sessions as kept
from portraitist.studio.accounts.domain import Lives, Session
from portraitist.studio.accounts.guessing import Rule
from portraitist.studio.accounts.mail import service as mail
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import Tx, UserTx
from portraitist.studio.errors import NotSignedIn, TooMany
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action

log = logger(__name__)


@dataclass(frozen=True)
class NewSession:
    """A fresh session; the secret goes to the member's browser and is known to nobody else."""

    user_id: str
    secret: str
    session: Session


@dataclass(frozen=True)
class Browser:
    """Where somebody signs in: the network address, what it calls itself, and a session's secret that it still has."""

    source: str
    label: str
    secret: str | None


def lives_of(settings: StudioSettings) -> Lives:
    """How long a session lasts here."""
    return Lives(timedelta(hours=settings.session_idle_hours), timedelta(hours=settings.session_hours))


async def open_session(tx: UserTx, browser: Browser, lives: Lives, now: datetime, how: str) -> NewSession:
    """A session for this browser; one of the same member that it still had ends, and so do dead ones.

    `how` they came in: a plain word for the log and the audit event.
    """
    await kept.remove_dead_sessions(tx, now, lives.idle)
    if browser.secret is not None:
        known = await kept.holder_of_session(tx, domain.token_hash(browser.secret), now, lives.idle)
        if known is not None and known.user_id == tx.user_id:
            await kept.remove_session(tx, known.id)
    secret = secrets.token_urlsafe(32)
    label = browser.label[: domain.LONGEST_LABEL]
    session = Session(uuid4(), label, now, now, now + lives.absolute)
    await kept.add_session(tx, session, domain.token_hash(secret))
    await mail.tell(tx, "signed_in", now, how=how)
    await trail.note(tx, Action.SIGNED_IN, session=session.id, how=how)
    log.info("session.opened", user_id=tx.user_id, session_id=str(session.id), how=how)
    return NewSession(tx.user_id, secret, session)


async def as_member(tx: Tx, user_id: str) -> UserTx:
    """The same transaction, going on as the member that a secret stands for."""
    await tx.value("select set_config('app.user_id', %s, true)", (user_id,))
    return UserTx(tx.conn, user_id)


async def counted(tx: Tx, key: str, rule: Rule, now: datetime) -> timedelta:
    """How long this try has to wait; where it need not, it is counted as failed until it turns out well."""
    known = await kept.locked_tries(tx, key, now)
    delay = guessing.wait(known, rule, now)
    if not delay:
        await kept.set_tries(tx, key, guessing.counted(known, rule, now), now)
    return delay


def refuse_early(delay: timedelta) -> None:
    """Raises TooMany where there is a delay."""
    if delay:
        raise TooMany(
            "too_many_tries",
            "Too many tries in a row; the next one has to wait.",
            next_step="Wait, or ask the studio's admin for a link to set a new password.",
            retry_after_s=delay.total_seconds(),
        )


def refused() -> NotSignedIn:
    """The one answer to every sign-in that fails."""
    return NotSignedIn(
        "sign_in_refused",
        "E-mail address and password don't fit together.",
        next_step="Try again, or ask the studio's admin for a link to set a new password.",
    )
