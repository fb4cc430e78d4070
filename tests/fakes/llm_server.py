"""A language model behind OpenAI's HTTP interface, as an operator may run one: what it answers is what a test says.

It streams, piece by piece, refuses, takes its time, talks nonsense, or is out of order.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

GOOD_PROMPTS = {
    "close_up": "{subject} wearing a fitted navy merino jumper with a neat collar, one hand at the collar, in a quiet "
    "library between tall shelves, soft window light from the left in the late morning, thoughtful and calm mood, "
    "close-up portrait, 85 mm lens at f/2, visible weave and fine film grain",
    "half_body": "{subject} wearing a tailored charcoal wool coat with a relaxed fit, one hand in the coat pocket, on "
    "a stone bridge in the old town, low golden light from behind at sunset, confident and unhurried mood, half-body "
    "portrait, 50 mm lens at f/2.2, natural texture of wool and stone",
    "full_scene": "{subject} wearing a loose linen shirt over straight trousers, both hands in the pockets, walking "
    "along a wide beach at low tide, crisp light from the right in the early morning, hopeful mood, full-length "
    "scene, 35 mm lens at f/2.8, natural creases and fine grain",
}


def card(title: str, shot: str = "half_body", **changes: Any) -> dict[str, Any]:
    """A card as a well-behaved model writes it."""
    return {
        "title": title,
        "description": f"{title}, in good light.",
        "shot": shot,
        "category": "Story",
        "prompt": GOOD_PROMPTS[shot],
        **changes,
    }


def answer(reply: str = "Lovely idea, let me sketch that.", **changes: Any) -> dict[str, Any]:
    """An answer as a well-behaved model gives it."""
    cards = [card("Between the shelves", "close_up"), card("The bridge"), card("Low tide", "full_scene")]
    return {"reply": reply, "cards": cards, "suggestions": ["Warmer", "At night"], "remember": [], **changes}


@dataclass
class ScriptedModel:
    """An ASGI app. `answers` are the next answers, the last one for ever.

    A dict is a structured answer, a string is plain words, a Response is sent as it is. `pause_s` is between pieces of
    `piece` characters, `first_s` before the first.
    """

    answers: list[Any] = field(default_factory=lambda: [answer()])
    first_s: float = 0.0
    pause_s: float = 0.0
    piece: int = 12
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    open_now: int = 0
    open_most: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = json.loads(await request.body())
        self.asked.append(body)
        self.keys.append(request.headers.get("authorization", ""))
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = said if isinstance(said, Response) else self._told(said, body)
        await response(scope, receive, send)

    @property
    def everything_sent(self) -> str:
        """All that was ever sent here, as text."""
        return json.dumps(self.asked, ensure_ascii=False)

    def _told(self, said: Any, body: dict[str, Any]) -> Response:
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        as_tool = not isinstance(said, str) and bool(body.get("tools"))
        if body.get("stream"):
            return StreamingResponse(self._pieces(text, as_tool), media_type="text/event-stream")
        raise AssertionError("the studio asks for streams only")

    async def _pieces(self, text: str, as_tool: bool) -> AsyncIterator[str]:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            await asyncio.sleep(self.first_s)
            yield chunk({"role": "assistant", "content": None if as_tool else ""})
            if as_tool:
                yield chunk(tool({"name": "answer", "arguments": ""}, first=True))
            for at in range(0, len(text), self.piece):
                part = text[at : at + self.piece]
                yield chunk(tool({"arguments": part}) if as_tool else {"content": part})
                await asyncio.sleep(self.pause_s)
            yield chunk({}, finish="tool_calls" if as_tool else "stop")
            yield chunk({}, usage={"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000})
            yield "data: [DONE]\n\n"
        finally:
            self.open_now -= 1


def tool(function: dict[str, Any], *, first: bool = False) -> dict[str, Any]:
    """A piece of a tool call."""
    head = {"id": "call_1", "type": "function"} if first else {}
    return {"tool_calls": [{"index": 0, **head, "function": function}]}


def chunk(delta: dict[str, Any], *, finish: str | None = None, usage: dict[str, int] | None = None) -> str:
    """One event of a streamed completion."""
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "scripted",
        "choices": choices,
    }
    return f"data: {json.dumps(body | ({'usage': usage} if usage else {}))}\n\n"


def out_of_order(status: int = 503) -> Response:
    """An error as such servers give it."""
    return JSONResponse({"error": {"message": "out of order", "type": "server_error", "code": None}}, status)
