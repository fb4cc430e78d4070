"""Part of the rule on states that stay open: a row is marked, and a step of the repository that should end it fails.

The step is a function that writes a later state of the row, or a queue that is told of it. What a watchdog outside the
repository puts right is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.values import literals
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    helpers_behind,
    helpers_of,
    last_name,
    leads_to,
    live_statements,
    on_requests,
)
from portraitist.audit.rules.failures.quiet import only_logs
from portraitist.audit.rules.state_words import RESTING, RUNNING, STATE
from portraitist.audit.rules.states.detached import stands_alone, whole_of
from portraitist.audit.rules.states.marks import Mark, marks, said, settles, states_of, writers
from portraitist.audit.rules.states.open_ends import hooks_of
from portraitist.audit.rules.states.picked import put_right
from portraitist.audit.rules.states.unfinished import climb, follows

_TELLS = re.compile(r"^(delay|apply_async|send|send_task|enqueue(_job)?|add|trigger|publish|publishJSON)$")
_QUEUES = re.compile(
    r"(^|\.|_)((inngest|\w*queue|qstash|boss|sqs\w*|celery\w*|rabbit\w*|arq\w*|pubsub|producer)\.\w+|tasks\.trigger)$",
    re.I,
)
_NO_END = re.compile(f"^({'|'.join(sorted(RUNNING | RESTING))})$|fail|error|cancel|expire|draft|idle")
MIN_STATEMENTS = 3
"""A function of fewer statements only writes the state: it is no step of the work."""


def steps_that_fail(ctx: Context) -> Iterator[Finding]:
    """Rows that stay marked when the repository's own step behind the mark throws, or a queue refuses it.

    A step that is waited for counts where a repeat passes the row over: the mark itself, or a test in front of it,
    asks for the state that was there before. One that is not waited for counts where its failure is only logged.
    """
    paid = on_requests(ctx)
    for mark in marks(ctx):
        for call in _later_calls(mark):
            steps = [each for each in helpers_behind(ctx, call) if _ends(ctx, each, mark)]
            if not steps:
                continue
            if put_right(ctx, mark):
                break
            alone = mark.module.language == "javascript" and stands_alone(mark.module, whole_of(call))
            if alone and steps[0] not in paid and not _told_by_hooks(ctx, mark, steps[0]):
                yield from _unheard(mark, call, steps[0])
            elif not alone and mark.func not in paid and _passed_over(ctx, mark):
                yield from _repeated(ctx, mark, call, steps[0])
            break
    yield from _untold_queues(ctx)


def _told_by_hooks(ctx: Context, mark: Mark, step: ir.Func) -> bool:
    """Whether a handler of the provider's webhooks ends such rows as well, without the step."""
    hooks = {func for func, _ in hooks_of(ctx)}
    below = {step, *helpers_of(ctx, step)}
    for each in writers(ctx, mark.statement.table):
        ends = any(said(use) not in RUNNING | RESTING for use in states_of(each))
        if ends and each.func not in below and any(leads_to(ctx, one, {each.func}) for one in hooks):
            return True
    return False


def _later_calls(mark: Mark) -> Iterator[ir.Call]:
    for call in ir.find(mark.func, ir.Call):
        if call.within is mark.func and call.line > mark.end:
            yield call


def _ends(ctx: Context, func: ir.Func, mark: Mark) -> bool:
    """Whether a function does more than write a later state of the mark's table, and settles no failure itself."""
    ends = ctx.once(_enders, mark.statement.table)
    inside = [func, *helpers_of(ctx, func)]
    caught = (handler for each in inside for handler in ir.find(each, ir.Handler))
    works = len(func.body) >= MIN_STATEMENTS
    return (
        works
        and any(each in ends for each in inside)
        and not any(settles(ctx, mark.statement.table, ir.walk(each)) for each in caught)
    )


def _enders(ctx: Context, table: str) -> set[ir.Func | None]:
    """The functions that write a later state of a table."""
    return {
        each.func
        for each in writers(ctx, table)
        for use in states_of(each)
        if not each.insert and said(use) and not _NO_END.search(said(use))
    }


def _unheard(mark: Mark, call: ir.Call, step: ir.Func) -> Iterator[Finding]:
    """`build(order).catch(console.error)` behind the mark."""
    whole = whole_of(call)
    caught = isinstance(whole.func, ir.Attr) and whole.func.name == "catch"
    given = whole.args[0] if caught and whole.args else None
    logs = isinstance(given, ir.Attr) or (isinstance(given, ir.Func) and only_logs(given.body))
    if isinstance(given, ir.Func) and not logs:
        made = [each.value for each in given.body if isinstance(each, ir.Return)]
        logs = len(made) == len(given.body) and all(each is not None and only_logs([each]) for each in made)
    if caught and not logs:
        return
    how = "only logged" if caught else "heard of by nobody"
    message = (
        f"{step.name} is not waited for and its failure is {how}: {mark.key}, set at line {mark.line}, stays"
    )
    yield finding("stuck-status", mark.module, whole, message, key=f"{mark.key} {step.name}",
                  weight=44, evidence=[Place(mark.module.path, mark.line)])  # fmt: skip


def _repeated(ctx: Context, mark: Mark, call: ir.Call, step: ir.Func) -> Iterator[Finding]:
    if not follows(ctx, mark, call):
        return
    handler, open_ = climb(ctx, mark, mark.func, call)
    if open_:
        message = f"{mark.key} stays as it is here when {step.name} throws, and a repeat passes the row over"
        ends = [Place(mark.module.path, handler.line if handler is not None else call.line)]
        yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} {step.name}", weight=50,
                      line=mark.line, end=mark.end, evidence=ends)  # fmt: skip


def _passed_over(ctx: Context, mark: Mark) -> bool:
    """Whether the mark's own condition, or a test in front of it that leaves, asks for another state."""
    asked = [node for name, node in mark.statement.where_values if STATE.search(snake(name))]
    words = {
        str(each).lower() for node in asked for each in literals(ctx.ev.eval(mark.statement.module, node))
    }
    if words and mark.word not in words:
        return True
    for branch in ir.find(mark.func, ir.If):
        if branch.within is not mark.func or branch.end >= mark.line or not exits(branch.then):
            continue
        for test in ir.find(branch.test, ir.Bin):
            word = (ir.text_of(test.right) or "").lower()
            about = word and last_name(test.left) == mark.column
            if about and (test.op in {"!=", "!=="}) == (word != mark.word):
                return True
    return False


def _untold_queues(ctx: Context) -> Iterator[Finding]:
    """A row that waits for a queue, which is stored before the queue is told, whose refusal nothing answers."""
    seen: set[ir.Node] = set()
    paid = {func for flow in ctx.flows for func in flow.funcs}
    for mark in [*marks(ctx), *(each for each in _defaults(ctx) if each.func in paid)]:
        if not mark.statement.insert or ctx.role_at(mark.module, mark.node) not in LIVE_ROLES:
            continue
        for call in _later_calls(mark):
            if not _tells_queue(ctx, mark, call) or not follows(ctx, mark, call):
                continue
            handler, open_ = climb(ctx, mark, mark.func, call)
            if open_ and call not in seen and not put_right(ctx, mark):
                seen.add(call)
                where = "the handler does not change it" if handler is not None else "nothing catches that"
                message = (
                    f"a row of {mark.statement.table} is stored before it is queued, and waits for ever when "
                    f"line {call.line} fails: {where}"
                )
                yield finding("stuck-status", mark.module, call, message, key=f"{mark.key} queue", weight=43,
                              evidence=[Place(mark.module.path, mark.line)])  # fmt: skip
            break


def _tells_queue(ctx: Context, mark: Mark, call: ir.Call) -> bool:
    """Whether a call hands work to a queue: one named so, or a task of the repository."""
    name = last_name(call.func)
    if not _TELLS.search(name) or not isinstance(call.func, ir.Attr):
        return False
    if _QUEUES.search(ir.dotted(call.func)):
        return True
    made = call.func.obj
    return (
        name in {"delay", "apply_async"}
        and isinstance(made, ir.Name | ir.Attr)
        and any(
            isinstance(each.node, ir.Func) and each.node.decorators
            for each in ctx.program.resolve(mark.module, made)
        )
    )


def _defaults(ctx: Context) -> list[Mark]:
    """Rows that are made without a state, of tables whose state something else changes later."""
    found = []
    for each in live_statements(ctx, "write"):
        if not each.insert or each.func is None or states_of(each):
            continue
        column = _state_of(ctx, each.table)
        if column is not None and any(
            not one.insert and one.kind == "write" for one in writers(ctx, each.table)
        ):
            found.append(Mark(each.module, each.node, each.func, each, column, ""))
    return [*found, *_added(ctx)]


def _state_of(ctx: Context, table: str) -> str | None:
    return next((each for each in sorted(columns_of(ctx, table)) if STATE.search(snake(each))), None)


def _added(ctx: Context) -> Iterator[Mark]:
    """`session.add(job)` of a row that its class made of something whole: `Job.model_validate(…)`, `Job(**data)`."""
    for module in (each for each in ctx.live if each.language == "python"):
        for call in module.calls({"add"}):
            given = call.args[0] if len(call.args) == 1 else None
            session = _SESSION.search(ir.dotted(call.func))
            if not isinstance(given, ir.Name) or call.within is None or session is None:
                continue
            for made in (each.value for each in reaching(module, given) if not each.keys):
                if not isinstance(made, ir.Call) or _says_state(made):
                    continue
                root = ir.root_of(made)
                name = snake(root.id) if isinstance(root, ir.Name) else ""
                table = next((each for each in (name, f"{name}s") if each in ctx.tables), "")
                column = _state_of(ctx, table)
                if column is not None:
                    row = Statement("write", table, (), (), module, call, call.line, call.end, insert=True)
                    yield Mark(module, call, call.within, row, column, "")


def _says_state(made: ir.Call) -> bool:
    """Whether a row's class is given its columns one by one: such a row is judged by the state that it is given."""
    return isinstance(made.func, ir.Name) and not any(
        each.spread for each in (made.kw.props if made.kw else [])
    )


_SESSION = re.compile(r"(^|\.|_)(session|db)\.add$")
