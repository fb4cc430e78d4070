"""Webhooks as a receiver sees them: signed, filtered, retried when it matters, never redirected."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from replicate.webhook import Webhooks, WebhookSigningSecret

from portraitist.engine.webhooks import MAX_TRIES, Sender, pause_after
from portraitist.kit.clock import SystemClock
from portraitist.kit.database import Database
from portraitist.kit.http import GuardedClient

from .harness import TRAINER, Engine, serving

pytestmark = pytest.mark.anyio


@dataclass
class Receiver:
    """A studio's end: keeps what came, answers with the given statuses in turn, then 200."""

    url: str
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes, str]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append((headers, body, self.path))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            self.send_header("location", receiver.url + "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def hooked(new_settings: Any, receiver: Receiver) -> Iterator[Engine]:
    settings = new_settings(allow_http_webhooks=True, allowed_origins=[receiver.url])
    with serving(settings) as engine:
        engine.make_model("a")
        yield engine


@pytest.fixture
async def sender(hooked: Engine) -> AsyncIterator[Sender]:
    settings = hooked.settings
    secret = hooked.get("/v1/webhooks/default/secret")["key"]
    http = GuardedClient(allowed=settings.allowed_origins)
    async with Database(settings.database_url.get_secret_value()) as database:
        yield Sender(database, http, SystemClock(), settings.address, secret)
    await http.close()


def canceled_training(engine: Engine, url: str) -> dict[str, Any]:
    body = {
        "destination": "portraitist/a",
        "input": {},
        "webhook": url,
        "webhook_events_filter": ["completed"],
    }
    run = engine.post(TRAINER, body).json()
    engine.http.post(f"/v1/trainings/{run['id']}/cancel")
    return dict(run)


async def test_the_whole_object_is_sent_with_a_signature_that_replicates_validator_accepts(
    hooked: Engine, receiver: Receiver, sender: Sender
) -> None:
    run = canceled_training(hooked, receiver.url + "/hook?run=7")
    assert await sender.next()
    assert not await sender.next()
    [(headers, body, path)] = receiver.got
    assert path == "/hook?run=7"
    assert json.loads(body) == hooked.get(f"/v1/trainings/{run['id']}")
    assert json.loads(body)["status"] == "canceled"
    key = hooked.get("/v1/webhooks/default/secret")["key"]
    Webhooks.validate(
        headers=headers, body=body.decode(), secret=WebhookSigningSecret(key=key), tolerance=300
    )


@pytest.mark.parametrize("refusal", [500, 404, 301])
async def test_the_terminal_message_is_tried_again_under_the_same_id_and_no_redirect_is_followed(
    hooked: Engine, receiver: Receiver, sender: Sender, refusal: int
) -> None:
    canceled_training(hooked, receiver.url + "/hook")
    receiver.statuses = [refusal]
    assert await sender.next()
    hooked.sql("update webhook_messages set due_at = now()")
    assert await sender.next()
    assert not await sender.next()
    assert [path for _, _, path in receiver.got] == ["/hook", "/hook"]
    assert len({headers["webhook-id"] for headers, _, _ in receiver.got}) == 1


async def test_a_receiver_that_never_answers_well_is_given_up_after_about_a_minute(
    hooked: Engine, receiver: Receiver, sender: Sender
) -> None:
    canceled_training(hooked, receiver.url + "/hook")
    receiver.statuses = [500] * 20
    for _ in range(MAX_TRIES):
        hooked.sql("update webhook_messages set due_at = now()")
        assert await sender.next()
    assert hooked.sql("select * from webhook_messages") == []
    assert 60 <= sum(pause_after(n).total_seconds() for n in range(1, MAX_TRIES)) <= 70


async def test_an_address_that_is_not_allowed_is_never_contacted(
    hooked: Engine, sender: Sender, receiver: Receiver
) -> None:
    with receiving() as private:
        canceled_training(hooked, private.url + "/hook")
        assert await sender.next()
        assert private.got == []


async def test_plain_http_is_refused_unless_the_operator_allows_it(api: Engine) -> None:
    api.make_model("a")
    body = {"destination": "portraitist/a", "input": {}, "webhook": "http://127.0.0.1:1/hook"}
    answer = api.post(TRAINER, body)
    assert answer.status_code == 422
    assert answer.json()["invalid_fields"] == [
        {"type": "format", "field": "webhook", "description": "Not a valid HTTPS URL"}
    ]
