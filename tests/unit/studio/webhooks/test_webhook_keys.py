"""Keys of webhooks: strangers' deliveries cost the provider little, whether it is there or away."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from portraitist.studio.provider.port import Provider, ProviderUnavailable
from portraitist.studio.webhooks.keys import ASK_AGAIN, PAUSE, Keys

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "whsec_" + "QUFB" * 8


@dataclass
class Counted:
    """A provider that is asked for its secret, and may be away."""

    away: bool
    asked: int = 0

    async def webhook_secret(self) -> str:
        self.asked += 1
        if self.away:
            raise ProviderUnavailable("away", sent=False)
        return SECRET


async def strangers(keys: Keys, now: datetime, count: int) -> list[str]:
    """Unsigned deliveries, and what came of each."""
    found = []
    for _ in range(count):
        try:
            found.append(str(await keys.signed("engine", {}, b"{}", now)))
        except ProviderUnavailable:
            found.append("away")
    return found


async def test_a_provider_that_is_away_is_not_asked_again_for_every_stranger() -> None:
    provider = Counted(away=True)
    keys = Keys({"engine": cast(Provider, provider)})
    assert await strangers(keys, NOW, 20) == ["away"] * 20
    assert provider.asked == 1
    provider.away = False
    assert await strangers(keys, NOW + PAUSE, 20) == ["False"] * 20
    assert provider.asked == 2


async def test_a_known_key_is_asked_for_anew_at_most_so_often() -> None:
    provider = Counted(away=False)
    keys = Keys({"engine": cast(Provider, provider)})
    for second in range(int(2 * ASK_AGAIN / timedelta(seconds=1))):
        await strangers(keys, NOW + timedelta(seconds=second), 3)
    assert provider.asked == 2
