"""Challenges that are given out before somebody comes back with an answer: bound to the browser, once, for minutes.

Only a digest is kept, of what it is for, of the browser's own secret and of the challenge. So an answer made for
another purpose or in another browser finds nothing.
"""

import hashlib
import secrets
from datetime import datetime

from portraitist.kit.clock import Clock
from portraitist.studio.accounts import repository_sessions as kept
from portraitist.studio.db import StudioDatabase, Tx


async def begin(tx: Tx, purpose: str, secret: str, until: datetime) -> str:
    """A fresh challenge of 256 random bits, as URL-safe base64."""
    challenge = secrets.token_urlsafe(32)
    await kept.add_ceremony(tx, _digest(purpose, secret, challenge), until)
    return challenge


async def take(tx: Tx, purpose: str, secret: str, challenge: str, now: datetime) -> bool:
    """Whether this challenge was given out for this purpose to this browser and is good still; it is no more."""
    return await kept.take_ceremony(tx, _digest(purpose, secret, challenge), now)


async def forget_old(db: StudioDatabase, clock: Clock) -> None:
    """Challenges that nobody came back with."""
    async with db.nobody() as tx:
        await kept.forget_old_ceremonies(tx, clock.now())


def _digest(purpose: str, secret: str, challenge: str) -> bytes:
    parts = (hashlib.sha256(each.encode()).digest() for each in (purpose, secret, challenge))
    return hashlib.sha256(b"".join(parts)).digest()
