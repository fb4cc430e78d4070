"""Part of the rule on temporary addresses: those that are answered as final, or kept when a copy fails.

Where a browser hands an answered address back to be copied, a route that fetches and stores it is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, helpers_of, last_name, names_in, trace
from portraitist.audit.rules.failures.quiet import Ways, working

_KEY = re.compile(
    r"^(image|picture|photo|output|result|generated|video|audio|media|final)?_?(image_?)?ur[li]s?$", re.I
)
_COPIES = re.compile(
    r"upload|put_?object|persist|store|save|copy|mirror|archive|download|write_?bytes|cloudinary|blob", re.I
)
_FETCHES = re.compile(
    r"(^|\.)(fetch|urlopen|urlretrieve|download\w*)$|(axios|requests|httpx|client|session|got|http)\.(get|stream)$",
    re.I,
)
_ADDRESS = re.compile(r"url|uri|image|output|src|link", re.I)


def loose_addresses(ctx: Context) -> Iterator[Finding]:
    """Addresses that a copying helper gives back when it fails, or that are answered and never copied."""
    ways = working(ctx)
    yield from _kept_on_failure(ctx, ways)
    doors = [func for func, routes in ctx.handled_by.items() if any(each.is_http for each in routes)]
    if not any(_copies_later(ctx, func, ways) for func in doors):
        yield from _answered(ctx, ways)


def _calls(node: ir.Node, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(ir.dotted(each.func)) for each in ir.find(node, ir.Call))


def _fetched(attempt: ir.Try, name: str) -> bool:
    """Whether what stands at an address is fetched: `fetch(url)`."""
    calls = (each for part in attempt.body for each in ir.find(part, ir.Call))
    return any(
        _FETCHES.search(ir.dotted(each.func)) and any(name in names_in(arg) for arg in each.args)
        for each in calls
    )


def _copies_later(ctx: Context, func: ir.Func, ways: Ways) -> bool:
    """Whether a handler that pays for nothing fetches an address and stores what is there."""
    module = ctx.program.module_of[func]
    if func in ways or ctx.role_at(module, func) not in LIVE_ROLES:
        return False
    own = [func, *helpers_of(ctx, func)]
    return any(_calls(each, _FETCHES) for each in own) and any(_calls(each, _COPIES) for each in own)


def _kept_on_failure(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`catch { return url }` around a copy of what stands at that address."""
    for module in ctx.live:
        for attempt in module.all(ir.Try):
            func = attempt.within
            outer = {func, *(each for each in ir.ancestors(attempt) if isinstance(each, ir.Func))}
            if func is None or not any(each in ways for each in outer):
                continue
            copied = any(_calls(part, _COPIES) for part in attempt.body)
            given = {each.name for one in outer if one is not None for each in one.params}
            for leave in (
                each for handler in attempt.handlers for each in handler.body if isinstance(each, ir.Return)
            ):
                name = leave.value.id if isinstance(leave.value, ir.Name) else ""
                live = ctx.role_at(module, leave) in LIVE_ROLES
                if copied and live and name in given and _ADDRESS.search(name) and _fetched(attempt, name):
                    message = "when the copy fails, the address that it was to be made of is given back in its place"
                    yield finding("temporary-url-persisted", module, leave, message, key=name, weight=58)


def _answered(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`{ imageUrl: output[0] }` in an answer, nothing on the way having copied it."""
    for func in sorted(ways.paid, key=lambda each: (ctx.program.module_of[each].path, each.line)):
        module = ctx.program.module_of[func]
        if ctx.role_at(module, func) not in LIVE_ROLES or _copied(ctx, func):
            continue
        for prop in ir.find(func, ir.Prop):
            if (
                prop.key
                and _KEY.search(prop.key)
                and _leaves(prop)
                and _from_provider(ctx, module, prop.value)
            ):
                message = f"{prop.key} answers with the provider's temporary address, and nothing copies it"
                yield finding("temporary-url-persisted", module, prop, message, key=prop.key, weight=54)
                break


def _copied(ctx: Context, func: ir.Func) -> bool:
    """Whether something around a paid call copies what it made: in the function itself, or where it is called."""
    callers = [each.call.within for each in ctx.program.callers.get(func, [])]
    return any(_calls(each, _COPIES) for each in (func, *callers) if each is not None)


def _leaves(prop: ir.Prop) -> bool:
    """Whether an entry is part of an answer, or of what is collected for one."""
    for each in ir.ancestors(prop):
        if isinstance(each, ir.Return):
            return not each.throws
        if isinstance(each, ir.Call):
            name = last_name(each.func)
            if name in {"push", "append", "enqueue"}:
                return True
            if name not in {
                "json",
                "stringify",
                "Response",
                "NextResponse",
                "encode",
                "JSONResponse",
                "jsonify",
                "send",
            }:
                return False
        if isinstance(each, ir.Func):
            return False
    return False


def _from_provider(ctx: Context, module: Module, node: ir.Node) -> bool:
    parts = list(trace(ctx, module, node, helpers=True))
    if any(isinstance(part, ir.Call) and _COPIES.search(ir.dotted(part.func)) for _, part in parts):
        return False
    behind = next(
        (found for _, part in parts if isinstance(part, ir.Call) and (found := ctx.call_at.get(part))), None
    )
    if behind is None or behind.purpose not in {"generation", "status"}:
        return False
    names = {last_name(part) for _, part in parts}
    return behind.api in {"run", "async_run"} or bool(names & {"output", "urls"})
