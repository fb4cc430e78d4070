"""Fresh sign-in: what touches everything of a member's, or what they sign in with, wants a proof of minutes ago.

Signing in is one, and so is proving it anew in the open session, which then gets another secret. A local member has
nothing to prove it with but the token in their own folder, which is enough.
"""

import secrets
from datetime import datetime, timedelta

from portraitist.kit.logging import logger
from portraitist.studio.accounts import domain, repository
from portraitist.studio.accounts import repository_sessions as kept
from portraitist.studio.accounts.domain import Who
from portraitist.studio.db import UserTx
from portraitist.studio.errors import Forbidden, NotFound

log = logger(__name__)
STALE = Forbidden(
    "fresh_sign_in_needed",
    "This needs a proof of the last minutes that it is you.",
    next_step="Prove it (POST /api/v1/proof, with password, passkey, recovery code or mailed link), then try again.",
)


async def require(tx: UserTx, who: Who, lasts: timedelta, now: datetime) -> None:
    """Lets pass whoever signed in, or proved to be the member, since then. Raises Forbidden."""
    if (await repository.member(tx)).email is None:
        return
    proved = await kept.proved_at(tx, who.session_id, who.token_id)
    if proved is None or proved <= now - lasts:
        raise STALE


async def proved(tx: UserTx, who: Who, now: datetime) -> str | None:
    """Write down the proof; returns the session's new secret, None for a token. Raises NotFound."""
    log.info("member.proved", user_id=tx.user_id)
    if who.session_id is None:
        if who.token_id is not None:
            await kept.token_proved(tx, who.token_id, now)
        return None
    secret = secrets.token_urlsafe(32)
    if not await kept.session_proved(tx, who.session_id, domain.token_hash(secret), now):
        raise NotFound("session_not_found", "There is no such session.")
    return secret
