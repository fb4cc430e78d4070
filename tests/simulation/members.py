"""What members do in a schedule, through the product's own services, as impatient people do it."""

import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from portraitist.kit.errors import DatabaseUnavailable
from portraitist.studio.accounts.domain import Member
from portraitist.studio.errors import StudioError
from portraitist.studio.generation import service as generation
from portraitist.studio.images import service as images
from portraitist.studio.prompting.refusing import Refusals
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.training import service as training
from tests.simulation.plans import Action
from tests.simulation.scheduler import Scheduler, VirtualClock
from tests.simulation.store import MemoryStore, Tables

TRIES, PATIENCE_S, LONGEST_WAIT_S = 6, 3.0, 7_200.0
Deed = Callable[[Any], Awaitable[object]]


def enrolled(number: int, tables: Tables, files: dict[str, bytes], now: datetime) -> str:
    """A new member with ten accepted photos."""
    user_id = f"member{number:06d}"
    tables.members[user_id] = Member(user_id, f"name:{number}", None, "member", "person", now)
    for photo in range(10):
        digest = hashlib.sha256(f"{user_id} {photo}".encode()).digest()
        row_id, key = UUID(bytes=digest[:16], version=4), f"members/{user_id}/selfies/{photo}.jpg"
        row = (user_id, row_id, row_id, f"{photo}.jpg", digest, "accepted", None, None, key, digest)
        tables.selfies[row_id] = Selfie(*row, 512, 512, 0, now)
        files[key] = digest
    return user_id


@dataclass
class Life:
    """One member and all their clicks."""

    user_id: str
    store: MemoryStore
    scheduler: Scheduler
    clock: VirtualClock
    rng: random.Random
    accounts: Sequence[tuple[str, str]]
    """Accounts that trainings may go to, and their names at the provider."""
    at_end: Callable[[], None]
    """Called whenever one of their actions is over."""
    open_actions: int = 0
    clicks: int = 0
    trainings: list[UUID] = field(default_factory=list)
    generations: list[UUID] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is going to happen by this member's hand."""
        return self.open_actions == 0

    def begin(self, actions: tuple[Action, ...]) -> None:
        """Do these, each at its time."""
        for action in actions:
            self.now(action.what, after=action.after)

    def now(self, what: str, after: float = 0.001) -> None:
        """Do this too."""
        self._also(self._deeds()[what](), what, after)

    def _also(self, deed: Awaitable[None], name: str, after: float) -> None:
        self.open_actions += 1
        self.scheduler.spawn(self._counted(deed), "members", f"{self.user_id}: {name}", after)

    async def _counted(self, deed: Awaitable[None]) -> None:
        try:
            await deed
        finally:
            self.open_actions -= 1
            self.at_end()

    def _deeds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "train": lambda: self._train(self._new_key()),
            "train again": lambda: self._train(self._new_key()),
            "double click": self._double_click,
            "two tabs": self._two_tabs,
            "generate": self._generate,
            "cancel training": self._cancel_training,
            "cancel generation": self._cancel_generation,
            "cancel all": self._cancel_all,
            "retry": self._retry,
            "roll back": self._roll_back,
            "delete photos": self._delete_photos,
            "delete a picture": self._delete_picture,
            "delete all": self._delete_photos,
        }

    async def _train(self, key: str) -> None:
        account_id, owner = self.rng.choice(self.accounts)

        async def begin(tx: Any) -> None:
            started = await training.start(
                tx, owner=owner, account_id=account_id, key=key, per_day=None, now=self.clock.now()
            )
            self.trainings.append(started.id)

        await self._insist(begin)

    async def _double_click(self) -> None:
        key = self._new_key()
        self._also(self._train(key), "second click", 0.01)
        await self._train(key)

    async def _two_tabs(self) -> None:
        self._also(self._train(self._new_key()), "second tab", 0.01)
        await self._train(self._new_key())

    async def _generate(self) -> None:
        key, end = self._new_key(), self.clock.now().timestamp() + LONGEST_WAIT_S

        async def ask(tx: Any) -> None:
            asked = await generation.ask(
                tx,
                "in a garden",
                key=key,
                new_seed=lambda: self.rng.randrange(50),
                refusals=Refusals(),
                now=self.clock.now(),
            )
            self.generations.append(asked.id)

        while not await self._insist(ask) and self.clock.now().timestamp() < end:
            await self.scheduler.pause("waiting for the model", 300)

    async def _cancel_training(self) -> None:
        if self.trainings:
            await self._insist(lambda tx: training.cancel(tx, self.trainings[-1], self.clock.now()))

    async def _cancel_generation(self) -> None:
        if self.generations:
            await self._stop(self.rng.choice(self.generations))

    async def _stop(self, wanted: UUID) -> None:
        await self._insist(lambda tx: generation.cancel(tx, wanted, self.clock.now()))

    async def _cancel_all(self) -> None:
        await self._cancel_training()
        for wanted in list(self.generations):
            await self._stop(wanted)

    async def _retry(self) -> None:
        if self.trainings:
            await self._insist(lambda tx: training.retry(tx, self.trainings[-1], self.clock.now()))

    async def _roll_back(self) -> None:
        async def back(tx: Any) -> None:
            history = await training.versions(tx)
            if history:
                await training.roll_back(tx, history[-1][0].id, self.clock.now())

        await self._insist(back)

    async def _delete_photos(self) -> None:
        async def delete(tx: Any) -> None:
            for row_id in [key for key, row in tx.tables.selfies.items() if row.user_id == self.user_id]:
                del tx.tables.selfies[row_id]

        await self._insist(delete)

    async def _delete_picture(self) -> None:
        """The first that there is, as soon as there is one."""
        end = self.clock.now().timestamp() + LONGEST_WAIT_S
        while not await self._insist(self._without_first) and self.clock.now().timestamp() < end:
            await self.scheduler.pause("waiting for a picture", 300)

    async def _without_first(self, tx: Any) -> None:
        kept = await images.of_generations(tx, self.generations)
        first = [image.id for found in kept.values() for image in found if image.deleted_at is None][:1]
        await images.delete(tx, first or [UUID(int=0)], self.clock.now())

    async def _insist(self, deed: Deed) -> bool:
        """Again with the same key while the studio is unreachable; False where it says no."""
        for _ in range(TRIES):
            try:
                async with self.store.member(self.user_id) as tx:
                    await deed(tx)
                return True
            except StudioError:
                return False
            except DatabaseUnavailable:
                await self.scheduler.pause("trying again", PATIENCE_S)
        return False

    def _new_key(self) -> str:
        self.clicks += 1
        return f"{self.user_id} {self.clicks}"
