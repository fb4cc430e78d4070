"""A service that counts faces, as an operator may run one: what it answers is what a test says."""

from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send


@dataclass
class CountingFaces:
    """An ASGI app. `answers` are the next answers, the last one for ever; a number, JSON, or a whole response."""

    answers: list[Any] = field(default_factory=lambda: [1])
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.asked.append((request.method, request.headers.get("content-type", ""), await request.body()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            answer = {"faces": answer}
        response = answer if isinstance(answer, Response) else JSONResponse(answer)
        await response(scope, receive, send)
