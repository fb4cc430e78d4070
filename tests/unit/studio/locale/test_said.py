"""What is said in another language: messages, forms, sentences with values, dates; and who gets which language."""

from datetime import UTC, date, datetime

import pytest

from portraitist.studio.locale import figures
from portraitist.studio.locale.catalogs import Catalog, catalog, languages
from portraitist.studio.locale.choosing import chosen
from portraitist.studio.locale.words import _, language, ngettext, pgettext, said, speaking

SOME = Catalog(
    one={
        (None, "The training failed: %(reason)s."): "Das Training misslang: %(reason)s.",
        (None, "%(message)s. The earlier model keeps working."): "%(message)s. Das frühere arbeitet weiter.",
        (None, "The test picture is blank"): "Das Testbild ist leer",
        (None, "%(n)s of %(n)s are in: 100 %%."): "%(n)s von %(n)s sind da: 100 %%.",
    },
    from_code=(
        "%(message)s. The earlier model keeps working.",
        "The training failed: %(reason)s.",
        "%(n)s of %(n)s are in: 100 %%.",
    ),
)


def test_english_is_what_the_code_says() -> None:
    assert language() == "en"
    assert _("%(n)s photos, 100 %%", n=3) == "3 photos, 100 %"
    assert said("The training failed: no.") == "The training failed: no."


def test_another_language_is_spoken_inside_its_block_only() -> None:
    with speaking("de"):
        assert _("Gallery") == "Galerie"
        assert ngettext("%(num)s photo", "%(num)s photos", 1) == "1 Foto"
        assert ngettext("%(num)s photo", "%(num)s photos", 12) == "12 Fotos"
    assert _("Gallery") == "Gallery"


def test_one_word_may_mean_several_things() -> None:
    with speaking("de"):
        assert pgettext("framing", "Close") == "Nah"
        assert _("Close") == "Schließen"


def test_a_language_that_the_studio_does_not_speak_is_english() -> None:
    with speaking("tlh"):
        assert language() == "en"


def test_a_sentence_of_an_error_is_found_again_with_its_values() -> None:
    assert SOME.sentence("The training failed: out of memory.") == "Das Training misslang: out of memory."
    assert SOME.sentence("2 of 2 are in: 100 %.") == "2 von 2 sind da: 100 %."
    assert SOME.sentence("2 of 3 are in: 100 %.") == "2 of 3 are in: 100 %."


def test_a_sentence_inside_a_sentence_is_said_too() -> None:
    inside = "The test picture is blank. The earlier model keeps working."
    assert SOME.sentence(inside) == "Das Testbild ist leer. Das frühere arbeitet weiter."


def test_what_is_put_into_a_sentence_is_no_message_by_itself() -> None:
    assert SOME.sentence("The training failed: %(reason)s %s.") == "Das Training misslang: %(reason)s %s."


def test_what_nobody_knows_stays_as_it_is() -> None:
    assert SOME.sentence("") == ""
    assert SOME.sentence("Something else.") == "Something else."


@pytest.mark.parametrize(
    ("wish", "accept", "language"),
    [
        (None, None, "en"),
        (None, "de", "de"),
        (None, "de-CH,de;q=0.9,en;q=0.8", "de"),
        (None, "fr, de;q=0.5, en;q=0.6", "en"),
        (None, "en;q=0, de;q=0.1", "de"),
        (None, "*", "en"),
        (None, "de;q=nonsense", "en"),
        (None, ",;q=,,", "en"),
        ("de", "en", "de"),
        ("xx", "de", "de"),
        ("../de", "en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_else_what_the_browser_likes_best(
    wish: str | None, accept: str | None, language: str
) -> None:
    assert chosen(wish, accept, ("en", "de")) == language


def test_dates_times_and_numbers_are_written_as_the_language_does() -> None:
    at = datetime(2026, 11, 2, 15, 4, 5, tzinfo=UTC)
    assert (figures.day(at), figures.clock(at), figures.number(12345.678, 1)) == (
        "2 November 2026",
        "15:04:05 UTC",
        "12,345.7",
    )
    with speaking("de"):
        assert (figures.day(at), figures.clock(at), figures.number(12345.678, 1)) == (
            "2. November 2026",
            "15:04:05 UTC",
            "12.345,7",
        )


def test_times_are_the_readers_own_where_their_zone_is_known() -> None:
    late = datetime(2026, 11, 2, 23, 4, 5, tzinfo=UTC)
    with figures.placed("Asia/Tokyo"):
        assert (figures.day(late), figures.clock(late), figures.minute(late)) == (
            "3 November 2026",
            "08:04:05",
            "08:04",
        )
        assert figures.midnight(date(2026, 11, 3)) == datetime(2026, 11, 2, 15, tzinfo=UTC)
        assert figures.day(date(2026, 11, 2)) == "2 November 2026", "a day is the same everywhere"
    assert figures.clock(late) == "23:04:05 UTC"


@pytest.mark.parametrize(
    "made_up", ["", "Moon/Crater", "../../etc/passwd", "/etc/localtime", "Europe", "a" * 65, "\0"]
)
def test_a_zone_that_is_none_leaves_times_in_utc(made_up: str) -> None:
    with figures.placed(made_up):
        assert figures.clock(datetime(2026, 11, 2, 15, 4, 5, tzinfo=UTC)) == "15:04:05 UTC"


def test_each_language_is_called_by_its_own_name() -> None:
    assert languages() == {"en": "English", "de": "Deutsch"}
    assert catalog("de").form(1) == 0
