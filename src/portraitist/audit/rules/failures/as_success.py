"""Part of the rule on swallowed failures: what failed is answered, taken or counted as if it had not.

Errors answered with status 200, something else in the place of a result in an answer that looks alike, checks that
count as passed when they could not be made, verdicts of helpers that nobody reads, rows that were there before.
All of it is of low weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name, live_statements, names_in
from portraitist.audit.rules.failures.looking import ASIDE, asked_about, is_statement
from portraitist.audit.rules.failures.made_up_balance import made_up_balance
from portraitist.audit.rules.failures.quiet import FAILS, Ways, live_sites, on_paid_ways, only_logs, served
from portraitist.audit.rules.failures.unread_false import unread_false
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler, names_error, taker_of, way_out

_TELLS = {"error", "errors", "err", "detail"}
_VERDICTS = {"success", "ok", "error", "errors", "is_fallback", "isFallback", "failed"}
_ANSWERS = {"json", "jsonify", "JSONResponse", "JsonResponse", "json_response", "send"}
_NO_STATUS = {"trpc", "graphql", "action", "loader", "convex", "cloud"}
"""Frameworks whose answers have no status of their own."""
_CHECKS = re.compile(
    r"safe|moderat|valid|nsfw|allow|appropriate|permit|verif|is_?clean|screen|quality|gate|assess|check|detect|evaluat",
    re.I,
)
_PASSES = {
    "safe", "is_safe", "isSafe", "valid", "is_valid", "isValid", "allowed", "approved", "passed", "is_allowed",
    "isAllowed", "pass", "acceptable", "is_acceptable", "ok",
}  # fmt: skip
_KEEPS_OLD = re.compile(r"do\s+nothing|ignoreduplicates:\s*true|insert\s+or\s+ignore", re.I)
_OLD = "do nothing", "ignoreduplicates", "or ignore"


def as_success(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Everything of this file."""
    yield from _answered_well(ctx, ways)
    yield from _in_the_same_shape(ctx, ways)
    yield from _passed_anyway(ctx)
    yield from _verdicts_unread(ctx)
    yield from unread_false(ctx)
    yield from made_up_balance(ctx, ways)
    yield from _rows_of_before(ctx)


def _answered_well(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`catch (error) { return Response.json({ error: "…" }) }`: an error in the words, and status 200."""
    for func, routes in ctx.handled_by.items():
        module = ctx.program.module_of[func]
        if func in ways.hooks or ctx.role_at(module, func) not in LIVE_ROLES or module.role != "src":
            continue
        if not any(
            each.is_http and each.method != "ACTION" and each.framework not in _NO_STATUS for each in routes
        ):
            continue
        found = list(_error_answers(module, func))
        if found:
            first, *rest = found
            message = "this failure is answered with status 200: only who reads the body hears of it"
            around = next(
                (each for each in ir.ancestors(first) if isinstance(each, ir.Handler | ir.If | ir.Func)),
                first,
            )
            line = around.line if isinstance(around, ir.Handler) else first.line
            yield finding("fallback-swallow", module, first, message, key="status 200", weight=BARELY, line=line,
                          end=first.end, evidence=[Place(module.path, each.line) for each in rest[:3]])  # fmt: skip


def _error_answers(module: Module, func: ir.Func) -> Iterator[ir.Node]:
    """The answers to failures that name an error and no status."""
    for call in ir.find(func, ir.Call):
        name = last_name(call.func)
        plain = name in _ANSWERS or (name == "Response" and call.is_new)
        if not plain or not _without_status(call) or not _for_failure(call, func):
            continue
        chain = ir.dotted(call.func).split(".")
        if {"status", "code", "sendStatus"} & set(chain) or _status_set(func) or _in_tuple(call):
            continue
        given = call.args[0]
        if isinstance(given, ir.Call) and last_name(given.func) == "stringify" and given.args:
            given = given.args[0]
        if isinstance(given, ir.Obj) and _names_failure(given):
            yield call
    if module.language == "python":
        for leave in ir.find(func, ir.Return):
            told, own = leave.value, leave.within is func and not leave.throws
            if own and isinstance(told, ir.Obj) and _for_failure(leave, func) and _names_failure(told):
                yield leave


def _without_status(call: ir.Call) -> bool:
    """Whether nothing but a body, and headers, is handed to what answers."""
    more = call.args[1] if len(call.args) == 2 else None
    plain = isinstance(more, ir.Obj) and not any(each.spread or each.key == "status" for each in more.props)
    return call.kw is None and (len(call.args) == 1 or plain)


def _names_failure(given: ir.Obj) -> bool:
    """Whether an object tells of an error, or that something is no success."""
    for each in given.props:
        if each.key in _TELLS and not (isinstance(each.value, ir.Lit) and not each.value.value):
            return True
        if each.key in {"success", "ok"} and isinstance(each.value, ir.Lit) and each.value.value is False:
            return True
    return False


def _for_failure(node: ir.Node, func: ir.Func) -> bool:
    """Whether an answer stands in a handler, or in the branch for an error, of this very function."""
    inner = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.Handler):
            return each.within is func
        if (
            isinstance(each, ir.If)
            and inner in each.then
            and re.search(r"err", " ".join(names_in(each.test)), re.I)
        ):
            return each.within is func
        if isinstance(each, ir.Func):
            return False
        inner = each
    return False


def _status_set(func: ir.Func) -> bool:
    """Whether a function sets the status of the response: `res.status(500)`, `response.status_code = 500`."""
    sets = (
        last_name(each.target) in {"status", "statusCode", "status_code"} for each in ir.find(func, ir.Assign)
    )
    said = (last_name(each.func) in {"status", "writeHead", "setStatus", "code"} for each in ir.find(func, ir.Call)
            if isinstance(each.parent, ir.Handler | ir.If | ir.Func | ir.Try))  # fmt: skip
    return any(sets) or any(said)


def _in_tuple(call: ir.Call) -> bool:
    """`return jsonify(…), 500`, and a response that is changed by another call."""
    return isinstance(call.parent, ir.Arr | ir.Attr | ir.Assign | ir.Call)


def _in_the_same_shape(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`try { return { url: await paint() } } catch { return { url: fallback } }`: nobody can tell which it is."""
    for func, paid in on_paid_ways(ctx, ways):
        module = ctx.program.module_of[func]
        for attempt in ir.find(func, ir.Try):
            handler = attempt.handlers[-1] if attempt.handlers else None
            if (
                handler is None
                or attempt.within is not func
                or ctx.role_at(module, attempt) not in LIVE_ROLES
            ):
                continue
            if not attempt.body or not attempt.body[0].line <= paid <= attempt.body[-1].end:
                continue
            leave = way_out(handler)
            instead = _object_of(leave) if leave is not None and not leave.throws else None
            made = [_object_of(each) for part in attempt.body for each in ir.find(part, ir.Return)]
            if instead is None or not only_logs([each for each in handler.body if each is not leave]):
                continue
            keys = {each.key for each in instead.props}
            if leave is None or keys & {"status", "state", "message"} or _has_error_status(leave):
                continue
            if keys & _VERDICTS or not any(
                each is not None and {one.key for one in each.props} == keys for each in made
            ):
                continue
            message = "a failure is answered with something else in the same form: nobody can tell it from the result"
            yield finding("fallback-swallow", module, attempt, message, key="same form", weight=BARELY,
                          line=attempt.line if handler.line - attempt.line < _NEAR else handler.line,
                          end=handler.end)  # fmt: skip
    yield from _instead_of_nothing(ctx, ways)


def _has_error_status(leave: ir.Return) -> bool:
    """`return res.status(500).json(…)`, or a status of 400 or more anywhere in an answer."""
    return leave.value is not None and names_error(leave.value)


_NEAR = 12
"""An attempt so short is shown whole."""


def _object_of(leave: ir.Return) -> ir.Obj | None:
    value = leave.value
    if isinstance(value, ir.Call) and last_name(value.func) in _ANSWERS and len(value.args) == 1:
        value = value.args[0]
    return (
        value
        if isinstance(value, ir.Obj) and value.props and not any(each.spread for each in value.props)
        else None
    )


def _instead_of_nothing(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`await upscale(image) || image`: what a paid helper was given is taken where it gives nothing."""
    for func, _ in on_paid_ways(ctx, ways):
        for either in ir.find(func, ir.Bin):
            call = either.left
            if either.op not in {"or", "??"} or not isinstance(call, ir.Call) or either.within is not func:
                continue
            put = ir.plain_dotted(either.right) if either.right is not None else ""
            given = {ir.plain_dotted(each) for arg in call.args for each in ir.walk(arg)} - {""}
            module = ctx.program.module_of[func]
            paying = any(each in ways.paid for each in helpers_behind(ctx, call))
            if put and put in given and paying and ctx.role_at(module, either) in LIVE_ROLES:
                message = f"where {last_name(call.func)} gives nothing, {put} that went in is taken for what came out"
                yield finding("fallback-swallow", module, either, message, key=f"{last_name(call.func)} {put}",
                              weight=BARELY, end=either.end)  # fmt: skip


def _passed_anyway(ctx: Context) -> Iterator[Finding]:
    """A check whose handler says that it was passed."""
    for module in ctx.once(served):
        for attempt in module.all(ir.Try):
            func = attempt.within
            if func is None or not attempt.handlers or not _CHECKS.search(func.name):
                continue
            handler = attempt.handlers[-1]
            leaves = [each for part in handler.body for each in ir.find(part, ir.Return)]
            if len(leaves) != 1 or leaves[0].throws or not _says_passed(leaves[0].value):
                continue
            others = [each for each in returns(func) if each is not leaves[0].value]
            live = ctx.role_at(module, attempt) in LIVE_ROLES
            if live and others and not all(_says_passed(each) for each in others):
                message = f"{func.name} counts as passed when it could not be made"
                yield finding("fallback-swallow", module, handler, message, key=f"passed {func.name}", weight=BARELY,
                              end=handler.end)  # fmt: skip


def _says_passed(value: ir.Node | None) -> bool:
    if isinstance(value, ir.Arr):
        return bool(value.items) and _says_passed(value.items[0])
    if isinstance(value, ir.Obj):
        return any(
            each.key in _PASSES and isinstance(each.value, ir.Lit) and each.value.value is True
            for each in value.props
        )
    return isinstance(value, ir.Lit) and value.value is True


def _verdicts_unread(ctx: Context) -> Iterator[Finding]:
    """A helper that tells its failure by `{ success: false }` or `{ error }`, and a caller that never reads that."""
    for func, module in _with_verdict(ctx):
        for site, owner in live_sites(ctx, func):
            if site.module.role == "src" and _unread(ctx, site.module, site.call, owner):
                message = f"{func.name} tells a failure in what it gives back, and nothing here reads that"
                yield finding("fallback-swallow", site.module, site.call, message, key=f"verdict {func.name}",
                              weight=BARELY, end=site.call.end, evidence=[Place(module.path, func.line)])  # fmt: skip


def _with_verdict(ctx: Context) -> Iterator[tuple[ir.Func, Module]]:
    """The functions in whose handlers, or branches for errors, an object that tells of a failure is given back."""
    for module in ctx.once(served):
        seen: set[ir.Func] = set()
        for leave in module.all(ir.Return):
            if not isinstance(leave.value, ir.Obj):
                continue
            func = leave.within
            if func is None or func in seen or not func.name or not ctx.program.callers.get(func):
                continue
            if not _names_failure(leave.value) or not (in_handler(leave) or _behind_test(leave)):
                continue
            seen.add(func)
            given = [each for each in returns(func) if isinstance(each, ir.Obj)]
            helper = func not in ctx.handled_by and not ASIDE.search(func.name)
            if helper and not all(map(_names_failure, given)) and ctx.role_at(module, func) in LIVE_ROLES:
                yield func, module


def _behind_test(value: ir.Node) -> bool:
    around = next((each for each in ir.ancestors(value) if isinstance(each, ir.If | ir.Func)), None)
    return isinstance(around, ir.If) and any(FAILS.search(each) for each in names_in(around.test))


def _unread(ctx: Context, module: Module, call: ir.Call, owner: ir.Func) -> bool:
    """Whether the verdict in an answer is dropped: with the whole answer, or with the members that nobody takes."""
    up = taker_of(call)
    if isinstance(up, ir.Func | ir.Loop | ir.Try | ir.If):
        tested = isinstance(up, ir.If) and call in set(ir.walk(up.test))
        return not tested and is_statement(module, call)
    if not isinstance(up, ir.Assign) or isinstance(up.target, ir.Attr | ir.Index) or up.value is None:
        return False
    names = variables_in(up.target)
    if not names or asked_about(ctx, owner, names):
        return False
    if isinstance(up.target, ir.Obj):
        return not any(each.spread or each.key in _VERDICTS for each in up.target.props)
    used = [each for each in ir.find(owner, ir.Name) if each.id in names and each.line > up.end]
    taken = [each.parent.name for each in used if isinstance(each.parent, ir.Attr) and not each.parent.maybe]
    return bool(used) and len(taken) == len(used) and not set(taken) & _VERDICTS


def _rows_of_before(ctx: Context) -> Iterator[Finding]:
    """`INSERT … ON CONFLICT DO NOTHING` and then the row is read and given back, whoever's it was."""
    inserts = [each for each in live_statements(ctx, "write") if each.insert]
    files = {each.module.path: each.module for each in inserts}
    old = {path for path, module in files.items() if any(word in module.lowered for word in _OLD)}
    for statement in (each for each in inserts if each.module.path in old):
        func, module = statement.func, statement.module
        if func is None:
            continue
        text = "\n".join(module.lines[statement.line - 1 : statement.end])
        if not _KEEPS_OLD.search(text) or re.search(r"returning", text, re.I):
            continue
        later = [each for each in returns(func) if each.line > statement.end]
        if any(_reads(ctx, each, statement.table) for each in later):
            message = f"where the row of {statement.table} is there already nothing is stored, and that is given back"
            yield finding("fallback-swallow", module, statement.node, message, key=f"before {statement.table}",
                          weight=BARELY, line=statement.line, end=max(statement.end, later[0].end))  # fmt: skip


def _reads(ctx: Context, value: ir.Node, table: str) -> bool:
    """Whether a value is read from a table, by a statement or by a helper."""
    for call in ir.find(value, ir.Call):
        made = [*ctx.statements_at.get(call, ())]
        for helper in helpers_behind(ctx, call):
            made.extend(ctx.statements_under.get(helper, ()))
        if any(each.kind == "read" and each.table == table for each in made):
            return True
    return False
