"""Places where a test may kill the process: `hit("training.before_post")` does nothing unless it was armed.

Arming takes two settings, of which one says that this is a test; a server that serves people never has both.
"""

import os
import signal
from collections import Counter

_armed: dict[str, int] = {}
_hits: Counter[str] = Counter()


class FailpointsRefused(Exception):
    """Failpoints were asked for outside a test."""


def arm(spec: str, *, testing: bool) -> None:
    """Let the process kill itself at the `n`-th hit of a label: `label:n`, comma-separated, `n` 1 if left out.

    An empty `spec` disarms. Raises FailpointsRefused unless `testing`.
    """
    _armed.clear()
    _hits.clear()
    if not spec:
        return
    if not testing:
        raise FailpointsRefused("PORTRAITIST_FAILPOINTS kills this process; it needs PORTRAITIST_TESTING=1.")
    for part in spec.split(","):
        label, _, nth = part.strip().partition(":")
        _armed[label] = int(nth or 1)


def hit(label: str) -> None:
    """Die here, by SIGKILL, if this label is armed and this is its hit."""
    if not _armed:
        return
    _hits[label] += 1
    if _armed.get(label) == _hits[label]:
        os.write(2, f"failpoint {label}\n".encode())  # so that the test knows where
        os.kill(os.getpid(), signal.SIGKILL)
