"""Every plain word of the program that an account's page may show has words for people, and devices are told apart."""

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from portraitist.studio.accounts.domain import SCOPES
from portraitist.studio.privacy.domain import Outcome, Scope, Stage, kept_elsewhere, kind_of_file
from portraitist.studio.trail.domain import Action, ActorKind
from portraitist.studio.web import rendering
from portraitist.studio.web.account.devices import browser_of, system_of

CHROME = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"
)
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"
FIREFOX = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0"


def said(macro: str, *values: Any) -> str:
    words = rendering.environment().get_template("account/words.html").module
    return " ".join(str(getattr(words, macro)(*values)).split())


@pytest.mark.parametrize("action", list(Action), ids=str)
def test_every_action_that_is_recorded_has_words(action: Action) -> None:
    assert said("event", SimpleNamespace(action=action.value, detail={})) != action.value


def test_every_scope_outcome_stage_place_and_actor_has_words_of_its_own() -> None:
    for macro, values in (
        ("scope", SCOPES),
        ("outcome", [each.value for each in Outcome if each is not Outcome.DELETED]),
        ("stage", [each.value for each in Stage]),
        ("actor", get_args(ActorKind)),
    ):
        told = [said(macro, each) for each in values]
        assert len(set(told)) == len(told), macro
        assert set(told).isdisjoint(values), macro
    for scope in Scope:
        assert said("erased", scope.value, "done") != said("erased", scope.value, "storage")


def test_every_line_of_a_receipt_has_words() -> None:
    kinds = {line.kind for scope in Scope for line in kept_elsewhere(scope, 1)}
    kinds |= {
        kind_of_file(f"members/x/{folder}/y") for folder in ("selfies", "uploads", "generations", "trainings")
    }
    for kind in kinds:
        assert said("artefact", kind) != said("artefact", "of no known kind"), kind
        assert said("artefact", kind).lower() != kind, kind


@pytest.mark.parametrize(
    ("label", "browser", "system"),
    [
        (CHROME, "Chrome", "Android"),
        (SAFARI, "Safari", "iPhone"),
        (EDGE, "Edge", "Windows"),
        (FIREFOX, "Firefox", "Mac"),
        ("portraitist/1.0", "portraitist/1.0", ""),
        ("", "", ""),
        ("x" * 200, "x" * 60, ""),
    ],
    ids=["chrome", "safari", "edge", "firefox", "program", "nothing", "long"],
)
def test_a_device_is_told_in_a_few_words(label: str, browser: str, system: str) -> None:
    assert (browser_of(label), system_of(label)) == (browser, system)
