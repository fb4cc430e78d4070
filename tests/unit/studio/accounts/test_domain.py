"""Addresses in one form, scopes that open what they say, and an admin who can't leave the studio to nobody."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.accounts.domain import AREAS, SCOPES, Role, Who, needed_scopes, normal_email
from portraitist.studio.accounts.register import Account
from portraitist.studio.errors import Conflict

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (" Anna@Example.ORG ", "anna@example.org"),
        ("anna+x@example.org", "anna+x@example.org"),
        ("ａnna@example.org", "anna@example.org"),
        ("no address", ""),
        ("@example.org", ""),
        ("anna@", ""),
        ("an na@example.org", ""),
        ("anna@exa\nmple.org", ""),
        ("a" * 250 + "@example.org", ""),
        ("a@b@example.org", ""),
        ("a＠b@example.org", ""),
    ],
)
def test_an_address_has_one_form(given: str, stored: str) -> None:
    assert normal_email(given) == stored


@given(st.text(max_size=40).map(lambda text: text + "@example.org"))
def test_the_form_of_an_address_is_final(address: str) -> None:
    assert normal_email(normal_email(address)) == normal_email(address)


@pytest.mark.parametrize(
    ("scopes", "method", "path", "may"),
    [
        ({"read"}, "GET", "/api/v1/images", True),
        ({"read"}, "DELETE", "/api/v1/images/x", False),
        ({"read"}, "GET", "/api/v1/events", True),
        ({"read"}, "GET", "/api/v1/tokens", False),
        ({"read"}, "GET", "/api/v1/sessions", False),
        ({"generate"}, "POST", "/api/v1/generations", True),
        ({"generate"}, "POST", "/api/v1/trainings", False),
        ({"gallery"}, "DELETE", "/api/v1/images/x", True),
        ({"account"}, "POST", "/api/v1/tokens", True),
        ({"full"}, "POST", "/api/v1/something-new", True),
        ({"read", "gallery", "account"}, "POST", "/api/v1/something-new", False),
        ({"read", "gallery", "account"}, "GET", "/api/v1/something-new", False),
        ({"full"}, "GET", "/api/v1/admin/members", False),
        ({"full"}, "GET", "/api/v1/status", False),
        ({"admin"}, "GET", "/api/v1/admin/members", True),
        ({"admin"}, "GET", "/api/v1/images", False),
    ],
)
def test_a_token_opens_what_its_scopes_say_and_nothing_else(
    scopes: set[str], method: str, path: str, may: bool
) -> None:
    who = Who("a" * 12, "admin", frozenset(scopes), token_id=uuid4())
    assert who.may(method, path) is may


def test_every_area_names_a_scope_that_there_is() -> None:
    assert set(AREAS.values()) <= SCOPES.keys()
    assert needed_scopes("POST", "/api/v1/trainings") == {"train"}


@pytest.mark.parametrize(
    ("role", "scopes", "session", "is_admin"),
    [
        ("admin", set(), True, True),
        ("admin", {"full"}, False, False),
        ("admin", {"admin"}, False, True),
        ("member", {"admin"}, False, False),
        ("member", set(), True, False),
    ],
)
def test_only_admins_do_an_admins_work(role: Role, scopes: set[str], session: bool, is_admin: bool) -> None:
    who = Who("a" * 12, role, frozenset(scopes), session_id=uuid4() if session else None)
    assert who.is_admin is is_admin


def test_the_last_admin_stays_one() -> None:
    only = Account("a" * 12, "ada@example.org", "admin", NOW, None)
    for role, disabled in (("member", None), (None, True)):
        with pytest.raises(Conflict):
            only.changed(role, disabled, [only.id], NOW)  # type: ignore[arg-type]
    assert only.changed("member", None, [only.id, "b" * 12], NOW).role == "member"
    assert only.changed("admin", False, [only.id], NOW) == only
