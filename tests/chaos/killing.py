"""Kills, one after the other: at labels, or at random times. Used by the tests and by bench/crash_schedules.py."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.rig import Rig, WorkerProcess
from tests.simulation.checker import violations

SETTLES_WITHIN_S = 60.0
FAULTS = ("429", "500", "cut", "late 500")


@dataclass
class Outcome:
    """What a series of kills came to. `resumed_s`: after each kill, seconds until some row moved again."""

    kills: int = 0
    labels: list[str] = field(default_factory=list)
    resumed_s: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    rows: int = 0


async def at_labels(rig: Rig, labels: list[str], *, most_s: float) -> Outcome:
    """One worker that dies at each label once, wherever it meets it first; work goes on in between."""
    outcome, left, worker = Outcome(), list(labels), rig.worker()
    killed_at, end = [], time.monotonic() + most_s
    try:
        while left and time.monotonic() < end:
            if any(label.startswith("twins.") for label in left):
                rig.app.fault_of = _one_late_start()
            await _ask(rig, left)
            worker.start(*left)
            while not worker.died(within=0.5) and time.monotonic() < end:
                if not rig.busy():
                    await _ask(rig, left)
            died_at = [
                line.removeprefix("failpoint ") for line in worker.said() if line.startswith("failpoint ")
            ]
            killed_at.append(time.time())
            left = [label for label in left if label not in died_at]
            outcome.labels += died_at
        outcome.kills = len(outcome.labels)
        return _judged(rig, worker, outcome, killed_at)
    finally:
        worker.close()


async def of_web(rig: Rig, labels: list[str], *, most_s: float) -> Outcome:
    """The web process dies at each label once, while the provider tells it of runs again and again."""
    outcome, left, worker, web = Outcome(), list(labels), rig.worker(), rig.web()
    end = time.monotonic() + most_s
    try:
        worker.start()
        while left and time.monotonic() < end:
            await rig.ask_for_more()
            web.start(*left)
            while not web.died(within=0.2) and time.monotonic() < end:
                rig.send_webhooks()
            died_at = [
                line.removeprefix("failpoint ") for line in web.said() if line.startswith("failpoint ")
            ]
            left = [label for label in left if label not in died_at]
            outcome.labels += died_at
        outcome.kills = len(outcome.labels)
        web.start()
        while set(rig.ended_runs()) - set(rig.delivered.values()) and time.monotonic() < end:
            rig.send_webhooks()
            time.sleep(0.2)
        return _judged(rig, worker, outcome, [])
    finally:
        worker.close()
        web.close()


async def _ask(rig: Rig, left: list[str]) -> None:
    """More to do for a worker that is to come by these labels; a picture can be deleted once there is one."""
    await rig.ask_for_more()
    if any(label.startswith("images.") for label in left):
        await rig.delete_pictures()


def _one_late_start() -> Callable[[str, str], str | None]:
    """The next start arrives when it was given up: its run will be the second one."""
    faults = ["late"]

    def fault_of(method: str, path: str) -> str | None:
        starts = method == "POST" and path.endswith(("/trainings", "/predictions"))
        return faults.pop() if starts and faults else None

    return fault_of


async def at_random(
    rig: Rig, kills: int, *, seed: int, longest_s: float = 1.5, faulty: float = 0.0
) -> Outcome:
    """Kills at random moments of a busy studio; every so often (`faulty`, 0–1) the provider misbehaves as well."""
    rng, outcome, worker = random.Random(seed), Outcome(), rig.worker()
    killed_at: list[float] = []
    chance = random.Random(seed + 1)  # requests come in an order of their own
    rig.app.fault_of = lambda method, path: chance.choice(FAULTS) if chance.random() < faulty else None
    try:
        for _ in range(kills):
            await rig.ask_for_more(cancels=0.05)
            if rng.random() < 0.1:
                await rig.delete_pictures()
            worker.start()
            time.sleep(rng.uniform(0.2, longest_s))
            worker.kill()
            killed_at.append(time.time())
            outcome.kills += 1
        rig.app.fault_of = lambda method, path: None
        return _judged(rig, worker, outcome, killed_at)
    finally:
        worker.close()


def _judged(rig: Rig, worker: WorkerProcess, outcome: Outcome, killed_at: list[float]) -> Outcome:
    """Let everything come to rest, then look."""
    worker.kill()
    worker.start()
    at_rest = rig.rests(within=SETTLES_WITHIN_S)
    time.sleep(2.5)  # a last look for twins
    worker.kill()
    evidence = rig.evidence(
        at_rest=at_rest, failures=[line for line in worker.said() if "job failed" in line]
    )
    outcome.violations = violations(evidence)
    outcome.rows = len(evidence.trainings) + len(evidence.generations)
    moves = rig.moved_at()
    for at in killed_at[:-1] if at_rest else killed_at:
        after = next((moved - at for moved in moves if moved > at + 0.02), None)
        if after is not None:
            outcome.resumed_s.append(after)
    return outcome
