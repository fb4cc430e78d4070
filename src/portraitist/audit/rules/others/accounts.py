"""Accounts of others that a signed-in visitor may read or change: whoever the request names. Part of `idor`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import last_name, names_in, unasked
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.requests import Given, below, is_given
from portraitist.audit.rules.syntax import COMPARISONS

_STAFF = re.compile(r"admin|superuser|staff|operator|moderator|^role$|internal|service_?(key|role)", re.I)


def of_whoever(ctx: Context, route: Route) -> Iterator[Finding]:
    """A route that knows who asks and takes the account that the request names, which a sibling compares.

    The sibling, in the same file, turns callers away whose own id is not the one named. Not where anything in the
    handler compares that id, or asks for a role.
    """
    if ctx.role_at(route.module, route.node) not in LIVE_ROLES or _STAFF.search(route.path):
        return
    for handler in route.handlers:
        func, module = handler.node, handler.module
        if not isinstance(func, ir.Func) or module is None or not are_known(ctx, route, (func,)):
            continue
        here = next((each for each in below(ctx, route) if each.func is func), None)
        if here is None or any(_STAFF.search(name) for name, _ in route.guarded_by):
            continue
        for statement in ctx.statements_under.get(func, []):
            named = _whose(here, statement.where_values) if open_data.PEOPLE.search(statement.table) else ""
            sibling = _compared(module, func, named) if named else None
            if sibling is None or tests_name(func, named):
                continue
            message = f"{route.key} takes whichever of {statement.table} the request names, and a sibling compares it"
            site = (module, statement.node)
            yield unasked(
                "idor", route, site, message, key=f"account {route.key}", weight=74, evidence=[sibling]
            )
            return


def _whose(here: Given, asked: tuple[tuple[str, ir.Node], ...]) -> str:
    """The name of what the request gives for the id of an account, "" where it gives none."""
    given = (
        node
        for column, node in asked
        if snake(column) in {*open_data.IDS, "user_id"} and is_given(here, node)
    )
    return next((name for node in given if (name := last_name(node))), "")


def tests_name(func: ir.Func, name: str) -> bool:
    """Whether a function compares what the request named with anything, or leaves by a role."""
    if any(name in names_in(each) for each in _comparisons(func)):
        return True
    tests = (each.test for each in ir.find(func, ir.If) if exits(each.then))
    return any(_STAFF.search(each) for test in tests for each in names_in(test))


def _compared(module: Module, func: ir.Func, name: str) -> Place | None:
    """Where another function of the file turns away whoever is not the one that its request names."""
    for other in module.all(ir.Func):
        for branch in ir.find(other, ir.If) if other is not func and other.within is func.within else ():
            for test in _comparisons(branch.test) if exits(branch.then) else ():
                sides = [each for each in (test.left, test.right) if each is not None]
                plain = not any(isinstance(each, ir.Lit) for each in sides)
                if test.op in {"!=", "!=="} and plain and any(last_name(each) == name for each in sides):
                    return Place(module.path, test.line)
    return None


def _comparisons(node: ir.Node) -> Iterator[ir.Bin]:
    for each in ir.find(node, ir.Bin):
        if each.op in COMPARISONS and each.right is not None:
            yield each
