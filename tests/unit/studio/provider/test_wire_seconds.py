"""How long the provider's machine was at work: a number that can be true, or nothing."""

import pytest

from portraitist.studio.provider.wire import seconds_of


@pytest.mark.parametrize(
    ("told", "known"), [(412.5, 412.5), (0, 0.0), (7, 7.0)], ids=["part", "none", "whole"]
)
def test_what_the_provider_measured_is_taken(told: float, known: float) -> None:
    assert seconds_of({"predict_time": told, "total_time": 900}) == known


@pytest.mark.parametrize("told", [None, "12", True, -1, 1e12, [3]], ids=str)
def test_what_cannot_be_true_is_nothing(told: object) -> None:
    assert seconds_of({"predict_time": told}) is None  # type: ignore[dict-item]


def test_a_provider_that_says_nothing_is_believed() -> None:
    assert seconds_of({}) is None
