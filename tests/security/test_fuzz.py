"""The whole API as its own description has it: cases made by schemathesis, sent as two members and as nobody. Whatever
comes in, what goes out is no 5xx, is described, and shows nothing of the other member's.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, Phase, given, settings
from tests.security.asking import Answer, Question, ask
from tests.security.full_members import Studio
from tests.security.test_isolation_over_http import marks_in

pytestmark = pytest.mark.anyio
CASES = int(os.environ.get("FUZZ_CASES", "5"))
"""Of each operation, here; `FUZZ_CASES` in the environment asks for more."""
LAST = (
    "post /api/v1/consents/withdraw",
    "put /api/v1/password",
    "delete /api/v1/sessions",
    "delete /api/v1/session",
)
"""They end what the member may do, or sign them out: what came after them would be refused for that alone."""

schemathesis.serializer.alias("application/partial-upload", "application/octet-stream")


def operations(web: FastAPI) -> Iterator[Any]:
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(web.openapi())))
    every = {
        f"{each.method} {each.path}": each for each in (found.ok() for found in schema.get_all_operations())
    }
    last = [every.pop(name) for name in LAST if name in every]
    yield from [*every.values(), *last]


def question_of(case: Any) -> Question:
    """A generated case as a request."""
    path = case.operation.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    headers = [(name, _plain(value)) for name, value in (case.headers or {}).items()]
    body = b""
    if isinstance(case.body, bytes):
        body = case.body
    elif type(case.body).__name__ != "NotSet":
        body = json.dumps(case.body, default=str).encode()
    if body:
        headers.append(("content-type", case.media_type or "application/json"))
    query = urlencode(dict(case.query or {}), doseq=True)
    return Question(case.method.upper(), path, query, tuple(headers), body)


def _plain(value: Any) -> str:
    """As a server would let it through: HTTP's own parser refuses the rest before any of our code."""
    return "".join(letter for letter in str(value) if 32 <= ord(letter) < 127)


async def faults(studio: Studio, cases: int) -> list[str]:
    """Answers that must not be."""
    loop = asyncio.get_running_loop()
    hidden = studio.marks(studio.other) - studio.marks(studio.one)
    found: list[str] = []

    def send(question: Question, signed_in: tuple[tuple[str, str], ...]) -> Answer:
        return asyncio.run_coroutine_threadsafe(ask(studio.web, question, signed_in), loop).result()

    def judge(case: Any) -> None:
        question = question_of(case)
        for who, headers in (("one", studio.one.headers), ("other", studio.other.headers), ("nobody", ())):
            answer = send(question, headers)
            told = f"{question.method} {question.path}?{question.query} as {who}: {answer.status}"
            if answer.status >= 500 or answer.status == 0:
                found.append(f"{told} {answer.body[:200]!r}")
            elif str(answer.status) not in case.operation.definition.raw["responses"]:
                found.append(f"{told} is not described")
            elif who == "one" and (mark := marks_in(answer, hidden)):
                found.append(f"{told} {mark}")

    def run(operation: Any) -> None:
        limits = settings(
            max_examples=cases,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        limits(given(operation.as_strategy())(judge))()

    for operation in operations(studio.web):
        await asyncio.to_thread(run, operation)
    return found


async def test_no_request_of_anybody_makes_the_api_fail(full: Studio) -> None:
    assert await faults(full, CASES) == []


async def test_an_operation_that_fails_is_found(full: Studio) -> None:
    full.web.router.routes.clear()

    @full.web.get("/api/v1/broken")
    async def broken(number: int) -> JSONResponse:
        return JSONResponse({"half": 1 / 0 if number else 1}, 500)

    full.web.openapi_schema = None
    found = await faults(full, 3)
    assert found != []
