"""The language model library's side of Maya's mind: one structured call, read while it comes, mended once.

Imported only where a model is configured, when she is first asked, as the library takes seconds: see `model`. The model
has no tools: it proposes, and what is done is done by the member.
"""

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai import Agent, ModelRetry, NativeOutput, PromptedOutput, RunContext, ToolOutput
from pydantic_ai import exceptions as failed
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
    UserPromptPart,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import infer_provider_class
from pydantic_ai.usage import RunUsage, UsageLimits
from pydantic_core import from_json

from portraitist.kit.http import LibraryClient
from portraitist.kit.logging import logger
from portraitist.studio.maya import mind
from portraitist.studio.maya.mind import ANEW, Asked, Chosen, MayaAway, MayaFailed, Piece
from portraitist.studio.maya.telling import (
    Examiner,
    Spoken,
    Unfit,
    about_the_member,
    history,
    instructions,
    question,
)
from portraitist.studio.prompting.refusing import Refusals

log = logger(__name__)
TRIES = 2
GULP_S, AT_ONCE_S = 0.1, 0.005
"""From one gulp to the next, and the longest that taking a piece needs which lies there."""
OUTPUTS: dict[str, Any] = {"tool": ToolOutput, "native": NativeOutput, "prompted": PromptedOutput}


async def answered(
    agent: Agent[Examiner, Spoken], chosen: Chosen, asked: Asked, refusals: Refusals
) -> AsyncIterator[Piece]:
    """The reply as the model writes it, then the whole answer. Raises MayaFailed and MayaAway."""
    examiner, used = Examiner(asked, refusals), RunUsage()
    reading = _Reading(examiner)
    async with (
        _named_failures(used),
        agent.iter(
            question(asked),
            deps=examiner,
            message_history=_messages(asked),
            usage=used,
            # each answer is bounded where it is asked for: tokens limited here would be counted at every piece
            usage_limits=UsageLimits(request_limit=TRIES),
            model_settings={"max_tokens": chosen.most_tokens},
        ) as run,
    ):
        async for node in run:
            if not agent.is_model_request_node(node):
                continue
            if reading.said:
                yield ANEW
            reading = _Reading(examiner)
            async with node.stream(run.ctx) as stream:
                async for event in _in_gulps(stream, reading):
                    if text := reading.read(event):
                        yield text
        assert run.result is not None
        answer = examiner.answer(run.result.output)
    yield replace(answer, tokens_in=used.input_tokens, tokens_out=used.output_tokens)


async def _in_gulps(events: AsyncIterable[Any], reading: "_Reading") -> AsyncIterator[Any]:
    """The events as they come until words are out; then ten times a second all that have come meanwhile.

    A piece that is waited for takes a dozen turns of the loop through the libraries, one that lies there none. So many
    answers at once leave the loop free for those that begin, and nobody reads faster.
    """
    loop = asyncio.get_running_loop()
    asked = loop.time()
    async for event in events:
        waited = loop.time() - asked
        yield event
        if reading.said and waited > AT_ONCE_S:
            await asyncio.sleep(GULP_S)
        asked = loop.time()


@dataclass
class _Reading:
    """Reads the reply out of an answer that has not come whole."""

    examiner: Examiner
    raw: str = ""
    said: str = ""
    over: bool = False

    def read(self, event: Any) -> str:
        """What the event adds to the reply; nothing more behind it, or once it says what it must not."""
        if self.over:
            return ""
        self.raw += _written(event)
        begun = self.raw.find("{")
        if begun < 0:
            return ""
        try:
            whole = from_json(self.raw[begun:], allow_partial="trailing-strings")
        except ValueError:
            return ""
        reply = whole.get("reply", "") if isinstance(whole, dict) else ""
        self.over = bool(reply) and next(reversed(whole)) != "reply"
        if not isinstance(reply, str) or len(reply) <= len(self.said):
            return ""
        if not self.examiner.may_say(reply):
            self.over = True
            return ""
        more, self.said = reply[len(self.said) :], reply
        return more


def _written(event: Any) -> str:
    """What an event of the library brings of the structured answer."""
    match event:
        case (
            PartStartEvent(part=TextPart(content=str(text)))
            | PartStartEvent(part=ToolCallPart(args=str(text)))
        ):
            return text
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            return text
        case PartDeltaEvent(delta=ToolCallPartDelta(args_delta=str(text))):
            return text
    return ""


def made(chosen: Chosen, client: LibraryClient) -> Agent[Examiner, Spoken]:
    """The agent for this model. Raises the library's UserError for a model it does not know."""
    agent: Agent[Examiner, Spoken] = Agent(
        _model(chosen, client),
        deps_type=Examiner,
        output_type=OUTPUTS[chosen.output](Spoken, name="answer"),
        instructions=instructions(),
        retries={"output": TRIES - 1},
    )

    @agent.instructions
    def member(context: RunContext[Examiner]) -> str:
        return about_the_member(context.deps.asked)

    @agent.output_validator
    def examined(context: RunContext[Examiner], spoken: Spoken) -> Spoken:
        try:
            context.deps.answer(spoken)
        except Unfit as exc:
            raise ModelRetry(str(exc)) from exc
        return spoken

    return agent


def _model(chosen: Chosen, client: LibraryClient) -> Model[Any]:
    """The library's model, asked by our client and by no other."""

    def provider(name: str) -> Any:
        made = infer_provider_class(name)
        known = inspect.signature(made.__init__).parameters
        if "http_client" not in known:
            raise failed.UserError(
                f"MAYA_MODEL: {name} can't be asked over the studio's guarded connections."
            )
        given = {"api_key": chosen.key or None, "base_url": chosen.url or None, "http_client": client}
        return made(**{key: value for key, value in given.items() if value is not None and key in known})

    model = infer_model(chosen.name, provider_factory=provider)
    inner = getattr(model, "client", None)
    if inner is not None and hasattr(inner, "max_retries"):
        inner.max_retries = 0  # who waits is told, and decides
    return model


def _messages(asked: Asked) -> list[ModelMessage]:
    return [
        ModelResponse(parts=[TextPart(content=text)])
        if by_maya
        else ModelRequest(parts=[UserPromptPart(content=text)])
        for by_maya, text in history(asked)
    ]


@asynccontextmanager
async def _named_failures(used: RunUsage) -> AsyncIterator[None]:
    """The library's failures by our names, with the tokens that they took. The log has kinds, never words."""
    try:
        yield
    except failed.AgentRunError as exc:
        named = _named(exc)
        named.tokens = (used.input_tokens, used.output_tokens)
        log.warning(
            "maya.failed", code=named.code, kind=type(exc).__name__, status=getattr(exc, "status_code", None)
        )
        raise named from exc


def _named(exc: Exception) -> MayaFailed | MayaAway:
    match exc:
        case failed.ModelTimeoutError() | failed.ModelRequestTimeout():
            return mind.slow()
        case failed.ModelAuthenticationError() | failed.ModelNotFoundError():
            return mind.away()  # the operator's to mend
        case failed.ContentFilterError() | failed.ModelRequestRejectedError():
            return mind.refused()
        case failed.ModelAPIError():
            return mind.away()
    return mind.unreadable()
