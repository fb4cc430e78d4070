"""Puts the simulation in the place of chance, threads, SQL and logs for as long as a block runs.

The product's own modules are used as they are; only what they would reach outside with is replaced.
"""

import asyncio
import contextlib
import functools
import inspect
import logging
import random
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

import structlog

from portraitist.kit import failpoints, jobs
from portraitist.kit.http import GuardedClient
from portraitist.studio import bootstrap, links, pictures
from portraitist.studio.accounts import repository as accounts
from portraitist.studio.generation import repository as generations
from portraitist.studio.images import repository as images
from portraitist.studio.images import tasks as purging
from portraitist.studio.notices import repository as notices
from portraitist.studio.selfies import repository as selfies
from portraitist.studio.training import late_zips, looking, weights, weights_parts
from portraitist.studio.training import repository as trainings
from portraitist.studio.webhooks import repository as webhooks
from tests.fakes import pictures as drawn
from tests.simulation import rates, tidying
from tests.simulation import repositories as memory
from tests.simulation.looking import Looking
from tests.simulation.side_repositories import Copies, LateZips, Notices, Webhooks

REPLACED: tuple[tuple[ModuleType, type], ...] = (
    (trainings, memory.Trainings),
    (looking, Looking),
    (generations, memory.Generations),
    (images, memory.Images),
    (selfies, memory.Selfies),
    (accounts, memory.Accounts),
    (webhooks, Webhooks),
    (notices, Notices),
    (weights, Copies),
    (late_zips, LateZips),
)
read_picture = functools.lru_cache(maxsize=4096)(pictures.read)


@dataclass
class Chance:
    """Where the product's randomness, clock readings and failpoints go while a schedule runs."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    hit: Callable[[str], None] = lambda label: None
    time: Callable[[], float] = lambda: 0.0

    def token(self, count: int = 32) -> str:
        """`secrets.token_hex`."""
        return self.rng.randbytes(count).hex()

    def one_of(self, items: Any) -> Any:
        """`secrets.choice`."""
        return self.rng.choice(items)

    def now(self) -> float:
        """`time.time`."""
        return self.time()

    def reached(self, label: str) -> None:
        """`failpoints.hit`."""
        self.hit(label)


CHANCE = Chance()


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Until the block ends, the product runs on the simulation. Not for use beside anything else."""
    with contextlib.ExitStack() as stack:

        def put(target: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(target, name, value))

        for module, replacement in REPLACED:
            for name, found in list(vars(module).items()):
                if inspect.iscoroutinefunction(found) and found.__module__ == module.__name__:
                    put(module, name, getattr(replacement, name, _not_modelled(f"{module.__name__}.{name}")))
        put(jobs, "enqueue", memory.enqueue)
        put(jobs, "enqueue_all", memory.enqueue_all)
        put(asyncio, "to_thread", _at_once)
        put(secrets, "token_hex", CHANCE.token)
        put(secrets, "choice", CHANCE.one_of)
        put(drawn, "SIZE", (24, 32))  # hundreds of thousands are drawn
        put(pictures, "read", read_picture)
        put(links, "time", SimpleNamespace(time=CHANCE.now))
        put(failpoints, "hit", CHANCE.reached)
        put(GuardedClient, "request", rates.sent)
        put(weights_parts, "PART_BYTES", 4_096)
        put(purging, "UNDO_FOR", tidying.UNDO_FOR)
        put(bootstrap, "new_seed", lambda: CHANCE.rng.randrange(1_000_000))
        for module in [m for name, m in sys.modules.items() if name.startswith("portraitist.studio")]:
            if "uuid4" in vars(module):
                put(module, "uuid4", lambda: UUID(int=CHANCE.rng.getrandbits(128), version=4))
        before = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            structlog.configure(**before)


async def _at_once(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return function(*args, **named)


def _not_modelled(name: str) -> Callable[..., Awaitable[Any]]:
    async def missing(*args: Any, **named: Any) -> Any:
        raise NotImplementedError(f"{name} is not modelled in tests/simulation/repositories.py")

    return missing
