"""Request limits per minute: one window per class of calls, in this process. The clock is handed in.

Figures: Replicate's documentation and observed `ratelimit-remaining` headers.
"""

from dataclasses import dataclass, field
from typing import Literal

Class = Literal["create_prediction", "get_prediction", "other"]
PER_MINUTE: dict[Class, int] = {"create_prediction": 600, "get_prediction": 60_000, "other": 3_000}
WINDOW_S = 60.0


@dataclass(frozen=True)
class Allowance:
    """What is left: whether this call may go on, how many more may, and when the window starts anew."""

    allowed: bool
    remaining: int
    reset_s: int


@dataclass
class Limits:
    """Fixed windows, one for each class of calls."""

    _windows: dict[Class, tuple[float, int]] = field(default_factory=dict)

    def take(self, kind: Class, now: float) -> Allowance:
        """Count one call; `now` in seconds of a monotonic clock."""
        start, used = self._windows.get(kind, (now, 0))
        if now - start >= WINDOW_S:
            start, used = now, 0
        reset = max(1, round(start + WINDOW_S - now))
        if used >= PER_MINUTE[kind]:
            return Allowance(False, 0, reset)
        self._windows[kind] = (start, used + 1)
        return Allowance(True, PER_MINUTE[kind] - used - 1, reset)


def class_of(method: str, path: str) -> Class:
    """The class of a call by its method and path."""
    if path == "/v1/predictions" and method == "POST":
        return "create_prediction"
    if path.startswith("/v1/predictions/") and method == "GET":
        return "get_prediction"
    return "other"
