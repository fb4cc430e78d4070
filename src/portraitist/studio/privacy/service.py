"""What members ask for: everything erased, consent withdrawn, one version or picture erased, and what a receipt says.

Each begins inside the member's transaction and enqueues the job that does it (`tasks`). The receipt's token is handed
out once, or is the asker's own: afterwards the member may be gone, and nothing else leads to it.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from portraitist.kit import failpoints, jobs
from portraitist.kit.logging import logger
from portraitist.studio.accounts import erasing as accounts
from portraitist.studio.db import Tx, UserTx, erasing
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.generation import erasing as generations
from portraitist.studio.images import erasing as images
from portraitist.studio.leases import leased_from
from portraitist.studio.privacy import repository
from portraitist.studio.privacy.domain import FIRST, Destination, Erasure, Plan, Scope
from portraitist.studio.privacy.repository import Receipt
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action, Actor
from portraitist.studio.training import erasing as trainings
from portraitist.studio.training import service as training

log = logger(__name__)
JOB = "erasure"
TOKEN_PREFIX = "prc_"  # lets people see what it is  # noqa: S105


@dataclass(frozen=True)
class Begun:
    """An erasure that has begun, and the secret that opens its receipt."""

    erasure: Erasure
    receipt_token: str


@dataclass(frozen=True)
class Mark:
    """By what an erasure is known outside of the database: its id, and the digest of its receipt's token."""

    id: UUID
    token_hash: bytes


Token = str | Mark | None
"""The receipt's token if the asker has drawn one; the mark of an erasure that a restored backup has forgotten."""


def new_token() -> str:
    """A receipt's token: whoever has it reads the receipt, and nothing leads to it from the member."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


async def erase_account(tx: UserTx, token: Token, now: datetime, by: Actor | None = None) -> Begun:
    """Erase this member, and everything of theirs. From here on nobody is signed in as them. Raises Conflict."""
    await _alone(tx, [Scope.ACCOUNT])
    begun = await _begin(tx, Scope.ACCOUNT, Plan(), token, now, by=by)
    await accounts.shut(tx)
    return begun


async def withdraw_consent(tx: UserTx, token: Token, now: datetime, by: Actor | None = None) -> Begun:
    """Take every consent back, and erase what was made under it; the account stays. Raises Conflict."""
    await _alone(tx, [Scope.ACCOUNT, Scope.CONSENT])
    begun = await _begin(tx, Scope.CONSENT, Plan(), token, now, by=by)
    await accounts.withdraw(tx, now)
    await trail.note(tx, Action.CONSENT_WITHDRAWN, by)
    return begun


async def erase_version(
    tx: UserTx, version_id: UUID, token: Token, now: datetime, by: Actor | None = None
) -> Begun:
    """Erase one version of the member's model, at the provider too; pictures made with it stay. Raises NotFound."""
    await _alone(tx, [Scope.ACCOUNT, Scope.CONSENT])
    version = await training.version(tx, version_id)
    await trainings.hide_version(tx, version_id, now)
    there = Destination(version.account_id, version.replicate_model_id, (version.replicate_version_id,))
    plan = Plan(owed=(there,), version_id=str(version_id), training_id=str(version.training_id))
    return await _begin(tx, Scope.VERSION, plan, token, now, by=by)


async def erase_picture(
    tx: UserTx, image_id: UUID, token: Token, now: datetime, by: Actor | None = None
) -> Begun:
    """Erase one picture at once, deleted before or not. Raises NotFound, and Conflict while its generation goes on."""
    image = await images.begin(tx, image_id, now)
    if image is None:
        raise NotFound("image_not_found", "There is no such picture.")
    if not await generations.is_over(tx, image.generation_id):
        raise Conflict(
            "generation_unfinished",
            "Its generation is still bringing pictures.",
            next_step="Wait until it is done, or cancel it.",
        )
    plan = Plan(keys=(image.object_key, image.small_key), picture_id=str(image_id))
    return await _begin(tx, Scope.PICTURE, plan, token, now, by=by)


async def receipt(tx: Tx, token: str) -> Receipt:
    """What became of everything so far. Raises NotFound."""
    found = await repository.receipt(tx, _hash(token))
    if found is None:
        raise NotFound(
            "receipt_not_found",
            "There is no receipt for this token.",
            next_step="Send the token that the erasure began with, whole, as Receipt-Token.",
        )
    return found


async def resume(tx: UserTx, now: datetime) -> int:
    """The member is held no longer: erasures that waited go on at once; how many."""
    waiting = await repository.resume(tx, now, leased_from(now))
    for erasure_id in waiting:
        await jobs.enqueue(tx.conn, JOB, str(erasure_id), user_id=tx.user_id)
    return len(waiting)


async def _alone(tx: UserTx, scopes: Sequence[Scope]) -> None:
    """Behind the member's lock, so that what is being entered now is seen by the erasure. Raises Conflict."""
    if not await accounts.lock(tx) or await repository.under_way(tx, scopes):
        raise erasing()


async def _begin(
    tx: UserTx, scope: Scope, plan: Plan, given: Token, now: datetime, *, by: Actor | None
) -> Begun:
    token = given if isinstance(given, str) else new_token()
    mark = given if isinstance(given, Mark) else Mark(uuid4(), _hash(token))
    if isinstance(given, str) and await repository.receipt(tx, mark.token_hash) is not None:
        raise Unprocessable(
            "receipt_token_used", "Another erasure has this token.", next_step="Draw a new one."
        )
    erasure = Erasure(
        user_id=tx.user_id,
        id=mark.id,
        scope=scope,
        stage=FIRST[scope],
        revision=0,
        tries=0,
        next_check_at=now,
        plan=plan,
        artefacts=(),
        waits_for=None,
        created_at=now,
        erased_at=None,
    )
    await repository.insert(tx, erasure, mark.token_hash, leased_from(now))
    await trail.note(tx, Action.ERASURE_BEGUN, by, erasure=erasure.id, scope=scope.value)
    await jobs.enqueue(tx.conn, JOB, str(erasure.id), user_id=tx.user_id)
    failpoints.hit("erasure.begun")
    log.info("erasure.begun", erasure=str(erasure.id), scope=scope.value)  # the audit subject, not the member
    return Begun(erasure, token)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
