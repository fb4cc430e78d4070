"""Part of the rule on swallowed failures: what is put in the place of what failed, and taken for it.

Texts of errors given back as the answer, states that nobody asked for, nothing that something else stands in for.
Only handlers that do nothing else about the failure are judged, where a caller in the repository takes what they give.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import askers, finding, last_name, leads_to, names_in, way_out_of
from portraitist.audit.rules.failures.quiet import FAILS, Ways, live_attempts, live_sites, only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import FAILED, STATE
from portraitist.audit.rules.syntax import NOTHING, calls_in, taker_of, tests_of, way_out

_WAITING = {"pending", "processing", "starting", "queued", "running", "in_progress", "waiting", "training"}
_KEEPS = re.compile(r"upload|store|persist|save|put_?object|put$|copy|rehost|re_host|archive|backup", re.I)
_MEDIA = re.compile(r"output|frame|image|img|photo|picture|video|audio|file|url|path|mask", re.I)
_WORKS = re.compile(
    r"remove|enhance|upscale|process|generate|swap|restore|edit|transform|render|blend|retouch|inpaint|colou?ri|styli|clean",
    re.I,
)
_ASKS = re.compile(
    r"request|fetch|post|create|generate|chat|complet|invoke|ask|run|predict|analy[sz]e|send", re.I
)


def put_in_place(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Handlers whose answer or value takes the place of what failed."""
    asking: set[ir.Func | None] = askers(ctx) - {None}
    paying: set[ir.Func | None] = {each.func for each in ctx.creates()} - {None}
    for module in ctx.live:
        if module.role != "src" or module.path.endswith((".tsx", ".jsx")):
            continue
        for func, attempt, handler in live_attempts(ctx, module):
            yield from _asked_anyway(ctx, module, attempt, handler, asking)
            yield from _given_as_text(ctx, module, func, attempt, handler)
            if func in paying:
                yield from _unlooked(ctx, module, func, attempt, handler)
            yield from _as_it_was(module, func, attempt, handler)
            if func in ways:
                yield from _left_as_it_was(module, func, attempt, handler)
            yield from _emptied(ways, module, func, attempt)
            yield from _state_kept(module, func, attempt, handler)


def _rest(handler: ir.Handler) -> tuple[ir.Return | None, list[ir.Node]]:
    """How a handler leaves, and what else it does."""
    leave = way_out(handler)
    return leave, [each for each in handler.body if each is not leave]


def _asked_anyway(
    ctx: Context, module: Module, attempt: ir.Try, handler: ir.Handler, asking: set[ir.Func | None]
) -> Iterator[Finding]:
    """`catch { return { status: "pending" } }` around the question what became of the work."""
    leave, rest = _rest(handler)
    if leave is None or leave.throws or leave.value is None or not only_logs(rest) or not asking:
        return
    told = [each for each in ir.find(leave.value, ir.Prop) if each.key in {"status", "state"}]
    state = next((text for each in told if (text := ir.text_of(each.value)) in _WAITING), None)
    codes = [each.value for each in ir.find(leave.value, ir.Lit) if isinstance(each.value, int)]
    if state is None or any(each >= 400 for each in codes):
        return
    calls = calls_in(attempt.body)
    asks = any(each in ctx.call_at and ctx.call_at[each].purpose == "status" for each in calls)
    helpers = (target.node for each in calls for target in ctx.program.functions_called(each))
    if asks or any(leads_to(ctx, each, asking) for each in helpers):
        message = f"any failure of asking the provider, a lost job too, is answered as {state!r}"
        yield finding("fallback-swallow", module, handler, message, key=f"status {state}", weight=46,
                      end=handler.end)  # fmt: skip


def _given_as_text(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """A sentence about the failure, given back where callers take what comes for the answer."""
    leave, rest = _rest(handler)
    if (
        leave is None
        or leave.throws
        or not _is_sentence(leave.value)
        or not only_logs(rest)
        or func.decorators
    ):
        return
    answers = [
        each
        for part in attempt.body
        for each in ir.find(part, ir.Return)
        if each.within is func and not each.throws
    ]
    made = [each.value for each in answers if isinstance(each.value, ir.Other | ir.Call | ir.Attr | ir.Index)]
    calls = calls_in(attempt.body)
    if not made or func in ctx.handled_by or not any(_ASKS.search(ir.dotted(each.func)) for each in calls):
        return
    taken = taken_by(ctx, func, whole=False)
    if taken is not None:
        message = f"{func.name} gives back the text of its failure as if it were the answer"
        yield finding(
            "fallback-swallow", module, leave, message, key=func.name, weight=BARELY, evidence=[taken]
        )


def _is_sentence(value: ir.Node | None) -> bool:
    text = ir.text_of(value)
    if isinstance(value, ir.Tmpl):
        text = "".join(str(each.value) for each in value.parts if isinstance(each, ir.Lit))
    return text is not None and " " in text.strip() and not text.lstrip().startswith(("{", "[", "<", "http"))


def taken_by(ctx: Context, func: ir.Func, *, whole: bool) -> Place | None:
    """A live call whose answer no branch asks about; with `whole`, one that hands it on as the answer of a route.

    An action has no status: the object that it gives back is how it tells of a failure.
    """
    for site, owner in live_sites(ctx, func):
        if whole and all(_has_no_status(each) for each in ctx.handled_by.get(owner, ())):
            continue
        up = taker_of(site.call)
        if isinstance(up, ir.Return):
            return Place(site.module.path, site.call.line)
        if not isinstance(up, ir.Assign) or not isinstance(up.target, ir.Name):
            continue
        name = up.target.id
        if any(name in names_in(each.test) for each in tests_of(owner)):
            continue
        leaves = [
            each for each in ir.find(owner, ir.Return) if each.value is not None and each.line > up.line
        ]
        handed = any(_is_whole(each.value, name) for each in leaves)
        used = any(each.id == name and each.line > up.end for each in ir.find(owner, ir.Name))
        if handed if whole else used:
            return Place(site.module.path, site.call.line)
    return None


def _has_no_status(route: Route) -> bool:
    return route.method == "ACTION" or route.framework in {"trpc", "graphql", "convex"}


def _is_whole(value: ir.Node | None, name: str) -> bool:
    """Whether an answer is just this value, or a response of it without a status."""
    if isinstance(value, ir.Name):
        return value.id == name
    return (
        isinstance(value, ir.Call)
        and last_name(value.func) in {"json", "jsonify", "JSONResponse"}
        and len(value.args) == 1
        and isinstance(value.args[0], ir.Name)
        and value.args[0].id == name
        and (value.kw is None or value.kw.get("status_code") is None)
    )


def _unlooked(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """`{"success": False}` for a failed paid call, which a route hands on with status 200."""
    leave, rest = _rest(handler)
    if leave is None or not isinstance(leave.value, ir.Obj) or not only_logs(rest):
        return
    taken = taken_by(ctx, func, whole=True) if tells_failure(leave.value) else None
    if taken is not None and any(_holds(attempt, each.call) for each in ctx.creates()):
        message = f"a failure of the paid call becomes an object that {taken.path}:{taken.line} answers with status 200"
        yield finding("fallback-swallow", module, handler, message, key=func.name, weight=47, end=handler.end,
                      evidence=[taken])  # fmt: skip


def tells_failure(given: ir.Obj) -> bool:
    """Whether an object that is given back says that something failed: `{"success": False}`, `{ error }`."""
    fails = given.get("success", "ok")
    return (isinstance(fails, ir.Lit) and fails.value is False) or given.get("error") is not None


def _holds(attempt: ir.Try, call: ir.Call) -> bool:
    return any(each is attempt for each in ir.ancestors(call))


def _as_it_was(module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler) -> Iterator[Finding]:
    """`try: x = work(y) except: x = y`, for pictures and the like: what failed goes on untouched."""
    sets = [each for each in handler.body if isinstance(each, ir.Assign)]
    rest = [each for each in handler.body if each not in sets]
    if (
        len(sets) != 1
        or not only_logs(rest)
        or not isinstance(sets[0].target, ir.Name)
        or sets[0].value is None
    ):
        return
    name, put = sets[0].target.id, ir.plain_dotted(sets[0].value)
    for part in attempt.body:
        for each in ir.find(part, ir.Assign):
            if (
                not put
                or not isinstance(each.target, ir.Name)
                or each.target.id != name
                or each.value is None
            ):
                continue
            given = {
                ir.plain_dotted(one)
                for call in ir.find(each.value, ir.Call)
                if _WORKS.search(last_name(call.func))
                for one in call.args
            }
            quiet = not any(not _is_pass(one) for one in rest) and _was(func, name, put, attempt)
            if _MEDIA.search(put) and (put in given or quiet):
                message = f"where the work fails, {put} is put in its place and taken for the result"
                yield finding("fallback-swallow", module, handler, message, key=f"{name} {put}", weight=BARELY,
                              line=handler.line, end=handler.end)  # fmt: skip
                return


def _left_as_it_was(module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler) -> Iterator[Finding]:
    """`x = y; try: x = work(y) except: log()`, on the way to a paid call: what failed goes on untouched."""
    called = [last_name(each.func) for part in attempt.body for each in ir.find(part, ir.Call)]
    works = any(_WORKS.search(each) for each in called) and not any(_KEEPS.search(each) for each in called)
    if not works or not only_logs(handler.body):
        return
    for each in (one for part in attempt.body for one in ir.find(part, ir.Assign)):
        name = each.target.id if isinstance(each.target, ir.Name) and not each.decl else ""
        before = [
            ir.plain_dotted(one.value)
            for one in ir.find(func, ir.Assign)
            if name and one.value is not None and last_name(one.target) == name and one.line < attempt.line
        ]
        put = before[0] if len(before) == 1 else ""
        later = any(one.id == name and one.line > attempt.end for one in ir.find(func, ir.Name))
        if put and later and _MEDIA.search(put):
            message = f"where the work fails, {name} stays {put} and is taken for the result"
            yield finding("fallback-swallow", module, handler, message, key=f"{name} {put}", weight=BARELY,
                          line=handler.line, end=handler.end)  # fmt: skip
            return


def _was(func: ir.Func, name: str, put: str, attempt: ir.Try) -> bool:
    """Whether a variable was set to this very expression before."""
    return any(
        isinstance(each.target, ir.Name)
        and each.target.id == name
        and each.value is not None
        and ir.plain_dotted(each.value) == put
        and each.line < attempt.line
        for each in ir.find(func, ir.Assign)
    )


def _emptied(ways: Ways, module: Module, func: ir.Func, attempt: ir.Try) -> Iterator[Finding]:
    """What cannot be read becomes empty in front of the paid call that it was for."""
    paid = ways.paid.get(func, 0)
    for handler in attempt.handlers:
        sets = [each for each in handler.body if isinstance(each, ir.Assign)]
        rest = [each for each in handler.body if each not in sets]
        if (
            len(sets) != 1
            or handler.end >= paid
            or not only_logs(rest)
            or not isinstance(sets[0].target, ir.Name)
        ):
            continue
        value, name = sets[0].value, sets[0].target.id
        empty = (isinstance(value, ir.Obj) and not value.props) or (
            isinstance(value, ir.Arr) and not value.items
        )
        made = any(
            last_name(each.target) == name for part in attempt.body for each in ir.find(part, ir.Assign)
        )
        sent = any(
            each.line >= paid and name in variables_in(each)
            for each in ir.find(func, ir.Call)
            if each.line == paid
        )
        if empty and made and sent:
            message = f"{name} that cannot be read become empty, and are paid for all the same"
            yield finding("fallback-swallow", module, handler, message, key=f"empty {name}", weight=BARELY,
                          end=handler.end)  # fmt: skip


def _state_kept(module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler) -> Iterator[Finding]:
    """In a handler, the write of the failed state whose own failure disappears."""
    inside = any(isinstance(each, ir.Handler) and each.within is func for each in ir.ancestors(attempt))
    if not inside or not all(_is_pass(each) for each in handler.body):
        return
    for part in attempt.body:
        for each in ir.find(part, ir.Prop):
            word = ir.text_of(each.value) or (
                last_name(each.value) if isinstance(each.value, ir.Attr) else ""
            )
            if STATE.search(each.key or "") and FAILED.match(word):
                message = (
                    "when the failed state cannot be written, that disappears and the row stays as it was"
                )
                yield finding("fallback-swallow", module, handler, message, key="failed state", weight=38,
                              end=handler.end)  # fmt: skip
                return


def _is_pass(node: ir.Node) -> bool:
    return isinstance(node, ir.Other) and node.kind in NOTHING


def nothing_kept(ctx: Context) -> Iterator[Finding]:
    """A helper that stores, answers with nothing when it fails, and whose caller goes on with something else."""
    for module in ctx.live:
        if module.role != "src" or module.path.endswith((".tsx", ".jsx")):
            continue
        for either in module.all(ir.Bin):
            if (
                either.op != "or"
                or not isinstance(either.left, ir.Name)
                or not isinstance(either.right, ir.Name | ir.Attr | ir.Index)
            ):
                continue
            owner = either.within
            if owner is None or ctx.role_at(module, either) not in LIVE_ROLES:
                continue
            if not _MEDIA.search(ir.dotted(either.right)):
                continue
            for assign in ir.find(owner, ir.Assign):
                if (
                    last_name(assign.target) != either.left.id
                    or assign.end > either.line
                    or assign.value is None
                ):
                    continue
                for call in ir.find(assign.value, ir.Call):
                    yield from _let_go(ctx, module, call, ir.dotted(either.right))


def _let_go(ctx: Context, caller: Module, call: ir.Call, instead: str) -> Iterator[Finding]:
    """The exits of a storing helper that give back nothing for a failure."""
    for target in ctx.program.functions_called(call):
        func, module = target.node, target.module
        if not isinstance(func, ir.Func) or module is None or not _KEEPS.search(func.name):
            continue
        exits = [each for each in ir.find(func, ir.Return) if each.within is func and _for_failure(each)]
        stored = [each.line for each in ir.find(func, ir.Call) if _KEEPS.search(last_name(each.func))]
        first = next((each for each in exits if stored and each.line > min(stored)), None)
        if first is not None:
            message = f"{func.name} answers with nothing when it fails, and {instead} is taken in its place"
            yield finding("fallback-swallow", module, first, message, key=func.name, weight=46,
                          end=exits[-1].end, evidence=[Place(caller.path, call.line)])  # fmt: skip


def _for_failure(leave: ir.Return) -> bool:
    """Whether `null`, `false` or nothing is given back in a handler, or in a branch that asks for an error."""
    value = leave.value
    if leave.throws or not (
        value is None or (isinstance(value, ir.Lit) and value.value in {None, False, ""})
    ):
        return False
    around = way_out_of(leave)
    if isinstance(around, ir.If):
        return any(FAILS.search(each) for each in names_in(around.test))
    return isinstance(around, ir.Handler)
