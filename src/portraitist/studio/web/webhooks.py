"""`/webhooks/replicate/…`: the provider says that a run has moved. Verified, stored once, and the row is woken.

Never a result: what a webhook claims is read from the provider by the job it wakes. Everything works without
webhooks too, only later. Which secret signs is asked of the provider and kept for a while.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, cast
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from portraitist.kit.logging import logger
from portraitist.studio.db import Tx, UserTx
from portraitist.studio.errors import BadInput, NotSignedIn, StudioError
from portraitist.studio.generation import service as generation
from portraitist.studio.http import Core, CoreDep
from portraitist.studio.provider import wire
from portraitist.studio.provider.port import Provider
from portraitist.studio.provider.signatures import verify_webhook
from portraitist.studio.training import service as training

router = APIRouter(include_in_schema=False)
log = logger(__name__)
MAX_BYTES = 16 * 2**20  # a run with its whole log: larger frameworks' limits lose the last webhook
IN_A_THREAD = 2**18  # bytes from which hashing and parsing would hold up other requests
ASK_AGAIN = timedelta(seconds=30)  # strangers must not make us ask the provider more often than this
KEEP = timedelta(days=1)
OLD_SECRET_FOR = timedelta(minutes=10)
Kind = Literal["training", "verification", "generation"]


class TooLarge(StudioError):
    """More than any run's log can be."""

    status = 413


@dataclass
class Secret:
    """One account's keys: the current one, and the one before it for a while after it was changed."""

    current: str
    asked_at: datetime
    before: str | None = None
    before_until: datetime | None = None

    def keys(self, now: datetime) -> list[str]:
        """Keys that may have signed what arrives now."""
        old = self.before is not None and self.before_until is not None and now < self.before_until
        return [self.current, *([self.before] if old and self.before else [])]


@dataclass
class Secrets:
    """The accounts' webhook keys, asked of their providers and kept in this process."""

    providers: Mapping[str, Provider]
    _known: dict[str, Secret] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def signed(self, account_id: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """Whether the account's provider has signed this; a key that fails is asked for anew, at most so often."""
        provider = self.providers.get(account_id)
        if provider is None:
            return False
        known = self._known.get(account_id)
        if known is not None and await _any_signs(known.keys(now), headers, body, now):
            return True
        async with self._asking:
            known = self._known.get(account_id)
            if known is None or now >= known.asked_at + ASK_AGAIN:
                known = self._known[account_id] = _renewed(known, await provider.webhook_secret(), now)
        return await _any_signs(known.keys(now), headers, body, now)


def _renewed(known: Secret | None, current: str, now: datetime) -> Secret:
    if known is None or known.current == current:
        return Secret(current, now, known.before if known else None, known.before_until if known else None)
    return Secret(current, now, known.current, now + OLD_SECRET_FOR)


async def _any_signs(keys: list[str], headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    if len(body) < IN_A_THREAD:
        return any(verify_webhook(key, headers, body, now) for key in keys)
    for key in keys:
        if await asyncio.to_thread(verify_webhook, key, headers, body, now):
            return True
    return False


@dataclass(frozen=True)
class Subject:
    """The row that a webhook's token stands for."""

    user_id: str
    id: UUID
    account_id: str
    provider_id: str | None


@dataclass(frozen=True)
class Message:
    """One webhook that its account's provider has signed; `provider_id` is the run that it shows."""

    account_id: str
    webhook_id: str
    kind: Kind
    provider_id: str


@router.post("/webhooks/replicate/{account_id}/{kind}/{token}")
async def receive(account_id: str, kind: Kind, token: str, request: Request, core: CoreDep) -> JSONResponse:
    """Verify, store, wake. The same refusal for every reason; nothing is looked up before the signature holds."""
    now = core.clock.now
    body = await _body(request)
    secrets = cast(Secrets, request.app.state.webhook_secrets)
    if not await secrets.signed(account_id, request.headers, body, now()):
        raise NotSignedIn("webhook_refused", "This is not a webhook of ours.")
    provider_id = await _run_in(body)
    async with core.db.nobody() as tx:
        subject = await _subject(tx, kind, token)
        if subject is None:
            log.warning("webhook.of_nothing", account=account_id, kind=kind, provider_id=provider_id)
            return JSONResponse({"outcome": "unknown"})
        # the one transaction goes on as the member that the token stands for
        await tx.value("select set_config('app.user_id', %s, true)", (subject.user_id,))
        message = Message(account_id, request.headers["webhook-id"][:200], kind, provider_id)
        return JSONResponse(
            {"outcome": await _taken(UserTx(tx.conn, subject.user_id), subject, message, now())}
        )


async def _taken(tx: UserTx, subject: Subject, message: Message, now: datetime) -> str:
    """Store the message and wake its run; what is done with it is the outcome."""
    outcome = "woke"
    if subject.account_id != message.account_id or subject.provider_id not in (None, message.provider_id):
        outcome = "quarantined"
        log.error("webhook.quarantined", subject=str(subject.id), provider_id=message.provider_id)
    if not await _store(tx, subject, message, outcome, now):
        return "known"
    if outcome == "woke":
        wake = generation.wake if message.kind == "generation" else training.wake
        await wake(tx, subject.id, now)
    return outcome


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise TooLarge("webhook_too_large", "A webhook has 16 MB at most.")
    return bytes(body)


async def _run_in(body: bytes) -> str:
    """The id of the run that the body shows."""
    try:
        if len(body) < IN_A_THREAD:
            return wire.prediction(wire.decode(body)).id
        return (await asyncio.to_thread(lambda: wire.prediction(wire.decode(body)))).id
    except wire.MalformedAnswer as exc:
        raise BadInput("webhook_unreadable", "This webhook shows no run.") from exc


async def _subject(tx: Tx, kind: Kind, token: str) -> Subject | None:
    return await tx.maybe(
        Subject, "select user_id, id, account_id, provider_id from work_of_webhook(%s, %s)", (kind, token)
    )


async def _store(tx: UserTx, subject: Subject, message: Message, outcome: str, now: datetime) -> bool:
    """Enter a delivery; False where the same message was entered before."""
    return (
        await tx.run(
            """insert into webhook_deliveries (user_id, id, account_id, webhook_id, kind, subject_id, provider_id,
                   outcome, received_at)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (account_id, webhook_id) do nothing""",
            (
                tx.user_id,
                uuid4(),
                message.account_id,
                message.webhook_id,
                message.kind,
                subject.id,
                message.provider_id,
                outcome,
                now,
            ),
        )
        == 1
    )


async def clear_old(core: Core) -> None:
    """Forget deliveries that no replay could repeat any more: signatures hold for minutes."""
    async with core.db.system() as tx:
        await tx.run("delete from webhook_deliveries where received_at < %s", (core.clock.now() - KEEP,))
