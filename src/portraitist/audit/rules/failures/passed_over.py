"""Part of the rule on swallowed failures: work of the product that fails, is logged, and is passed over.

Handlers that log and go on around writes, uploads, deliveries and calls of the provider, and helpers whose answer for
a failure nobody looks at, or nobody can tell from an empty one. All of it is of low weight: where money or a state is
known to be lost the other parts say so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name, live_statements, names_in
from portraitist.audit.rules.failures.answers import told_about
from portraitist.audit.rules.failures.quiet import BESIDE, goes_round, in_browser, only_logs, tested_after
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import NOTHING, is_way_out, tests_of

_STORES = re.compile(
    r"(^|\.)(upload|upload_?file(obj)?|upload_?blob|put_?object|upload_from_\w+|save_?(image|photo|file|picture|result)\w*)$"
    r"|(Put|Upload)\w*Command$", re.I,
)  # fmt: skip
_DELIVERS = re.compile(
    r"(^|\.)(send|reply|answer|edit)_?(photo|document|media|media_?group|video|image)$", re.I
)
_ASKS = re.compile(
    r"^fetch$|(^|\.)(requests|httpx|axios|client|session|http|got|ky|openai|anthropic)(\.\w+)*\.(get|post|put|request|create|generate\w*)$"
)
_ASIDE = re.compile(
    r"log|track|audit|analytic|notif|metric|cache|e?mail|clean|prune|telemetry|webhook|revalidate|migrat|seed|warm|auth"
    r"|(require|ensure|is|get)_?(admin|user|session|current_?user)$|current_?user|permission",
    re.I,
)
"""Helpers, and functions, whose failure is meant to be harmless."""
_WORKS_FOR = {"write": "the write to", "read": "the read of", "delete": "the deletion from"}


def beside(told: list[Finding], *more: Iterator[Finding]) -> Iterator[Finding]:
    """What more there is to tell, at lines of which nothing is told already."""
    known: dict[str, list[tuple[int, int]]] = {}
    for each in told:
        known.setdefault(each.path, []).append((each.line, each.end_line))
    for each in itertools.chain(*more):
        spans = known.setdefault(each.path, [])
        if not any(first <= each.end_line and each.line <= last for first, last in spans):
            spans.append((each.line, each.end_line))
            yield each


def passed_over(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    for module in ctx.live:
        tries = module.all(ir.Try) if module.role == "src" else []
        if not tries or ctx.once(in_browser, module):
            continue
        for attempt in tries:
            func = attempt.within
            if func is None or not attempt.handlers or ctx.role_at(module, attempt) not in LIVE_ROLES:
                continue
            handler = attempt.handlers[-1]
            yield from _noted(ctx, module, func, attempt, handler)
            yield from _answered(ctx, module, func, attempt, handler)
    yield from _answered_for_error(ctx)


def _noted(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """`try { await save(…) } catch (error) { console.error(error) }`, with no look at what came of it."""
    rest = [each for each in handler.body if not _goes_on(each)]
    if not only_logs(rest) or _ASIDE.search(func.name):
        return
    if any(_has_turns(each, attempt) for each in ir.ancestors(attempt)):
        return
    work, call = _work(ctx, attempt, reads=False)
    if work and not (call is not None and tested_after(attempt, call)):
        message = f"a failure of {work} is only logged here, and what follows goes on without it"
        yield finding(
            "fallback-swallow", module, handler, message, key=f"noted {work}", weight=BARELY, end=handler.end
        )


def _has_turns(loop: ir.Node, attempt: ir.Try) -> bool:
    """Whether what failed is tried once more by a loop: one with a test of its own, or that a success leaves."""
    if not isinstance(loop, ir.Loop) or loop.within is not attempt.within:
        return False
    return goes_round(loop) or any(is_way_out(each) for part in attempt.body for each in ir.walk(part))


def _goes_on(node: ir.Node) -> bool:
    """Whether a statement of a handler goes on to the next round, or undoes a transaction."""
    if isinstance(node, ir.Other) and node.kind in {"continue_statement", *NOTHING}:
        return True
    calls = list(ir.find(node, ir.Call))
    return (
        bool(calls)
        and all(last_name(each.func) == "rollback" for each in calls)
        and not isinstance(node, ir.If)
    )


def _work(ctx: Context, attempt: ir.Try, *, reads: bool) -> tuple[str, ir.Node | None]:
    """What an attempt does that matters, and where: a write, an upload, a delivery, the provider, a helper of those."""
    found: list[tuple[int, str, ir.Node]] = []
    for part in attempt.body:
        for each in ir.walk(part):
            for statement in ctx.statements_at.get(each, ()):
                if (reads or statement.kind == "write") and not BESIDE.search(snake(statement.table)):
                    found.append((0, f"{_WORKS_FOR[statement.kind]} {statement.table}", each))
            if isinstance(each, ir.Call):
                found.extend(_of_call(ctx, each, reads=reads))
    best = min(found, key=lambda one: (one[0], one[2].line), default=None)
    return (best[1], best[2]) if best is not None else ("", None)


def _of_call(ctx: Context, call: ir.Call, *, reads: bool) -> Iterator[tuple[int, str, ir.Node]]:
    name = ir.dotted(call.func)
    if call in ctx.call_at:
        yield 0, ctx.call_at[call].api, call
    elif _STORES.search(name) or _DELIVERS.search(name):
        yield 1, last_name(call.func), call
    elif reads and _ASKS.search(name):
        yield 2, name, call
    for helper in helpers_behind(ctx, call):
        if not _ASIDE.search(helper.name) and ctx.once(_does, helper):
            yield 2, last_name(call.func) or helper.name, call


def _does(ctx: Context, func: ir.Func) -> bool:
    """Whether a helper itself writes rows, stores files or calls the provider."""
    made = ctx.statements_under.get(func, ())
    if any(each.kind == "write" and not BESIDE.search(snake(each.table)) for each in made):
        return True
    calls = ir.find(func, ir.Call)
    return any(each in ctx.call_at or _STORES.search(ir.dotted(each.func)) for each in calls)


def _answered(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """`catch { return null }` in a helper: what nobody looks at, or what is given as well where there is nothing."""
    leave = next((each for each in handler.body if isinstance(each, ir.Return)), None)
    if leave is None or leave.throws or func in ctx.handled_by or not func.name or _ASIDE.search(func.name):
        return
    if any(_does_more(ctx, each) for each in handler.body if each is not leave):
        return
    params = {each.name for each in func.params}
    if not _empty(leave.value) and last_name(leave.value) not in params:
        return
    work, _ = _work(ctx, attempt, reads=True)
    if work and isinstance(leave.value, ir.Name) and leave.value.id in params:
        message = f"{func.name} answers a failure of {work} with {leave.value.id}, which it was given"
        yield finding("fallback-swallow", module, handler, message, key=f"given {func.name}", weight=BARELY,
                      end=handler.end)  # fmt: skip
    elif work:
        yield from _unseen(ctx, func, handler, leave, work)


def _unseen(ctx: Context, func: ir.Func, where: ir.Node, leave: ir.Return, work: str) -> Iterator[Finding]:
    """A finding where a caller does not look at the answer, or cannot tell it from that for nothing."""
    caller, module = _passing_over(ctx, func, leave.value), ctx.program.module_of[func]
    end = max(where.end, leave.end) if isinstance(where, ir.Handler) else leave.end
    if caller is not None:
        message = (
            f"{func.name} answers a failure of {work} with {_shown(leave.value)}, and {caller} does not look"
        )
        yield finding("fallback-swallow", module, where, message, key=f"answered {func.name}", weight=BARELY, end=end,
                      evidence=[caller])  # fmt: skip
    elif _says_it_twice(func, leave) and any(
        ctx.role_at(site.module, site.call) in LIVE_ROLES for site in ctx.program.callers.get(func, [])
    ):
        message = f"{func.name} answers a failure of {work} with {_shown(leave.value)}, as it does where nothing failed"
        yield finding(
            "fallback-swallow", module, where, message, key=f"answered {func.name}", weight=BARELY, end=end
        )


def _shown(value: ir.Node | None) -> str:
    if value is None or (isinstance(value, ir.Lit) and value.value is None):
        return "nothing"
    if isinstance(value, ir.Lit):
        return repr(value.value)
    return ir.plain_dotted(value) or (
        "an empty value" if not isinstance(value, ir.Arr) or not value.items else "nothings"
    )


def _does_more(ctx: Context, node: ir.Node) -> bool:
    """Whether a statement of a handler may deal with the failure: throws, sets something, calls the repository."""
    if only_logs([node]):
        return False
    for each in ir.walk(node):
        if isinstance(each, ir.Assign | ir.Return):
            return True
        if each in ctx.statements_at or (isinstance(each, ir.Call) and helpers_behind(ctx, each)):
            return True
    return False


def _empty(value: ir.Node | None) -> bool:
    """Nothing, an empty or false value, a tuple of such, or a default that stands ready outside of the attempt."""
    if value is None:
        return True
    if isinstance(value, ir.Lit):
        return not value.value
    if isinstance(value, ir.Obj):
        return not value.props
    if isinstance(value, ir.Arr):
        return all(_empty(each) for each in value.items)
    return (
        isinstance(value, ir.Name | ir.Attr)
        and re.search(r"default|fallback|empty", ir.dotted(value), re.I) is not None
    )


def _says_it_twice(func: ir.Func, leave: ir.Return) -> bool:
    """Whether a function gives the very same answer for no failure as well, beside answers of another kind."""
    if isinstance(leave.value, ir.Lit) and isinstance(leave.value.value, bool):
        return False
    spelled = _spelled(leave.value)
    own = [each for each in ir.find(func, ir.Return) if each.within is func and not each.throws]
    calm = [each for each in own if not any(isinstance(one, ir.Handler) for one in ir.ancestors(each))]
    same = [each for each in calm if each is not leave and _spelled(each.value) == spelled]
    return bool(same) and any(each.value is not None and not _empty(each.value) for each in calm)


def _spelled(value: ir.Node | None) -> str:
    if value is None or (isinstance(value, ir.Lit) and value.value is None):
        return "None"
    if isinstance(value, ir.Arr):
        return f"[{','.join(_spelled(each) for each in value.items)}]"
    return repr(value.value) if isinstance(value, ir.Lit) else ir.plain_dotted(value) or type(value).__name__


def _passing_over(ctx: Context, func: ir.Func, value: ir.Node | None) -> Place | None:
    """A live call whose answer is dropped, or kept and used and never asked about."""
    for site in ctx.program.callers.get(func, []):
        owner = site.call.within
        if owner is None or ctx.role_at(site.module, site.call) not in LIVE_ROLES:
            continue
        up = next((each for each in ir.ancestors(site.call) if not isinstance(each, ir.Other)), None)
        if isinstance(up, ir.Func | ir.Loop | ir.Try | ir.Handler) or (
            isinstance(up, ir.If) and up.test is not site.call
        ):
            if returns(func) and _is_statement(site.module, site.call):
                return Place(site.module.path, site.call.line)
        elif isinstance(up, ir.Assign) and up.value is not None and _untested(owner, up, value):
            return Place(site.module.path, site.call.line)
    return None


def _is_statement(module: Module, call: ir.Call) -> bool:
    """Whether a call is a statement of its own that is waited for."""
    text = module.text(call.line).strip()
    return text.startswith("await ") or module.language == "python"


def _untested(owner: ir.Func, assign: ir.Assign, value: ir.Node | None) -> bool:
    """Whether what is assigned is handed on, and no test, no `??` and no `or` asks whether it is there.

    A member of nothing is an error of its own.
    """
    names = variables_in(assign.target)
    if not names or isinstance(assign.target, ir.Attr | ir.Index):
        return False
    used = [each for each in ir.find(owner, ir.Name) if each.id in names and each.line > assign.end]
    nothing = value is None or (isinstance(value, ir.Lit) and value.value is None)
    loud = nothing and all(_is_of(each) for each in used)
    if not used or loud or any(names & names_in(each.test) for each in tests_of(owner)):
        return False
    asked = (each for each in ir.find(owner, ir.Bin) if each.op in {"or", "and", "??", "not"})
    return not any(names & names_in(each) for each in asked)


def _is_of(name: ir.Name) -> bool:
    """Whether a plain member of a variable is taken: `x.y`, no `x?.y`."""
    up = name.parent
    return isinstance(up, ir.Attr | ir.Index) and up.obj is name and not up.maybe


def _answered_for_error(ctx: Context) -> Iterator[Finding]:
    """`if (error) { console.error(error); return null }` behind a statement that throws nothing, in a helper."""
    for statement in live_statements(ctx, *_WORKS_FOR):
        func, module = statement.func, statement.module
        if func is None or module.language != "javascript" or module.role != "src" or func in ctx.handled_by:
            continue
        if not func.name or _ASIDE.search(func.name) or BESIDE.search(snake(statement.table)):
            continue
        told = ctx.once(told_about, statement)
        test = told if isinstance(told, ir.If) else ir.enclosing(told, ir.If) if told is not None else None
        leave = test.then[-1] if test is not None and test.then and test.line >= statement.line else None
        if not isinstance(leave, ir.Return) or leave.throws or test is None or not _empty(leave.value):
            continue
        if only_logs(_logging(test)) and not ctx.once(in_browser, module):
            yield from _unseen(ctx, func, test, leave, f"{_WORKS_FOR[statement.kind]} {statement.table}")


def _logging(test: ir.If) -> list[ir.Node]:
    """What a branch does before it leaves; a test around a log alone is none of it."""
    return [one for each in test.then[:-1] for one in (each.then if isinstance(each, ir.If) else [each])]
