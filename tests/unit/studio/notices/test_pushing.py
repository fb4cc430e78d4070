"""A push message: sealed for one browser, signed by this studio, tried again or not; and what each notice says."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from tests.fakes.push_service import PushedBrowser

from portraitist.studio.locale.words import speaking
from portraitist.studio.notices import domain, pushing, words
from portraitist.studio.notices.domain import Kind, Notice, Outcome, Subscription
from portraitist.studio.notices.pushing import Vapid

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def subscription(browser: PushedBrowser) -> Subscription:
    return Subscription(uuid4(), browser.endpoint, browser.point, browser.auth)


def test_a_message_is_read_by_its_browser_and_by_no_other() -> None:
    there, elsewhere = PushedBrowser(), PushedBrowser()
    body = pushing.sealed(pushing.message(Kind.MODEL_READY), subscription(there))
    assert there.opened(body) == {"kind": "model_ready", "path": "/pictures"}
    assert b"model" not in body
    with pytest.raises(Exception, match=r".*"):
        elsewhere.opened(body)


def test_the_same_message_is_never_the_same_bytes() -> None:
    to = subscription(PushedBrowser())
    assert len({pushing.sealed(b"{}", to) for _ in range(5)}) == 5


def test_every_host_of_a_studio_has_the_same_key_and_another_studio_another() -> None:
    keys = [
        Vapid(secret, "https://studio.example").public_key for secret in ("a secret", "a secret", "another")
    ]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == 87, "65 bytes in base64url"


def test_nothing_of_a_subscription_is_in_its_repr() -> None:
    browser = PushedBrowser()
    shown = repr(subscription(browser))
    assert repr(browser.auth) not in shown
    assert "p256dh" not in shown


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (201, Outcome.SENT),
        (404, Outcome.NOBODY),
        (410, Outcome.NOBODY),
        (403, Outcome.NOBODY),
        (429, Outcome.LATER),
        (503, Outcome.LATER),
        (413, Outcome.REFUSED),
        (302, Outcome.REFUSED),
    ],
)
def test_an_answer_says_what_becomes_of_a_push(status: int, meaning: Outcome) -> None:
    assert domain.outcome(status) is meaning


def test_pauses_grow_and_have_an_end() -> None:
    pauses = [domain.pause(tries) for tries in range(30)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(seconds=30), timedelta(hours=2))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_kind_has_words_and_a_place_in_every_language(kind: Kind, language: str) -> None:
    with speaking(language):
        said = words.of_kind(kind)
    assert said.title and said.button
    assert said.path == words.PLACES[kind]
    assert said.path.startswith("/")


def test_a_notice_says_its_reason_or_its_day() -> None:
    failed = Notice(uuid4(), Kind.TRAINING_FAILED, "x", {"error": "The training failed: no."}, NOW)
    soon = Notice(uuid4(), Kind.PHOTOS_ANNOUNCED, "x", {"on": "2026-11-25"}, NOW)
    assert words.of(failed).text == "The training failed: no."
    assert words.of(soon).title == "Your photos will be deleted on 25 November 2026"
    with speaking("de"):
        assert words.of(failed).text == "Das Training ist fehlgeschlagen: no."
        assert words.of(soon).title == "Deine Fotos werden am 25. November 2026 gelöscht"
