"""Part of the rule on swallowed failures: results that are not kept, work that does not start, refusals nobody reads.

Looks at handlers behind paid calls, around queues, inside checks, and at raw answers of the provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import block_of, variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import (
    callers_of,
    finding,
    last_name,
    leads_to,
    live_statements,
    names_in,
    place,
)
from portraitist.audit.rules.failures.answers import told_about
from portraitist.audit.rules.failures.quiet import BESIDE, FAILS, Ways, live_attempts, only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler, tests_of

_QUEUES = {
    "delay", "apply_async", "send", "enqueue", "add", "trigger", "add_task", "create_task", "send_task", "publish",
    "publishJSON", "invoke", "dispatch",
}  # fmt: skip
_CHECKS = re.compile(r"safe|moderat|valid|nsfw|allow|appropriate|permitted|verify|is_?clean|screen", re.I)
_SAYS_YES = {
    "safe", "is_safe", "isSafe", "valid", "is_valid", "isValid", "allowed", "ok", "success", "approved", "passed",
}  # fmt: skip
_SAVES = re.compile(r"save|store|insert|record|create|persist", re.I)
_TEXTS = re.compile(r"message|msg|note|detail|text", re.I)
_ASKED = {"ok", "status", "status_code", "raise_for_status", "is_success", "is_error", "statusCode"}
_THROWS_NOT = re.compile(r"^fetch$|\.fetch$|^(requests|httpx)\.post$|(^|\.)(session|client)\.post$")


def unheard(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Everything of this file, in the order of the functions it stands in."""
    writers = {each.func for each in live_statements(ctx, "write")}
    for module in ctx.live:
        for func, attempt, handler in live_attempts(ctx, module):
            message = ""
            if func in ways.paid and _only_notes(handler):
                message = _unsaved(ctx, ways, attempt, func, writers) or _unstarted(ways, attempt, func)
            elif _CHECKS.search(func.name) and _says_yes(handler) and _guards(ctx, ways, func):
                message = "the check lets everything through when it fails, and the paid call follows"
            if message:
                yield finding(
                    "fallback-swallow", module, handler, message, key=message, weight=44, end=handler.end
                )
    yield from _open_limits(ctx, ways)
    yield from _refusals(ctx)


def _open_limits(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`if (error) return { ok: true }` in a check that asks a table before a paid call: the answer's error is a yes."""
    for statement in live_statements(ctx, "read"):
        func = statement.func
        if func is None or not _COUNTS.search(snake(func.name)):
            continue
        told = ctx.once(told_about, statement)
        test = told if isinstance(told, ir.If) else ir.enclosing(told, ir.If) if told is not None else None
        if test is None or not any(FAILS.search(each) for each in names_in(test.test)):
            continue
        if not exits(test.then) or not isinstance(test.then[-1], ir.Return) or test.then[-1].throws:
            continue
        asked = any(_guards(ctx, ways, one) for one in (func, *callers_of(ctx, func)) if one is not None)
        if asked and _is_yes(test.then[-1].value) and only_logs(test.then[:-1]) and _may_refuse(func):
            message = "the limit lets everybody through when what counts for it fails"
            yield finding("fallback-swallow", statement.module, test, message, key=message, weight=BARELY,
                          end=test.then[-1].end)  # fmt: skip


_COUNTS = re.compile(r"limit|quota|budget|allow|throttle|concurren|credit|usage|(^|_)can_")


def _may_refuse(func: ir.Func) -> bool:
    """Whether a function throws, or has an answer that is no yes."""
    leaves = [each for each in ir.find(func, ir.Return) if each.within is func]
    return any(each.throws or (each.value is not None and not _is_yes(each.value)) for each in leaves)


def _only_notes(handler: ir.Handler) -> bool:
    """Whether a handler logs, rolls back or sets a text, and then goes on."""
    for each in handler.body:
        leaves = any(
            isinstance(node, ir.Return)
            or (isinstance(node, ir.Other) and node.kind.startswith(("continue", "break")))
            for node in ir.walk(each)
        )
        text = (
            isinstance(each, ir.Assign) and isinstance(each.target, ir.Name) and _TEXTS.search(each.target.id)
        )
        rolls = any(last_name(call.func) == "rollback" for call in ir.find(each, ir.Call))
        if leaves or not (text or rolls or only_logs([each])):
            return False
    return bool(handler.body)


def _unsaved(ctx: Context, ways: Ways, attempt: ir.Try, func: ir.Func, writers: set[ir.Func | None]) -> str:
    """A failed write behind a paid call, whose function answers as if the result were kept."""
    inside = {each for part in attempt.body for each in ir.walk(part)}
    if attempt.line <= ways.paid[func] or in_handler(attempt):
        return ""
    called = [
        target.node
        for part in attempt.body
        for each in ir.find(part, ir.Call)
        for target in ctx.program.functions_called(each)
        if isinstance(target.node, ir.Func)
    ]
    if any(each in ways.paid for each in called) or not inside.isdisjoint(each.call for each in ctx.calls):
        return ""
    wrote = [
        each.table
        for each in ctx.statements_under.get(func, ())
        if each.kind == "write"
        and each.insert
        and each.node in inside
        and not BESIDE.search(snake(each.table))
    ]
    wrote.extend(each.name for each in called if _SAVES.search(each.name) and leads_to(ctx, each, writers))
    if not wrote or _is_kept_before(ctx, ways, attempt, func):
        return ""
    if _CHARGED.search(snake(wrote[0])):
        return f"a failure to write ({wrote[0]}) is only logged: the paid result is given and stays uncharged"
    return (
        f"a failure to write ({wrote[0]}) is only logged, and the paid result is answered as if it were kept"
    )


_CHARGED = re.compile(r"billing|credit|transaction|charge|payment|invoice|ledger|wallet|balance")
"""Tables by which a member pays for what was made."""


_RESULT = re.compile(r"image|url|output|result|picture|photo|video|path|file")


def _is_kept_before(ctx: Context, ways: Ways, attempt: ir.Try, func: ir.Func) -> bool:
    """Whether a row was added behind the paid call before, whose failure nothing caught: the attempt adds to that."""
    around = set(ir.ancestors(attempt))
    return any(
        each.kind == "write"
        and each.insert
        and ways.paid[func] <= each.line < attempt.line
        and block_of(each.node) in around
        and any(_RESULT.search(snake(use.column)) for use in each.columns)
        for each in ctx.statements_under.get(func, ())
    )


def _unstarted(ways: Ways, attempt: ir.Try, func: ir.Func) -> str:
    """A queue that refuses the paid work, which nobody hears of."""
    for part in attempt.body:
        for call in ir.find(part, ir.Call):
            if (
                call.line == ways.paid[func]
                and last_name(call.func) in _QUEUES
                and isinstance(call.func, ir.Attr)
            ):
                return f"what {last_name(call.func)} should start does not start when it fails, and nobody hears of it"
    return ""


def _says_yes(handler: ir.Handler) -> bool:
    """Whether a check that failed answers with a yes."""
    leaves = [each for part in handler.body for each in ir.find(part, ir.Return)]
    return len(leaves) == 1 and not leaves[0].throws and _is_yes(leaves[0].value)


def _is_yes(value: ir.Node | None) -> bool:
    if isinstance(value, ir.Arr):
        return bool(value.items) and _is_yes(value.items[0])
    if isinstance(value, ir.Obj):
        return any(each.key in _SAYS_YES and _is_yes(each.value) for each in value.props)
    return isinstance(value, ir.Lit) and value.value is True


def _guards(ctx: Context, ways: Ways, func: ir.Func) -> bool:
    """Whether a function on the way to a paid call asks the check before it goes on."""
    sites = ctx.program.callers.get(func, [])
    return any(
        site.call.within in ways.paid and site.call.line < ways.paid[site.call.within] for site in sites
    )


def _refusals(ctx: Context) -> Iterator[Finding]:
    """A raw paid request by a client that does not throw, whose answer's state nobody looks at."""
    for call in ctx.creates():
        func = call.func
        if call.sdk or func is None or not _THROWS_NOT.search(ir.dotted(call.call.func)):
            continue
        names = _named_after(call, func)
        if not names or _is_asked(func, names) or not _is_used(ctx, func, names):
            continue
        message = f"whether {call.api} was refused is never looked at"
        yield finding("fallback-swallow", call.module, call.call, message, key=call.api, weight=41,
                      evidence=[place(call)])  # fmt: skip


def _named_after(call: ProviderCall, func: ir.Func) -> set[str]:
    """The names of a call's answer and of what is parsed of it; none where it is handed on at once."""
    assign = call.call.parent
    if not isinstance(assign, ir.Assign) or not isinstance(assign.target, ir.Name):
        return set()
    names = {assign.target.id}
    for each in ir.find(func, ir.Assign):
        if each.first > assign.first and each.value is not None:
            root = ir.root_of(each.value)
            if isinstance(root, ir.Name) and root.id in names:
                names |= variables_in(each.target)
    return names


def _is_asked(func: ir.Func, names: set[str]) -> bool:
    """Whether something about an answer is tested: its state, a member, whether there is one."""
    branches = tests_of(func)
    if any(names & names_in(each.test) for each in branches):
        return True
    if any(each.test is not None and names & names_in(each.test) for each in ir.find(func, ir.Loop)):
        return True
    for each in ir.find(func, ir.Attr):
        if each.name in _ASKED and isinstance(each.obj, ir.Name) and each.obj.id in names:
            return True
    return any(op.op in {"or", "and"} and names & names_in(op.left) for op in ir.find(func, ir.Bin))


def _is_used(ctx: Context, func: ir.Func, names: set[str]) -> bool:
    """Whether the answer goes on: out of a route, or out of a helper whose callers do not test it either."""
    given = [each for each in returns(func) if names & names_in(each)]
    if func in ctx.handled_by:
        return True
    sites = ctx.program.callers.get(func, [])
    for site in sites if given else ():
        owner = site.call.within
        assign = next(
            (each for each in ir.ancestors(site.call) if isinstance(each, ir.Assign | ir.Func)), None
        )
        kept = variables_in(assign.target) if isinstance(assign, ir.Assign) else set()
        tests = tests_of(owner) if owner is not None else []
        if owner is None or not kept or any(kept & names_in(each.test) for each in tests):
            return False
    return bool(sites) and bool(given)
