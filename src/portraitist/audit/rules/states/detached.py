"""Part of the rule on states that stay open: work that only a task inside the running process can end.

A restart of the process loses such a task. What a watchdog outside the repository puts right is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import askers, callers_of, finding, helpers_of, last_name
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.read_columns import is_read
from portraitist.audit.rules.state_words import RESTING, RUNNING
from portraitist.audit.rules.states.marks import Mark, marks, spelled, states_of, writers
from portraitist.audit.rules.states.open_ends import hooks_of
from portraitist.audit.rules.states.picked import put_right

_STARTERS = {
    "add_task",
    "create_task",
    "ensure_future",
    "Thread",
    "submit",
    "run_in_executor",
    "run_coroutine_threadsafe",
}
_LATER = {"setTimeout", "setImmediate", "nextTick", "waitUntil", "after"}
_WAITING = {"gather", "wait", "wait_for"}
MAX_BELOW = 4
"""How many calls below a task still belong to it."""


def lost_with_the_process(ctx: Context) -> Iterator[Finding]:
    """Rows marked as running whose state only a task of this process ends, which nothing starts again.

    A task is what is handed to a thread, an executor, the framework's background tasks or the event loop, and what
    JavaScript calls after the answer without waiting. Every writer of an end must lie in it, or in the handler of the
    function that starts it.
    """
    found: set[tuple[str, ir.Func]] = set()
    starting = {func for flow in ctx.flows for func in flow.funcs}
    paid = starting | {func for func in askers(ctx) if func is not None} if starting else set()
    told = bool(hooks_of(ctx))
    timed = {func for flow in ctx.flows if flow.route and flow.route.method == "JOB" for func in flow.funcs}
    for start, func, module in _tasks(ctx, paid - timed) if paid else ():
        below = below_of(ctx, func)
        if below & timed:
            continue
        near = [each for each in marks(ctx) if each.func in below or each.func is start.within]
        for mark in sorted(near, key=lambda each: (each.func not in below, each.line)):
            if (
                (mark.key, func) in found
                or put_right(ctx, mark)
                or not only_here(ctx, mark, below, start.within)
            ):
                continue
            found.add((mark.key, func))
            task = f"the task that line {start.line} of {module.path} starts in this process"
            message = f"only {task} ends {mark.key}: a restart leaves it as it is here"
            weight = 46 if is_read(ctx, mark.column) else BARELY  # what nothing reads keeps nobody waiting
            yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} {func.name}", weight=weight,
                          line=mark.line, end=mark.end, evidence=[Place(module.path, start.line)])  # fmt: skip
            message = (
                f"only this process ends {mark.key} by the task that is started here: a restart loses it"
            )
            yield finding("stuck-status", module, start, message, key=f"{mark.key} task", weight=BARELY,
                          evidence=[Place(mark.module.path, mark.line)])  # fmt: skip
        if func in starting or not told:  # a webhook may end what the task only asks for
            yield from _left_to_it(ctx, start, module, {key for key, task in found if task is func})


def _left_to_it(ctx: Context, start: ir.Node, module: Module, told: set[str]) -> Iterator[Finding]:
    """A row marked as running in front of a task that nothing waits for, where others end such rows as well."""
    for mark in marks(ctx):
        near = mark.func is start.within and mark.end < start.line
        if near and mark.key not in told and mark.word in RUNNING and not put_right(ctx, mark):
            told.add(mark.key)
            message = (
                f"{mark.key} is {mark.word!r} from here on, and the work is left to line {start.line}, which nothing "
                "waits for: a process that ends first leaves it so"
            )
            yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} left", weight=BARELY,
                          line=mark.line, end=start.line, evidence=[Place(module.path, start.line)])  # fmt: skip


def in_tasks(ctx: Context) -> set[ir.Func]:
    """The functions of tasks that this process starts, and those below them."""
    return {one for _, func, _ in ctx.once(started_tasks) for one in below_of(ctx, func)}


def started_tasks(ctx: Context) -> list[tuple[ir.Node, ir.Func, Module]]:
    """Where this process starts tasks on the way to paid work that nothing waits for, and what they run."""
    return list(_tasks(ctx, {func for flow in ctx.flows for func in flow.funcs}))


def only_here(ctx: Context, mark: Mark, below: set[ir.Func], starts: ir.Func | None) -> bool:
    """Whether states other than open ones are written, and by the task alone."""
    ends = 0
    changing = (each for each in writers(ctx, mark.statement.table) if not each.insert)
    written = (one for each in changing for use in states_of(each) for one in spelled(ctx, each, use))
    for each in written:
        if each.word in RUNNING | RESTING:
            continue
        callers = callers_of(ctx, each.func)
        handed = not each.word and each.func is each.statement.func and not callers <= below | {starts}
        in_handler = each.func is starts and ir.enclosing(each.node, ir.Handler) is not None
        if handed or not (each.func in below or in_handler):
            return False
        ends += each.func in below
    return ends > 0


def below_of(ctx: Context, func: ir.Func) -> set[ir.Func]:
    return ctx.once(_reached, func)


def _reached(ctx: Context, func: ir.Func) -> set[ir.Func]:
    found = {func}
    last = {func}
    for _ in range(MAX_BELOW):
        inner = {one for each in last for one in ir.find(each, ir.Func)}
        last = {one for each in last | inner for one in helpers_of(ctx, each)} | inner
        last -= found
        found |= last
    return found


def _tasks(ctx: Context, working: set[ir.Func]) -> Iterator[tuple[ir.Node, ir.Func, Module]]:
    """Where a task is started, and its function, which is one of these."""
    for module in (each for each in ctx.live if each.language == "python"):
        yield from (each for each in _tasks_of_python(ctx, module) if each[1] in working)
    for func in ctx.in_order(working):
        if ctx.program.module_of[func].language != "python":
            yield from _tasks_of_javascript(ctx, func)


def _tasks_of_python(ctx: Context, module: Module) -> Iterator[tuple[ir.Node, ir.Func, Module]]:
    for call in module.calls(_STARTERS):
        given = [
            *call.args,
            *(each.value for each in (call.kw.props if call.kw else []) if each.key == "target"),
        ]
        waited = isinstance(call.parent, ir.Call) and last_name(call.parent.func) in _WAITING
        for each in given[:2] if not waited and not _is_awaited(module, call) else ():
            made = each.func if isinstance(each, ir.Call) else each
            for target in ctx.program.resolve(module, made) if isinstance(made, ir.Name | ir.Attr) else ():
                if isinstance(target.node, ir.Func) and call.within is not None:
                    yield call, target.node, module


def _is_awaited(module: Module, call: ir.Call) -> bool:
    """Whether the started task is waited for in the same function: `await task`, `thread.join()`, `future.result()`."""
    made = call.parent
    if isinstance(made, ir.Attr):
        return made.name in {"result", "join"}
    if not isinstance(made, ir.Assign) or not isinstance(made.target, ir.Name):
        return (
            re.search(rf"\bawait\b.*\b{re.escape(last_name(call.func))}\b", module.text(call.line))
            is not None
        )
    name = re.escape(made.target.id)
    asks = re.compile(
        rf"await\s+{name}\b|\b{name}\.(join|result)\(|(gather|wait|as_completed)\([^)]*\b{name}\b"
    )
    last = call.within.end if call.within is not None else call.line
    return any(asks.search(module.text(line)) for line in range(call.line, last + 1))


def _tasks_of_javascript(ctx: Context, func: ir.Func) -> Iterator[tuple[ir.Node, ir.Func, Module]]:
    module, around = ctx.program.module_of[func], func.parent
    own = isinstance(around, ir.Call) and around.within is not None
    if own and isinstance(around, ir.Call) and func in around.args and last_name(around.func) in _LATER:
        yield around, func, module
    calls = [(each.module, each.call) for each in ctx.program.callers.get(func, [])]
    if own and isinstance(around, ir.Call) and around.func is func:
        calls.append((module, around))
    for where, call in calls:
        whole = whole_of(call)
        if whole.within is not None and where.role in LIVE_ROLES and stands_alone(where, whole):
            yield whole, func, where


def whole_of(call: ir.Call) -> ir.Call:
    """`work(id).then(…).catch(…)` of `work(id)`."""
    while (
        isinstance(call.parent, ir.Attr)
        and call.parent.name in {"catch", "then", "finally"}
        and isinstance(call.parent.parent, ir.Call)
    ):
        call = call.parent.parent
    return call


def stands_alone(module: Module, call: ir.Call) -> bool:
    """Whether a call is a statement of its own that nothing waits for."""
    up: ir.Node | None = call.parent
    if isinstance(up, ir.Bin) and up.op == "void":
        up = up.parent
    blocks = (
        up.body
        if isinstance(up, ir.Func | ir.Try | ir.Handler | ir.Loop)
        else [*up.then, *up.other]
        if isinstance(up, ir.If)
        else []
    )
    text = module.text(call.line).strip()
    return (
        any(each is call or each is call.parent for each in blocks)
        and re.match(r"(void\s+)?[\w.(]+", text) is not None
        and not re.match(r"\(?(await|return|yield)\b|(async\s*)?\(?[\w, ]*\)?\s*=>", text)
    )
