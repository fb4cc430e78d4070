"""Models of others that a visitor may run: a paid call with the model that the request names. Part of `idor`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import WAITED_FOR, Context, ProviderCall, Route
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import render
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import last_name, names_in, unasked
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.requests import Given, below, is_given

_CHOICES = {"enum", "nativeEnum", "literal", "Literal", "Enum", "oneOf"}
_MACHINES = re.compile(r"api_?key|secret|cron|internal|service", re.I)
"""Guards of other programs, which serve one owner."""
_MODELS = re.compile(r"model|lora|train|tune|weights", re.I)


def run_by_name(ctx: Context, route: Route) -> Iterator[Finding]:
    """A route that runs the very model its request names, where the product trains models for its members.

    Not where the name is compared with a list, is one of a schema's choices, or a row of models is looked up on the
    way. Whether a name can be guessed is not known.
    """
    machine = any(_MACHINES.search(name) for name, _ in route.guarded_by)
    for here in below(ctx, route) if _trains(ctx) and not machine else ():
        if not are_known(ctx, route, here.way):
            continue
        for call in ctx.calls:
            if call.func is not here.func or call.purpose != "generation":
                continue
            named = next(
                (
                    each
                    for each in _models(call)
                    if is_given(here, each) and not _keeps_version(ctx, call.module, each)
                ),
                None,
            )
            if named is not None and not _chosen(ctx, here, named) and not _looked_up(ctx, here):
                message = f"{route.key} runs whichever model the request names, those of other members too"
                site = (call.module, call.call)
                yield unasked("idor", route, site, message, key=f"model {route.key}", weight=54)
                return


def _trains(ctx: Context) -> bool:
    live = (each for each in ctx.calls if ctx.role_at(each.module, each.call) in LIVE_ROLES)
    return any(each.purpose == "training" for each in live)


def _models(call: ProviderCall) -> Iterator[ir.Node]:
    """The expressions that may name the model of a call."""
    if call.api in WAITED_FOR:
        yield from call.call.args[:1]
    named = ir.keyword(call.call, "model", "version", "ref")
    if named is not None:
        yield named
    yield from (each.node for each in call.fields("model", "version") if each.node is not None)


def _keeps_version(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a reference ends in a version that the code spells: that runs, whatever model stands before it."""
    made = [node, *(each.value for each in reaching(module, node))] if isinstance(node, ir.Name) else [node]
    return any(_VERSION.search(render(ctx.ev.eval(module, each)) or "") for each in made if each is not None)


_VERSION = re.compile(r":[0-9a-f]{64}$")


def _chosen(ctx: Context, here: Given, node: ir.Node) -> bool:
    """Whether the name is one of a list: by a test that leaves, or by a schema's field of that name."""
    names = {last_name(each) for each in ir.walk(node)} - {""}
    for func in here.way:
        for test in (each.test for each in ir.find(func, ir.If) if exits(each.then)):
            compared = any(_compares(each) for each in ir.walk(test))
            if compared and names & names_in(test):
                return True
    return any(_is_choice(module, names) for module in ctx.live)


def _compares(node: ir.Node) -> bool:
    return isinstance(node, ir.Call) or (isinstance(node, ir.Bin) and node.op not in {"and", "or", "not"})


def _is_choice(module: Module, names: set[str]) -> bool:
    """Whether a file says of a field with one of these names which values it may have."""
    if any(
        each.key in names and _CHOICES & set(ir.dotted(each.value).split(".")) for each in module.all(ir.Prop)
    ):
        return True
    fields = (each for each in module.all(ir.Assign) if last_name(each.target) in names)
    return any(each.annotation is not None and _CHOICES & names_in(each.annotation) for each in fields)


def _looked_up(ctx: Context, here: Given) -> bool:
    """Whether something on the way asks for a row of models."""
    asked = (each for func in here.way for each in ctx.statements_under.get(func, []))
    return any(each.kind == "read" and _MODELS.search(each.table) for each in asked)
