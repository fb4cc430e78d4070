"""Uploads that lie about what they are: strangers' bodies are not read, forms of a thousand parts end early, names and
types are not believed.
"""

from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.security.asking import Question, ask

pytestmark = pytest.mark.anyio
PATH = "/api/v1/selfies"
FORM = "multipart/form-data; boundary=b"


def part(name: str, file_name: str | None, body: bytes, *, kind: str = "image/jpeg") -> bytes:
    given = f'; filename="{file_name}"' if file_name is not None else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{given}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode("utf-8", "surrogateescape") + body + b"\r\n"


async def test_a_strangers_photos_are_not_even_read(by_hand: ByHand) -> None:
    read = 0
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"studio"), (b"content-type", FORM.encode())],
        "client": ("192.0.2.1", 1),
        "server": ("studio", 80),
    }
    await by_hand.web(scope, receive, send)
    assert sent[0]["status"] == 401
    assert read <= 1


# the parser leaves the file of a part that was cut off to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_forms_that_are_none_or_too_many_are_refused_and_names_are_not_believed(
    by_hand: ByHand,
) -> None:
    member = await by_hand.member(photos=0)
    token = (("authorization", member.http.headers["authorization"]),)

    async def post(body: bytes, kind: str = FORM) -> tuple[int, bytes]:
        answer = await ask(
            by_hand.web, Question("POST", PATH, headers=(("content-type", kind),), body=body), token
        )
        return answer.status, answer.body

    refused = {
        "no form": (b"x", "image/jpeg"),
        "no boundary": (b"x", "multipart/form-data"),
        "another boundary": (part("files", "a", b"x"), "multipart/form-data; boundary=other"),
        "json": (b"{}", "application/json"),
        "an odd character set": (part("files", "a", b"x"), f"{FORM}; charset=rot13"),
        "no file": (b"--b--\r\n", FORM),
        "a field": (part("files", None, b"x") + b"--b--\r\n", FORM),
        "twenty-one files": (part("files", "a", b"x") * 21 + b"--b--\r\n", FORM),
        "a hundred thousand parts": (part("x", "a", b"") * 100_000, FORM),
        "another name": (part("photos", "a", b"x") + b"--b--\r\n", FORM),
    }
    for name, (body, kind) in refused.items():
        status, answer = await post(body, kind)
        assert status in (400, 413), (name, status, answer)

    for file_name in (
        "../../etc/passwd",
        "a" * 10_000,
        "\u202egpj.exe",
        "CON",
        "x\x01y",
        "",
        "..",
        "a/b\\c.jpg",
    ):
        status, answer = await post(
            part("files", file_name, file_name.encode() + b" no photo") + b"--b--\r\n"
        )
        assert status == 200 or (len(file_name) > 1_000 and status == 400), (file_name, answer)
    for stored, key in by_hand.rows("select file_name, object_key from selfies"):
        assert stored and len(stored) <= 120 and stored.isprintable()
        assert "/" not in stored and "\\" not in stored
        assert key is None
