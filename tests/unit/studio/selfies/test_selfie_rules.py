"""What is accepted, what is not, and that the words help."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.selfies.domain import (
    CLOUD_MIN_SIDE,
    EMBEDDED_MIN_SIDE,
    MAX_DISTANCE,
    Accepted,
    Code,
    Measure,
    Rejected,
    distance,
    judge,
    refusal,
)

GOOD = Measure(
    width=600,
    height=800,
    sharpness=400.0,
    mean_luma=120.0,
    clipped_dark=0.1,
    clipped_bright=0.02,
    dhash=0x0F0F_3C3C_5A5A_6969,
    warmth=20.0,
    ground=bytes([255] + 63 * [0]),
)
HASHES = st.integers(-(2**63), 2**63 - 1)


def verdict(**changes: float) -> Accepted | Rejected:
    """On a good photo with these changes, by the embedded engine's demands."""
    return judge(replace(GOOD, **changes), (), min_side=EMBEDDED_MIN_SIDE)  # type: ignore[arg-type]


def test_a_good_photo_is_accepted() -> None:
    assert verdict() == Accepted()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"width": 255}, Code.TOO_SMALL),
        ({"height": 1}, Code.TOO_SMALL),
        ({"mean_luma": 20.0}, Code.TOO_DARK),
        ({"clipped_dark": 0.9}, Code.TOO_DARK),
        ({"mean_luma": 240.0}, Code.TOO_BRIGHT),
        ({"clipped_bright": 0.75}, Code.TOO_BRIGHT),
        ({"sharpness": 8.0}, Code.TOO_BLURRY),
        ({"sharpness": 8.0, "mean_luma": 20.0}, Code.TOO_DARK),
    ],
)
def test_each_fault_has_its_own_code(changes: dict[str, float], code: Code) -> None:
    found = verdict(**changes)
    assert isinstance(found, Rejected)
    assert found.code is code


def test_the_cloud_asks_for_more_pixels_than_the_embedded_engine() -> None:
    photo = replace(GOOD, width=400)
    assert judge(photo, (), min_side=EMBEDDED_MIN_SIDE) == Accepted()
    found = judge(photo, (), min_side=CLOUD_MIN_SIDE)
    assert isinstance(found, Rejected)
    assert "400 pixels" in found.message
    assert "512" in found.message


@pytest.mark.parametrize(
    ("bits", "code"),
    [(0, Code.NEAR_DUPLICATE), (MAX_DISTANCE, Code.NEAR_DUPLICATE), (MAX_DISTANCE + 1, None)],
)
def test_a_photo_that_differs_in_five_bits_is_a_duplicate_and_in_six_is_not(
    bits: int, code: Code | None
) -> None:
    known = [("far.jpg", ~GOOD.dhash), ("holiday (2).jpg", GOOD.dhash ^ (2**bits - 1))]
    found = judge(GOOD, known, min_side=EMBEDDED_MIN_SIDE)
    assert (found.code if isinstance(found, Rejected) else None) is code
    if isinstance(found, Rejected):
        assert "holiday (2).jpg" in found.message


@given(HASHES, HASHES)
def test_the_distance_counts_differing_bits_of_signed_hashes(one: int, other: int) -> None:
    unsigned = [value % 2**64 for value in (one, other)]
    assert distance(one, other) == distance(other, one) == bin(unsigned[0] ^ unsigned[1]).count("1") <= 64
    assert distance(one, one) == 0
    assert distance(one, ~one) == 64


@pytest.mark.parametrize("code", sorted(set(Code) - {Code.TOO_SMALL, Code.NEAR_DUPLICATE}))
def test_every_rejection_says_why_and_what_to_do(code: Code) -> None:
    found = refusal(code)
    assert found.code is code
    why, what = found.message.split(". ", 1)
    assert why.startswith("This ")
    assert what.split()[0] in {"Add", "Save", "Hold", "Turn", "Step"}
