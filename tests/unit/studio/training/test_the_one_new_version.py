"""Taking a version that the output does not name: only where it cannot be another."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.training.domain import FoundVersion, the_one_new

START = datetime(2026, 11, 1, tzinfo=UTC)
TIMES = st.none() | st.integers(-5, 5).map(lambda hours: START + timedelta(hours=hours))
VERSIONS = st.lists(st.builds(FoundVersion, st.sampled_from("abcd"), TIMES), max_size=6)


@given(VERSIONS, st.sets(st.sampled_from("abcd")))
def test_what_is_taken_is_unknown_younger_than_the_start_and_alone(
    listed: list[FoundVersion], known: set[str]
) -> None:
    taken = the_one_new(listed, known, START)
    young = {v.id for v in listed if v.created_at is not None and v.created_at >= START and v.id not in known}
    assert taken == (young.pop() if len(young) == 1 else None)


@given(VERSIONS, st.sets(st.sampled_from("abcd")), st.integers(0, 5))
def test_what_is_as_young_as_the_next_training_may_be_its_version_and_counts_as_not_there(
    listed: list[FoundVersion], known: set[str], hours: int
) -> None:
    until = START + timedelta(hours=hours)
    older = [version for version in listed if version.created_at is not None and version.created_at < until]
    assert the_one_new(listed, known, START, until) == the_one_new(older, known, START)


@given(VERSIONS)
def test_without_a_start_nothing_is_taken(listed: list[FoundVersion]) -> None:
    assert the_one_new(listed, set(), None) is None
