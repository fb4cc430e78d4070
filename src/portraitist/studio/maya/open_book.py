"""The look book over what is on offer now: a look that is dropped while the studio runs is in the next answer.

How it answers is `book`'s; which looks there are, and when they are read anew, is the photoshoot's.
"""

import asyncio
from collections.abc import AsyncIterator

from portraitist.studio.maya.book import Book
from portraitist.studio.maya.mind import Asked, Piece
from portraitist.studio.photoshoot.folder import Looks
from portraitist.studio.prompting.refusing import Refusals


class OpenBook:
    """A mind that needs nobody else."""

    def __init__(self, looks: Looks, refusals: Refusals) -> None:
        self._looks = looks
        self._refusals = refusals
        self._book: Book | None = None

    async def ready(self) -> None:
        """Turn to the looks as they are now; costs a look at the folder where none has changed."""
        on_offer = await self._looks.now()
        if self._book is None or self._book.looks is not on_offer:
            self._book = await asyncio.to_thread(Book, on_offer, self._refusals)

    def answer(self, asked: Asked) -> AsyncIterator[Piece]:
        """As `Book.answer`, by the looks of the last `ready`."""
        assert self._book is not None, "it is opened first"
        return self._book.answer(asked)

    async def close(self) -> None:
        """Nothing is held."""
