"""Part of the rule on swallowed failures: answers that carry an error nobody looks at.

A client that answers with `{ data, error }` instead of throwing, a response that is not `ok`, a promise's `.catch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, live_statements, names_in
from portraitist.audit.rules.failures.looking import is_untested
from portraitist.audit.rules.failures.quiet import Ways, only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import FAILED
from portraitist.audit.rules.syntax import is_next_round

_BESIDE = re.compile(r"(^|_)(logs?|audit|events?|analytics|metrics|counters|notifications?)(_|$)", re.I)
"""Tables whose rows only tell what happened."""
_CHANGES = {"insert", "update", "upsert", "delete"}


def unread_answers(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Rows written by a client that throws nothing, its error unread; grave behind a paid call or in a webhook."""
    asked = {each.func: each.call.line for each in ctx.calls if each.purpose == "status"}
    for statement in live_statements(ctx, "write", "delete"):
        func = statement.func
        made = func in asked and statement.insert and ctx.role_at(statement.module, statement.node) == "src"
        if func is None or not answers_with_error(statement) or _BESIDE.search(statement.table):
            continue
        before = func not in ways.hooks and statement.line < ways.paid.get(func, asked.get(func, 0))
        behind = (func in ways or made) and not before
        module = statement.module
        told = ctx.once(told_about, statement)
        key = ".".join([statement.table, *(each.column for each in statement.columns[:1])])
        if isinstance(told, ir.If):
            on = (
                "what was made for it is left"
                if _goes_on_with_next(told)
                else "the work goes on as if it were stored"
            )
            message = f"a failed write to {statement.table} is only logged, and {on}"
            yield finding("fallback-swallow", module, told, message, key=key, weight=44 if behind else BARELY,
                          end=_last_line(told))  # fmt: skip
        elif told is None or _is_given_unseen(ctx, statement, told):
            behind = behind and told is None
            message = f"the error in the answer of this write to {statement.table} is never looked at"
            weight = 43 if behind and not _tells_failure(statement) else BARELY
            yield finding("fallback-swallow", module, statement.node, message, key=key, weight=weight,
                          line=statement.line, end=statement.end)  # fmt: skip


def _goes_on_with_next(told: ir.If) -> bool:
    """`if (error) { console.error(error); continue }`: of several, one is missing."""
    return any(map(is_next_round, told.then))


def _is_given_unseen(ctx: Context, statement: Statement, told: ir.Node) -> bool:
    """`const { data } = await db.from(…).insert(…).select()`, of which nobody asks whether it is there."""
    up = statement.node.parent
    if not isinstance(up, ir.Assign) or not isinstance(up.target, ir.Obj) or not isinstance(told, ir.Name):
        return False
    keys = {each.key for each in up.target.props}
    return keys == {"data"} and statement.func is not None and is_untested(ctx, statement.func, up, None)


def unread_calls(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Stored functions called behind a paid call or in a webhook's handler, whose error is logged or never read."""
    for module in ctx.live:
        for call in module.calls({"rpc"}) if module.language == "javascript" else ():
            func, name = call.within, ir.text_of(call.args[0]) if call.args else None
            behind = func in ways.hooks or (func in ways.paid and call.line > ways.paid[func])
            if func is None or not name or not behind or _BESIDE.search(name) or _ASKS.search(name):
                continue
            if _is_tried(call) or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            told = error_of(call, func)
            if isinstance(told, ir.If) and not only_logs(told.other) and not _TAKES.search(name):
                continue  # what else is done tells whether it was
            if isinstance(told, ir.If):
                message = f"a failure of {name} is only logged, and the work goes on as if it were done"
                yield finding("fallback-swallow", module, told, message, key=f"rpc {name}", weight=44,
                              end=_last_line(told))  # fmt: skip
            elif told is None:
                message = f"the error in the answer of {name} is never looked at"
                yield finding("fallback-swallow", module, call, message, key=f"rpc {name}", weight=43)


def _last_line(test: ir.If) -> int:
    """The last line of what is done where a test holds."""
    return test.then[-1].end if test.then else test.line


_ASKS = re.compile(
    r"^(get|check|is|has|can|list|count|search|match|find|fetch|read)_|log_|track|notify", re.I
)


_TAKES = re.compile(r"deduct|debit|decrement|charge|consume|spend|use_credit", re.I)


def _is_tried(call: ir.Call) -> bool:
    """Whether the chain ends in `.then`, `.catch` or `.throwOnError`, or a handler without a word stands around it."""
    up = call.parent
    if isinstance(up, ir.Attr) and up.name in {"then", "catch", "throwOnError"}:
        return True
    tries = (each for each in ir.ancestors(call) if isinstance(each, ir.Try) and each.within is call.within)
    return any(not handler.body for each in tries for handler in each.handlers)


def _tells_failure(statement: Statement) -> bool:
    """Whether a write does no more than set the failed state: the work is lost whether or not it is stored."""
    return any(
        isinstance(each.value, Known) and FAILED.match(str(each.value.value)) for each in statement.columns
    )


def answers_with_error(statement: Statement) -> bool:
    """Whether a statement is one of Supabase's client in JavaScript, that was not told to throw."""
    if statement.module.language != "javascript" or not isinstance(statement.node, ir.Call):
        return False
    names = [call_name(each) for each in chain_calls(statement.node)]
    return (
        "from" in names and bool(_CHANGES & set(names)) and not {"throwOnError", "then", "catch"} & set(names)
    )


def told_about(_ctx: Context, statement: Statement) -> ir.Node | None:
    """What is done with the error in a statement's answer; to be asked once of each."""
    return error_of(statement.node, statement.func)


def error_of(node: ir.Node, func: ir.Func | None) -> ir.Node | None:
    """What is done with the error in an answer: the test that only logs it, None for nothing, else something."""
    up = node.parent
    if isinstance(up, ir.Assign) and up.value is node and isinstance(up.target, ir.Obj):
        return _of_parts(up.target, up, func)
    if isinstance(up, ir.Assign) and up.value is node and isinstance(up.target, ir.Name):
        used = _uses(func, up.target.id, up)
        return used[0] if used else None
    if isinstance(up, ir.Func | ir.If | ir.Loop | ir.Try | ir.Handler):
        test = isinstance(up, ir.If) and up.test is node
        return node if test else None
    return node


def _of_parts(target: ir.Obj, assign: ir.Assign, func: ir.Func | None) -> ir.Node | None:
    """The same for `const { data, error } = …`."""
    named = {each.key: each.value for each in target.props if isinstance(each.value, ir.Name)}
    error, data = named.get("error"), named.get("data")
    if error is None:
        used = _uses(func, data.id, assign) if isinstance(data, ir.Name) else []
        if used and all(map(_is_taken_if_there, used)):
            return None
        spread = any(each.spread for each in target.props)
        return used[0] if used else assign if spread and (data is not None or not named) else None
    assert isinstance(error, ir.Name)
    uses = [each for each in _uses(func, error.id, assign) if not _in_log(each)]
    tests = [each for use in uses if (each := _test_of(use)) is not None]
    if not uses:
        return None
    if len(tests) == len(uses) and all(_goes_on(each) for each in tests):
        return tests[0]
    return uses[0]


def _is_taken_if_there(name: ir.Name) -> bool:
    """`row?.id` that no branch asks about: nothing is taken where there is none."""
    up = name.parent
    if not isinstance(up, ir.Attr | ir.Index) or not up.maybe or up.obj is not name:
        return False
    around = (each for each in ir.ancestors(up) if isinstance(each, ir.If | ir.Cond | ir.Func))
    test = next(around, None)
    return not (isinstance(test, ir.If | ir.Cond) and up in set(ir.walk(test.test)))


def _uses(func: ir.Func | None, name: str, after: ir.Assign) -> list[ir.Name]:
    """Where a name is read behind an assignment, up to the next one of the same name."""
    found: list[ir.Name] = []
    for each in ir.find(func, ir.Name) if func is not None else ():
        if each.id != name or each.first <= after.first or after in ir.ancestors(each):
            continue
        assign = ir.enclosing(each, ir.Assign)
        if assign is not None and each in set(ir.walk(assign.target)):
            break
        found.append(each)
    return found


def _in_log(node: ir.Node) -> bool:
    calls = (each for each in ir.ancestors(node) if isinstance(each, ir.Call))
    return any(ir.dotted(each.func).startswith(("console.", "logger.", "log.")) for each in calls)


def _test_of(node: ir.Node) -> ir.If | None:
    """The branch in whose test a name stands."""
    inside: ir.Node = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.If):
            return each if each.test is inside else None
        if isinstance(each, ir.Func):
            return None
        inside = each
    return None


def _goes_on(test: ir.If) -> bool:
    """Whether a branch for a failure does nothing but log."""
    return only_logs([each for each in test.then if not is_next_round(each)])


def unread_responses(ctx: Context) -> Iterator[Finding]:
    """A refusal of the provider (`!response.ok`) that is only logged before the code goes on."""
    for call in ctx.calls:
        assign = call.call.parent
        if call.sdk or not isinstance(assign, ir.Assign) or not isinstance(assign.target, ir.Name):
            continue
        if call.func is None or ctx.role_at(call.module, call.call) not in LIVE_ROLES:
            continue
        for test in ir.find(call.func, ir.If):
            names = names_in(test.test)
            asks = assign.target.id in names and names & {"ok", "status", "status_code"}
            if asks and test.line > assign.line and only_logs([*test.then, *test.other]):
                message = f"a refusal of {call.api.partition(' ')[0]} by the provider is only logged"
                yield finding(
                    "fallback-swallow", call.module, test, message, key=call.api, weight=BARELY, end=test.end
                )


def dropped_catches(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`.catch` that makes a failed write or provider call disappear, or makes an answer that nobody takes."""
    paid: set[ir.Node] = {each.call for each in ctx.calls}
    works = {each.node for each in live_statements(ctx, "write", "delete")} | paid
    for module in ctx.live:
        for call in module.calls({"catch"}):
            handler = call.args[0] if call.args else None
            if not isinstance(call.func, ir.Attr) or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            yield from _not_given_back(module, call, call.func.obj, handler)
            inside = works & set(ir.walk(call.func.obj)) if isinstance(handler, ir.Func) else set()
            if isinstance(handler, ir.Func) and inside:
                near = call.within in ways or not inside.isdisjoint(paid)
                petty = all(_only_stamps(each) for node in inside for each in ctx.statements_at.get(node, ()))
                yield from _dropped_catch(
                    module, call, handler, near, 45 if inside & paid or not petty else BARELY
                )


_GIVES_BACK = re.compile(
    r"(^|_)(refund|release|restore|give_back|return)_?(\w+_)?(credits?|tokens|coins|balance|quota)?$"
)


def _not_given_back(
    module: Module, call: ir.Call, tried: ir.Node, handler: ir.Node | None
) -> Iterator[Finding]:
    """`await refundCredits(…).catch(console.error)`: what the member paid stays taken, and the answer goes on."""
    name = snake(last_name(tried.func)) if isinstance(tried, ir.Call) else ""
    if not _GIVES_BACK.search(name) or not re.search("refund|credit|token|coin|balance|quota", name):
        return
    logs = (
        isinstance(handler, ir.Attr) and ir.dotted(handler).startswith(("console.", "logger.", "log."))
    ) or (isinstance(handler, ir.Func) and (only_logs(handler.body) or _plain(_given(handler))))
    if logs:
        message = f"a failure of {name} is only logged, and what was taken stays taken"
        yield finding("fallback-swallow", module, call, message, key=f"catch {name}", weight=46, end=call.end)


def _given(handler: ir.Func) -> list[ir.Node | None]:
    return [each.value for each in handler.body if isinstance(each, ir.Return)]


_STAMP = re.compile(r"_(at|on|seen|login|active|access(ed)?|date|time)$")


def _only_stamps(statement: Statement) -> bool:
    """Whether nothing but the time of something is written."""
    return bool(statement.columns) and all(_STAMP.search(snake(each.column)) for each in statement.columns)


def _dropped_catch(
    module: Module, call: ir.Call, handler: ir.Func, near: bool, weight: int
) -> Iterator[Finding]:
    unused = isinstance(call.parent, ir.Func | ir.If | ir.Try | ir.Loop | ir.Handler)
    made = [each.value for each in handler.body if isinstance(each, ir.Return)]
    answers = [each for each in made if isinstance(each, ir.Call) and _is_answer(each)]
    message = ""
    if unused and answers:
        message = (
            "the answer made in this .catch is dropped, and what follows answers as if nothing had failed"
        )
    elif unused and near and (only_logs(handler.body) or _plain(made)):
        message = "a failure of what stands before this .catch disappears in it"
        if any(True for each in handler.body for _ in ir.find(each, ir.Call)):
            message = "a failure of what stands before this .catch is only logged, and the work goes on"
    line = call.func.name_line if isinstance(call.func, ir.Attr) else call.line
    if message:
        yield finding("fallback-swallow", module, call, message, key="catch", weight=weight, line=line,
                      end=max(line, call.end))  # fmt: skip


def _is_answer(call: ir.Call) -> bool:
    return bool({"Response", "NextResponse", "status"} & set(ir.dotted(call.func).split(".")))


def _plain(values: list[ir.Node | None]) -> bool:
    """Whether an arrow gives back nothing, or what a log gives back."""
    return bool(values) and all(
        each is None or isinstance(each, ir.Lit) or (isinstance(each, ir.Call) and only_logs([each]))
        for each in values
    )
