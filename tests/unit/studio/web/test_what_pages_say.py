"""The pure part of the pages: the next step, the way on after an error, times, and where nobody is led."""

import re

import pytest
from jinja2 import UndefinedError

from portraitist.studio.codes import CODES
from portraitist.studio.errors import Conflict
from portraitist.studio.training.domain import Status
from portraitist.studio.web import rendering, wording
from portraitist.studio.web.next_step import Far, Place, next_step, place


@pytest.mark.parametrize(
    ("far", "there"),
    [
        (Far(False, 0, None, False), Place.CONSENT),
        (Far(True, 9, None, False), Place.PHOTOS),
        (Far(True, 10, None, False), Place.TRAIN),
        (Far(True, 10, Status.TRAINING, False), Place.TRAINING),
        (Far(False, 0, Status.VERIFYING, False), Place.TRAINING),
        (Far(True, 10, Status.EXTRACTION_FAILED, False), Place.RETRY),
        (Far(True, 10, Status.FAILED, False), Place.FAILED),
        (Far(True, 3, Status.FAILED, False), Place.PHOTOS),
        (Far(True, 10, Status.CANCELED, False), Place.TRAIN),
        (Far(True, 0, Status.TRAINING, True), Place.DRAW),
        (Far(False, 0, Status.FAILED, True), Place.DRAW),
    ],
)
def test_every_member_has_a_next_step_and_a_working_model_comes_first(far: Far, there: Place) -> None:
    assert place(far) is there
    assert next_step(far).href.startswith("/")
    assert next_step(far).text


def test_no_status_of_a_training_leaves_a_member_without_a_step() -> None:
    for status in Status:
        for model in (True, False):
            assert next_step(Far(True, 10, status, model)).label


def test_the_ways_on_belong_to_codes_that_there_are() -> None:
    assert set(wording.STEPS) <= set(CODES)


def test_words_for_programs_are_not_shown_to_people() -> None:
    step = wording.step_after(
        Conflict("training_to_retry", "x", next_step="Retry it (POST /api/v1/trainings).")
    )
    assert (step.href, step.text) == ("/training", "")
    plain = wording.step_after(Conflict("no_model", "x", next_step="Start a training."))
    assert plain.text == "Start a training."
    assert wording.step_after(Conflict("never_heard_of", "x")).href == "/"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "less than a minute"),
        (60, "about a minute"),
        (200, "about 4 minutes"),
        (5399, "about 90 minutes"),
        (7300, "about 2 hours"),
    ],
)
def test_what_is_left_is_told_no_more_exactly_than_it_is_known(seconds: int, words: str) -> None:
    assert wording.time_left(seconds) == words


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("/gallery?all=1", "/gallery?all=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_only_our_own_pages_are_led_to(address: str, kept: str) -> None:
    assert rendering.own_path(address) == kept


def test_templates_escape_and_miss_nothing() -> None:
    made = rendering.environment()
    assert made.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError):
        made.from_string("{{ nobody_gave_this }}").render()
    for path in rendering.TEMPLATES.glob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"\|\s*safe|autoescape false|\son\w+=|style=|<style", text), path.name
