"""What the rules on swallowed failures share: which functions do paid work or hear of it, and what only logs.

Also the live attempts of a file and the live calls of a function. What an attempt does is in `looking`.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Site
from portraitist.audit.model import LIVE_ROLES
from portraitist.audit.rules.base import hears_provider, helpers_of, last_name, names_in, runs_in_browser

LOGS = re.compile(r"^(console|print|logger|log|logging|traceback|sentry|captureException|toast)\b", re.I)
"""Calls that only tell what happened."""
FAILS = re.compile(r"err|fail|\bok\b|status", re.I)
"""What the test of a branch for failures names."""
BESIDE = re.compile(
    r"(^|_)(logs?|audit|events?|analytics|analys[ie]s|metrics|counters|notifications?|usage)(_|$)", re.I
)
"""Tables whose rows only tell what happened."""
MAX_HELPERS = 2
"""How many helpers below a webhook's handler still count as its own."""


@dataclass(slots=True)
class Ways:
    """Functions on the way to paid calls, with the line at which each goes on to it, and those of webhooks."""

    paid: dict[ir.Func, int] = field(default_factory=dict)
    hooks: set[ir.Func] = field(default_factory=set)

    def __contains__(self, func: object) -> bool:
        return func in self.paid or func in self.hooks


def working(ctx: Context) -> Ways:
    """The functions that live ways lead through: to paid calls, and below the handlers of webhooks of any sender."""
    if ctx not in _KNOWN:
        _KNOWN[ctx] = _working(ctx)
    return _KNOWN[ctx]


_KNOWN: weakref.WeakKeyDictionary[Context, Ways] = weakref.WeakKeyDictionary()
"""Found once for each audit, for the rules that ask."""


def _working(ctx: Context) -> Ways:
    ways = Ways()
    for flow in ctx.flows:
        for func in flow.funcs:
            module = ctx.program.module_of[func]
            lines = [
                each.line
                for each in flow.steps
                if each.path == module.path and func.line < each.line <= func.end
            ]
            ways.paid[func] = min(ways.paid.get(func, func.end), max(lines, default=func.line))
    for route in ctx.routes:
        if hears_provider(ctx, route) or re.search(r"webhook", route.path, re.I):
            ways.hooks |= set(route.funcs)
    below = ways.hooks
    for _ in range(MAX_HELPERS):
        below = {helper for func in below for helper in helpers_of(ctx, func)}
        ways.hooks |= below
    return ways


def on_paid_ways(ctx: Context, ways: Ways) -> list[tuple[ir.Func, int]]:
    """The functions on the way to paid calls, in the order of the files, with the line at which each goes on to it."""
    return [(each, ways.paid[each]) for each in ctx.in_order(ways.paid)]


def live_attempts(ctx: Context, module: Module) -> list[tuple[ir.Func, ir.Try, ir.Handler]]:
    """The attempts in live functions of a file, each with its function and its last handler."""
    return ctx.once(_live_attempts, module)


def _live_attempts(ctx: Context, module: Module) -> list[tuple[ir.Func, ir.Try, ir.Handler]]:
    return [
        (each.within, each, each.handlers[-1])
        for each in module.all(ir.Try)
        if each.within is not None and each.handlers and ctx.role_at(module, each) in LIVE_ROLES
    ]


def live_sites(ctx: Context, func: ir.Func) -> Iterator[tuple[Site, ir.Func]]:
    """The live calls of a function, each with the function that it stands in."""
    for site in ctx.program.callers.get(func, []):
        owner = site.call.within
        if owner is not None and ctx.role_at(site.module, site.call) in LIVE_ROLES:
            yield site, owner


def goes_round(loop: ir.Loop) -> bool:
    """Whether a loop has a test of its own and no list that it goes through: `i < files.length` goes through one."""
    counts = loop.test is not None and any(
        isinstance(each, ir.Attr) and each.name == "length" for each in ir.walk(loop.test)
    )
    return loop.target is None and not counts


def tries_in_turn(loop: ir.Loop) -> bool:
    """Whether the first that can be fetched ends a loop: it goes over several addresses of one thing."""
    return any(
        each.kind == "break_statement"
        and ir.enclosing(each, ir.Loop) is loop
        and isinstance(each.parent, ir.Try | ir.Loop)
        for each in ir.find(loop, ir.Other)
    )


def only_logs(body: Iterable[ir.Node]) -> bool:
    """Whether statements do nothing but log: no way out, no other call, nothing set but the text of the error."""
    for each in body:
        if isinstance(each, ir.Assign) and _is_text_of_error(each):
            continue
        for node in ir.walk(each):
            if isinstance(node, ir.Return | ir.Assign):
                return False
            if isinstance(node, ir.Other) and node.kind in {"continue_statement", "break_statement"}:
                return False
            if (
                isinstance(node, ir.Call)
                and not LOGS.match(ir.dotted(node.func))
                and not _inside_log(node, each)
            ):
                return False
    return True


_TEXT = re.compile(
    r"^_?(err(or)?|exc|e)?_?(msg|message|detail|details|reason|cause|stack|trace|tb|text|str|err|error)s?$",
    re.I,
)
_MAKES_TEXT = {
    "str",
    "repr",
    "String",
    "toString",
    "stringify",
    "format_exc",
    "slice",
    "substring",
    "getattr",
    "strip",
}


def _is_text_of_error(assign: ir.Assign) -> bool:
    """`const message = error instanceof Error ? error.message : String(error)`, of which nothing behind knows."""
    if not isinstance(assign.target, ir.Name) or not _TEXT.match(assign.target.id) or assign.value is None:
        return False
    if any(last_name(each.func) not in _MAKES_TEXT for each in ir.find(assign.value, ir.Call)):
        return False
    if assign.decl in {"const", "let"}:
        return True
    handler, func = ir.enclosing(assign, ir.Handler), assign.within
    return (
        handler is not None
        and func is not None
        and not any(
            each.id == assign.target.id and each.line > handler.end for each in ir.find(func, ir.Name)
        )
    )


def _inside_log(node: ir.Node, top: ir.Node) -> bool:
    for each in ir.ancestors(node):
        if isinstance(each, ir.Call) and LOGS.match(ir.dotted(each.func)):
            return True
        if each is top:
            break
    return False


def tested_after(attempt: ir.Try, call: ir.Node) -> bool:
    """Whether what the call gave is tested, or was set, behind the handler: `if (!result) return …`."""
    made = [
        each.target
        for part in attempt.body
        for each in ir.find(part, ir.Assign)
        if call in set(ir.walk(each))
    ]
    names = {one.id for each in made for one in ir.find(each, ir.Name)}
    func = ir.enclosing(attempt, ir.Func)
    tests = [each.test for each in ir.find(func, ir.If)] if func is not None else []
    return any(each.line > attempt.end and names & names_in(each) for each in tests)


def served(ctx: Context) -> list[Module]:
    """The live files of the product that no browser runs; to be asked once."""
    return [each for each in ctx.live if each.role == "src" and not runs_in_browser(each)]
