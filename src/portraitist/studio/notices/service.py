"""Telling a member of something, once, in the transaction that made it happen; reading, and the ways it takes.

Nothing is sent here: letters are `accounts.mail`'s to send, pushes are `tasks`'.
"""

import base64
import binascii
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric import ec

from portraitist.studio.accounts.mail import service as mail
from portraitist.studio.db import UserTx
from portraitist.studio.errors import Unprocessable
from portraitist.studio.events import service as events
from portraitist.studio.locale.words import speaking
from portraitist.studio.notices import repository, words
from portraitist.studio.notices.domain import MAILED, Kind, Notice, Subscription, Ways

EVENT = "notice"
SHOWN = 100
LONGEST_ENDPOINT = 2000


async def tell(tx: UserTx, kind: Kind, event: str, now: datetime, **detail: str) -> None:
    """The member hears of this event, once, as soon as this transaction is committed."""
    notice = Notice(uuid4(), kind, event, detail, now)
    if not await repository.add(tx, notice):
        return
    wanted = await repository.ways(tx)
    if wanted.push:
        await repository.add_pushes(tx, notice.id, now)
    if wanted.mail and kind in MAILED:
        with speaking(wanted.language):
            said = words.of(notice)
        await mail.tell(tx, "notice", now, subject=said.title, text=said.text, path=said.path)
    await events.announce(tx, EVENT, notice.id)


async def newest(tx: UserTx) -> list[Notice]:
    """The member's notices, newest first."""
    return await repository.newest(tx, SHOWN)


async def unread(tx: UserTx) -> int:
    """How many the member has not seen."""
    return await repository.unread(tx)


async def read_all(tx: UserTx, now: datetime) -> None:
    """The member has seen them all; their other windows hear of it."""
    if await repository.read_all(tx, now):
        await events.announce(tx, EVENT, UUID(int=0))


async def ways(tx: UserTx) -> Ways:
    """How the member wants to hear of notices."""
    return await repository.ways(tx)


async def choose_ways(tx: UserTx, *, mail: bool, push: bool) -> Ways:
    """From now on by these ways too."""
    chosen = replace(await repository.ways(tx), mail=mail, push=push)
    await repository.save_ways(tx, chosen)
    return chosen


async def choose_language(tx: UserTx, language: str) -> None:
    """Letters speak this language from now on."""
    await repository.save_ways(tx, replace(await repository.ways(tx), language=language))


async def subscribe(tx: UserTx, session_id: UUID, given: tuple[str, str, str], now: datetime) -> None:
    """Push to this session's browser: its endpoint, and its keys in base64url. Raises Unprocessable."""
    await repository.subscribe(tx, session_id, _checked(*given), now)


async def unsubscribe(tx: UserTx, session_id: UUID) -> None:
    """Push to this session's browser no more."""
    await repository.unsubscribe(tx, session_id)


async def is_subscribed(tx: UserTx, session_id: UUID) -> bool:
    """Whether this session's browser is pushed to."""
    return await repository.is_subscribed(tx, session_id)


def _checked(endpoint: str, p256dh: str, auth: str) -> Subscription:
    try:
        key, secret = _bytes(p256dh), _bytes(auth)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    except (ValueError, binascii.Error) as exc:
        raise _invalid() from exc
    if (
        not endpoint.startswith("https://")
        or len(endpoint) > LONGEST_ENDPOINT
        or len(key) != 65
        or len(secret) != 16
    ):
        raise _invalid()
    return Subscription(uuid4(), endpoint, key, secret)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _invalid() -> Unprocessable:
    return Unprocessable(
        "push_invalid",
        "This is no browser that can be pushed to.",
        next_step="Switch it on again in the browser.",
    )
