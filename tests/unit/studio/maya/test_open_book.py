"""The look book follows the looks on offer while the studio runs."""

from pathlib import Path

import pytest
from tests.unit.studio.photoshoot.test_operators_looks import GOOD

from portraitist.studio.maya.mind import Answer, Asked
from portraitist.studio.maya.open_book import OpenBook
from portraitist.studio.photoshoot.folder import Looks
from portraitist.studio.prompting.refusing import Refusals

pytestmark = pytest.mark.anyio


async def prompts(book: OpenBook, words: str) -> str:
    await book.ready()
    pieces = [piece async for piece in book.answer(Asked(words))]
    assert isinstance(pieces[-1], Answer)
    return " ".join(card.prompt for card in pieces[-1].concepts)


async def test_a_look_that_is_dropped_is_in_the_next_answer_and_gone_with_its_file(tmp_path: Path) -> None:
    book = OpenBook(Looks(tmp_path), Refusals())
    words = "wind and rope on the north pier at the harbour"
    assert "stone and rope" not in await prompts(book, words)
    dropped = tmp_path / "harbour-days.toml"
    dropped.write_text(GOOD)
    assert "stone and rope" in await prompts(book, words)
    dropped.unlink()
    assert "stone and rope" not in await prompts(book, words)
