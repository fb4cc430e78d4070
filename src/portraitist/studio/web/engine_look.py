"""Which engine draws here and at what size, as pages say it: asked at most once a minute, not at each page."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from starlette.requests import Request

from portraitist.studio.admin.status import ProviderOut, maker
from portraitist.studio.http import core_of
from portraitist.studio.provider.port import Provider

GOOD_FOR, AGAIN_AFTER = timedelta(seconds=60), timedelta(seconds=5)
"""How long an answer holds, and how soon an engine that was away is asked again."""


@dataclass
class EngineLook:
    """The last answer of the engine, for all pages of this process."""

    _last: ProviderOut | None = None
    _until: datetime | None = None
    _one_asks: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def at(self, request: Request) -> ProviderOut:
        """What the engine says of itself."""
        core = core_of(request)
        async with self._one_asks:
            if self._last is None or self._until is None or core.clock.now() >= self._until:
                self._last = await maker(core.settings, cast(Provider, request.app.state.provider))
                self._until = core.clock.now() + (GOOD_FOR if self._last.reachable else AGAIN_AFTER)
            return self._last


async def engine_of(request: Request) -> ProviderOut:
    """The engine of this process's pages."""
    return await cast(EngineLook, request.app.state.engine_look).at(request)
