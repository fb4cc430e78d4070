"""Part of the rule on credits: a balance that is given back in a row as it was read before the paid work.

`member.credits += 1`, `member.save()`, where `member` was read before a call that takes its time: what others took or
bought meanwhile is undone. Follows the row through parameters, by the first call of each function; a lock held all the
while is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import argument_for
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, live_statements
from portraitist.audit.rules.credits.changes import CREDIT, all_changes
from portraitist.audit.rules.credits.raced import is_locked
from portraitist.audit.rules.gravity import BARELY

MAX_UP = 4
"""So many functions, the one that gives back included, are gone through to where the row was read."""


def stale_rows(ctx: Context, flows: list[Flow]) -> Iterator[Finding]:
    """A row that a way to paid work read before it, and whose balance is raised and saved once the work is over."""
    paid = {func for flow in flows for func in flow.funcs}
    for module, kind, name, node in ctx.once(all_changes) if paid else ():
        root = ir.root_of(node.target) if isinstance(node, ir.Assign) else None
        func = node.within
        if kind != "give" or not isinstance(root, ir.Name) or func is None or not CREDIT.search(name):
            continue
        saves = (each for each in ir.find(func, ir.Call) if each.line >= node.line)
        if not any(ir.plain_dotted(each.func) == f"{root.id}.save" for each in saves) or is_locked(node):
            continue
        read = _read(ctx, root, node, paid)
        if read is not None and ctx.role_at(module, node) in LIVE_ROLES:
            message = (
                f"{root.id}.{name} is raised and saved here in a row that was read before the paid call (line"
                f" {read.line} of {read.path}): what was taken or bought meanwhile is undone"
            )
            yield finding("credit-before-check", module, node, message, key=f"stale {name}", weight=BARELY,
                          end=node.end, evidence=[read])  # fmt: skip


def _read(ctx: Context, row: ir.Name, after: ir.Node, paid: set[ir.Func]) -> Place | None:
    """Where a row was read, in a function or above it, where a paid call lies between."""
    late = False
    for _ in range(MAX_UP):
        func = row.within
        module = ctx.program.module_of[func] if func is not None else None
        if func is None or module is None:
            return None
        late = late or _spends_before(ctx, func, after, paid)
        made = [each.value for each in reaching(module, row) if each.kind == "assign"]
        if made:
            reads = [each for each in made if each is not None and _is_read(ctx, each)]
            early = [each for each in reads if late and each.line < after.line]
            return Place(module.path, early[-1].line) if early and len(reads) == len(made) else None
        param = next((each for each in func.params if each.name == row.id), None)
        sites = [each for each in ctx.program.callers.get(func, ()) if each.call.within is not None]
        if param is None or not sites:
            return None
        given = argument_for(sites[0].call, func, param)
        if not isinstance(given, ir.Name):
            return None
        row, after = given, sites[0].call
    return None


def _spends_before(ctx: Context, func: ir.Func, after: ir.Node, paid: set[ir.Func]) -> bool:
    """Whether a function calls what leads to the paid call, or makes it, before a node."""
    before = (each for each in ir.find(func, ir.Call) if each.line < after.line)
    return any(
        each in ctx.call_at or any(one.node in paid for one in ctx.program.functions_called(each))
        for each in before
    )


def _is_read(ctx: Context, value: ir.Node) -> bool:
    reads = {each.node for each in live_statements(ctx, "read")}
    return any(each in reads for each in ir.walk(value))
