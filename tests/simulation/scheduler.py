"""A seeded scheduler on a virtual clock: it decides who goes on next, and who dies where.

Coroutines are driven by hand, without an event loop. They give the turn back at `pause`; between two pauses
nothing else happens. Killing a process drops its coroutines and all they remembered.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


class Killed(BaseException):
    """The process that is running dies at this very step."""


class Pause:
    """What a coroutine awaits to give the turn back for at least `seconds` of virtual time."""

    __slots__ = ("label", "seconds")

    def __init__(self, label: str, seconds: float) -> None:
        self.label, self.seconds = label, seconds

    def __await__(self) -> Generator["Pause", None, None]:
        yield self


@dataclass
class VirtualClock:
    """The product's Clock; time moves when everybody waits."""

    at: datetime = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """The present moment of this world."""
        return self.at


@dataclass
class Task:
    """A coroutine of a process."""

    coroutine: Coroutine[Any, Any, None]
    process: str
    name: str


@dataclass
class Scheduler:
    """Runs tasks one step at a time; the same seed gives the same run."""

    rng: random.Random
    clock: VirtualClock
    on_death: Callable[[str], None] = lambda process: None
    kill_at: frozenset[int] = frozenset()
    """Steps (counted over the whole run) at which the worker that is about to go on dies instead."""
    steps: int = 0
    failures: list[str] = field(default_factory=list)
    in_transaction: bool = False
    _ready: list[Task] = field(default_factory=list)
    _waiting: list[tuple[datetime, int, Task]] = field(default_factory=list)
    _count: Any = field(default_factory=itertools.count)

    def pause(self, label: str, seconds: float = 0.0) -> Pause:
        """Give the turn back. Forbidden inside a transaction: there the product must not wait for anybody."""
        assert not self.in_transaction, f"{label} inside of a transaction"
        return Pause(label, seconds)

    def spawn(
        self, coroutine: Coroutine[Any, Any, None], process: str, name: str, after: float = 0.0
    ) -> None:
        """Let a coroutine begin `after` seconds from now, as part of a process."""
        self._put(Task(coroutine, process, name), after)

    def kill(self, process: str) -> None:
        """End a process as SIGKILL does; `on_death` hears of it."""
        dead = [task for task in self._ready if task.process == process]
        dead += [task for _, _, task in self._waiting if task.process == process]
        self._ready = [task for task in self._ready if task.process != process]
        self._waiting = [entry for entry in self._waiting if entry[2].process != process]
        heapq.heapify(self._waiting)
        for task in dead:
            task.coroutine.close()
        self.on_death(process)

    def run(self, until: Callable[[], bool], *, end: datetime, most_steps: int) -> bool:
        """Go on until the condition holds; False where time or steps ran out, or nobody had anything to do."""
        while not until():
            if self.steps >= most_steps or not self._next_is_ready(end):
                return False
            ready = self._ready
            self._step(ready.pop(int(self.rng.random() * len(ready)) if len(ready) > 1 else 0))
        return True

    def _next_is_ready(self, end: datetime) -> bool:
        if not self._ready:
            if not self._waiting or self._waiting[0][0] > end:
                return False
            self.clock.at = max(self.clock.at, self._waiting[0][0])
        while self._waiting and self._waiting[0][0] <= self.clock.at:
            self._ready.append(heapq.heappop(self._waiting)[2])
        return True

    def _step(self, task: Task) -> None:
        self.steps += 1
        if self.steps in self.kill_at and task.process.startswith(("worker", "web")):
            task.coroutine.close()
            self.kill(task.process)
            return
        try:
            pause = task.coroutine.send(None)
        except StopIteration:
            return
        except Killed:
            self.kill(task.process)
            return
        except Exception as exc:  # noqa: BLE001 - the rim: what a handler lets out is a finding
            self.failures.append(f"{task.name}: {type(exc).__name__}: {exc}")
            return
        self._put(task, pause.seconds)

    def _put(self, task: Task, seconds: float) -> None:
        if seconds <= 0:
            self._ready.append(task)
        else:
            at = self.clock.at + timedelta(seconds=seconds)
            heapq.heappush(self._waiting, (at, next(self._count), task))
