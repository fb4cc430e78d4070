"""Part of the rule on temporary addresses: answers that hold what the provider delivers, wherever it went before.

Follows values as `delivered` does for rows. Answers whose address stands in the handler itself are in `loose`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import entry_of
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.addresses.delivered import NO_PICTURE, is_safe
from portraitist.audit.rules.addresses.deliveries import Held, held
from portraitist.audit.rules.addresses.loose import (
    ANSWERS,
    PICTURE,
    answers_text,
    keeps_fetched,
    keeps_later,
    makes_pictures,
)
from portraitist.audit.rules.addresses.near import is_near
from portraitist.audit.rules.base import finding, last_name, place, runs_in_browser
from portraitist.audit.rules.gravity import BARELY


def handed_out(ctx: Context, known: list[Finding]) -> Iterator[Finding]:
    """The answers of routes that hold a delivery address, where nothing in the repository fetches and stores one.

    `known` are findings whose functions need no second one: the first of a handler tells it.
    """
    doors = [
        (func, routes[0])
        for func, routes in ctx.handled_by.items()
        if any(each.is_http for each in routes) and is_near(ctx, func)
    ]
    if not doors or ctx.once(keeps_later) or any(ctx.once(keeps_fetched, each) for each in ctx.live):
        return
    for func, route in doors:
        module = ctx.program.module_of[func]
        told = any(each.path == module.path and func.line <= each.line <= func.end for each in known)
        if told or ctx.role_at(module, func) != "src" or runs_in_browser(module):
            continue
        for node in _answers(func):
            way = next(iter(_delivered(ctx, module, node)), None)
            if way is not None:
                assert isinstance(way.source, ProviderCall)
                message = f"{route.key} answers with the provider's temporary address, as it was delivered"
                yield finding("temporary-url-persisted", module, node, message, key=f"{route.key} out",
                              weight=BARELY, line=_first_line(module, node, way), end=node.end,
                              evidence=[place(way.source)])  # fmt: skip
                break


def _answers(func: ir.Func) -> Iterator[ir.Node]:
    """What a handler answers with: what it gives back, and what it hands to `res.json`."""
    yield from returns(func)
    for call in ir.find(func, ir.Call):
        if (
            last_name(call.func) in ANSWERS
            and isinstance(call.func, ir.Attr)
            and not isinstance(call.parent, ir.Return)
        ):
            yield call


def _delivered(ctx: Context, module: Module, node: ir.Node) -> Iterator[Held]:
    """The addresses of pictures in an answer, in the order of the calls that made them."""
    ways = [
        each for each, _ in held(ctx, module, node) if each.address and isinstance(each.source, ProviderCall)
    ]
    if not ways or is_safe(ctx, module, node):
        return
    for way in sorted(ways, key=lambda each: repr(each.path)):
        keys = [snake(each) for each in way.path if isinstance(each, str)]
        if any(NO_PICTURE.search(each) for each in keys) or not isinstance(way.source, ProviderCall):
            continue
        named = bool(keys) and PICTURE.search(keys[-1]) is not None
        if makes_pictures(way.source) or (named and not any(answers_text(each) for each in ctx.calls)):
            yield way


MAX_STRETCH = 12
"""The most lines from an entry of an answer to the statement that sends it, for both to be shown."""


def _first_line(module: Module, node: ir.Node, way: Held) -> int:
    """Where an answer begins to hold the address: at the entry that is written in place or in a variable's object."""
    keys = [each for each in way.path if isinstance(each, str)]
    if not keys:
        return node.line
    written = [each.line for each in ir.find(node, ir.Prop) if each.key == keys[-1]]
    values = (entry_of(module, each, keys[-1]) for each in ir.find(node, ir.Name))
    lines = [*written, *(each.line for each in values if each is not None)]
    return next((each for each in lines if node.line - MAX_STRETCH <= each <= node.end), node.line)
