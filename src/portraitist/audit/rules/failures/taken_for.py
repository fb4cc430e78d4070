"""Part of the rule on swallowed failures: what a failure is taken for.

Answers that are made and never given, any refusal taken for "there already" or "not there yet", any error taken for a
collision, one question without an answer taken for the end, silence taken for success, and a default that stays. All
of it is of low weight but for the answers that nobody gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import askers, finding, helpers_behind, last_name, leads_to, names_in, place
from portraitist.audit.rules.failures.looking import ASIDE, asked_about, is_untested, work_tried
from portraitist.audit.rules.failures.quiet import goes_round, live_attempts, only_logs, served
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import DONE
from portraitist.audit.rules.syntax import (
    attempt_around,
    calls_in,
    is_next_round,
    is_nothing,
    is_way_out,
    names_error,
    stands_alone,
)

_RESPONSES = {"Response", "NextResponse", "HTTPException", "JSONResponse", "jsonify", "json"}
LONG = 15000
"""So many milliseconds of silence are no animation."""


def taken_for(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    for module in ctx.live:
        if module.role == "src":
            yield from _never_given(ctx, module)
            yield from _silence(ctx, module)
    asking: set[ir.Func | None] = askers(ctx) - {None}
    for module in ctx.once(served):
        yield from _collisions(ctx, module)
        for func, attempt, handler in live_attempts(ctx, module):
            yield from _stays(ctx, module, func, attempt, handler)
    for module in ctx.live if asking else ():
        yield from _one_question(ctx, module, asking)
    yield from _there_or_not(ctx)
    yield from _refused_question(ctx)


def _never_given(ctx: Context, module: Module) -> Iterator[Finding]:
    """`if (error) new Response("…", { status: 400 })`, `HTTPException(404)`: made, and not given back or raised."""
    for call in module.calls(_RESPONSES):
        if not stands_alone(call):
            continue
        name = ir.dotted(call.func)
        if last_name(call.func) == "json" and name not in {"Response.json", "NextResponse.json"}:
            continue
        if call.within is None or not names_error(call) or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        message = f"this {name} is made and neither given back nor thrown: the work goes on as if nothing had failed"
        yield finding("fallback-swallow", module, call, message, key=f"made {name}", weight=45, end=call.end)


def _silence(ctx: Context, module: Module) -> Iterator[Finding]:
    """`setTimeout(() => setStatus("succeeded"), 60000)`: no news is taken for good news."""
    for call in module.calls({"setTimeout"}) if module.language == "javascript" else ():
        given = call.args[0] if len(call.args) == 2 else None
        if not isinstance(given, ir.Func) or any(True for _ in ir.find(given, ir.If)):
            continue
        value = ctx.ev.eval(module, call.args[1])
        wait = value.value if isinstance(value, Known) else None
        if not isinstance(wait, int) or wait < LONG or not _ABOUT_WORK.search(module.lowered):
            continue
        told = next((each for each in calls_in(given.body) if _says_done(each)), None)
        if told is not None and ctx.role_at(module, call) in LIVE_ROLES:
            message = f"after {wait // 1000} s without news the work counts as done, whatever became of it"
            yield finding("fallback-swallow", module, told, message, key="silence", weight=BARELY, end=told.end,
                          evidence=[Place(module.path, call.line)])  # fmt: skip


_ABOUT_WORK = re.compile(r"generat|training|prediction|replicate")


def _says_done(call: ir.Call) -> bool:
    """`setStatus("succeeded")`, `setProgress({ status: "completed" })`."""
    name = last_name(call.func)
    if not re.match(r"(set|update)[A-Z]\w*", name):
        return False
    plain = [call.args[0]] if call.args and re.search(r"Status|State", name) else []
    states = [
        each.value for arg in call.args for each in ir.find(arg, ir.Prop) if each.key in {"status", "state"}
    ]
    return any((ir.text_of(each) or "").lower() in DONE for each in (*plain, *states))


def _collisions(ctx: Context, module: Module) -> Iterator[Finding]:
    """`if (error) return insertWithNewKey()` in that very function: any error is taken for a key that is taken."""
    for test in module.all(ir.If):
        error, leave, func = test.test, test.then[-1] if test.then else None, test.within
        if (
            not isinstance(error, ir.Name)
            or not re.search(r"err", error.id, re.I)
            or func is None
            or not func.name
        ):
            continue
        call = leave.value if isinstance(leave, ir.Return) else None
        if not isinstance(call, ir.Call) or leave is None or last_name(call.func) != func.name:
            continue
        counts = any(isinstance(each, ir.Bin) for arg in call.args for each in ir.walk(arg))
        if not counts and ctx.role_at(module, leave) in LIVE_ROLES:
            message = f"whatever the error was, {func.name} calls itself again, as often as it comes"
            yield finding("fallback-swallow", module, test, message, key=f"again {func.name}", weight=BARELY,
                          end=leave.end)  # fmt: skip


def _one_question(ctx: Context, module: Module, asking: set[ir.Func | None]) -> Iterator[Finding]:
    """`info = ask(id); if not info: break` in a loop that waits: one lost answer ends it as if the work were over."""
    for loop in module.all(ir.Loop):
        if loop.within is None or not goes_round(loop) or ctx.role_at(module, loop) not in LIVE_ROLES:
            continue
        if not any(
            re.search(r"sleep|wait|delay|setTimeout", last_name(each.func)) for each in ir.find(loop, ir.Call)
        ):
            continue
        for assign in (each for each in loop.body if isinstance(each, ir.Assign)):
            tests = (each for each in loop.body if isinstance(each, ir.If) and each.line > assign.line)
            test = next(tests, None)
            if test is None or not _asks_how_it_stands(ctx, assign, asking):
                continue
            body = _where_nothing(test, variables_in(assign.target))
            if body and _ends_quietly(body):
                message = "one question that could not be asked ends the waiting as if the work were over"
                yield finding("fallback-swallow", module, body[-1], message, key="one question", weight=BARELY,
                              line=body[0].line, end=body[-1].end)  # fmt: skip


def _asks_how_it_stands(ctx: Context, assign: ir.Assign, asking: set[ir.Func | None]) -> bool:
    """Whether a variable is set to what a helper that asks the provider gives back."""
    calls = ir.find(assign.value, ir.Call) if assign.value is not None else ()
    return any(leads_to(ctx, each, asking) for call in calls for each in helpers_behind(ctx, call))


def _ends_quietly(body: list[ir.Node]) -> bool:
    """Whether a branch at most logs, and then leaves the loop with nothing said."""
    end = body[-1]
    if not only_logs(body[:-1]) or not is_way_out(end) or is_next_round(end):
        return False
    return not isinstance(end, ir.Return) or (not end.throws and is_nothing(end.value))


def _where_nothing(test: ir.If, names: set[str]) -> list[ir.Node]:
    """The branch that is taken where a variable is empty: of `if not x`, the other one of `if x`."""
    asked = test.test
    if isinstance(asked, ir.Name) and asked.id in names:
        return test.other
    denied = isinstance(asked, ir.Bin) and asked.op in {"not", "!"} and isinstance(asked.left, ir.Name)
    return test.then if denied and names & names_in(asked) else []


def _there_or_not(ctx: Context) -> Iterator[Finding]:
    """Whether the provider has a model: any failure of the question is taken for a yes, or for a no."""
    for call in ctx.calls:
        if (
            call.purpose != "model"
            or ctx.role_at(call.module, call.call) not in LIVE_ROLES
            or call.func is None
        ):
            continue
        api = call.api.lower()
        if api in {"models.get", "models.async_get"}:
            yield from _taken_for_none(ctx, call)
        elif api.startswith("get ") and isinstance(call.call.parent, ir.Assign):
            yield from _taken_for_there(call, call.func, last_name(call.call.parent.target))


def _taken_for_there(call: ProviderCall, func: ir.Func, name: str) -> Iterator[Finding]:
    """`if answer.status_code == 404: create() else: print("exists")`."""
    tests = (each for each in ir.find(func, ir.If) if each.line > call.call.line and each.other)
    test = next((each for each in tests if name in names_in(each.test) and _is_404(each.test)), None)
    if test is not None and only_logs(test.other):
        message = f"any answer of {call.api} but 404, a refusal too, is taken for a model that is there"
        yield finding("fallback-swallow", call.module, test.other[0], message, key="there", weight=BARELY,
                      line=test.other[0].line - 1, end=test.other[-1].end, evidence=[place(call)])  # fmt: skip


def _taken_for_none(ctx: Context, call: ProviderCall) -> Iterator[Finding]:
    """`try: models.get(…) except: models.create(…)`."""
    attempt = attempt_around(call.call)
    if attempt is None or attempt.within is not call.func:
        return
    handler = attempt.handlers[-1]
    if any(True for part in handler.body for _ in ir.find(part, ir.If)) or re.search(
        r"notfound|404", " ".join(names_in(handler.catches)), re.I
    ):
        return
    makes = any(
        each in ctx.call_at and re.search(r"models\.(async_)?create|POST /v1/models$", ctx.call_at[each].api)
        for each in calls_in(handler.body)
    )
    if makes:
        message = f"any failure of {call.api}, a lost connection too, is taken for a model that is not there"
        yield finding("fallback-swallow", call.module, handler, message, key="not there", weight=BARELY,
                      end=handler.end, evidence=[place(call)])  # fmt: skip


def _is_404(test: ir.Node) -> bool:
    """`answer.status_code == 404`."""
    return (
        isinstance(test, ir.Bin)
        and test.op in {"==", "==="}
        and isinstance(test.right, ir.Lit)
        and test.right.value == 404
    )


def _refused_question(ctx: Context) -> Iterator[Finding]:
    """`if (!answer.ok) return { status: "failed" }` behind the question what became of a run."""
    for call in ctx.calls:
        up, func = call.call.parent, call.func
        if call.sdk or call.purpose != "status" or not isinstance(up, ir.Assign) or func is None:
            continue
        name = last_name(up.target)
        for test in (each for each in ir.find(func, ir.If) if each.line >= call.call.line):
            told = names_in(test.test)
            last = test.then[-1] if test.then else None
            if (
                name not in told
                or not told & {"ok", "status_code", "is_success"}
                or not isinstance(last, ir.Return)
            ):
                continue
            state = last.value.get("status", "state") if isinstance(last.value, ir.Obj) else None
            live = ctx.role_at(call.module, call.call) in LIVE_ROLES
            if live and not last.throws and re.match(r"fail|error", ir.text_of(state) or "", re.I):
                message = "where the provider could not be asked (429, a server's error), the run is taken for failed"
                yield finding("fallback-swallow", call.module, test, message, key="refused question", weight=BARELY,
                              end=last.end, evidence=[place(call)])  # fmt: skip
            break


def _stays(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """`let x = "a pet"; try { x = await look(photo) } catch { log }`, and `x` goes on."""
    if ASIDE.search(func.name) or not only_logs(handler.body):
        return
    if any(isinstance(each, ir.Loop) and each.within is func for each in ir.ancestors(attempt)):
        return
    sets = [
        each for each in attempt.body
        if isinstance(each, ir.Assign) and not each.decl and isinstance(each.target, ir.Name) and each.op == "="
    ]  # fmt: skip
    if asked_about(
        ctx, func, {last_name(each.target) for part in attempt.body for each in ir.find(part, ir.Assign)}
    ):
        return
    for each in sets:
        name = each.target.id if isinstance(each.target, ir.Name) else ""
        before = [
            one
            for one in ir.find(func, ir.Assign)
            if last_name(one.target) == name and one.line < attempt.line
        ]
        if not before or before[-1].value is None or is_nothing(before[-1].value):
            continue
        work, _ = ctx.once(work_tried, attempt)
        if work and is_untested(ctx, func, each, before[-1].value) and _goes_further(func, name, handler):
            message = f"where {work} fails {name} stays what it was set to before, and nothing behind asks which it is"
            yield finding("fallback-swallow", module, handler, message, key=f"stays {name}", weight=BARELY,
                          line=before[-1].line if attempt.line - before[-1].line <= 1 else handler.line,
                          end=handler.end)  # fmt: skip
            return


def _goes_further(func: ir.Func, name: str, handler: ir.Handler) -> bool:
    return any(each.id == name and each.line > handler.end for each in ir.find(func, ir.Name))
