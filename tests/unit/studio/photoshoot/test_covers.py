"""Covers are drawn of motif and palette, the same each time, and are nothing but shapes."""

import xml.etree.ElementTree as ET

import pytest

from portraitist.studio.photoshoot import reading
from portraitist.studio.photoshoot.covers import MOTIFS, svg

BOOK = reading.read()


@pytest.mark.parametrize("motif", MOTIFS)
@pytest.mark.parametrize(
    "palette", [("#111111", "#222222", "#333333"), ("#111111",) * 5], ids=["three", "five"]
)
def test_every_motif_draws_with_any_palette(motif: str, palette: tuple[str, ...]) -> None:
    drawn = ET.fromstring(svg(motif, palette))
    names = {element.tag.rpartition("}")[2] for element in drawn.iter()}
    assert names <= {"svg", "rect", "circle", "ellipse", "path"}
    assert len(list(drawn)) >= 5
    assert svg(motif, palette) == svg(motif, palette)


def test_our_collections_have_covers_of_their_own() -> None:
    assert len({svg(each.motif, each.palette) for each in BOOK.collections}) == len(BOOK.collections)
