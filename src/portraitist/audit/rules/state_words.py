"""The words of states: columns that hold one, words for work under way, at rest and failed.

What is done with such words is the rules'.
"""

from __future__ import annotations

import re

STATE = re.compile(r"(^|_)(status|state)$")
"""A column's name, in snake case."""
STATE_OR_PHASE = re.compile(r"(^|_)(status|state|phase)$")
RUNNING = {
    "training", "processing", "generating", "running", "in_progress", "starting", "started", "creating", "rendering",
    "enhancing", "upscaling", "preparing", "extracting", "animating", "working",
}  # fmt: skip
RESTING = {"pending", "queued", "created", "submitted", "waiting"}
"""States in which work may be begun anew."""
FAILED = re.compile(r"^(failed|failure|error|errored)$", re.I)
