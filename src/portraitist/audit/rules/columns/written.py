"""Which words a statement writes to a column for certain: those that stand in the source, on a way that nothing turns.

What a call makes of a word, or a test may keep back on the way, is no word here.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.rules.base import module_of
from portraitist.audit.rules.syntax import COMPARISONS

MAX_STEPS = 4
_EITHER = {"||", "??", "or"}


def words_of(ctx: Context, statement: Statement, use: ColumnUse) -> list[str]:
    """The literal texts that a column is set to, `{}` for each hole of a template."""
    if use.node is None:
        plain = isinstance(use.value, Known) and isinstance(use.value.value, str)
        return [str(use.value.value)] if plain and isinstance(use.value, Known) else []
    if use.node.within is not statement.func and (use.path, use.line) in ctx.once(_of_many):
        return []  # handed to a helper that writes to the one table or the other
    return list(dict.fromkeys(_words(ctx, module_of(ctx, use), use.node, 0)))


def _words(ctx: Context, module: Module, node: ir.Node | None, steps: int) -> Iterator[str]:
    if isinstance(node, ir.Lit):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ir.Tmpl):
        yield "".join(ir.text_of(each) if ir.text_of(each) is not None else "{}" for each in node.parts)  # type: ignore[misc]
    elif isinstance(node, ir.Cond):
        for each in (node.then, node.other):
            yield from _words(ctx, module, each, steps)
    elif isinstance(node, ir.Bin) and node.op in _EITHER:
        for side in (node.left, node.right):
            yield from _words(ctx, module, side, steps)
    elif isinstance(node, ir.Name) and steps < MAX_STEPS and not _is_compared(node):
        for binding in reaching(module, node):
            if binding.kind == "assign" and not binding.keys and binding.value is not None:
                yield from _words(ctx, module, binding.value, steps + 1)
            elif isinstance(binding.node, ir.Param) and isinstance(binding.node.parent, ir.Func):
                yield from _handed(ctx, binding.node.parent, binding.node, steps)


def _handed(ctx: Context, func: ir.Func, param: ir.Param, steps: int) -> Iterator[str]:
    """What the callers of a function hand it for a parameter that it has by its name."""
    for site in ctx.program.callers.get(func, []) if param.name and param in func.params else ():
        given = argument_for(site.call, func, param)
        if site.module is not None and ctx.role_at(site.module, site.call) == "src":
            yield from _words(ctx, site.module, given, steps + 1)


def _is_compared(name: ir.Name) -> bool:
    """Whether a function asks what a variable is, so that not every word may come through."""
    around = name.within
    tests = ir.find(around, ir.Bin) if around is not None else ()
    return any(
        each.op in COMPARISONS | {"in", "not in"}
        and any(isinstance(one, ir.Name) and one.id == name.id for one in each.children())
        for each in tests
    )


def _of_many(ctx: Context) -> set[tuple[str, int]]:
    """The places of columns that are handed to statements on several tables."""
    tables: dict[tuple[str, int], set[str]] = {}
    for statement in ctx.statements:
        for use in statement.columns:
            tables.setdefault((use.path, use.line), set()).add(statement.table)
    return {place for place, found in tables.items() if len(found) > 1}
