"""Risks in what is done with the provider's answers: states, progress, addresses, repeated calls."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    live_statements,
    module_of,
    names_in,
    provider_behind,
    trace,
)

_UPLOADS = re.compile(
    r"upload|save|store|persist|put|copy|download|mirror|archive|transfer|cloudinary|blob|permanent", re.I
)


def stuck_status(ctx: Context) -> Iterator[Finding]:
    """A poll or webhook that knows success but not `failed` or not `canceled`, so that work stays open for ever.

    A handler that stores the provider's status as it is counts as knowing all of them.
    """
    for module in ctx.live:
        for func in module.all(ir.Func):
            words = _status_words(func)
            handles = {"succeeded", "completed"} & set(words)
            if (
                "succeeded" not in words
                or not handles
                or (ir.enclosing(func, ir.Func) is not None and _status_words_outer(func))
            ):
                continue
            if ctx.role_at(module, func) not in LIVE_ROLES or not _watches(ctx, module, func):
                continue
            missing = [
                each
                for each in ("failed", "canceled")
                if each not in words and not (each == "canceled" and "cancelled" in words)
            ]
            keeps = _keeps_state(ctx, module, func) and not module.path.endswith((".tsx", ".jsx"))
            if missing and keeps and not _has_else(func) and not _passes_status_on(ctx, module, func):
                node = words["succeeded"]
                yield finding(
                    "stuck-status",
                    module,
                    node,
                    f"{' and '.join(missing)} of the provider is not handled",
                    key=module.scope_name(func),
                    weight=56 if "failed" in missing else 44,
                )


def _status_words(func: ir.Func) -> dict[str, ir.Node]:
    found: dict[str, ir.Node] = {}
    for test in ir.find(func, ir.Bin):
        if test.op in {"==", "===", "!=", "!==", "in", "not in"} and re.search(
            r"status|state", " ".join(names_in(test)), re.I
        ):
            for lit in ir.find(test, ir.Lit):
                if isinstance(lit.value, str):
                    found.setdefault(lit.value, lit)
    for call in ir.find(func, ir.Call):
        if (
            isinstance(call.func, ir.Attr)
            and call.func.name == "includes"
            and isinstance(call.func.obj, ir.Arr)
        ):
            for lit in ir.find(call.func.obj, ir.Lit):
                found.setdefault(str(lit.value), lit)
    return found


def _status_words_outer(func: ir.Func) -> bool:
    outer = ir.enclosing(func, ir.Func)
    return outer is not None and "succeeded" in _status_words(outer) and bool(outer.name)


def _watches(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether the function asks for a status, or receives webhooks."""
    if any(
        each.purpose == "status" and each.module is module and func in set(ir.ancestors(each.call))
        for each in ctx.calls
    ):
        return True
    handlers = {(each.path, each.line) for each in ctx.of("webhook", "poll")}
    return any(path == module.path and func.line <= line <= func.end for path, line in handlers)


def _keeps_state(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether the function waits for the end in a loop, or writes a status of its own."""
    loops = any("succeeded" in names_in(each) for each in ir.find(func, ir.Loop))
    helpers = {
        target.node for call in ir.find(func, ir.Call) for target in ctx.program.functions_called(call)
    }
    writes = any(
        each.kind == "write"
        and ((each.module is module and func.line <= each.line <= func.end) or each.func in helpers)
        and any(re.search(r"status|state", use.column, re.I) for use in each.columns)
        for each in ctx.statements
    )
    return loops or writes


def _has_else(func: ir.Func) -> bool:
    return any(
        "succeeded" in names_in(each.test)
        and each.other
        and not (len(each.other) == 1 and isinstance(each.other[0], ir.If) and not each.other[0].other)
        for each in ir.find(func, ir.If)
    )


def _passes_status_on(ctx: Context, module: Module, func: ir.Func) -> bool:
    for each in ctx.statements:
        if each.kind == "write" and each.module is module and func.line <= each.line <= func.end:
            for use in each.columns:
                if (
                    re.search(r"status|state", use.column, re.I)
                    and not isinstance(use.value, Known)
                    and last_name(use.node) == "status"
                ):
                    return True
    return False


def time_progress(ctx: Context) -> Iterator[Finding]:
    """A progress value of a training computed from elapsed time instead of its log.

    Only values whose name says progress or percent, in files that speak of trainings.
    """
    for module in ctx.live:
        seen: set[ir.Func | None] = set()
        nodes: list[ir.Assign | ir.Prop] = [*module.all(ir.Assign), *module.all(ir.Prop)]
        for node in nodes:
            name = last_name(node.target) if isinstance(node, ir.Assign) else node.key or ""
            value = node.value
            func = ir.enclosing(node, ir.Func)
            if value is None or not re.search(r"progress|percent", name, re.I) or func in seen:
                continue
            if not re.search(r"training|replicate|prediction", module.file.text, re.I):
                continue
            if _by_clock(ctx, module, value) and ctx.role_at(module, node) in LIVE_ROLES:
                seen.add(func)
                yield finding(
                    "time-progress", module, node, f"{name} is computed from the clock", key=name, weight=47
                )


def _by_clock(ctx: Context, module: Module, value: ir.Node) -> bool:
    parts = [value]
    for each in ir.find(value, ir.Name):
        found = module.lookup(each.id, each)
        parts.extend(one.value for one in (found[1] if found else []) if one.value is not None)
    divides = any(
        isinstance(each, ir.Bin) and each.op in {"/", "*"} for each in ir.walk(value)
    ) or "Math.min" in {ir.plain_dotted(c.func) for c in ir.find(value, ir.Call)}
    clock = any(
        ir.plain_dotted(call.func)
        in {"Date.now", "time.time", "datetime.now", "datetime.utcnow", "time.monotonic", "performance.now"}
        or ir.dotted(call.func).endswith("getTime")
        for part in parts
        for call in ir.find(part, ir.Call)
    ) or bool(re.search(r"elapsed|duration", " ".join(names_in(value)), re.I))
    return divides and clock and not isinstance(value, ir.Func)


def temporary_url_persisted(ctx: Context) -> Iterator[Finding]:
    """A picture column gets the provider's own address, which is gone after an hour.

    Follows the value back to a provider call or to a webhook's body; stops at anything that uploads or copies.
    """
    bodies = {
        each.node
        for route in ctx.routes
        if _receives(ctx, route.module.path, route.node.line)
        for each in route.handlers
    }
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            name = snake(use.column)
            picture = name.endswith(("image_url", "picture_url", "photo_url", "output_url"))
            if not (picture or name in ctx.words.picture_columns) or use.node is None:
                continue
            if _is_temporary(ctx, statement, use, bodies):
                key = f"{statement.table}.{use.column}"
                module = module_of(ctx, use)
                yield finding(
                    "temporary-url-persisted",
                    module,
                    ir.Other(use.line, use.line, []),
                    f"{key} keeps the provider's temporary address",
                    key=key,
                    weight=72,
                    evidence=[Place(statement.module.path, statement.line)],
                )


def _receives(ctx: Context, path: str, line: int) -> bool:
    return any(each.path == path and each.line == line for each in ctx.of("webhook"))


def _is_temporary(ctx: Context, statement: Statement, use: ColumnUse, bodies: set[ir.Node | None]) -> bool:
    module = module_of(ctx, use)
    nodes = list(trace(ctx, module, use.node))
    if any(isinstance(part, ir.Call) and _UPLOADS.search(ir.dotted(part.func)) for _, part in nodes):
        return False
    behind = provider_behind(ctx, module, use.node)
    if behind is not None and behind.purpose in {"generation", "status"}:
        names = {last_name(part) for _, part in nodes}
        return behind.api in {"run", "async_run", "stream"} or bool(names & {"output", "urls"})
    func = statement.func
    outer = {func, *(ir.ancestors(func) if func is not None else ())}
    return bool(outer & bodies) and any(last_name(part) == "output" for _, part in nodes)


def blind_post_retry(ctx: Context) -> Iterator[Finding]:
    """A paid create call that is repeated on failure: in a loop with a catch, or under a retry helper."""
    for call in ctx.creates():
        for each in ir.ancestors(call.call):
            loop = isinstance(each, ir.Loop) and each.target is None
            retried = loop and any(_around(one, call.call) for one in ir.find(each, ir.Try))
            helper = isinstance(each, ir.Call) and re.search(
                r"(^|\.)(p?_?retry|with_?retry|retry_?with\w*|back_?off|fetch_?with_?retry)$",
                ir.dotted(each.func),
                re.I,
            )
            decorated = isinstance(each, ir.Func) and any(
                re.search(r"retry|backoff|on_exception", ir.dotted(one)) for one in each.decorators
            )
            counted = _counts_attempts(each, call.call)
            if retried or helper or decorated or counted:
                yield finding(
                    "blind-post-retry",
                    call.module,
                    call.call,
                    f"{call.api} is repeated blindly, each time paid",
                    key=call.api,
                    weight=62,
                    evidence=[Place(call.module.path, each.line)],
                )
                break
            if isinstance(each, ir.Func) and not decorated and each.name:
                break


def _counts_attempts(loop: ir.Node, call: ir.Call) -> bool:
    """`for attempt in range(n)` around a try around the call."""
    if not isinstance(loop, ir.Loop) or not isinstance(loop.source, ir.Call) or loop.target is None:
        return False
    names = " ".join(names_in(loop.target) | names_in(loop.source))
    tries = any(_around(one, call) for one in ir.find(loop, ir.Try))
    return tries and bool(re.search(r"attempt|retr(y|ies)|tries", names, re.I))


def _around(attempt: ir.Try, call: ir.Call) -> bool:
    return bool(attempt.handlers) and attempt in set(ir.ancestors(call))
