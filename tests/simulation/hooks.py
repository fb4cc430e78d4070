"""The way of webhooks from the cloud to the studio's web process, and what befalls them there.

Some are lost, late, doubled, out of order, forged, or show another run than the one whose address they have.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from portraitist.kit.errors import KitError
from portraitist.studio.errors import StudioError
from portraitist.studio.webhooks.service import Intake
from tests.fakes.simulated_cloud import Run, SimulatedCloud
from tests.fakes.simulated_webhooks import Post, crossed, forged, post_of
from tests.simulation.scheduler import Scheduler

WEB = "web"
FATES = ("plain", "plain", "plain", "lost", "late", "doubled", "forged", "crossed")
TRIES, ANSWERS_WITHIN_S, AGAIN_AFTER_S = 3, 5.0, 30.0
LATEST_S = 1_200.0


@dataclass
class Hooks:
    """One account's webhooks. `honest` and `crossed` know what was rightly signed, by the id of the message."""

    scheduler: Scheduler
    cloud: SimulatedCloud
    rng: random.Random
    intake: Callable[[], Intake | None]
    at_end: Callable[[], None]
    is_known: Callable[[Run], bool]
    """Whether the run's row knows its run: only then can it tell another's."""
    honest: dict[str, str] = field(default_factory=dict)
    crossed: set[str] = field(default_factory=set)
    on_the_way: int = 0

    def heard(self, run: Run, event: str) -> None:
        """The cloud created or cancelled a run."""
        if run.webhook is None:
            return
        if event == "created":
            self._tell_at(run, "start", run.started_at)
            self._tell_at(run, "completed", run.ends_at)
        else:
            self._tell_at(run, "canceled", self.cloud.now())

    def _tell_at(self, run: Run, event: str, at: datetime) -> None:
        after = max(0.001, (at - self.cloud.now()).total_seconds())
        self.scheduler.spawn(self._tell(run, event), "network", f"webhook {event}", after)

    async def _tell(self, run: Run, event: str) -> None:
        if event != "canceled" and run.cancelled_at is not None:
            return
        fate, post = self.rng.choice(FATES), post_of(self.cloud, run, event)
        self.honest[post.id] = run.id
        if fate == "lost":
            return
        self._send(post, self.rng.uniform(1, LATEST_S) if fate == "late" else 0.001)
        if fate == "doubled":
            self._send(post, self.rng.uniform(0.001, 20))
        elif fate == "forged":
            self._send(forged(self.cloud, post), self.rng.uniform(0.001, 5))
        elif fate == "crossed":
            self._cross(run)

    def _cross(self, run: Run) -> None:
        runs = [each for each in self.cloud.runs.values() if each.webhook not in (None, run.webhook)]
        known = [each for each in runs if self.is_known(each)]
        if known:
            post = crossed(self.cloud, run, self.rng.choice(known))
            self.crossed.add(post.id)
            self._send(post, 0.001)

    def _send(self, post: Post, after: float) -> None:
        self.on_the_way += 1
        self.scheduler.spawn(self._delivered(post), "network", "webhook", after)

    async def _delivered(self, post: Post) -> None:
        """Again, as providers do, until there is an answer that is none of the server's troubles."""
        for _ in range(TRIES):
            answers: list[int] = []
            self.scheduler.spawn(self._taken(post, answers), WEB, f"webhook {post.id}", 0.001)
            await self.scheduler.pause("waiting for the answer", ANSWERS_WITHIN_S)
            if answers and answers[0] < 500:
                break
            await self.scheduler.pause("sending it again", AGAIN_AFTER_S)
        self.on_the_way -= 1
        self.at_end()

    async def _taken(self, post: Post, answers: list[int]) -> None:
        intake = self.intake()
        if intake is None:
            return
        account_id, kind, token = post.address
        try:
            await intake.take(account_id, kind, token, post.headers, post.body)  # type: ignore[arg-type]
            answers.append(200)
        except StudioError as exc:
            answers.append(exc.status)
        except KitError:
            answers.append(503)
