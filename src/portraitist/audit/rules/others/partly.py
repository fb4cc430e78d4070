"""Comparisons with a row's owner that are left out for some rows: for those without one, or on another branch.

Part of `idor`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import AND, joined
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import helpers_behind, last_name, live_statements, unasked
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import COMPARISONS


def stands_apart(test: ir.Node, site: ir.Node) -> bool:
    """Whether a test stands in a branch that always leaves, and what is asked about is not in that branch.

    Whoever comes to the site did not come by the test.
    """
    inner = test
    for around in ir.ancestors(test):
        if isinstance(around, ir.Func):
            return False
        if isinstance(around, ir.If):
            for body in (around.then, around.other):
                within = any(each is inner for each in body)
                if within and _always_leaves(body) and not _holds(body, site):
                    return True
        inner = around
    return False


def is_of_another(ctx: Context, test: ir.Bin, site: ir.Node) -> bool:
    """Whether a test compares the owner of another row, looked up by another id: `avatar.user_id !== user.id`.

    Only where both rows are held in variables, and nothing of the one goes into the look-up of the other.
    """
    module = ctx.program.module_of.get(site.within) if site.within is not None else None
    holder = ir.enclosing(site, ir.Assign)
    if module is None or test.within is not site.within or holder is None or holder.within is not site.within:
        return False
    own, asked = variables_in(holder.target), _ids_in(site)
    rows = [
        ir.root_of(_read_of(each))
        for each in (test.left, test.right)
        if each is not None and _is_owner(ctx, each)
    ]
    if not rows or not own or not asked:
        return False
    return all(
        isinstance(each, ir.Name) and each.id not in own and _has_other_id(module, each, own | asked)
        for each in rows
    )


def _is_owner(ctx: Context, node: ir.Node) -> bool:
    return snake(_column(node)) in ctx.words.owner_columns - {"user", "uid"}


def _ids_in(site: ir.Node) -> set[str]:
    """The names of ids by which a site looks for a row: `clothing_item_id` of `find(request.clothing_item_id)`."""
    named = (each.name if isinstance(each, ir.Attr) else each.id for each in ir.walk(site)
             if isinstance(each, ir.Attr | ir.Name))  # fmt: skip
    return {each for each in named if _ID.search(each)}


_ID = re.compile(r"[a-z]_?[iI]ds?$|^ids?$")


def _has_other_id(module: Module, row: ir.Name, names: set[str]) -> bool:
    """Whether a row was looked up by an id of its own, none of these names."""
    made = [each.value for each in bindings_of(module, row) if each.value is not None]
    if len(made) != 1 or not isinstance(made[0], ir.Call):
        return False
    ids = _ids_in(made[0])
    return bool(ids) and ids.isdisjoint(names) and names.isdisjoint(variables_in(made[0]))


def _holds(body: list[ir.Node], site: ir.Node) -> bool:
    above = {site, *ir.ancestors(site)}
    return any(each in above for each in body)


def _always_leaves(body: list[ir.Node]) -> bool:
    return bool(body) and isinstance(body[-1], ir.Return)


def for_rows_with_owner(ctx: Context, route: Route) -> Iterator[Finding]:
    """`if (row.userId && row.userId !== user.id) return …`: a row that has no owner is given to everybody.

    Only where rows are put in without one. Where what is compared is made by a helper that never names
    the owner, the comparison is never made at all, and that is what is said.
    """
    if ctx.role_at(route.module, route.node) not in LIVE_ROLES or not route.guarded_by:
        return
    for handler in route.handlers:
        func, module = handler.node, handler.module
        if not isinstance(func, ir.Func) or module is None:
            continue
        for branch in ir.find(func, ir.If):
            owner = _compared_if_set(ctx, branch) if exits(branch.then) else None
            if owner is None:
                continue
            node, column = owner
            if _is_never_told(ctx, module, node, column):
                message = (
                    f"{route.key} compares {column} only where it is there, and what is read never names it"
                )
                yield unasked("idor", route, (module, branch), message, key=f"never {route.key}", weight=60)
            elif _some_lack(ctx, func):
                message = f"{route.key} compares {column} only where a row has one: the others are given to everybody"
                yield unasked(
                    "idor", route, (module, branch), message, key=f"partly {route.key}", weight=BARELY
                )
            return


def _compared_if_set(ctx: Context, branch: ir.If) -> tuple[ir.Node, str] | None:
    """The owner that a test asks for and then compares, as it is read, and its column."""
    parts = [*joined(branch.test, AND)]
    for test in parts:
        if not isinstance(test, ir.Bin) or test.op not in COMPARISONS or test.op in {"==", "==="}:
            continue
        for side in (test.left, test.right):
            if side is None or not _is_owner(ctx, side):
                continue
            text = _spelled(side)
            if any(each is not test and _spelled(each) == text for each in parts):
                return side, _column(side)
    return None


def _column(node: ir.Node) -> str:
    """`user_id` of `row.user_id`, `row["user_id"]` and `row.get("user_id")`."""
    if isinstance(node, ir.Attr):
        return node.name
    if isinstance(node, ir.Index):
        return ir.text_of(node.key) or ""
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name == "get" and node.args:
        return ir.text_of(node.args[0]) or ""
    return ""


def _read_of(node: ir.Node) -> ir.Node:
    """The row of such an expression."""
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr):
        return node.func.obj
    return node.obj if isinstance(node, ir.Attr | ir.Index) else node


def _spelled(node: ir.Node) -> str:
    return f"{ir.dotted(_read_of(node))} {_column(node)}" if _column(node) else ""


def _is_never_told(ctx: Context, module: Module, node: ir.Node, column: str) -> bool:
    """Whether the row is what a helper gives back as `row.to_dict()`, and no such method names the column."""
    made = [each.value for each in bindings_of(module, _read_of(node)) if not each.keys]
    if len(made) != 1 or not isinstance(made[0], ir.Call):
        return False
    given = [value for func in helpers_behind(ctx, made[0]) for value in returns(func)]
    calls = [each for each in given if isinstance(each, ir.Call)]
    plain = all(isinstance(each, ir.Lit) or each in calls for each in given)
    tables = {
        one.table for func in helpers_behind(ctx, made[0]) for one in ctx.statements_under.get(func, ())
    }
    shapes = [func for each in calls for func in helpers_behind(ctx, each) or _methods_of(ctx, tables, each)]
    objects = [value for func in shapes for value in returns(func)]
    return (
        plain
        and bool(calls)
        and len(shapes) >= len(calls)
        and bool(objects)
        and all(isinstance(each, ir.Obj) and not _names(each, column) for each in objects)
    )


def _methods_of(ctx: Context, tables: set[str], call: ir.Call) -> list[ir.Func]:
    """The methods of that name of the classes that define some tables."""
    homes = [each for table in sorted(tables) for each in ctx.tables.get(table, ())]
    return [
        func
        for home in homes
        if home.path in ctx.program.modules
        for cls in ctx.program.modules[home.path].all(ir.Class)
        if cls.line <= home.line <= cls.end
        for func in cls.body
        if isinstance(func, ir.Func) and func.name == last_name(call.func)
    ]


def _names(shape: ir.Obj, column: str) -> bool:
    return any(each.spread or each.key is None or snake(each.key) == snake(column) for each in shape.props)


def _some_lack(ctx: Context, func: ir.Func) -> bool:
    """Whether rows of a table that a function asks are put in without any owner, as far as each value is seen."""
    asked = {each.table for each in ctx.statements_under.get(func, ())}
    owners = ctx.words.owner_columns
    return any(
        each.insert
        and each.table in asked
        and bool(each.columns)
        and not {snake(use.column) for use in each.columns} & owners
        for each in live_statements(ctx, "write")
    )
