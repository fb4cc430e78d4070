"""Part of the rule on swallowed failures: what did not happen and is told as done.

A helper that keeps the failed start of paid work to itself, something of the provider's that could not be deleted or
stopped and whose row goes all the same, and automatic retries around a body that lets no failure out. Retries that a
task asks for and catches itself are in `caught_retries`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, Statement
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import block_of, variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements, place
from portraitist.audit.rules.failures.caught_retries import caught_retries
from portraitist.audit.rules.failures.looking import is_statement
from portraitist.audit.rules.failures.quiet import Ways, only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import attempt_around, in_handler

_STOPS = re.compile(r"(^|\.)(async_)?(delete|cancel)$|^delete |/cancel$", re.I)
_RETRIES = re.compile(r"(^|\.)(retry|retrying|retriable|actor|backoff\.on_exception|on_exception)$")
_TRIED = {"retry", "pRetry", "asyncRetry", "withRetry", "retryWithBackoff", "retryAsync", "with_retry"}


def told_done(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Everything of this file."""
    yield from _starts_kept_quiet(ctx, ways)
    yield from _left_at_provider(ctx)
    yield from _never_again(ctx)
    yield from caught_retries(ctx)


def _starts_kept_quiet(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """A helper that catches the failed start and gives nothing back, behind which a route answers a success."""
    seen: set[ir.Handler] = set()
    for flow in ctx.flows:
        if flow.route is None or not flow.route.is_http or len(flow.funcs) < 2:
            continue
        caller, func = flow.funcs[-2:]
        if caller in ways.hooks:
            continue  # nobody waits for the outcome there
        handler = _quiet(ctx, flow.call, func)
        if handler is None or handler in seen or returns(func):
            continue
        site = _statement(ctx, caller, func)
        after = _success(caller, flow, site) if site is not None else None
        if after is not None and site is not None:
            seen.add(handler)
            told = Place(ctx.program.module_of[caller].path, after.line)
            message = (
                f"{func.name} keeps a failed {flow.call.api} to itself, and line {told.line} of {told.path} "
                "answers as if it were started"
            )
            yield finding("fallback-swallow", ctx.program.module_of[func], handler, message, key=f"start {func.name}",
                          weight=48, end=handler.end, evidence=[told])  # fmt: skip


def _quiet(ctx: Context, call: ProviderCall, func: ir.Func) -> ir.Handler | None:
    """The handler in which a failure of the call ends, in the function that makes it."""
    below: ir.Node = call.call
    if not call.sdk or call.func is not func or ctx.role_at(call.module, call.call) not in LIVE_ROLES:
        return None
    for each in ir.ancestors(call.call):
        if isinstance(each, ir.Try) and each.handlers and below in each.body:
            handler = each.handlers[-1]
            leaves = any(isinstance(one, ir.Return) for one in ir.walk(handler))
            sets = any(isinstance(one, ir.Assign) for one in ir.walk(handler))
            logs = only_logs(handler.body)  # said elsewhere
            return None if leaves or sets or logs or each.final else handler
        if isinstance(each, ir.Loop) or each is func:
            break
        below = each
    return None


def _statement(ctx: Context, caller: ir.Func, func: ir.Func) -> ir.Call | None:
    """Where a function is waited for as a statement of its own."""
    for site in ctx.program.callers.get(func, []):
        up = site.call.parent
        plain = isinstance(up, ir.Func | ir.If | ir.Try)
        waited = is_statement(site.module, site.call)
        if site.call.within is caller and plain and waited and not isinstance(up, ir.Handler):
            return site.call
    return None


def _success(caller: ir.Func, flow: Flow, site: ir.Call) -> ir.Return | None:
    """The answer that follows a statement in a route's handler: one that is no error and tests nothing before."""
    handlers = [each.node for each in flow.route.handlers] if flow.route is not None else []
    if caller not in handlers:
        return None
    between = [each for each in ir.find(caller, ir.If) if each.line > site.end]
    for leave in ir.find(caller, ir.Return):
        caught = in_handler(leave)
        if leave.within is caller and leave.line > site.end and not caught:
            asked = any(each.line < leave.line for each in between)
            numbers = {each.value for each in ir.find(leave, ir.Lit) if isinstance(each.value, int)}
            bad = any(each not in {True, False} and 400 <= int(each) < 600 for each in numbers)
            return None if asked or bad or leave.throws or leave.value is None else leave
    return None


def _left_at_provider(ctx: Context) -> Iterator[Finding]:
    """A deletion or a cancelling at the provider whose failure is only logged, before the row is deleted or closed."""
    written = list(live_statements(ctx, "delete", "write"))
    seen: set[ir.Node] = set()
    for call in ctx.calls:
        func = call.func
        if (
            not _STOPS.search(call.api)
            or func is None
            or ctx.role_at(call.module, call.call) not in LIVE_ROLES
        ):
            continue
        attempt = attempt_around(call.call)
        if attempt is None or attempt.within is not func or attempt in seen:
            continue
        handler = attempt.handlers[-1]
        gone = next(
            (each for each in written if each.func is func and each.line > attempt.end and _closes(each)),
            None,
        )
        if gone is None or not only_logs(handler.body) or _is_left_before(attempt, gone):
            continue
        seen.add(attempt)
        what = "cancelled" if "cancel" in call.api.lower() else "deleted"
        message = f"what could not be {what} at the provider is only logged, and line {gone.line} goes on as if it were"
        yield finding("fallback-swallow", call.module, handler, message, key=f"left {call.api}", weight=BARELY,
                      end=handler.end, evidence=[place(call), Place(gone.module.path, gone.line)])  # fmt: skip


def _is_left_before(attempt: ir.Try, gone: Statement) -> bool:
    """Whether the branch in which it is tried leaves the function, and the statement stands behind it."""
    branch = block_of(attempt)
    if not isinstance(branch, ir.If) or gone.line <= branch.end:
        return False
    part = branch.then if attempt in branch.then else branch.other
    return attempt in part and isinstance(part[-1], ir.Return)


def _closes(statement: Statement) -> bool:
    """Whether a statement takes a row away or sets its state."""
    return statement.kind == "delete" or any(
        re.search(r"status|state|deleted", each.column, re.I) for each in statement.columns
    )


def _never_again(ctx: Context) -> Iterator[Finding]:
    """Automatic retries of a function whose longest statement is a `try` that lets no failure out."""
    for module in ctx.live:
        for func, told in _retried(module):
            if ctx.role_at(module, func) not in LIVE_ROLES:
                continue
            attempt = max(func.body, key=lambda each: each.end - each.line, default=None)
            if (
                not isinstance(attempt, ir.Try)
                or not attempt.handlers
                or not _lets_nothing_out(attempt, python=module.language == "python")
            ):
                continue
            handler = attempt.handlers[-1]
            message = f"every failure of what is tried ends here, so that {told} never tries again"
            yield finding("fallback-swallow", module, handler, message, key=f"retries {func.name}", weight=45,
                          end=handler.end, evidence=[Place(module.path, func.line)])  # fmt: skip


def _retried(module: Module) -> Iterator[tuple[ir.Func, str]]:
    """The functions that run again when they throw, and what does it: a decorator, or the call they are handed to."""
    if module.language != "python":
        for call in module.calls(_TRIED):
            if call.args and isinstance(call.args[0], ir.Func):
                yield call.args[0], last_name(call.func)
        return
    for func in (each for each in module.all(ir.Func) if each.decorators):
        for each in func.decorators:
            made = each if isinstance(each, ir.Call) else None
            name = ir.dotted(made.func if made is not None else each)
            if made is not None and made.kw is not None and made.kw.get("autoretry_for") is not None:
                yield func, f"autoretry_for of {name}"
                break
            if _RETRIES.search(name) and not _by_result(made):
                yield func, f"@{name}"
                break


def _by_result(call: ir.Call | None) -> bool:
    """Whether a decorator looks at what is given back: `retry=retry_if_result(…)`."""
    given = ir.find(call, ir.Name) if call is not None else ()
    return any("result" in each.id or "predicate" in each.id for each in given)


def _lets_nothing_out(attempt: ir.Try, *, python: bool) -> bool:
    """Whether no handler throws or asks for a retry, and the last one catches everything."""
    caught = attempt.handlers[-1].catches
    for handler in attempt.handlers:
        for each in ir.walk(handler):
            if isinstance(each, ir.Return) and each.throws:
                return False
            if isinstance(each, ir.Call) and re.search(
                r"retry|abort|bail|reject|raise|throw", last_name(each.func), re.I
            ):
                return False
    names = variables_in(caught) if python and caught is not None else {"Exception"}
    return bool(names & {"Exception", "BaseException"}) and not attempt.final
