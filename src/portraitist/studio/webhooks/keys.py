"""Which keys sign webhooks: asked of the providers, kept for a while, changed without a gap.

How a signature is checked is `provider.signatures`' to say.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portraitist.studio.provider.port import Provider, ProviderError
from portraitist.studio.provider.signatures import verify_webhook

IN_A_THREAD = 2**18  # bytes from which hashing and parsing would hold up other requests
ASK_AGAIN = timedelta(seconds=30)  # strangers must not make us ask the provider more often than this
OLD_KEY_FOR = timedelta(minutes=10)
PAUSE = timedelta(seconds=5)  # nor, while it is away, wait for it with each of them


@dataclass
class Key:
    """One account's keys: the current one, and the one before it for a while after it was changed."""

    current: str
    asked_at: datetime
    before: str | None = None
    before_until: datetime | None = None

    def valid(self, now: datetime) -> list[str]:
        """Keys that may have signed what arrives now."""
        old = self.before is not None and self.before_until is not None and now < self.before_until
        return [self.current, *([self.before] if old and self.before else [])]


@dataclass
class Keys:
    """The accounts' keys as this process knows them."""

    providers: Mapping[str, Provider]
    _known: dict[str, Key] = field(default_factory=dict)
    _failed: dict[str, tuple[datetime, ProviderError]] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def signed(self, account_id: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """Whether the account's provider has signed this; a key that fails is asked for anew, at most so often.

        Raises ProviderError where the key is not known yet and can't be asked for.
        """
        provider = self.providers.get(account_id)
        if provider is None:
            return False
        known = self._known.get(account_id)
        if known is not None and await _any_signs(known.valid(now), headers, body, now):
            return True
        async with self._asking:
            known = self._known.get(account_id)
            if known is None or now >= known.asked_at + ASK_AGAIN:
                known = self._known[account_id] = _renewed(
                    known, await self._asked(account_id, provider, now), now
                )
        return await _any_signs(known.valid(now), headers, body, now)

    async def _asked(self, account_id: str, provider: Provider, now: datetime) -> str:
        if account_id in self._failed:
            failed_at, why = self._failed[account_id]
            if now < failed_at + PAUSE:
                raise why.with_traceback(None)
        try:
            return await provider.webhook_secret()
        except ProviderError as exc:
            self._failed[account_id] = (now, exc)
            raise


def _renewed(known: Key | None, current: str, now: datetime) -> Key:
    if known is None or known.current == current:
        return Key(current, now, known.before if known else None, known.before_until if known else None)
    return Key(current, now, known.current, now + OLD_KEY_FOR)


async def _any_signs(keys: list[str], headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    if len(body) < IN_A_THREAD:
        return any(verify_webhook(key, headers, body, now) for key in keys)
    for key in keys:
        if await asyncio.to_thread(verify_webhook, key, headers, body, now):
            return True
    return False
