"""Part of the rule on states that stay open: failures that a poll or a status route never tells.

Only the function itself is read, and the functions that it calls for a failure's words; a page's own clock is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    askers,
    finding,
    helpers_of,
    live_statements,
    names_in,
    provider_behind,
    trace,
)
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.state_words import LOST, STATE
from portraitist.audit.rules.states.marks import states_of
from portraitist.audit.rules.syntax import COMPARISONS

_FAILED = LOST | {"fail", "aborted", "timeout"}
_DONE = {"completed", "complete", "succeeded", "success", "ready", "done", "finished"}
_UNDER_WAY = {
    "processing",
    "pending",
    "generating",
    "running",
    "training",
    "in_progress",
    "queued",
    "starting",
}


def untold(ctx: Context) -> Iterator[Finding]:
    """Polls that ask for an output and nothing else, and routes that call everything without a result under way."""
    yield from _asks_for_output(ctx)
    yield from _derived(ctx)


def _says_failed(func: ir.Func) -> bool:
    """Whether a function has a word for failures, or reads one: `prediction.error`."""
    return bool(_FAILED & _words(func)) or any(
        each.name in {"error", "logs"} for each in ir.find(func, ir.Attr)
    )


def _words(func: ir.Func) -> set[str]:
    return {str(each.value).lower() for each in ir.find(func, ir.Lit) if isinstance(each.value, str)}


def _asks_for_output(ctx: Context) -> Iterator[Finding]:
    """`if (prediction.output) { store it and the state }` and nothing for a prediction that will never have one."""
    for call in (each for each in ctx.calls if each.purpose == "status" and each.func is not None):
        func = call.func
        if func is None or ctx.role_at(call.module, call.call) not in LIVE_ROLES or _says_failed(func):
            continue
        helpers = helpers_of(ctx, func)
        if any(_says_failed(each) for each in helpers) or "status" in _read_of(ctx, call.module, func):
            continue
        for test in ir.find(func, ir.If):
            asked = next((each for each in ir.find(test.test, ir.Attr) if each.name == "output"), None)
            if asked is None or test.other or asked is not test.test:
                continue
            behind = provider_behind(ctx, call.module, asked.obj)
            inside = {each for part in test.then for each in ir.walk(part)}
            stored = [
                each for each in live_statements(ctx, "write") if each.node in inside and states_of(each)
            ]
            if behind is call and stored:
                key = f"{stored[0].table}.{states_of(stored[0])[0].column}"
                message = f"{key} changes only where there is an output: work that failed or was canceled stays open"
                yield finding("stuck-status", call.module, test, message, key=key, weight=56, end=stored[0].end,
                              evidence=[Place(call.module.path, call.call.line)])  # fmt: skip


def _read_of(ctx: Context, module: Module, func: ir.Func) -> set[str]:
    """The members that a function reads of the provider's answer."""
    return {
        each.name
        for each in ir.find(func, ir.Attr)
        if each.name == "status" and provider_behind(ctx, module, each.obj) is not None
    }


def _derived(ctx: Context) -> Iterator[Finding]:
    """`status: row.image ? "completed" : "processing"` in a route that knows no failure and asks nobody."""
    asking = askers(ctx)
    filled = ctx.once(_filled)
    for route in (each for each in ctx.routes if each.is_http and each.method in {"GET", "POST"} and filled):
        for func in route.funcs:
            if ctx.role_at(route.module, func) in LIVE_ROLES:
                yield from _derived_in(ctx, route, func, asking, filled)


def _derived_in(
    ctx: Context, route: Route, func: ir.Func, asking: set[ir.Func | None], filled: set[str]
) -> Iterator[Finding]:
    for prop in (each for each in ir.find(func, ir.Prop) if each.key and STATE.search(snake(each.key))):
        told = prop.value
        if not isinstance(told, ir.Cond) or _compares(told.test):
            continue
        done, open_ = (ir.text_of(each) or "" for each in (told.then, told.other))
        if done.lower() not in _DONE or open_.lower().replace("-", "_") not in _UNDER_WAY:
            continue
        module = ctx.program.module_of[func]
        reached = {func, *helpers_of(ctx, func)}
        named = {snake(one) for _, part in trace(ctx, module, told.test) for one in names_in(part)} & filled
        failing = _words(func)
        if not named or reached & asking or failing & (_FAILED - {"error"}):
            continue
        message = (
            f"answers {open_!r} as long as {min(named)} is empty: work that failed looks like work under way"
        )
        yield finding("stuck-status", module, prop, message, key=route.key, weight=50)


def _compares(test: ir.Node) -> bool:
    """Whether a test compares two things, `done === total`, and does not ask whether one of them is there."""
    return any(
        each.op in COMPARISONS
        and not any(isinstance(one, ir.Lit) and one.value in (None, "", 0) for one in each.children())
        for each in ir.find(test, ir.Bin)
    )


def _filled(ctx: Context) -> set[str]:
    """The columns that live code on the way of paid work, or of its webhooks, writes."""
    ways = working(ctx)
    return {
        snake(use.column)
        for each in live_statements(ctx, "write")
        if each.func in ways
        for use in each.columns
        if re.search(r"image|output|result|url|picture|photo|video|weights|model|version", snake(use.column))
    }
