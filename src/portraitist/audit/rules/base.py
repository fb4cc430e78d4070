"""What the rules share: how a finding is made, where a value comes from, and small questions to the syntax."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Route, Statement
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import bindings_of, fillings, reaching
from portraitist.audit.link.calls import argument_for, returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import HANDING_ON, Target, handed_on
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.syntax import runs_over

Rule = Callable[[Context], Iterator[Finding]]

_PASS = {
    "json",
    "map",
    "String",
    "toString",
    "at",
    "url",
    "href",
    "str",
    "list",
    "parse",
    "stringify",
    "find",
    "filter",
    "slice",
    "flat",
    "get",
    "join",
    "trim",
    "isArray",
    "dumps",
    "loads",
    "keys",
    "values",
    "enumerate",
    "zip",
    "reversed",
    "sorted",
    "tuple",
}


COMPREHENSIONS = {"list_comprehension", "generator_expression", "set_comprehension"}
_WORKS = re.compile(
    r"fetch|upload|download|copy|store|save|persist|mirror|archive|write|put_?object"
    r"|(requests|axios|httpx|client|session|got|http)\.(get|post|put|request)",
    re.I,
)
"""Calls by which a helper makes something else of what it is given."""
_GIVES_BACK = re.compile(
    r"^(run|execute|transaction|limit|to_thread|run_in_executor)$|retr(y|ies)|trace|span", re.I
)


def finding(
    rule: str, module: Module, node: ir.Node, message: str, *, key: str = "", weight: int, line: int = 0, end: int = 0,
    evidence: Iterable[Place] = (),
) -> Finding:  # fmt: skip
    """A finding anchored at a node, or at a line near it."""
    first = line or node.line
    last = max(first, end or (node.end if not line else first))
    bare = (
        isinstance(node, ir.Other) and node.parent is None
    )  # a line's own node, which stands in no function
    scope = module.scope_name((module.function_at(first) if bare else None) or node)
    return Finding(
        rule, module.path, first, last, message, key, scope, tuple(dict.fromkeys(evidence)), weight
    )


def unasked(rule: str, route: Route, site: tuple[Module, ir.Node], message: str, *, key: str, weight: int,
            evidence: Iterable[Place] = ()) -> Finding:  # fmt: skip
    """A finding for a comparison that is missing: from the handler's head to what is done without it.

    That is the stretch in which the comparison should stand. Where a helper does it, the handler's head alone: the
    helper may be right for others.
    """
    module, node = site
    head, own = route.home
    around = [
        each.node for each in route.handlers if each.node is not None and each.node in [*ir.ancestors(node)]
    ]
    seen = (Place(module.path, node.line), *evidence)
    if around and head is not module:
        head, own = module, around[0]
    end = node.end if around else route.head
    return finding(rule, head, own, message, key=key, weight=weight, end=end, line=own.line, evidence=seen)


def unguarded(route: Route, done: Iterable[Place]) -> int:
    """The last line of the stretch in which a route's check is missing: what the handler itself does without it.

    Where all of that is done by helpers, the handler's head.
    """
    module = route.home[0]
    own = [each.node for each in route.handlers if each.module is module and isinstance(each.node, ir.Func)]
    here = [each.line for each in done if each.path == module.path]
    return max([route.head, *(line for line in here for func in own if func.line <= line <= func.end)])


def place(call: ProviderCall) -> Place:
    """Where a provider call stands."""
    return Place(call.module.path, call.call.line)


def live_statements(ctx: Context, *kinds: str) -> Iterator[Statement]:
    """Statements in code that can run."""
    for each in ctx.statements:
        if each.kind in kinds and ctx.role_at(each.module, each.node) in LIVE_ROLES:
            yield each


def helpers_of(ctx: Context, func: ir.Func) -> list[ir.Func]:
    """The functions of the repository that a function calls itself, in their order."""
    return ctx.once(_helpers, func)


def leads_to(ctx: Context, func: ir.Node | None, wanted: set[ir.Func | None]) -> bool:
    """Whether a function is one of these, or calls one of them itself."""
    return isinstance(func, ir.Func) and (func in wanted or not wanted.isdisjoint(helpers_of(ctx, func)))


def _helpers(ctx: Context, func: ir.Func) -> list[ir.Func]:
    called = (each.node for call in ir.find(func, ir.Call) for each in ctx.program.functions_called(call))
    return [each for each in called if isinstance(each, ir.Func)]


def module_of(ctx: Context, use: ColumnUse) -> Module:
    """The module in which a column's value is written."""
    return ctx.program.modules[use.path]


def line_of(use: ColumnUse) -> ir.Node:
    """A node for the line in which a column is set, in the function that sets it where it is known."""
    node = ir.Other(use.line, use.line, [])
    func = use.node.within if use.node is not None else None
    if func is not None and func.line <= use.line <= func.end:
        node.parent = func
    return node


def at_column(ctx: Context, statement: Statement, use: ColumnUse) -> tuple[Module, ir.Node]:
    """Where a column is set, as a node within the statement's function where it is set in that file."""
    module, here = module_of(ctx, use), line_of(use)
    here.parent = statement.node if module is statement.module else None
    return module, here


Found = Iterator[tuple[Module, ir.Node]]


def trace(
    ctx: Context, module: Module, node: ir.Node | None, depth: int = 0, *, helpers: bool = False
) -> Found:
    """`node` and the nodes its value comes from, through names, members and pass-through calls.

    With `helpers`, also through what functions of the repository give back, by the member that is taken of it.
    """
    if node is None or depth > (12 if helpers else 9):
        return
    yield module, node
    if isinstance(node, ir.Call):
        yield from _of_call(ctx, module, node, depth, helpers)
    elif isinstance(node, ir.Name):
        yield from _bound_to(ctx, module, node, depth, helpers)
    elif isinstance(node, ir.Attr | ir.Index):
        key = node.name if isinstance(node, ir.Attr) else ir.text_of(node.key)
        calls = list(_made_by(module, node.obj)) if helpers and key is not None else []
        yield from trace(ctx, module, node.obj, depth, helpers=helpers and not calls)
        for call in calls:
            yield from _given_back(ctx, call, key, depth)
    elif isinstance(node, ir.Bin | ir.Cond | ir.Tmpl | ir.Arr):
        for child in node.children():
            yield from trace(ctx, module, child, depth + 1, helpers=helpers)
    elif isinstance(node, ir.Other) and node.kind in COMPREHENSIONS and node.parts:
        yield from trace(ctx, module, node.parts[0], depth + 1, helpers=helpers)


def _of_call(ctx: Context, module: Module, call: ir.Call, depth: int, helpers: bool) -> Found:
    """What a call hands on; the provider's answer begins with the call itself."""
    if call in ctx.call_at:
        return
    if _passes(call):
        for child in (call.func, *call.args):
            if not isinstance(child, ir.Func):
                yield from trace(ctx, module, child, depth + 1, helpers=helpers)
    elif helpers:
        yield from _given_back(ctx, call, None, depth)
        for value in _called_back(call):
            yield from trace(ctx, module, value, depth + 1, helpers=True)


def _bound_to(ctx: Context, module: Module, name: ir.Name, depth: int, helpers: bool) -> Found:
    """What a variable was set to before, and what a callback's parameter runs over."""
    for binding in reaching(module, name):
        earlier = binding.kind in {"assign", "loop"} and binding.node.line <= name.line
        if helpers and isinstance(binding.value, ir.Arr) and not binding.value.items:
            for value in [arg for call in fillings(module, name) for arg in call.args]:
                yield from trace(ctx, module, value, depth + 1, helpers=True)
        if binding.value is not None and earlier:
            yield from trace(ctx, module, binding.value, depth + 1, helpers=helpers and not binding.keys)
            if helpers and binding.keys and isinstance(binding.value, ir.Call):
                yield from _given_back(ctx, binding.value, binding.keys[0], depth)
        elif binding.kind == "param":
            yield from trace(ctx, module, runs_over(binding.node), depth + 1, helpers=helpers)


def _made_by(module: Module, node: ir.Node) -> Iterator[ir.Call]:
    """The calls whose answer an expression plainly is."""
    if isinstance(node, ir.Call):
        yield node
    elif isinstance(node, ir.Name):
        for binding in reaching(module, node):
            if isinstance(binding.value, ir.Call) and not binding.keys:
                yield binding.value


def _given_back(ctx: Context, call: ir.Call, key: str | int | None, depth: int) -> Found:
    """Where the answer of a function of the repository comes from, or its entry `key` where it is an object."""
    for target in ctx.program.functions_called(call) or _handed(ctx, call):
        for value in returns(target.node) if isinstance(target.node, ir.Func) and target.module else ():
            assert target.module is not None
            entry = value.get(key) if isinstance(value, ir.Obj) and isinstance(key, str) else None
            if entry is None and isinstance(value, ir.Obj):
                continue
            for where, part in trace(ctx, target.module, entry or value, depth + 1, helpers=True):
                yield where, part
                given = _passed(ctx, call, target.node, part)
                if given is not None and where is target.module and call.within in ctx.program.module_of:
                    yield from trace(ctx, ctx.program.module_of[call.within], given, depth + 2, helpers=True)


def _passed(ctx: Context, call: ir.Call, func: ir.Node | None, part: ir.Node) -> ir.Node | None:
    """What a call hands a helper for the parameter that it gives back, where the helper asks nobody else."""
    if not isinstance(func, ir.Func) or not isinstance(part, ir.Name) or part.within is not func:
        return None
    param = next((each for each in func.params if each.name == part.id), None)
    works = param is None or ctx.once(_asks_others, func)
    return None if works or param is None else argument_for(call, func, param)


def _asks_others(_ctx: Context, func: ir.Func) -> bool:
    """Whether something in a helper makes something else of what it is given, as far as the names say."""
    return any(_WORKS.search(ir.dotted(each.func)) for each in ir.find(func, ir.Call))


def _called_back(call: ir.Call) -> list[ir.Node]:
    """What a callback gives back, where its call gives that back: `step.run("x", async () => …)`, `retry(() => …)`."""
    if not _GIVES_BACK.search(last_name(call.func)):
        return []
    return [value for each in call.args if isinstance(each, ir.Func) for value in returns(each)]


def _handed(ctx: Context, call: ir.Call) -> tuple[Target, ...]:
    """The functions that `await asyncio.to_thread(f, …)` and its like call."""
    module = ctx.program.module_of.get(call.within) if call.within is not None else None
    name = last_name(call.func)
    if module is None or module.language != "python" or name not in HANDING_ON:
        return ()
    given = handed_on(call)
    return ctx.program.resolve(module, given.func) if given is not None else ()


def _passes(call: ir.Call) -> bool:
    name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    return name in _PASS


def provider_behind(
    ctx: Context, module: Module, node: ir.Node | None, *, helpers: bool = False
) -> ProviderCall | None:
    """The provider call whose answer a value is taken from, nothing but pass-through calls in between.

    With `helpers`, also through one helper that gives back what the provider answered.
    """
    for _where, part in trace(ctx, module, node):
        if isinstance(part, ir.Call) and part in ctx.call_at:
            return ctx.call_at[part]
        for target in ctx.program.functions_called(part) if helpers and isinstance(part, ir.Call) else ():
            for value in returns(target.node) if isinstance(target.node, ir.Func) and target.module else ():
                assert target.module is not None
                behind = provider_behind(ctx, target.module, value)
                if behind is not None:
                    return behind
    return None


def of_body(module: Module, node: ir.Attr) -> bool:
    """Whether an attribute is one of a request's body: `req.body.x`, or `payload.x` of what was parsed."""
    if ir.plain_dotted(node.obj).endswith(".body"):
        return True
    values = [
        each.value for each in bindings_of(module, node.obj) if each.value is not None and not each.keys
    ]
    return any(each.name in {"json", "body"} for value in values for each in ir.find(value, ir.Attr))


def names_in(node: ir.Node | None) -> set[str]:
    """Every name, attribute and string key below a node."""
    if node is None:
        return set()
    found: set[str] = set()
    for each in ir.walk(node):
        if type(each) is ir.Name:
            found.add(each.id)
        elif type(each) is ir.Attr:
            found.add(each.name)
        elif type(each) is ir.Lit and isinstance(each.value, str):
            found.add(each.value)
    return found


def is_readable(route: Route) -> bool:
    """Whether a handler of the route is here and all of its lines could be read: else nobody knows what is missing."""
    own = [(each.module, each.node) for each in route.handlers if isinstance(each.node, ir.Func)]
    return bool(own) and not any(
        first <= func.end and func.line <= last
        for module, func in own
        for first, last in (module.errors if module is not None else ())
    )


def runs_in_browser(module: Module) -> bool:
    """Whether a file says itself that browsers run it: by its directive, or by hooks that only a page can use."""
    if module.language != "javascript":
        return False
    first = module.body.parts[0] if module.body.parts else None
    if first is not None and ir.text_of(first) == "use client":
        return True
    pages = (each for each in module.all(ir.Import) if each.module in _PAGE_LIBRARIES)
    return any(_HOOK.match(name) for each in pages for name, _ in each.names)


_PAGE_LIBRARIES = {"react", "preact/hooks", "@tanstack/react-query", "react-query", "swr"}
_HOOK = re.compile(r"use[A-Z]")


def refusing_names(_ctx: Context, func: ir.Func) -> list[str]:
    """The names in the tests of a function that leave."""
    return [one for each in ir.find(func, ir.If) if exits(each.then) for one in names_in(each.test)]


def last_name(node: ir.Node | None) -> str:
    """The final identifier of an expression: `b` of `a.b`, "" where it has none."""
    if type(node) is ir.Attr:  # asked so often that `isinstance` would be felt
        return node.name
    if type(node) is ir.Name:
        return node.id
    return ir.text_of(node.key) or "" if type(node) is ir.Index else ""


def way_out_of(leave: ir.Return) -> ir.If | ir.Handler | ir.Func | None:
    """The branch, handler or function that a way out stands in, the nearest of them."""
    around = (each for each in ir.ancestors(leave) if isinstance(each, ir.If | ir.Handler | ir.Func))
    return next(around, None)


def callers_of(ctx: Context, func: ir.Func | None) -> set[ir.Func | None]:
    """The functions that call one; None stands for a call outside of all functions."""
    return {site.call.within for site in ctx.program.callers.get(func, [])} if func is not None else set()


def helpers_behind(ctx: Context, call: ir.Call) -> list[ir.Func]:
    """The functions of the repository that a call may run."""
    return [each.node for each in ctx.program.functions_called(call) if isinstance(each.node, ir.Func)]


def askers(ctx: Context) -> set[ir.Func | None]:
    """The functions that ask the provider how its work stands; None for a question outside of all functions."""
    return {each.func for each in ctx.calls if each.purpose == "status"}


def hears_provider(ctx: Context, route: Route) -> bool:
    """Whether the provider's webhooks come in by a route."""
    return (route.module.path, route.node.line) in ctx.once(_webhook_places)


def _webhook_places(ctx: Context) -> set[tuple[str, int]]:
    return {(each.path, each.line) for each in ctx.of("webhook")}


def on_requests(ctx: Context) -> set[ir.Func]:
    """The functions between the handlers of HTTP routes and paid calls."""
    return {func for flow in ctx.flows if flow.route and flow.route.is_http for func in flow.funcs}
