"""Part of the rule on states that stay open: jobs that only a variable of the running process knows.

What the variable is copied to elsewhere, by a library or another process, is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, last_name
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.states.detached import in_tasks, started_tasks
from portraitist.audit.rules.states.marks import states_of

_JOBS = re.compile(
    r"(^|_)(jobs?|tasks|trainings?|predictions|generations|job_?(status|store|results)|status(es)?)$", re.I
)
_EMPTY = {"Map", "dict", "defaultdict", "OrderedDict"}
_STATE = ("status", "state")


def kept_in_memory(ctx: Context) -> Iterator[Finding]:
    """`jobs[id] = {"status": "processing"}` on the way to paid work or out of it, in a variable of the file.

    Only where no row keeps a state on that way, and another function reads the variable.
    """
    ways = working(ctx)
    if not ways.paid:
        return
    near = {*ways.paid, *ways.hooks, *ctx.once(in_tasks)}
    stored = {each.func for each in ctx.statements if each.kind == "write" and states_of(each)}
    homes = {ctx.program.module_of[func].path for func in near}
    homes |= {ctx.program.module_of[each].path for func in near for each in helpers_of(ctx, func)}
    for module in (each for each in ctx.live if each.path in homes):
        for name in (*_variables(module), *_members(module)):
            writes = [each for each in _writes(module, name) if not _is_handle(module, each[0])]
            first = next(
                (each for write in writes for each in _on_ways(ctx, module, *write, near - stored)), None
            )
            if first is None or ctx.role_at(first[0], first[1]) not in LIVE_ROLES:
                continue
            reads = _read_elsewhere(module, name, {func for _, func in writes})
            if reads is not None:
                where, entry, func = first
                start = _left_to(ctx, entry, func)
                message = (
                    f"how the work stands is kept in {name} of this process alone: a restart, or a second process, "
                    "knows nothing of it"
                )
                yield finding("stuck-status", where, entry, message, key=f"memory {name}", weight=40,
                              end=start.end if start is not None else entry.end,
                              evidence=[Place(module.path, reads.line)])  # fmt: skip


def _on_ways(
    ctx: Context, module: Module, entry: ir.Node, func: ir.Func, near: set[ir.Func]
) -> Iterator[tuple[Module, ir.Node, ir.Func]]:
    """Where an entry is made on the way to paid work: at once, or by a helper that is only told what to keep."""
    if func in near:
        yield module, entry, func
        return
    for site in ctx.program.callers.get(func, ()):
        if site.call.within in near:
            yield site.module, site.call, site.call.within


FAR = 60
"""A stretch from a job's entry to the start of its work is told up to so many lines."""


def _left_to(ctx: Context, entry: ir.Node, func: ir.Func) -> ir.Node | None:
    """The start of work behind a job's entry that its function does not wait for: it belongs to the same place."""
    starts = [each for each, _, _ in ctx.once(started_tasks) if each.within is func]
    return next((each for each in starts if 0 <= each.line - entry.line <= FAR), None)


def _variables(module: Module) -> Iterator[str]:
    """The names of a file's variables that begin as an empty table and may hold jobs."""
    for name, bindings in module.top.names.items():
        made = bindings[0].value if len(bindings) == 1 and bindings[0].kind == "assign" else None
        empty = (isinstance(made, ir.Obj) and not made.props) or (
            isinstance(made, ir.Call) and last_name(made.func) in _EMPTY
        )
        if empty and not re.search(r"cache|limit|client|session|lock", name, re.I):
            yield name


def _members(module: Module) -> Iterator[str]:
    """`self._jobs` of a store's class, which begins as an empty table in each process."""
    for each in module.all(ir.Assign):
        dotted = ir.plain_dotted(each.target) if isinstance(each.target, ir.Attr) else ""
        empty = isinstance(each.value, ir.Obj) and not each.value.props
        empty = empty or (isinstance(each.value, ir.Call) and last_name(each.value.func) in _EMPTY)
        begins = each.within is not None and each.within.name in {"__init__", "constructor"}
        if (
            begins
            and empty
            and dotted.startswith(("self.", "this."))
            and _JOBS.search(snake(last_name(each.target)))
        ):
            yield dotted


def _writes(module: Module, name: str) -> Iterator[tuple[ir.Node, ir.Func]]:
    """Where an entry with a state is put into a variable: `jobs[id] = {…}`, `jobs.set(id, {…})`."""
    known = _JOBS.search(snake(name.rpartition(".")[2])) is not None
    for each in module.all(ir.Assign):
        inner = each.target
        key = ir.text_of(inner.key) if isinstance(inner, ir.Index) else getattr(inner, "name", "")
        while isinstance(inner, ir.Index | ir.Attr):
            below, inner = inner, inner.obj
            entry = isinstance(below, ir.Index) and ir.plain_dotted(inner) == name
            if entry and each.within is not None and (known or key in _STATE or _says_state(each.value)):
                yield each, each.within
    for call in module.calls({"set"}):
        own = ir.plain_dotted(call.func) == f"{name}.set" and len(call.args) > 1
        if own and call.within is not None and (known or _says_state(call.args[1])):
            yield call, call.within


def _is_handle(module: Module, entry: ir.Node) -> bool:
    """Whether what is kept only ends the work: `{ cancel }`, an `AbortController`."""
    value = entry.args[1] if isinstance(entry, ir.Call) else getattr(entry, "value", None)
    made = [each.value for each in bindings_of(module, value)] if isinstance(value, ir.Name) else [value]
    ends = (
        [each.key or "" for each in one.props] if isinstance(one, ir.Obj) else [last_name(one.func)]
        for one in made
        if isinstance(one, ir.Obj | ir.Call)
    )
    return any(keys and all(re.search(r"cancel|abort|stop", each, re.I) for each in keys) for keys in ends)


def _says_state(entry: ir.Node | None) -> bool:
    return isinstance(entry, ir.Obj) and entry.get(*_STATE) is not None


def _read_elsewhere(module: Module, name: str, writing: set[ir.Func]) -> ir.Node | None:
    nodes: list[ir.Name] | list[ir.Attr] = module.all(ir.Attr) if "." in name else module.all(ir.Name)
    begins = {"__init__", "constructor"}
    for each in nodes:
        func = each.within
        if (
            ir.plain_dotted(each) == name
            and func is not None
            and func not in writing
            and func.name not in begins
        ):
            return each
    return None
