"""Maya's mind where a language model is configured. Pure of the library, which takes seconds to import: it comes in a
thread, with the first question or before (`ready`). What is asked and answered through it is `agent`'s and `telling`'s.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from portraitist.kit.garbage import spare_what_is_loaded
from portraitist.kit.http import LibraryClient, library_client
from portraitist.studio.maya.mind import Asked, Chosen, Piece
from portraitist.studio.prompting.refusing import Refusals

CONNECTIONS: Final = 400
"""Answers that one process has under way at once, at most."""
DEFAULT_URLS: Final = {"openai": "https://api.openai.com", "anthropic": "https://api.anthropic.com"}
"""Where the library asks by itself; another provider needs MAYA_URL."""


@dataclass
class LanguageModel:
    """A mind that asks a language model. Close it at the end."""

    chosen: Chosen
    refusals: Refusals = field(default_factory=Refusals)
    _client: LibraryClient = field(init=False)
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)
    _agent: Any = None
    _library: Any = None

    def __post_init__(self) -> None:
        self._client = library_client(address_of(self.chosen), connections=CONNECTIONS)

    async def ready(self) -> None:
        """Have the library at hand; the first call takes seconds, in a thread."""
        async with self._making:
            if self._agent is None:
                self._library = await asyncio.to_thread(import_module, "portraitist.studio.maya.agent")
                self._agent = await asyncio.to_thread(self._library.made, self.chosen, self._client)
                spare_what_is_loaded()

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def answer(self, asked: Asked) -> AsyncIterator[Piece]:
        """The reply as the model writes it, then the whole answer."""
        await self.ready()
        async for piece in self._library.answered(self._agent, self.chosen, asked, self.refusals):
            yield piece


def address_of(chosen: Chosen) -> str:
    """Where this model is asked. Raises ValueError where that has to be said."""
    provider = chosen.name.partition(":")[0].partition("-")[0]
    if not chosen.url and provider not in DEFAULT_URLS:
        raise ValueError(f"MAYA_URL has to say where {chosen.name} is asked.")
    return chosen.url or DEFAULT_URLS[provider]
