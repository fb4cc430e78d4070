"""Labelled steps at which a test kills the process, as a power cut would. Inert outside such tests.

PORTRAITIST_FAILPOINTS names the labels (`a,b` or `a:3` for the third time); it is refused unless
PORTRAITIST_TESTING=1. What must hold after a kill is written down in docs/proof.md.
"""

import os
import signal
from collections import Counter
from functools import cache

from portraitist.kit.errors import KitError

LABELS, TESTING = "PORTRAITIST_FAILPOINTS", "PORTRAITIST_TESTING"
_hits: Counter[str] = Counter()


class FailpointsRefused(KitError):
    """Failpoints are named in the environment of a process that is no test's."""


@cache
def armed() -> dict[str, int]:
    """Label → at which of its hits to die. Read once. Raises FailpointsRefused outside tests."""
    named = [entry for entry in os.environ.get(LABELS, "").split(",") if entry]
    if named and os.environ.get(TESTING) != "1":
        raise FailpointsRefused(f"{LABELS} is for tests: it kills the process.")
    pairs = (entry.partition(":") for entry in named)
    return {label: int(nth or 1) for label, _, nth in pairs}


def hit(label: str) -> None:
    """A labelled step is reached: die here if the environment says so."""
    if label not in armed():
        return
    _hits[label] += 1
    if _hits[label] == armed()[label]:
        os.write(2, f"failpoint {label}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
