"""The ways of strangers through a guarded route: its guards in their order, what it depends on, its handler.

What a library's guard does is not followed: where one denies, no way leads past it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.auth import dependencies
from portraitist.audit.facts.auth_optional import lets_pass
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import creations
from portraitist.audit.link.module import Module
from portraitist.audit.rules.evaluator import UNKNOWN, Closure, GivenUpError, Value
from portraitist.audit.rules.strangers.calls import Deed, DoneError
from portraitist.audit.rules.strangers.values import (
    ANSWER,
    HANDLER,
    NEXT,
    REQUEST,
    Choices,
    PassedError,
    Sent,
    ThrownError,
    is_setting,
    said,
)
from portraitist.audit.rules.strangers.walk import Counts, Walk

_WAYS, _EXPRESSIONS = 12, 3_000
"""Ways followed for one route, and expressions looked at on them together."""
_WRAPPED = re.compile(
    r"^_?(f|fn|func|function|view|view_func|handler|wrapped|callback|cb|next_?handler|route_?handler|action|endpoint)$",
    re.I,
)
_NEXT = re.compile(r"^_?(next|call_next|done|proceed|nxt)$", re.I)
_REQUESTS = re.compile(r"^_?(req|request|c|ctx|context|event|websocket|ws|info)$", re.I)
_SCHEMES = re.compile(r"bearer|scheme|oauth|api_?key_?header|APIKey|HTTPBasic|OpenIdConnect", re.I)
_PARTS = ("credentials", "scheme", "username", "password")
_SPOKEN = {
    "Header": "header",
    "Query": "query",
    "Cookie": "cookie",
    "Path": "param",
    "Body": "body",
    "Form": "body",
    "File": "file",
}


@dataclass(frozen=True, slots=True)
class Way:
    """A way that is through: to what, by which choices, and by which tests of guards or refusals."""

    deed: Deed
    conditions: tuple[str, ...]
    settings: int
    holes: tuple[tuple[Module, ir.If, bool], ...]

    @property
    def told(self) -> str:
        """The conditions in words: `API_KEY is not set`, `a caller sends query auth`."""
        who = "" if self.settings == len(self.conditions) else "a caller "
        return f"{who}{' and '.join(self.conditions[:3])}"


def way_through(ctx: Context, route: Route, counts: Counts) -> Way | None:
    """The way of a stranger that comes to a deed by the fewest choices about who calls, of those looked at."""
    found: list[Way] = []
    scripts: list[tuple[int, ...]] = [()]
    ways, looked_at = 0, 0
    while scripts and ways < _WAYS and looked_at < _EXPRESSIONS:
        choices = Choices(scripts.pop())
        stranger = _Stranger(ctx, route, choices, counts)
        way = stranger.way()
        ways, looked_at = ways + 1, looked_at + stranger.walk.looked_at
        scripts += choices.others()
        if way is not None:
            found.append(way)
    return min(found, key=lambda each: (each.settings, len(each.conditions)), default=None)


class _Stranger:
    """Walks one way through a route."""

    def __init__(self, ctx: Context, route: Route, choices: Choices, counts: Counts) -> None:
        self.ctx, self.route = ctx, route
        self.walk = Walk(ctx, choices, route, counts)
        self.seen: set[tuple[str, int]] = set()

    def way(self) -> Way | None:
        """The way to a deed, where it is through and hung on what was chosen."""
        walk = self.walk
        try:
            for module, node in self.route.guards:
                self._guard(module, node)
            for handler in self.route.handlers[:1]:
                if isinstance(handler.node, ir.Func) and handler.module is not None:
                    walk.run(handler.node, handler.module, self._given(handler.module, handler.node))
        except DoneError as done:
            return self._through(done.deed)
        except (ThrownError, PassedError, GivenUpError, RecursionError):
            return None
        return self._through(walk.read) if walk.read is not None and not walk.refused else None

    def _through(self, deed: Deed) -> Way | None:
        walk = self.walk
        if not walk.telling or not self._all_met():
            return None
        chosen = walk.choices.known
        keys = [each for each in walk.telling if each in chosen]
        spoken = {key: word for key in keys if (word := said(key, chosen[key]))}
        settings = sum(is_setting(each) for each in spoken)
        words = sorted(dict.fromkeys(_without_plain(spoken)), key=lambda each: "not set" in each)
        return Way(deed, tuple(words), settings, tuple(walk.holes)) if words else None

    def _all_met(self) -> bool:
        """Whether every check that is said to deny was walked through, or by, on this way."""
        spans = [(self.ctx.program.module_of[each].path, each.line, each.end) for each in self.walk.entered]
        return all(
            (where.path, where.line) in self.seen
            or any(path == where.path and first <= where.line <= last for path, first, last in spans)
            for _, where in self.route.guarded_by
        )

    def _guard(self, module: Module, node: ir.Node) -> None:
        """Passes one guard in front of the handler. Raises what ends the way."""
        self.seen.add((module.path, node.line))
        denies = (module.path, node.line) in self.walk.denying
        self.walk.guarding += 1
        try:
            if isinstance(node, ir.Call) and ir.dotted(node.func).rpartition(".")[2] in {
                "Depends",
                "Security",
            }:
                if node.args:
                    self._depended(module, node.args[0])
                return
            made = self.walk.of(node, module, {}).what
            if not isinstance(made, Closure):
                if denies:
                    raise ThrownError
                return
            self._passed(made)
        finally:
            self.walk.guarding -= 1

    def _passed(self, guard: Closure) -> None:
        """Calls a guard as its framework does; comes back where it hands the request on."""
        params = [each.name for each in guard.func.params]
        if params and _WRAPPED.match(params[0]):
            made = self.walk.follow(guard, [Value(HANDLER)])
            if not isinstance(made.what, Closure):
                raise GivenUpError
            guard = made.what
            if guard.func.params and _WRAPPED.match(guard.func.params[0].name):
                made = self.walk.follow(guard, [Value(HANDLER)])
                guard = made.what if isinstance(made.what, Closure) else guard
            params = [each.name for each in guard.func.params]
            waits = True
        else:
            waits = any(_NEXT.match(each) for each in params)
        given = [self._role(each, position) for position, each in enumerate(params)]
        try:
            back = self.walk.follow(guard, given)
        except PassedError:
            return
        if waits or back.what is not None:
            raise ThrownError

    def _role(self, name: str, position: int) -> Value:
        if _NEXT.match(name):
            return Value(NEXT)
        if re.match(r"^_?(res|response|reply)$", name, re.I):
            return Value(ANSWER)
        return Value(REQUEST if not position or _REQUESTS.match(name) else UNKNOWN)

    def _given(self, module: Module, func: ir.Func) -> dict[str, Value]:
        """What a framework hands a function: the request, its parts, what it depends on."""
        names: dict[str, Value] = {}
        python = module.language == "python"
        depended = {param: (where, node) for param, where, node in dependencies(self.ctx, module, func)}
        for position, param in enumerate(func.params):
            if param in depended:
                self.seen.add((module.path, param.line))
                self.walk.guarding += 1
                value = self._depended(*depended[param])
                self.walk.guarding -= 1
            else:
                value = self._spoken(param) if python else self._handed(param, position)
            self.walk.bind(names, param.pattern or ir.Name(0, 0, param.name), value)
        return names

    def _handed(self, param: ir.Param, position: int) -> Value:
        """A parameter of a JavaScript handler."""
        if self.route.method == "ACTION":
            return Value(Sent(f"argument {param.name}".strip()))
        if position and self.route.framework == "next":
            return Value({"params": Value(Sent("param", whole=True))})
        return self._role(param.name or "req", position)

    def _spoken(self, param: ir.Param) -> Value:
        """A parameter of a Python handler: the request, a header, a part of the path, the body."""
        kind = ir.dotted(param.annotation).rpartition(".")[2] if param.annotation is not None else ""
        if param.name in {"self", "cls"}:
            return Value(UNKNOWN)
        if kind in {"Request", "WebSocket", "HttpRequest", "HTTPConnection"} or _REQUESTS.match(param.name):
            is_model = kind and kind not in {"Request", "WebSocket", "HttpRequest", "HTTPConnection"}
            return Value(Sent("body", whole=True) if is_model else REQUEST)
        made = ir.dotted(param.default.func) if isinstance(param.default, ir.Call) else ""
        part = _SPOKEN.get(made.rpartition(".")[2], "")
        if re.search(r"Session|BackgroundTasks|Response|Client", kind):
            return Value(UNKNOWN)
        in_path = re.search(rf"[{{<\[:]\W*(\w+:)?{re.escape(param.name)}\b", self.route.path) is not None
        return Value(Sent(f"{part or ('param' if in_path else 'body')} {param.name}", whole=in_path))

    def _depended(self, module: Module, node: ir.Node) -> Value:
        """What a FastAPI dependency gives."""
        self.seen.add((module.path, node.line))
        made = self.walk.of(node, module, {})
        if isinstance(made.what, Closure):
            func, where = made.what.func, made.what.module
            if func in self.walk.stack:
                raise GivenUpError
            names = {**made.what.names, **self._given(where, func)}
            return self.walk.run(func, where, names)
        name = ir.dotted(node)
        scheme = self._scheme(module, node)
        if scheme:
            required = not lets_pass(self.ctx, module, node)
            parts = {each: Value(Sent(f"header authorization {each}", whole=True)) for each in _PARTS}
            held = required and re.search(r"HTTP|bearer|basic", scheme, re.I)
            return Value(parts if held else Sent("header authorization", whole=required))
        if (module.path, node.line) in self.walk.denying:
            raise GivenUpError
        return Value(UNKNOWN, re.search(r"auth|user|session|token", name, re.I) is not None)

    def _scheme(self, module: Module, node: ir.Node) -> str:
        """The name of the library's scheme that a dependency is, such as `HTTPBearer`; "" where it is none."""
        made = creations(self.ctx, module, node)
        names = [ir.dotted(each.func) for each in made if isinstance(each, ir.Call)] or [ir.dotted(node)]
        return next((each for each in names if _SCHEMES.search(each)), "")


def _without_plain(spoken: dict[Hashable, str]) -> Iterator[str]:
    """The words for each choice; that something is sent is left out where it is said what."""
    closer = {
        key[1] for key in spoken if isinstance(key, tuple) and key[0] not in {"sends", "setting", "mode"}
    }
    for key, word in spoken.items():
        if not (isinstance(key, tuple) and key[0] == "sends" and key[1] in closer):
            yield word
