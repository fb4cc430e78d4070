"""What leaves for a language model, and how budgets and limits of Maya's are counted."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from portraitist.studio.maya.domain import (
    ANSWER_TAKES,
    Budget,
    Message,
    Prices,
    Role,
    State,
    Style,
    tidy,
    title_of,
)
from portraitist.studio.maya.mind import Asked, Chosen, Line, usual_subject, without_private
from portraitist.studio.maya.model import address_of
from portraitist.studio.maya.telling import LONGEST_HISTORY, about_the_member, history, instructions, question

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "private",
    [
        "anna@example.org",
        "userk3v9x2m7q1ab",
        "3f0c2c1e-8a52-4a6e-9d3c-6f1f6f2b7a10",
        "+49 170 1234567",
        "Anna",
    ],
)
def test_addresses_ids_and_names_are_taken_out(private: str) -> None:
    assert private not in without_private(f"write to {private}, please", ("anna",))


def test_ordinary_words_and_numbers_stay() -> None:
    words = "a 35 mm look, 3 friends, 1950s, at 7 in the morning, hannah"
    assert without_private(words, ("anna",)) == words


def test_an_unusual_subject_word_is_not_told() -> None:
    assert [usual_subject(word) for word in ("woman", "man", "person", "Anna Example")] == [
        "woman",
        "man",
        "person",
        "person",
    ]


def test_style_notes_and_the_next_step_are_told_and_empty_lines_are_not() -> None:
    asked = Asked(
        "x", style=Style(colours=("navy",), no_go=("heels",)), notes=("likes linen",), step="Train first."
    )
    told = about_the_member(asked)
    assert "navy" in told
    assert "heels" in told
    assert "likes linen" in told
    assert "Train first." in told
    assert "Limits" not in told
    assert about_the_member(Asked("x")) == "Subject: person"


def test_the_newest_of_a_long_conversation_goes_along() -> None:
    said = tuple(Line(Role.MEMBER, f"{number} " + "x" * 1_000) for number in range(40))
    kept = history(Asked("x", said=said))
    assert kept[-1][1].startswith("39 ")
    assert sum(len(text) for _, text in kept) <= LONGEST_HISTORY
    assert question(Asked("by the sea")) == "by the sea"


def test_the_instructions_name_every_rule_that_the_linter_has() -> None:
    for word in (
        "{subject}",
        "85 mm",
        "50 mm",
        "35 mm",
        "40 to 120",
        "fabric",
        "fit",
        "place",
        "hands",
        "mood",
    ):
        assert word in instructions()


def test_a_budget_has_room_for_a_whole_answer_or_none() -> None:
    budget = Budget(tokens=10_000, cost_micros=500, at_most=1_000, prices=Prices(0.1, 0.2))
    assert budget.has_room(9_000, 300)
    assert not budget.has_room(9_001, 0)
    assert not budget.has_room(0, 301)
    assert budget.prices.cost_micros(1_000, 100) == 120
    assert Budget().has_room(10**9, 10**9)


def test_an_answer_that_nobody_makes_any_more_has_failed() -> None:
    answer = Message(uuid4(), uuid4(), 1, Role.MAYA, State.ANSWERING, "", (), None, None, None, NOW, None)
    assert answer.at(NOW + ANSWER_TAKES).status is State.ANSWERING
    late = answer.at(NOW + ANSWER_TAKES + timedelta(seconds=1))
    assert (late.status, late.error_code) == (State.FAILED, "maya_slow")


def test_lists_are_tidied_and_titles_end_at_a_word() -> None:
    assert tidy(["  a  b ", "", "a b", "c" * 100]) == ("a b", "c" * 60)
    assert title_of("word " * 30).endswith("word…")
    assert len(title_of("word " * 30)) <= 61


def test_a_model_of_an_unknown_provider_needs_an_address() -> None:
    assert address_of(Chosen("openai-chat:x")) == "https://api.openai.com"
    assert address_of(Chosen("openai-chat:x", url="http://127.0.0.1:1/v1")) == "http://127.0.0.1:1/v1"
    with pytest.raises(ValueError, match="MAYA_URL"):
        address_of(Chosen("mistral:x"))
