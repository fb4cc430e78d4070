"""Whether a Next middleware lets a request by nobody pass to one path: followed statement by statement.

What its expressions come to is in `middleware_values`; which file is asked for which route is in `access`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module
from portraitist.audit.rules.evaluator import NOBODY, UNKNOWN, Closure, GivenUpError, Mark, Value
from portraitist.audit.rules.open_ways.middleware_values import (
    AWAY,
    PASSES,
    REQUEST,
    Values,
    covers,
    either,
    options,
    truth,
)

_STEPS, _WAYS, _DEPTH = 3_000, 24, 4
"""Statements followed, ways open at once, and functions in each other; more says nothing."""

_EXPORTS = ("middleware", "proxy", "default")
_ANSWERS = (PASSES, AWAY, None)
_SIGN_IN = Mark("sign-in")
"""The first parameter of a handler in `clerkMiddleware`."""

HANDS_OUT = re.compile(r"\bexport\b[^;=(]*\b(default|middleware|proxy)\b|module\.exports|exports\.")
"""What Next takes from such a file: one that hands out something else stands in front of nothing."""


def middleware_files(ctx: Context) -> list[Module]:
    """Next's own files, and helpers of that name which those may hand the request on to."""
    return [each for each in ctx.live if re.search(r"(^|/)(middleware|proxy)\.(ts|js)$", each.path)]


def lets_nobody_in(ctx: Context, route: Route) -> bool | None:
    """Whether a request without a sign-in gets past Next's middleware to a route; None where that cannot be said.

    A server action has no path of its own.
    """
    if route.framework not in {"next", "pages"}:
        return None
    entries = _entries(ctx, route)
    said = {ctx.once(lets_nobody_pass, each, route.path, route.method) for each in entries}
    return said.pop() if len(said) == 1 else None


def _entries(ctx: Context, route: Route) -> list[Module]:
    return [each for each in ctx.once(middleware_files) if _is_entry(each, route)]


def in_front_of(ctx: Context, route: Route) -> tuple[Module, ir.Func] | None:
    """The middleware's file, and the function in it, that Next asks before a route."""
    for module in _entries(ctx, route):
        if (entry := _Walk(ctx, route.path, route.method).entry(module)) is not None:
            return module, entry[0]
    return None


def _is_entry(module: Module, route: Route) -> bool:
    """Whether a file is the one that Next asks before this route: at the root of its application, or of its `src`."""
    folder = module.path.rpartition("/")[0]
    root = folder.removesuffix("src").rstrip("/")
    inside = not root or route.module.path.startswith(f"{root}/")
    return inside and HANDS_OUT.search(module.file.text) is not None


def lets_nobody_pass(ctx: Context, module: Module, path: str, method: str) -> bool | None:
    """Whether a request without a sign-in gets past a middleware file to `path`; None where that cannot be said.

    A test on what is not known (the country, a setting) is taken both ways; it passes where no way that asks who calls
    turns it away. False only where every way does.
    """
    try:
        if not _is_matched(ctx, module, path):
            return True
        return _Walk(ctx, path, method).verdict(module)
    except (GivenUpError, RecursionError):
        return None


def _is_matched(ctx: Context, module: Module, path: str) -> bool:
    """Whether `config.matcher` names the path; without one every path is."""
    values = Values(ctx, path, "", _not_followed)
    config = values.of(ir.Name(0, 0, "config"), module, {}).what
    if not isinstance(config, dict):
        return True
    listed = config.get("matcher", Value(UNKNOWN)).what
    texts = [each.what for each in listed] if isinstance(listed, list) else [listed]
    plain = [each for each in texts if isinstance(each, str)]
    return len(plain) < len(texts) or any(covers(each, path) for each in plain)


def _not_followed(_: Closure, __: list[Value]) -> Value:
    return Value(UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way through a function so far: its names, and whether it hung on who asks."""

    names: dict[str, Value]
    asked: bool = False


class _Walk:
    """Follows one middleware for one path."""

    def __init__(self, ctx: Context, path: str, method: str) -> None:
        self.values = Values(ctx, path, method, self.follow)
        self.steps, self.depth = 0, 0

    def verdict(self, module: Module) -> bool | None:
        """What becomes of the request; see `lets_nobody_pass`."""
        entry = self.entry(module)
        if entry is None:
            return None
        func, args = entry
        answers = options(self.follow(Closure(func, module, {}), args))
        if not answers or not all(any(each.what is one for one in _ANSWERS) for each in answers):
            return None
        asked = any(each.what is AWAY and each.asked for each in answers)
        if all(each.what is AWAY for each in answers):
            return False if asked else None
        return None if asked else True

    def entry(self, module: Module) -> tuple[ir.Func, list[Value]] | None:
        """The function that Next calls, and what with."""
        for name in _EXPORTS:
            made: object = module.exports.get(name)
            bound = module.top.names.get(made if isinstance(made, str) else "", [])
            if bound:
                made = bound[0].node if bound[0].kind == "func" else bound[0].value
            if isinstance(made, ir.Call):
                wrapper = ir.dotted(made.func)
                inner = made.args[0] if made.args else None
                if wrapper == "clerkMiddleware" and isinstance(inner, ir.Func):
                    return inner, [Value(_SIGN_IN), Value(REQUEST)]
                if wrapper == "auth" and isinstance(inner, ir.Func):
                    return inner, [Value(REQUEST)]
                return None
            if isinstance(made, ir.Func):
                return made, [Value(REQUEST)]
        return None

    def follow(self, closure: Closure, args: list[Value]) -> Value:
        """What a function answers for these arguments, as one value."""
        self.depth += 1
        if self.depth > _DEPTH:
            raise GivenUpError
        names = dict(closure.names)
        for position, param in enumerate(closure.func.params):
            given = args[position] if position < len(args) else Value(None)
            self._bind(names, param.pattern or ir.Name(0, 0, param.name), given)
        ended, open_ways = self._block(closure.func.body, [_Way(names)], closure.module)
        self.depth -= 1
        return either([*ended, *(Value(None, each.asked) for each in open_ways)])

    def _block(self, body: list[ir.Node], ways: list[_Way], module: Module) -> tuple[list[Value], list[_Way]]:
        ended: list[Value] = []
        for each in body:
            found: list[_Way] = []
            for way in ways:
                self.steps += 1
                answers, further = self._statement(each, way, module)
                ended += answers
                found += further
            ways = found
            if len(ways) > _WAYS or self.steps > _STEPS:
                raise GivenUpError
            if not ways:
                break
        return ended, ways

    def _statement(self, node: ir.Node, way: _Way, module: Module) -> tuple[list[Value], list[_Way]]:
        if isinstance(node, ir.Return):
            value = self.values.of(node.value, module, way.names) if node.value is not None else Value(None)
            value = Value(AWAY) if node.throws else value
            return [Value(each.what, each.asked or way.asked) for each in options(value)], []
        if isinstance(node, ir.If):
            test = self.values.of(node.test, module, way.names)
            way, known = replace(way, asked=way.asked or test.asked), truth(test)
            taken = [body for body, when in ((node.then, True), (node.other, False)) if known in {when, None}]
            found = [self._block(body, [replace(way, names=dict(way.names))], module) for body in taken]
            return [one for ended, _ in found for one in ended], [one for _, ways in found for one in ways]
        if isinstance(node, ir.Loop):
            return self._loop(node, way, module)
        if isinstance(node, ir.Try):
            tried = self._block(node.body, [replace(way, names=dict(way.names))], module)
            caught = [
                self._block(each.body, [_Way(dict(way.names), asked=True)], module) for each in node.handlers
            ]
            both = [tried, *caught]
            return [one for ended, _ in both for one in ended], [one for _, ways in both for one in ways]
        if isinstance(node, ir.Other) and node.kind == "switch":
            raise GivenUpError
        return self._plain(node, way, module)

    def _plain(self, node: ir.Node, way: _Way, module: Module) -> tuple[list[Value], list[_Way]]:
        """A declaration, an assignment, or an expression for what it does."""
        if isinstance(node, ir.Func):
            return [], [replace(way, names={**way.names, node.name: Value(Closure(node, module, way.names))})]
        if isinstance(node, ir.Assign):
            value = Value(None)
            if node.value is not None:
                value = self.values.of(node.value, module, way.names)
            names = dict(way.names)
            self._bind(names, node.target, value if node.op == "=" else Value(UNKNOWN))
            return [], [replace(way, names=names)]
        if isinstance(node, ir.Call):
            value = self.values.of(node, module, way.names)
            if value.what is AWAY:  # `await auth.protect()` answers by itself
                return [Value(AWAY, asked=True)], []
        return [], [way]

    def _loop(self, node: ir.Loop, way: _Way, module: Module) -> tuple[list[Value], list[_Way]]:
        items = self.values.of(node.source, module, way.names).what if node.source is not None else UNKNOWN
        if not isinstance(items, list) or node.target is None:
            raise GivenUpError
        ended: list[Value] = []
        ways = [way]
        for item in items:
            found: list[_Way] = []
            for each in ways:
                names = dict(each.names)
                self._bind(names, node.target, item)
                answers, further = self._block(node.body, [replace(each, names=names)], module)
                ended += answers
                found += further
            ways = found
        return ended, ways

    def _bind(self, names: dict[str, Value], target: ir.Node, value: Value) -> None:
        """Gives every name of a target its part of the value."""
        if isinstance(target, ir.Name):
            names[target.id] = value
        elif isinstance(target, ir.Obj):
            for prop in target.props:
                part = self.values.member(value, prop.key) if prop.key is not None else Value(UNKNOWN)
                self._bind(names, prop.value, part)
        elif isinstance(target, ir.Arr):
            for each in target.items:
                self._bind(names, each, Value(NOBODY if value.what is NOBODY else UNKNOWN, value.asked))
