"""What is logged says who and what, and never a secret, a password, an address of a person or a prompt.

One canary travels through every field of every route and through planted faults; each is looked for in everything
that any logger wrote.
"""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import structlog
from tests.integration.by_hand import ByHand
from tests.integration.conftest import INSTANCE_TOKEN, by_hand
from tests.integration.people import ADMIN, PASSWORD, Browser, browser, first_admin

from portraitist.kit.logging import configure, logger

__all__ = ["by_hand"]
pytestmark = pytest.mark.anyio
CANARY = "kanarienvogel"
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, down to the libraries' details, as the processes write it."""
    written = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", written)
    configure(json=True, level="debug")
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def filled(schema: dict[str, Any], parts: dict[str, Any]) -> Any:
    """A body with the canary in every text."""
    schema = parts[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" in schema:
        return {name: filled(each, parts) for name, each in schema["properties"].items()}
    if "anyOf" in schema:
        return filled(schema["anyOf"][0], parts)
    if schema.get("type") == "array":
        return [filled(schema["items"], parts)]
    return {"integer": 1, "number": 1, "boolean": True}.get(str(schema.get("type")), f"{CANARY}-{'x' * 20}")


async def knock_everywhere(studio: ByHand, here: Browser) -> int:
    """Every operation as a member and as nobody, with the canary in path, query, headers and body."""
    described = studio.web.openapi()
    parts, asked = described["components"]["schemas"], 0
    for template, operations in described["paths"].items():
        path = re.sub(r"\{\w+\}", CANARY, template)
        for method in METHODS:
            operation = operations.get(method)
            if operation is None or template.endswith(("/events", "/session")):
                continue
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            for client, more in (
                (here.http, here.headers),
                (studio.http, {"Authorization": f"Bearer {CANARY}"}),
            ):
                await client.request(
                    method.upper(),
                    path,
                    params={"cursor": CANARY, "q": CANARY},
                    json=filled(schema, parts) if schema else None,
                    headers=more | {"User-Agent": CANARY, "Idempotency-Key": CANARY},
                )
                asked += 1
    return asked


def _of_the_test(line: dict[str, Any]) -> bool:
    """Whether this was written by the test's own client, which names the addresses that it asks."""
    return str(line["logger"]).startswith("httpx2") and "http://studio" in str(line["event"])


async def test_no_secret_password_or_prompt_shows_in_any_log_whatever_route_or_fault(
    by_hand: ByHand,
    logged: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = await first_admin(by_hand)
    token = (await here.ok("POST", "/tokens", {"name": CANARY, "scopes": ["read"]}))["token"]
    assert await knock_everywhere(by_hand, here) > 60

    async def broken(*_: Any, **__: Any) -> None:
        row = f"new row violates a check\nDETAIL:  Failing row contains (1, {CANARY}\n\n{CANARY})."
        raise psycopg.errors.CheckViolation(row)

    monkeypatch.setattr("portraitist.studio.admin.endpoints.status", broken)
    assert (await by_hand.operator("GET", "/api/v1/status")).status_code == 500
    await here.send("POST", "/session", {"email": f"{CANARY}@example.org", "password": CANARY})
    by_hand.run("alter table sessions rename to away")
    assert (await here.send("GET", "/me")).status_code == 500
    by_hand.run("alter table away rename to sessions")

    written = "\n".join(line for line in logged.getvalue().splitlines() if not _of_the_test(json.loads(line)))
    assert "request_failed" in written
    assert "session.opened" in written
    secrets = [CANARY, PASSWORD, ADMIN, token, here.http.cookies["session"], here.headers["X-CSRF-Token"]]
    secrets += [INSTANCE_TOKEN, "secret-in-tests", by_hand.cloud.token]
    for secret in secrets:
        told = next((line for line in written.splitlines() if secret in line), "")
        assert not told, f"{secret} in {told[:500]}"


async def test_what_concerns_security_is_logged_with_who_and_what(
    by_hand: ByHand, logged: io.StringIO
) -> None:
    here = await first_admin(by_hand)
    account = (await here.ok("GET", "/me"))["id"]
    await browser(by_hand).send("POST", "/session", {"email": ADMIN, "password": "another " + PASSWORD})
    await here.send("DELETE", "/sessions", None, Sec_Fetch_Site="cross-site")
    await browser(by_hand).send("GET", "/admin/members", Authorization="Bearer wrong")
    await here.ok("DELETE", "/session")
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    events = {line["event"]: line for line in lines}
    for event in ("link.made", "account.made", "session.opened", "session.ended", "sign_in.refused"):
        assert {"timestamp", "level", "logger"} <= events[event].keys(), event
        assert events[event]["timestamp"].endswith("Z")
    assert events["session.opened"]["user_id"] == account
    refused = [line["code"] for line in lines if line["event"] == "request.refused"]
    assert refused == ["sign_in_refused", "foreign_origin", "not_signed_in"]


def test_a_line_break_in_what_is_logged_makes_no_second_line(logged: io.StringIO) -> None:
    logger("x").info("seen", label='a"\n{"event": "forged"}')
    logging.getLogger("library").info('b"\r\n{"event": "forged"}')
    lines = [json.loads(line)["event"] for line in logged.getvalue().splitlines()]
    assert lines[0] == "seen"
    assert len(lines) == 2


def test_the_canary_would_be_seen(logged: io.StringIO) -> None:
    logger("x").info("seen", label=CANARY)
    logging.getLogger("library").debug(CANARY)
    assert logged.getvalue().count(CANARY) == 2
