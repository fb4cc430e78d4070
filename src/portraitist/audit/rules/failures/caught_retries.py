"""Part of the rule on swallowed failures: Celery's `self.retry()` inside a `try` whose own handler catches it.

It queues the task anew and raises `Retry`, an `Exception` like any other. A handler that is named for it, or that
raises what it has caught again, lets it through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in

_TASKS = re.compile(r"^(self|task|cls|current_task|this)$")
_ALL = {"Exception", "BaseException"}
_LETS = {"Retry", "CeleryError", "TaskPredicate", "Ignore", "Reject"}


def caught_retries(ctx: Context) -> Iterator[Finding]:
    """`try: … raise self.retry(…) except Exception as e: log(e)`: the task ends as if it were not tried again."""
    for module in ctx.live:
        if module.language != "python" or "celery" not in module.file.text.lower():
            continue
        for call in module.calls({"retry"}):
            held = call.func.obj if isinstance(call.func, ir.Attr) else None
            if not isinstance(held, ir.Name) or not _TASKS.match(held.id) or _throws_nothing(call):
                continue
            handler = _catching(module, call)
            if handler is None or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            message = (
                f"{ir.dotted(call.func)}() queues the task again and raises to say so, and the handler in line "
                f"{handler.line} takes that for a failure of its own"
            )
            yield finding("fallback-swallow", module, handler, message, key="caught retry",
                          weight=30, line=call.line, end=call.end,
                          evidence=[Place(module.path, handler.line)])  # fmt: skip


def _throws_nothing(call: ir.Call) -> bool:
    """`self.retry(throw=False)`."""
    said = ir.keyword(call, "throw")
    return isinstance(said, ir.Lit) and said.value is False


def _catching(module: Module, call: ir.Call) -> ir.Handler | None:
    """The handler of the same function that catches everything that is raised here and does not raise it again."""
    below: ir.Node = call
    for each in ir.ancestors(call):
        if isinstance(each, ir.Func):
            return None
        if isinstance(each, ir.Try) and below in each.body:
            for handler in each.handlers:
                caught = names_in(handler.catches) if handler.catches is not None else _ALL
                if caught & _LETS or (caught & _ALL and _raises_it(module, handler)):
                    break
                if caught & _ALL:
                    return handler
        below = each
    return None


def _raises_it(module: Module, handler: ir.Handler) -> bool:
    """Whether a handler raises what it has caught, or tells it apart."""
    named = re.search(r"\bas\s+(\w+)\s*:", module.lines[handler.line - 1])
    own = named.group(1) if named is not None else ""
    for each in ir.walk(handler):
        if (
            isinstance(each, ir.Return)
            and each.throws
            and (each.value is None or ir.plain_dotted(each.value) == own)
        ):
            return True
        if isinstance(each, ir.Call) and ir.dotted(each.func) == "isinstance" and names_in(each) & _LETS:
            return True
    return False
