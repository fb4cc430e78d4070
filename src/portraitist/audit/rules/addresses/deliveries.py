"""Where the provider's delivery addresses go: what a value may hold of them, followed by meaning, not by names.

From a value back through names, members, objects, helpers' answers and arguments of any file, Python and TypeScript
alike. What a library gives back holds none, whatever it was given: so a copy cleans. Who judges it is in `delivered`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import fillings, reaching
from portraitist.audit.link.calls import argument_for, returns
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.link.targets import HANDING_ON, Target, handed_on
from portraitist.audit.rules.addresses.across import answered_to, kept_in_state
from portraitist.audit.rules.addresses.loose import ANSWERS, answers_text
from portraitist.audit.rules.addresses.near import MAX_CALLERS, hears
from portraitist.audit.rules.base import COMPREHENSIONS, last_name
from portraitist.audit.rules.syntax import runs_over

MAX_DEPTH = 60
"""How many steps back a value is followed, those into helpers included."""

Key = str | int | None


class Held(NamedTuple):
    """A part of a value that comes from the provider: `path` leads to it, through the keys of objects.

    `source` is the provider call, the handler of a webhook, or a parameter of which nothing more is known here;
    `taken` are the keys that were taken of it. `address` tells a delivery address from the whole answer.
    """

    source: ProviderCall | ir.Func | ir.Param
    address: bool = False
    path: tuple[str | int, ...] = ()
    taken: tuple[str | int | None, ...] = ()


Ways = frozenset[Held]
NOTHING: Ways = frozenset()

_SAME = {
    "String", "str", "list", "tuple", "parse", "stringify", "loads", "dumps", "sorted", "reversed", "iter", "next",
    "all", "gather", "wait_for", "enumerate", "zip", "freeze", "from", "values", "cast", "resolve",
}  # fmt: skip
"""Functions that give back what they are given, in some form."""
_OWN = {
    "json", "toString", "url", "href", "at", "filter", "slice", "flat", "pop", "shift", "concat", "reverse", "trim",
    "strip", "find", "values", "items", "copy", "model_dump", "dict", "get_json", "result", "text", "then", "catch",
    "finally", "returns",
}  # fmt: skip
"""Methods that give back what their object holds, in some form."""
_EACH = {"map", "flatMap"}
_OTHERS = {
    "length", "status", "error", "id", "logs", "metrics", "version", "weights", "ok", "name", "size", "type", "seed",
    "input", "model", "webhook", "created_at", "completed_at", "text", "content", "message", "code",
}  # fmt: skip
"""Members of an answer or of its output that are no address."""
_GIVES_BACK = ("retry", "retries", "run", "execute", "step", "trace", "span", "to_thread", "race", "timeout")


Site = tuple[Module, ir.Node]
"""Where a value is handed to the function that keeps it."""


def held(ctx: Context, module: Module, node: ir.Node | None) -> Iterator[tuple[Held, tuple[Site, ...]]]:
    """What a value may hold of the provider's answers, each with the live arguments that hold it, the nearest first."""
    for one in ctx.once(_held, module, node) if node is not None else ():
        yield from _from_callers(ctx, one, ())


def _held(ctx: Context, module: Module, node: ir.Node) -> list[Held]:
    return _in_order(ctx, ctx.once(Follower).value(module, node))


def _in_order(ctx: Context, ways: Ways) -> list[Held]:
    """The ways as their sources stand in the files: a set of them has another order in every run."""
    return sorted(ways, key=lambda each: (*_stands(ctx, each), repr(each[1:]))) if len(ways) > 1 else [*ways]


def _stands(ctx: Context, way: Held) -> tuple[str, int]:
    source = way.source
    if isinstance(source, ProviderCall):
        return source.module.path, source.call.first
    func = source.parent if isinstance(source, ir.Param) else source
    return ctx.program.module_of[func].path if isinstance(func, ir.Func) else "", source.first


def _from_callers(
    ctx: Context, way: Held, sites: tuple[Site, ...], depth: int = MAX_CALLERS
) -> Iterator[tuple[Held, tuple[Site, ...]]]:
    """The same part as those who call the function hand it over."""
    if not isinstance(way.source, ir.Param):
        yield way, sites
        return
    func = way.source.parent
    if not isinstance(func, ir.Func) or not depth:
        return
    if hears(ctx, func) and "output" in way.taken:
        yield Held(func, True, way.path), sites
        return
    for site in ctx.program.callers.get(func, []):
        given = argument_for(site.call, func, way.source)
        if given is None or ctx.role_at(site.module, site.call) != "src":
            continue
        ways = ctx.once(_held, site.module, given)
        here = ((site.module, given),) if any(each.address for each in ways) else ()
        for one in _in_order(ctx, _through(ways, way)):
            yield from _from_callers(ctx, one, (*sites, *here), depth - 1)


def _through(given: Iterable[Held], way: Held) -> Ways:
    """What an argument holds, as a helper's part `way` of it shows: its keys taken, its path put before."""
    ways = frozenset(given)
    for key in way.taken:
        ways = member(ways, key)
    return frozenset(each._replace(path=(*way.path, *each.path)) for each in ways)


def member(ways: Ways, key: Key) -> Ways:
    """What a member or an entry of a value holds; `None` stands for a key that is not known."""
    found: list[Held] = []
    for each in ways:
        if each.path:
            first = each.path[0]
            if first == key or (key is None and isinstance(first, int)):
                found.append(each._replace(path=each.path[1:]))
            elif isinstance(first, str) and not isinstance(key, str):  # of a list that was filled one by one
                found.append(each)
        elif isinstance(each.source, ir.Param) and not each.address:
            if len(each.taken) < 6:
                found.append(each._replace(taken=(*each.taken, key)))
        elif each.address:
            if key not in _OTHERS:
                found.append(each)
        elif key == "output":
            found.append(each._replace(address=True))
        elif key in {"data", "body", None} or isinstance(key, int):
            found.append(each)
    return frozenset(found)


def elements(ways: Ways) -> Ways:
    """What the elements of a list hold that was written in place, or of any other value."""
    return frozenset(
        each._replace(path=each.path[1:]) if each.path and isinstance(each.path[0], int) else each
        for each in ways
    )


class Follower:
    """The walk back from values. `known` keeps what a value was found to hold; what a circle leads to is left out."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.known: dict[ir.Node, Ways] = {}
        self.depth = 0

    def value(self, module: Module, node: ir.Node | None) -> Ways:
        """What a value may hold, as far as its own function and the helpers that it calls tell."""
        if node is None or type(node) is ir.Lit or self.depth > MAX_DEPTH:
            return NOTHING
        found = self.known.get(node)
        if found is None:
            self.known[node] = NOTHING
            self.depth += 1
            found = self.known[node] = self._value(module, node)
            self.depth -= 1
        return found

    def _value(self, module: Module, node: ir.Node) -> Ways:
        if isinstance(node, ir.Name):
            return self._name(module, node)
        if isinstance(node, ir.Attr):
            if node.name == "body" and node.within is not None and (hook := self._hook(node)):
                return frozenset({Held(hook)})
            return member(self.value(module, node.obj), node.name)
        if isinstance(node, ir.Index):
            key = node.key.value if isinstance(node.key, ir.Lit) else None
            return member(self.value(module, node.obj), key if isinstance(key, str | int) else None)
        if isinstance(node, ir.Call):
            return self._call(module, node)
        if isinstance(node, ir.Obj):
            return self._object(module, node)
        if isinstance(node, ir.Arr):
            return self._list(module, node)
        return self._union(module, _either(node))

    def _union(self, module: Module, nodes: Iterable[ir.Node | None]) -> Ways:
        return frozenset(way for each in nodes for way in self.value(module, each))

    def _object(self, module: Module, node: ir.Obj) -> Ways:
        found: set[Held] = set()
        for prop in node.props:
            inside = self.value(module, prop.value)
            under = () if prop.spread or prop.key is None else (prop.key,)
            found |= {each._replace(path=(*under, *each.path)[:4]) for each in inside}
        return frozenset(found)

    def _list(self, module: Module, node: ir.Arr) -> Ways:
        """A list that is written in place keeps the place of each item, as long as no other is spread into it."""
        found: set[Held] = set()
        spread = any(_bare(each) is not each for each in node.items)
        for place, item in enumerate(node.items):
            inside = self.value(module, _bare(item))
            under = () if spread else (place,)
            found |= {each._replace(path=(*under, *each.path)[:4]) for each in inside}
        return frozenset(found)

    def _name(self, module: Module, name: ir.Name) -> Ways:
        found: set[Held] = set()
        for binding in _last(module, name):
            found |= self._bound(module, binding)
            if isinstance(binding.value, ir.Arr) and not binding.value.items:
                for call in fillings(module, name):
                    found |= self._union(module, call.args)
        scope = module.scope_of(name)
        for assign in scope.members.get(name.id, ()):
            key = assign.target.name if isinstance(assign.target, ir.Attr) else None
            if isinstance(assign.target, ir.Index):
                key = ir.text_of(assign.target.key)
            if assign.line <= name.line and key is not None:
                inside = self.value(module, assign.value)
                found |= {each._replace(path=(key, *each.path)[:4]) for each in inside}
        return frozenset(found)

    def _bound(self, module: Module, binding: Binding) -> Ways:
        if binding.kind == "param":
            param = binding.value if isinstance(binding.value, ir.Param) else binding.node
            if not isinstance(param, ir.Param):
                return NOTHING
            source = runs_over(param, "then")
            ways = elements(self.value(module, source)) if source is not None else frozenset({Held(param)})
        elif binding.kind in {"assign", "loop"}:
            if held_in := kept_in_state(self.ctx, module, binding):
                return frozenset(way for each in held_in for way in self.value(*each))
            ways = self.value(module, binding.value)
            ways = elements(ways) if binding.kind == "loop" else ways
        else:
            return NOTHING
        for key in binding.keys:
            ways = member(ways, key)
        return ways

    def _call(self, module: Module, call: ir.Call) -> Ways:
        made = self.ctx.call_at.get(call)
        if made is not None:
            return frozenset(_answered(self.ctx, made))
        answers, under = answered_to(self.ctx, call)
        if answers:
            ways = [way for each in answers for way in self.value(*each)]
            return frozenset(each._replace(path=(*under, *each.path)[:4]) for each in ways)
        name = last_name(call.func)
        if hook := self._hook(call) if name in {"json", "get_json", "loads", "parse"} else None:
            return frozenset({Held(hook)}) | self._union(module, call.args)
        given, targets = self._runs(module, call)
        found: set[Held] = set()
        for target in targets[:4]:
            if target.module is not None and isinstance(target.node, ir.Func):
                found |= self._given_back(module, given, target.module, target.node)
        return frozenset(found) if targets else self._of_library(module, call, name)

    def _runs(self, module: Module, call: ir.Call) -> tuple[ir.Call, list[Target]]:
        """The functions of the repository that a call runs, with the call that hands them their arguments."""
        targets = [each for each in self.ctx.program.functions_called(call) if isinstance(each.node, ir.Func)]
        if targets or last_name(call.func) not in HANDING_ON or module.language != "python":
            return call, targets
        given = handed_on(call) or call
        resolved = self.ctx.program.resolve(module, given.func)
        return given, [each for each in resolved if isinstance(each.node, ir.Func)]

    def _of_library(self, module: Module, call: ir.Call, name: str) -> Ways:
        """What a call of a library gives back of what it is given: nothing, but for those that only hand it on."""
        func = call.func
        callbacks = [each for each in call.args if isinstance(each, ir.Func)]
        hands_on = any(word in name.lower() for word in _GIVES_BACK) or name == "then"
        if isinstance(func, ir.Attr) and name in _EACH and not callbacks:
            return self.value(module, func.obj)
        if callbacks and (name in _EACH or hands_on):
            return self._union(module, (value for each in callbacks for value in returns(each)))
        if isinstance(func, ir.Attr) and name in {"get", "pop"} and call.args:
            key = call.args[0].value if isinstance(call.args[0], ir.Lit) else None
            return member(self.value(module, func.obj), key if isinstance(key, str | int) else None)
        if name in ANSWERS and call.args:
            return self.value(module, call.args[0])
        if isinstance(func, ir.Attr) and name in _OWN:
            return self.value(module, func.obj)
        if name in _SAME:
            return self._union(module, [_bare(each) for each in call.args])
        if name[:1].isupper() and call.kw is not None and not call.args:
            return self._object(module, call.kw)
        return NOTHING

    def _given_back(self, module: Module, call: ir.Call, home: Module, func: ir.Func) -> Ways:
        """What a helper's answer holds, what it was handed put in the place of its parameters."""
        found: set[Held] = set()
        for each in self._union(home, returns(func)):
            if isinstance(each.source, ir.Param) and each.source.parent is func:
                given = argument_for(call, func, each.source)
                found |= _through(self.value(module, given), each) if given is not None else set()
            else:
                found.add(each)
        return frozenset(found)

    def _hook(self, node: ir.Node) -> ir.Func | None:
        """The handler of the provider's webhooks around a node."""
        around = (each for each in ir.ancestors(node) if isinstance(each, ir.Func))
        return next((each for each in around if hears(self.ctx, each)), None)


def _either(node: ir.Node) -> list[ir.Node | None]:
    """The values of which one is the node's: the arms of a choice, both sides of a fallback."""
    if isinstance(node, ir.Bin) and node.op in {"or", "??", "||", "and", "&&"}:
        return [node.right] if node.op in {"and", "&&"} else [node.left, node.right]
    if isinstance(node, ir.Cond):
        return [node.then, node.other]
    if isinstance(node, ir.Assign):
        return [node.value]
    if isinstance(node, ir.Tmpl) and len(node.parts) == 1:
        return [node.parts[0]]
    if isinstance(node, ir.Other) and (node.kind in COMPREHENSIONS or len(node.parts) == 1):
        return list(node.parts[:1])
    return []


def _bare(node: ir.Node) -> ir.Node:
    return node.parts[0] if isinstance(node, ir.Other) and node.kind == "spread" and node.parts else node


def _answered(ctx: Context, call: ProviderCall) -> Iterator[Held]:
    """What the provider's answer to a call is: the output itself, or an answer that may have one."""
    if "train" in call.api.lower() or answers_text(call):
        return
    if call.api in {"run", "async_run", "stream", "async_stream"} and call.purpose == "generation":
        yield Held(call, True)
    elif call.purpose in {"generation", "status"} or call.api == "wait":
        yield Held(call)


def _last(module: Module, name: ir.Name) -> list[Binding]:
    """The bindings that may still hold where a name is used: those that a later one surely replaces are left out."""
    found = reaching(module, name)
    if len(found) < 2:
        return found
    above = {*ir.ancestors(name)}
    inner = [each for each in found if each.kind == "loop" and _is_comprehended(each.node, above)]
    if inner:  # its variable hides the function's of the same name
        return inner
    found = [each for each in found if each.node.line <= name.line or _goes_round(each.node, above, name)]
    for place in range(len(found) - 1, 0, -1):
        if found[place].kind == "assign" and _surely(found[place].node, name):
            return found[place:]
    return found


def _is_comprehended(loop: ir.Node, above: set[ir.Node]) -> bool:
    around = loop.parent
    return isinstance(around, ir.Other) and around.kind in COMPREHENSIONS and around in above


def _goes_round(later: ir.Node, above: set[ir.Node], use: ir.Node) -> bool:
    """Whether what stands further down may come first: in another function, or in a loop around both."""
    loops = (each for each in ir.ancestors(later) if isinstance(each, ir.Loop))
    return later.within is not use.within or any(each in above for each in loops)


def _surely(node: ir.Node, use: ir.Node) -> bool:
    """Whether nothing comes to `use` without `node`: on the way out of its blocks every other arm leaves.

    `try { url = await upload(url) } catch { return }`, `if (bucket) { url = … } else { throw … }`.
    """
    above = {use, *ir.ancestors(use)}
    inside = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.If):
            own, other = (each.then, each.other) if inside in each.then else (each.other, each.then)
        elif isinstance(each, ir.Try):
            own = each.body if inside in each.body else each.final
        if each in above:
            return not isinstance(each, ir.If | ir.Try) or not above.isdisjoint(own)
        if isinstance(each, ir.Func | ir.Loop | ir.Handler) or (isinstance(each, ir.If) and not exits(other)):
            return False
        if isinstance(each, ir.Try) and not all(exits(one.body) for one in each.handlers):
            return False
        inside = each
    return False
