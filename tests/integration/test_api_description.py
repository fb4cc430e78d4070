"""The API describes itself in full: every operation, every error, examples, keys and pages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portraitist.cli import api_page
from portraitist.studio import app, openapi
from portraitist.studio.codes import CODES
from portraitist.studio.config import StudioSettings

ROOT = Path(__file__).parents[2]
STUDIO = ROOT / "src/portraitist/studio"
WEB = app.create(StudioSettings.model_construct(public_url="", replicate_base_url=""))
DOCUMENT = WEB.openapi()
OPERATIONS = dict(openapi.operations(DOCUMENT))
INSIDE = {"stored_schema", "required_input", "unknown_parameter", "locked_value", "account_changed"}
"""First arguments of errors that no member sees as a code."""
SENT_TWICE_WITHOUT_HARM = {
    "post /api/v1/local-members": "finds the member that is there; a second token is listed and can be taken back",
    "post /api/v1/consents": "agreeing twice is one consent",
    "post /api/v1/notices/read": "what was read is read",
    "post /api/v1/selfies": "the same bytes are one photo",
    "post /api/v1/uploads": "one that nobody goes on with ends by itself",
    "post /api/v1/trainings/{training_id}/cancel": "a second wish changes nothing",
    "post /api/v1/trainings/{training_id}/retry": "only what is parked is retried, at no cost",
    "post /api/v1/operator/trainings/{training_id}/retry": "as the member's",
    "post /api/v1/operator/trainings/{training_id}/cancel": "as the member's",
    "post /api/v1/operator/trainings/{training_id}/again": "the second time it finds the first one's",
    "post /api/v1/operator/generations/{generation_id}/cancel": "as the member's",
    "post /api/v1/models/{version_id}/activate": "active is active",
    "post /api/v1/generations/{generation_id}/cancel": "a second wish changes nothing",
    "post /api/v1/images/delete": "deleted is deleted",
    "post /api/v1/images/restore": "restored is restored",
    "post /api/v1/images/{image_id}/restore": "restored is restored",
    "post /api/v1/images/{image_id}/erase": "what is erased is not found a second time",
    "post /api/v1/consents/withdraw": "a second wish is refused while the first is carried out",
    "post /api/v1/albums/{album_id}/images": "what is in it stays in it",
    "post /api/v1/photoshoot/sets/{set_id}/cancel": "a second wish changes nothing",
    "post /api/v1/photoshoot/sets/{set_id}/pause": "a set that waits goes on waiting as long as before",
    "post /api/v1/photoshoot/sets/{set_id}/go-on": "one that runs just runs; a shot's key is its own",
    "post /api/v1/maya/chats": "a second conversation is listed, and empty ones cost nothing",
    "post /api/v1/maya/messages/{message_id}/again": "only an answer that failed is made anew",
    "post /api/v1/maya/memory": "the same note is remembered once",
    "post /api/v1/accounts": "an address has one account",
    "post /api/v1/session": "a second session is listed and can be ended",
    "post /api/v1/session/passkey/options": "a challenge that nobody answers ends by itself",
    "post /api/v1/session/passkey": "an answer counts once",
    "post /api/v1/session/link": "its link is good once",
    "post /api/v1/mail/sign-in": "one letter of a kind waits at most, and a new link replaces the one before",
    "post /api/v1/mail/reset": "as the link that signs in",
    "post /api/v1/mail/proof": "as the link that signs in",
    "post /api/v1/session/provider/options": "a challenge that nobody answers ends by itself",
    "post /api/v1/session/provider": "an answer counts once",
    "post /api/v1/identities/options": "a challenge that nobody answers ends by itself",
    "post /api/v1/identities": "an answer counts once",
    "post /api/v1/proof/provider/options": "a challenge that nobody answers ends by itself",
    "post /api/v1/passkeys/options": "a challenge that nobody answers ends by itself",
    "post /api/v1/passkeys": "an answer counts once",
    "post /api/v1/recovery-codes": "new ones replace those before",
    "post /api/v1/proof/options": "a challenge that nobody answers ends by itself",
    "post /api/v1/proof": "proved is proved",
    "post /api/v1/password/reset": "its link is good once",
    "post /api/v1/tokens": "a secret is shown once and never kept; a second token is listed and can be taken back",
    "post /api/v1/admin/members/{user_id}/reset-link": "a new link replaces the one before",
    "post /api/v1/admin/invitations": "a second link is listed and can be taken back",
    "post /api/v1/admin/members/{user_id}/hold": "a second hold is refused while the first is on",
    "post /api/v1/admin/members/{user_id}/break-glass": "a second one is listed, ends by itself and can be ended",
    "post /api/v1/admin/first-link": "a new link replaces the one before",
}
NOT_PAGED = {
    "get /api/v1/photoshoot/collections": "the studio's own files",
    "get /api/v1/photoshoot/colours": "the same",
    "get /api/v1/notices": "the newest hundred of 90 days",
    "get /api/v1/consents": "one for each wording there ever was",
    "get /api/v1/passkeys": "twenty at most",
    "get /api/v1/identities": "one for each provider there ever was",
    "get /api/v1/sessions": "ends by itself after a while",
    "get /api/v1/tokens": "fifty at most",
    "get /api/v1/admin/invitations": "ends by itself after a while",
    "get /api/v1/admin/holds": "a rare duty",
    "get /api/v1/admin/break-glass": "end by themselves after minutes",
    "get /api/v1/admin/break-glass/{glass_id}": "one member's photos and pictures, to choose from",
    "get /api/v1/maya/memory": "thirty notes at most",
    "get /api/v1/account/openings": "as many as an admin has asked for, each with its reason",
    "get /api/v1/admin/work": "what needs a look, two hundred of a kind at most",
    "get /api/v1/admin/environment": "as many as the studio has",
    "get /api/v1/admin/settings": "as many as the studio has",
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described_with_examples_and_problems(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"] and operation["description"] and operation["tags"]
    for content in openapi._bodies(operation):
        shown = content.get("example", content.get("examples"))
        assert shown is not None
        assert list(_without_example(shown)) == [], "give these fields an example"
    statuses = set(operation["responses"])
    assert {"422", "500", "503"} <= statuses
    assert "HTTPValidationError" not in str(operation)
    for status, answer in operation["responses"].items():
        if not status.startswith("2"):
            assert list(answer["content"]) == [openapi.PROBLEM]
            for code, example in answer["content"][openapi.PROBLEM]["examples"].items():
                assert (CODES[code].status, example["value"]["code"]) == (int(status), code)
    if operation.get("security"):
        assert {"401", "403", "429"} <= statuses


def _without_example(shown: Any, path: str = "") -> Iterator[str]:
    if shown == openapi.NO_EXAMPLE:
        yield path
    elif isinstance(shown, dict):
        for key, value in shown.items():
            yield from _without_example(value, f"{path}.{key}")
    elif isinstance(shown, list):
        for value in shown:
            yield from _without_example(value, f"{path}[]")


def test_a_field_without_an_example_is_found() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    assert list(_without_example(openapi.example(schema, {}))) == [".a[]"]


def raised() -> dict[str, set[str]]:
    """Codes that the studio's source raises, by module."""
    found: dict[str, set[str]] = {}
    for path in sorted(STUDIO.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (code := _code(node)) and code not in INSIDE:
                found.setdefault(code, set()).add(str(path.relative_to(STUDIO)))
    return found


def _code(call: ast.Call) -> str | None:
    """The first of two texts given to a class whose name begins like an error's, or to `problem`."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    position = 1 if name == "problem" else 0
    if name == "problem" or (name in ERRORS and len(call.args) >= 2):
        code = call.args[position]
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            return code.value
    return None


def _errors() -> set[str]:
    from portraitist.studio.errors import StudioError

    def below(cls: type) -> Iterator[str]:
        yield cls.__name__
        for each in cls.__subclasses__():
            yield from below(each)

    return set(below(StudioError))


ERRORS = _errors()


def test_every_code_that_is_raised_is_listed_and_every_listed_code_is_raised() -> None:
    source = "".join(path.read_text() for path in STUDIO.rglob("*.py") if path.name != "codes.py")
    used = {code for code in CODES if re.search(rf'"{code}"', source)}
    assert set(raised()) - set(CODES) == {"webhook_refused", "webhook_unreadable", "webhook_too_large"} & set(
        raised()
    ), "list the new code in codes.py, with the next step, and at its routes"
    assert set(CODES) == used, "nothing answers with these any more"


def test_every_code_of_the_table_stands_at_some_operation() -> None:
    shown = {code for operation in OPERATIONS.values() for code in openapi.codes_of(operation)}
    anywhere = {"not_found", "method_not_allowed", "http_error", "body_too_large", "disk_full"}
    assert set(CODES) - shown - anywhere == set()


def test_every_post_takes_a_key_or_may_be_sent_twice() -> None:
    keyless = set()
    for name, operation in OPERATIONS.items():
        keys = {each["name"] for each in operation.get("parameters", ())}
        if name.startswith("post ") and "Idempotency-Key" not in keys:
            keyless.add(name)
    assert keyless == set(SENT_TWICE_WITHOUT_HARM)


def test_every_list_has_pages() -> None:
    endless = set()
    for name, operation in OPERATIONS.items():
        body = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        names = {each["name"] for each in operation.get("parameters", ())}
        if name.startswith("get ") and "items" in (body.get("example") or {}) and "cursor" not in names:
            endless.add(name)
    assert endless == set(NOT_PAGED)


def test_the_page_is_current() -> None:
    told = "run: python -m portraitist.cli.api_page > docs/api.md"
    assert (ROOT / "docs/api.md").read_text() == api_page.page(), told
