"""Wait for a training or generation: live from the event stream, by polling where the stream is away.

How far a training is comes from the engine's own log (its last bar, with the rate it reports); nothing is guessed
by the clock.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import httpx2

from portraitist.cli import wire
from portraitist.cli.api import StudioApi
from portraitist.cli.output import Output
from portraitist.cli.wire import TRAINING_PARKED, Generation, Training

POLL_S = 1.0
# After the stream broke: look this often by polling before trying the stream again.
POLLS_BETWEEN_STREAMS = 5
# A stream that says nothing about the item for so long is left for a poll: it may have missed the end.
STREAM_SILENCE_S = 10.0
# A trained model whose check fails is tried again at growing distances, up to a day: nobody sits that out.
PARKED_PATIENCE_S = 300.0

# tqdm's end of a training bar: "[elapsed<remaining, rate".
_REMAINING = re.compile(r"<(?P<left>(?:\d+:)?\d{1,2}:\d{2}),")

PHASES = {
    "queued": "Queued",
    "submitting": "Handing over to the engine",
    "submitted": "Waiting for the engine",
    "preparing": "Preparing the photos",
    "captioning": "Captioning the photos",
    "caching": "Preparing the photos",
    "training": "Training",
    "packaging": "Packaging the model",
    "saving": "Packaging the model",
    "extracting": "Reading the new version",
    "verifying": "Verifying the model with a test picture",
    "running": "Drawing",
    "storing": "Storing the pictures",
    "completed": "Ready",
    "ready": "Ready",
    "extraction_failed": "Reading the new version failed; the studio tries again by itself",
    "verification_failed": "The test picture failed; the studio tries again by itself",
}

Item = TypeVar("Item", Training, Generation)


def remaining(logs: str) -> str | None:
    """Time left as the engine's last bar reports it, m:ss; None before the rate is known."""
    found = _REMAINING.findall(logs)
    return str(found[-1]) if found else None


def training_line(training: Training) -> tuple[str, float | None]:
    """Text and fraction for the bar."""
    name = PHASES.get(
        training.status if training.status in TRAINING_PARKED else training.phase, training.phase
    )
    if training.phase != "training" or not training.total_steps or training.step is None:
        return name, None
    left = remaining(training.logs_tail)
    text = f"{name} {training.step}/{training.total_steps}" + (f", {left} left" if left else "")
    return text, min(training.step / training.total_steps, 1.0)


async def follow_training(
    api: StudioApi, training: Training, output: Output, *, patience_s: float = PARKED_PATIENCE_S
) -> Training:
    """The training at its end, or parked for `patience_s` seconds; the bar moves meanwhile."""
    clock = asyncio.get_running_loop().time
    parked_since: float | None = None
    updates = _updates(api, training, "training", Training.of, api.training)
    with output.bar() as bar:
        async with aclosing(updates):
            async for now in updates:
                training = now
                bar.update(*training_line(now))
                _emit(output, now)
                if now.status in TRAINING_PARKED:
                    parked_since = parked_since or clock()
                    if clock() - parked_since >= patience_s:
                        break
    return training


def _emit(output: Output, now: Training) -> None:
    output.emit(
        "training", id=now.id, status=now.status, phase=now.phase, step=now.step, total_steps=now.total_steps
    )


async def follow_generation(api: StudioApi, generation: Generation, output: Output) -> Generation:
    """The generation at its end."""
    with output.bar() as bar:
        async for now in _updates(api, generation, "generation", Generation.of, api.generation):
            generation = now
            stored = f" ({len(now.pictures)} stored)" if now.pictures else ""
            bar.update(PHASES.get(now.status, now.status) + stored, None)
            output.emit("generation", id=now.id, status=now.status, pictures=len(now.pictures))
    return generation


async def _updates(
    api: StudioApi,
    item: Item,
    event: str,
    parse: Callable[[wire.Json], Item],
    get: Callable[[str], Awaitable[Item]],
) -> AsyncGenerator[Item]:
    """Each change of the item, the last one ended. The stream is looked at first, polling fills its gaps."""
    now = item
    yield now
    while not now.ended:
        try:
            async for told in _streamed(api, item.id, event, parse, get):
                now = told
                yield now
                if now.ended:
                    return
        except (TimeoutError, httpx2.HTTPError, httpx2.SSEError, httpx2.StreamError):
            pass  # the stream is a convenience; the polls below carry the truth
        for _ in range(POLLS_BETWEEN_STREAMS):
            now = await get(item.id)
            yield now
            if now.ended:
                return
            await asyncio.sleep(POLL_S)


async def _streamed(
    api: StudioApi,
    item_id: str,
    event: str,
    parse: Callable[[wire.Json], Item],
    get: Callable[[str], Awaitable[Item]],
) -> AsyncIterator[Item]:
    async with api.events() as events:
        yield await get(item_id)  # what happened before the stream stood
        while True:
            async with asyncio.timeout(STREAM_SILENCE_S):
                data = await _next(events, event, item_id)
            if data is None:
                return
            yield parse(data)


async def _next(events: AsyncIterator[httpx2.ServerSentEvent], event: str, item_id: str) -> wire.Json | None:
    """The next message about the item; None where the stream ends."""
    async for message in events:
        if message.event == event:
            data: wire.Json = json.loads(message.data)
            if data["id"] == item_id:
                return data
    return None
