"""Part of the rule on temporary addresses: the line on which one is kept because its copy failed.

What then becomes of it, in a row or an answer, is in `stored` and `loose`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.addresses.loose import COPIES, FETCHES, PICTURE, calls_like, copied
from portraitist.audit.rules.base import finding, last_name, names_in, trace
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import calls_in, in_handler

_ADDRESS = re.compile(
    r"url|uri|image|output|src|link|^(out|img|pic|picture|photo|video|clip|audio|asset|media|result)s?$", re.I
)
_MADE = re.compile(r"output|replicate|generated|prediction|delivery|temp(orary)?_?ur|result", re.I)
"""Names of what the provider made, where the way to its call is not seen."""

_SAYS_SO = re.compile(r"original|temp|source|raw|replicate|provider|remote|input")
"""Beginnings of keys that say themselves that theirs is no last address."""
_ADDS = {"push", "append"}
_OF_A_PAGE = {"href", "src"}
"""Members of a page's elements: a link that is clicked at once keeps nothing."""


def kept_on_failure(ctx: Context, kept: list[Finding]) -> Iterator[Finding]:
    """`catch { return url }`, `catch { urls.push(url) }` around a copy of what stands at an address, `copied ?? url`.

    `kept` are the places where such addresses end; those of the same function, or of one that calls it, are evidence.
    """
    asking = [each.func for each in ctx.calls if each.func is not None]
    asked = (site.call.within for func in asking for site in ctx.program.callers.get(func, []))
    ends = {each.place for each in kept}
    near = {*working(ctx).paid, *working(ctx).hooks, *asking, *asked}
    for module in ctx.live:
        for node, address, weight in _fallbacks(ctx, module):
            around = _around(node)
            callers = {
                outer
                for one in around
                for site in ctx.program.callers.get(one, [])
                for outer in _around(site.call)
            }
            if (
                Place(module.path, node.line) in ends
                or near.isdisjoint(around | callers)
                or ctx.role_at(module, node) not in LIVE_ROLES
                or not may_be_made(ctx, module, address)
            ):
                continue
            name = last_name(address)
            func = node.within
            key = name if weight > 20 or func is None else f"{name} {node.line - func.line}"
            returned = isinstance(node, ir.Return)
            message = (
                "when the copy fails, the address that it was to be made of is given back in its place"
                if returned
                else "when the copy fails, the address that it was to be made of is kept in its place"
            )
            each = finding("temporary-url-persisted", module, node, message, key=key, weight=weight)
            yield replace(each, evidence=tuple(_ends(ctx, kept, around | callers)))


def _around(node: ir.Node) -> set[ir.Func]:
    return {each for each in ir.ancestors(node) if isinstance(each, ir.Func)}


def _ends(ctx: Context, kept: list[Finding], funcs: set[ir.Func]) -> Iterator[Place]:
    """Where the addresses of these functions end."""
    spans = {(ctx.program.module_of[func].path, func.line, func.end) for func in funcs}
    for each in kept:
        if any(path == each.path and first <= each.line <= last for path, first, last in spans):
            yield each.place


def _fallbacks(ctx: Context, module: Module) -> Iterator[tuple[ir.Node, ir.Name | ir.Attr, int]]:
    """The nodes that put an address in the place of its copy, with the address and what that weighs."""
    for leave in module.all(ir.Return):
        if not leave.throws and isinstance(leave.value, ir.Name) and _is_param(leave.value):
            yield from _where_copied(leave, leave.value)
        if isinstance(leave.value, ir.Call | ir.Obj) and not leave.throws and in_handler(leave):
            yield from _answered(leave)
    for call in module.calls(_ADDS):
        given = call.args[0] if len(call.args) == 1 else None
        if isinstance(given, ir.Name) and _in_place(call):
            yield from _where_copied(call, given)
        for prop in given.props if isinstance(given, ir.Obj) and in_handler(call) and _in_place(call) else ():
            if isinstance(prop.value, ir.Name) and prop.key and PICTURE.search(snake(prop.key)):
                yield from _where_copied(call, prop.value)
                break
    for assign in module.all(ir.Assign):
        if not isinstance(assign.value, ir.Name) or not isinstance(assign.parent, ir.Handler):
            continue
        if last_name(assign.target) not in _OF_A_PAGE and _in_place(assign):
            yield from _where_copied(assign, assign.value)
    for either in module.all(ir.Bin):
        kept = either.right if either.op in {"or", "??"} and isinstance(either.right, ir.Name) else None
        if kept is not None and _ADDRESS.search(kept.id) and _copy_of(ctx, module, either.left, kept.id):
            yield either, kept, BARELY if _is_told_alone(either) else 58


def _answered(leave: ir.Return) -> Iterator[tuple[ir.Node, ir.Name | ir.Attr, int]]:
    """`catch { return Response.json({ imageUrl }) }`, where what failed was to store what was fetched from there."""
    for prop in ir.find(leave, ir.Prop):
        key = snake(prop.key or "")
        told = PICTURE.search(key) and not _SAYS_SO.match(key)
        if isinstance(prop.value, ir.Name | ir.Attr) and told:
            failed = _where_failed(leave)
            made = _made_of(leave.within, last_name(prop.value))
            if any(_handed(failed, COPIES, each) for each in made):
                yield leave, prop.value, BARELY
                return


def _made_of(func: ir.Func | None, name: str) -> set[str]:
    """The variables that hold something of another one, itself included: what was fetched from an address."""
    found = {name}
    for each in ir.find(func, ir.Assign) if func is not None else ():
        if isinstance(each.target, ir.Name) and not found.isdisjoint(names_in(each.value)):
            found.add(each.target.id)
    return found


def _is_told_alone(either: ir.Bin) -> bool:
    """Whether an address is no more than an argument: of a call that keeps nothing, as far as its name says."""
    call = either.parent
    return isinstance(call, ir.Call) and either in call.args and last_name(call.func) not in _ADDS


def _in_place(node: ir.Call | ir.Assign) -> bool:
    """Whether what failed would have filled the same list, or set the same variable."""
    into = _target(node)
    return bool(into) and any(
        _target(each) == into
        for part in _where_failed(node)
        for each in ir.walk(part)
        if isinstance(each, ir.Call | ir.Assign)
    )


def _target(node: ir.Call | ir.Assign) -> str:
    """The variable that is set, or the list that something is added to."""
    if isinstance(node, ir.Assign):
        return ir.plain_dotted(node.target)
    adds = isinstance(node.func, ir.Attr) and node.func.name in _ADDS
    return ir.plain_dotted(node.func.obj) + "[]" if adds and isinstance(node.func, ir.Attr) else ""


def _is_param(name: ir.Name) -> bool:
    """Whether a name is a parameter of a function around it."""
    return any(each.name == name.id for func in _around(name) for each in func.params)


def _where_copied(node: ir.Node, address: ir.Name) -> Iterator[tuple[ir.Node, ir.Name, int]]:
    failed = _where_failed(node) if _ADDRESS.search(address.id) else []
    handed = _handed(failed, FETCHES, address.id) and any(calls_like(part, COPIES) for part in failed)
    if handed or _handed(failed, COPIES, address.id):
        yield node, address, 58 if isinstance(node.parent, ir.Handler) else BARELY


def _handed(parts: Iterable[ir.Node], pattern: re.Pattern[str], name: str) -> bool:
    """Whether a call of some kind is given an address: `fetch(url)`, `mirror(url)`."""
    calls = calls_in(parts)
    return any(
        pattern.search(ir.dotted(each.func)) and any(name in names_in(arg) for arg in each.args)
        for each in calls
    )


def _copy_of(ctx: Context, module: Module, node: ir.Node, name: str) -> bool:
    """Whether a value is what a helper made of an address: `stored` of `stored = await upload(url)`."""
    return any(
        _handed([part], COPIES, name) for _, part in trace(ctx, module, node) if isinstance(part, ir.Call)
    )


def may_be_made(ctx: Context, module: Module, node: ir.Node | None, hops: int = 2) -> bool:
    """Whether an address comes from the provider: by the calls before it, or by what callers name it."""
    parts = list(trace(ctx, module, node, helpers=True))
    if copied(parts):
        return False
    for _, part in parts:
        if (isinstance(part, ir.Call) and part in ctx.call_at) or _MADE.search(last_name(part)):
            return True
        func = part.within if isinstance(part, ir.Name) and hops else None
        while func is not None and isinstance(part, ir.Name):
            param = next((each for each in func.params if each.name == part.id), None)
            passed = [] if param is None else _arguments(ctx, func, param)
            if any(may_be_made(ctx, where, given, hops - 1) for where, given in passed):
                return True
            func = func.within if param is None else None
    return False


def _arguments(ctx: Context, func: ir.Func, param: ir.Param) -> Iterator[tuple[Module, ir.Node]]:
    for site in ctx.program.callers.get(func, []):
        passed = argument_for(site.call, func, param)
        if passed is not None:
            yield site.module, passed


def _where_failed(node: ir.Node) -> list[ir.Node]:
    """What failed before a function comes here: the body of the `try`, or what stands before `if (error)`."""
    inside = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.Handler):
            return each.parent.body if isinstance(each.parent, ir.Try) else []
        if isinstance(each, ir.Func):
            return []
        if isinstance(each, ir.If) and inside in each.then and node.within is not None:
            asked = {one.lower() for one in names_in(each.test)}
            if any("err" in one or one in {"ok", "status_code"} for one in asked):
                return node.within.body
        inside = each
    return []
