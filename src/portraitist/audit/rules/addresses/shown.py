"""Part of the rule on temporary addresses: pages that take one from a route's answer for their picture.

Judges what a page puts into its state or the browser's storage of the answer of a route that hands the provider's on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, Text, Value
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.addresses.loose import (
    COPIES,
    PICTURE,
    answers_of,
    calls_like,
    keeps_later,
    told_in,
)
from portraitist.audit.rules.base import finding, helpers_of, last_name, provider_behind, trace
from portraitist.audit.rules.gravity import BARELY

_ASKS = re.compile(r"^fetch$|(axios|ky|got|api|http|client)(\.(get|post|put))?$", re.I)
_SETS = re.compile(r"^set([A-Z]\w*)$")
_HOLE = re.compile(r"[\[{:]")


def shown_by_pages(ctx: Context, answered: list[Finding]) -> Iterator[Finding]:
    """`setImage(data.output[0])` of what a route hands on as the provider answered it, and nothing copies it.

    `answered` are the findings on answers: their keys are known. Models that answer with words are told apart by what
    the page calls what it sets.
    """
    routes = [] if keeps_later(ctx) else list(_handing_on(ctx, answered))
    pages = [
        each
        for each in ctx.live
        if each.path.endswith((".tsx", ".jsx", ".js", ".ts")) and "set" in each.file.words
    ]
    for module in pages if routes else ():
        seen: set[tuple[ir.Func | None, str]] = set()
        for call, name in _kept(module):
            for part in (each for arg in call.args for each in ir.find(arg, ir.Attr)):
                route = _of_route(ctx, module, part, routes)
                if (
                    route is None
                    or (call.within, name) in seen
                    or ctx.role_at(module, call) not in LIVE_ROLES
                ):
                    continue
                seen.add((call.within, name))
                proof = [Place(route.module.path, route.node.line)]
                message = f"{part.name} of {route.path} is taken here for the picture: the provider's temporary address"
                yield finding("temporary-url-persisted", module, call, message, key=f"shown {name}", weight=BARELY,
                              line=call.line, end=call.end, evidence=proof)  # fmt: skip


def _handing_on(ctx: Context, answered: list[Finding]) -> Iterator[tuple[Route, frozenset[str]]]:
    """The routes that answer with the provider's address, each with the keys under which they do."""
    for route in ctx.routes:
        keys: set[str] = set()
        for func in route.funcs if route.is_http else ():
            module = ctx.program.module_of[func]
            keys |= {each.key for each in told_in(ctx, func, answered)}
            copying = any(calls_like(each, COPIES) for each in (func, *helpers_of(ctx, func)))
            for _, key, value in answers_of(ctx, func) if not copying else ():
                behind = provider_behind(ctx, module, value, helpers=True) if not key else None
                if (
                    behind is not None
                    and behind.purpose in {"status", "generation"}
                    and "train" not in behind.api
                ):
                    keys.add("output")
        if keys:
            yield route, frozenset(keys)


def _kept(module: Module) -> Iterator[tuple[ir.Call, str]]:
    """The calls that put something into a page's state or the browser's storage, with a name that tells of pictures."""
    for call in module.all(ir.Call):
        name = last_name(call.func)
        state = _SETS.match(name)
        pictures = (
            state is not None and PICTURE.search(snake(name.removeprefix("set")).strip("_")) is not None
        )
        if pictures or (name == "setItem" and "storage" in ir.dotted(call.func).lower()):
            yield call, name


def _of_route(
    ctx: Context, module: Module, part: ir.Attr, routes: list[tuple[Route, frozenset[str]]]
) -> Route | None:
    """The route whose answer a member is taken of, where it holds the provider's address under that key."""
    wanted = [route for route, keys in routes if part.name in keys]
    for where, each in trace(ctx, module, part.obj) if wanted else ():
        asked = isinstance(each, ir.Call) and each.args and _ASKS.search(ir.plain_dotted(each.func))
        if asked and isinstance(each, ir.Call):
            path = _path(ctx.ev.eval(where, each.args[0]))
            return next((route for route in wanted if path and _same(route.path, path)), None)
    return None


def _path(value: Value) -> str:
    """The path of an address as far as it is spelled out, `*` where it goes on with a hole."""
    parts = value.parts if isinstance(value, Text) else (value,)
    text = "".join(str(each.value) if isinstance(each, Known) else "*" for each in parts)
    return text.partition("?")[0] if text.startswith("/") else ""


def _same(route: str, path: str) -> bool:
    """Whether an address may be a route's: equal pieces, holes on either side standing for one."""
    ours, theirs = route.strip("/").split("/"), path.strip("/").split("/")
    return len(ours) == len(theirs) and all(
        one == other or _HOLE.match(one) is not None or "*" in other
        for one, other in zip(ours, theirs, strict=True)
    )
