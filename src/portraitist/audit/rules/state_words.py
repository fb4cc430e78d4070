"""The words of states: columns that hold one, words for work under way, at rest, done and failed.

What is done with such words is the rules'.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.link.values import Known, Value

STATE = re.compile(r"(^|_)(status|state)$")
"""A column's name, in snake case."""
STATE_OR_PHASE = re.compile(r"(^|_)(status|state|phase)$")
RUNNING = {
    "training", "processing", "generating", "running", "in_progress", "starting", "started", "creating", "rendering",
    "enhancing", "upscaling", "preparing", "extracting", "animating", "working", "uploading", "composing", "captioning",
    "converting", "curating", "stitching", "queueing",
}  # fmt: skip
RESTING = {"pending", "queued", "created", "submitted", "waiting"}
"""States in which work may be begun anew."""
DONE = {"completed", "succeeded", "ready", "trained", "done", "success", "complete", "finished"}
"""States that say that a training is over and its model can be used."""
LOST = {"failed", "failure", "error", "errored", "canceled", "cancelled"}
"""States of work that came to nothing."""
FAILED = re.compile(r"^(failed|failure|error|errored)$", re.I)
_ENUMERATION = re.compile(r"(status|state)s?$", re.I)


def word_of(value: Value | None, node: ir.Node | None) -> str:
    """The word that a state is set to, in lower case, "" where it is not known.

    A literal, or the member of an enumeration that the repository does not define: `GenerationStatus.COMPLETED`.
    """
    if isinstance(value, Known):
        return value.value.lower().replace("-", "_") if isinstance(value.value, str) else ""
    if isinstance(node, ir.Attr) and not node.maybe:
        holder = node.obj.name if isinstance(node.obj, ir.Attr) else getattr(node.obj, "id", "")
        if holder[:1].isupper() and _ENUMERATION.search(holder):
            return node.name.lower()
    return ""
