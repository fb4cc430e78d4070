"""What requests, transactions and files meet in a schedule, drawn from its plan."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.plans import Plan
from tests.simulation.remote import LATER_S


@dataclass
class Faults:
    """`passed` says how many seconds of the schedule are over. `scripted` is the fate of the very next request."""

    plan: Plan
    rng: random.Random
    passed: Callable[[], float]
    scripted: str | None = None
    met: int = 0
    """How many requests have met one so far."""
    late: Counter[str] = field(default_factory=Counter)
    """How many requests were given up and have not arrived yet, by path."""

    def of_request(self, method: str, path: str) -> str | None:
        """What this request meets."""
        if self.scripted is not None:
            fault, self.scripted, self.met = self.scripted, None, self.met + 1
            return fault
        if not self.plan.faulty or self._are_over() or self.rng.random() >= self.plan.faulty:
            return None
        self.met += 1
        fault = self.rng.choice(self.plan.kinds)
        # only a create that comes late does harm
        return "lost" if fault in LATER_S and not _creates(method, path) else fault

    def of_database(self) -> str | None:
        """What this transaction meets."""
        return self._away(self.plan.database_faulty)

    def of_storage(self) -> str | None:
        """What this file meets."""
        return self._away(self.plan.storage_faulty)

    def _away(self, chance: float) -> str | None:
        if not chance or self._are_over() or self.rng.random() >= chance:
            return None
        return self.rng.choice(("away", "reply lost"))

    def _are_over(self) -> bool:
        return self.passed() > self.plan.faults_last_s


def _creates(method: str, path: str) -> bool:
    return method == "POST" and path.endswith(("/trainings", "/predictions"))
