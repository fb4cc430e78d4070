"""Part of the rule on undefined names: Python's local names that are read above everything that assigns them.

A branch assigns for itself alone, so a function without a loop around both runs from top to bottom.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import COMPREHENSIONS, finding


def read_too_early(ctx: Context) -> Iterator[Finding]:
    """The first place in a function where a local name is read although it can't have a value yet.

    Names of parameters, imports, loops and comprehensions are not judged, nor those of `global` and `nonlocal`.
    """
    for module in ctx.live:
        if module.language != "python" or module.errors:
            continue
        for func, scope in module.scopes.items():
            given = {each.name for each in func.params} | {"self", "cls"}
            late = {
                name: bindings
                for name, bindings in scope.names.items()
                if name not in given
                and all(each.kind == "assign" and each.node.line > func.line for each in bindings)
            }
            yield from _early(ctx, module, func, late)


def _early(ctx: Context, module: Module, func: ir.Func, late: dict[str, list[Binding]]) -> Iterator[Finding]:
    for name in ir.find(func, ir.Name) if late else ():
        bindings = late.get(name.id)
        if (
            bindings is None
            or name.within is not func
            or name.line >= min(each.node.line for each in bindings)
        ):
            continue
        if _in_one_loop(name, bindings) or _is_anothers(module, func, name.id):
            continue
        if _runs_in_order(func, name) and ctx.role_at(module, name) in LIVE_ROLES:
            message = (
                f"{name.id} is read here and assigned only further down in {func.name or 'its function'}"
            )
            yield finding(
                "undefined-name", module, name, message, key=f"early {name.id} {name.line}", weight=60
            )


def _runs_in_order(func: ir.Func, name: ir.Name) -> bool:
    """Whether a name is read by a statement of the body: not by its head, an annotation, a class, a comprehension."""
    inside: ir.Node = name
    for each in ir.ancestors(name):
        if each is func:
            return any(inside is statement for statement in func.body)
        if isinstance(each, ir.Assign) and inside is each.annotation:
            return False
        if isinstance(each, ir.Class) or (isinstance(each, ir.Other) and each.kind in COMPREHENSIONS):
            return False
        inside = each
    return False


def _in_one_loop(name: ir.Name, bindings: list[Binding]) -> bool:
    loops = [each for each in ir.ancestors(name) if isinstance(each, ir.Loop)]
    return any(loop.line <= each.node.line <= loop.end for loop in loops for each in bindings)


def _is_anothers(module: Module, func: ir.Func, name: str) -> bool:
    """Whether the function calls the name the module's or an outer function's, or sets it within an expression."""
    lines = (module.text(line) for line in range(func.line, func.end + 1))
    name = re.escape(name)
    said = re.compile(rf"\s*(global|nonlocal)\b.*\b{name}\b|.*\b{name}\s*:=")
    return any(said.match(line) for line in lines)
