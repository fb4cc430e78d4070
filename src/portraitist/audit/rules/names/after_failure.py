"""Part of the rule on undefined names: what an `except` reads although the failure may have come before it was set.

Only Python's handlers for any failure are judged, and only names that nothing but the body of the `try` sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.syntax import calls_in

_ANY = {"Exception", "BaseException"}
_SAFE = re.compile(
    r"^(print|len|str|int|float|dict|list|set|tuple|bool|isinstance|getattr|hasattr|min|max|round|logger|logging|log|time"
    r"|datetime|uuid|random|os\.getenv|os\.environ|os\.path|super|Path)\b|\.(now|utcnow|strip|lower|upper|append|format"
    r"|info|debug|warning|error|time|join|split|startswith|endswith|items|keys|values|copy)$"
)
"""Calls that seldom fail: no failure is expected of them."""


def read_after_failure(ctx: Context) -> Iterator[Finding]:
    """A name that the body of a `try` sets after a call that can fail, read where that failure is handled."""
    for module in ctx.live:
        if module.language == "python" and not module.errors:
            for attempt in module.all(ir.Try):
                if attempt.within is not None and ctx.role_at(module, attempt) in LIVE_ROLES:
                    yield from _unset(module, attempt, attempt.within)


def _unset(module: Module, attempt: ir.Try, func: ir.Func) -> Iterator[Finding]:
    """The first such name of each `try`."""
    names = module.scopes[func].names
    params = {each.name for each in func.params}
    first = _first_to_fail(attempt)
    if first is None:
        return
    for handler in attempt.handlers:
        if handler.catches is not None and not _ANY & {ir.dotted(each) for each in ir.walk(handler.catches)}:
            continue
        for name in (each for part in handler.body for each in ir.find(part, ir.Name)):
            bindings = names.get(name.id, [])
            if not bindings or name.id in params or name.within is not func or _is_tested(name):
                continue
            inside = all(
                each.kind == "assign" and _below(each.node, attempt.body) and each.node.line > first.line
                for each in bindings
            )
            set_at = min((each.node.line for each in bindings), default=0)
            if inside and not _says_other(module, func, name.id) and not _marked(attempt, name, set_at):
                message = (
                    f"{name.id} has no value here when the call at line {first.line} fails, before it is set"
                )
                yield finding("undefined-name", module, name, message, key=f"unset {name.id} {name.line - func.line}",
                              weight=46, evidence=[Place(module.path, first.line)])  # fmt: skip
                return


def _first_to_fail(attempt: ir.Try) -> ir.Call | None:
    """The first call of the body that may well fail."""
    calls = calls_in(attempt.body)
    return next(
        (each for each in calls if not _SAFE.search(ir.dotted(each.func) or "()") and not _of_dict(each)),
        None,
    )


def _of_dict(call: ir.Call) -> bool:
    """`data.get("key")`; a client is asked for an address or a path."""
    key = ir.text_of(call.args[0]) if call.args else None
    return ir.dotted(call.func).endswith(".get") and key is not None and "/" not in key


def _below(node: ir.Node, body: list[ir.Node]) -> bool:
    return any(each in body for each in (node, *ir.ancestors(node)))


def _is_tested(name: ir.Name) -> bool:
    """Whether a name is the target of an assignment or a deletion, or stands in a `try` of the handler's own."""
    up = name.parent
    return (isinstance(up, ir.Assign) and up.target is name) or any(
        isinstance(each, ir.Try) and not any(name.line >= one.line for one in each.handlers)
        for each in _within_handler(name)
    )


def _within_handler(name: ir.Name) -> Iterator[ir.Node]:
    for each in ir.ancestors(name):
        if isinstance(each, ir.Handler):
            return
        yield each


def _marked(attempt: ir.Try, name: ir.Name, set_at: int) -> bool:
    """Whether a name is read under a mark that the body sets behind it: `started = True`, `if started:`."""
    marks = {
        each.target.id
        for part in attempt.body
        for each in ir.find(part, ir.Assign)
        if isinstance(each.target, ir.Name) and each.line >= set_at
    }
    tests = (each.test for each in _within_handler(name) if isinstance(each, ir.If))
    return any(isinstance(each, ir.Name) and each.id in marks for each in tests)


def _says_other(module: Module, func: ir.Func, name: str) -> bool:
    """Whether the function looks up whether a name is set, or takes it from elsewhere."""
    text = "\n".join(module.text(line) for line in range(func.line, func.end + 1))
    own = re.escape(name)
    return (
        re.search(
            rf"[\"']{own}[\"']\s+(not\s+)?in\s+(locals|dir|vars)|(global|nonlocal)\b[^\n]*\b{own}\b|\b{own}\s*:=",
            text,
        )
        is not None
    )
