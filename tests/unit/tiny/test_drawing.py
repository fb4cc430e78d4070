"""Drawn portraits are seeded, captioned and of the vocabulary; drawn selfies pass for photos of one person."""

import numpy as np

from portraitist.engine.tiny.drawing import draw_selfies, portrait
from portraitist.engine.tiny.leaves import leaves
from portraitist.engine.tiny.places import PAINTERS, background
from portraitist.engine.tiny.words import BACKDROPS, CONCEPTS, PLACES


def test_a_seed_draws_the_same_portrait_and_another_seed_another() -> None:
    (first, text), (again, same), (other, _) = portrait(3), portrait(3), portrait(4)
    assert np.array_equal(first, again)
    assert text == same
    assert not np.array_equal(first, other)
    assert first.shape == (256, 192, 3)
    assert leaves(3).shape == first.shape


def test_captions_use_words_of_the_vocabulary_only() -> None:
    words = {word for seed in range(12) for word in portrait(seed)[1].split(", ")}
    assert words <= set(CONCEPTS)


def test_every_place_has_a_painter_and_every_picture_of_it_differs() -> None:
    assert set(PAINTERS) == set(PLACES)
    rng = np.random.default_rng(0)
    for place in (*PLACES, BACKDROPS[0]):
        assert not np.array_equal(background(rng, place, 0.5), background(rng, place, 0.5))


def test_selfies_are_large_sharp_and_different_from_each_other() -> None:
    pictures = draw_selfies(7, 4)
    assert all(min(picture.size) >= 512 for picture in pictures)
    hashes = [difference_hash(picture.convert("L").resize((9, 8))) for picture in pictures]
    pairs = [(a, b) for number, a in enumerate(hashes) for b in hashes[:number]]
    assert all(int((a != b).sum()) > 5 for a, b in pairs)


def difference_hash(small: object) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    field = np.asarray(small, np.int16)
    return field[:, 1:] > field[:, :-1]
