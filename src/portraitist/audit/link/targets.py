"""What a reference can end at, which classes can stand for a base class or a protocol, what hangs on a framework.

Names are resolved in `program`; nothing here follows an import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from portraitist.audit import ir
from portraitist.audit.frozen import dataclass
from portraitist.audit.link.module import Module


@dataclass(frozen=True, slots=True)
class Target:
    """What an expression refers to: a node of a module, or an outside `origin`."""

    module: Module | None = None
    node: ir.Node | None = None
    origin: str = ""

    def step(self, suffix: str) -> Target:
        """The outside object reached from here by an attribute or a call."""
        return Target(origin=self.origin + suffix) if self.origin else Target()


@dataclass(frozen=True, slots=True)
class Site:
    """A call in a module."""

    module: Module
    call: ir.Call


def subclasses(modules: Iterable[Module]) -> dict[str, list[Target]]:
    """By the name of a base class: the classes that extend it, or that have every method of a protocol."""
    found: dict[str, list[Target]] = {}
    classes = [(module, each) for module in modules for each in module.all(ir.Class)]
    for module, each in classes:
        for base in each.bases:
            found.setdefault(ir.dotted(base).rpartition(".")[2], []).append(Target(module, each))
    protocols = [target.node for target in found.get("Protocol", []) if isinstance(target.node, ir.Class)]
    if protocols:
        offers = [(module, each, _methods(each)) for module, each in classes if each not in protocols]
        for protocol in protocols:
            wanted = _methods(protocol)
            if len(wanted) > 1:
                fits = [Target(module, each) for module, each, has in offers if wanted <= has]
                found.setdefault(protocol.name, []).extend(fits)
    return found


def member_names(modules: Iterable[Module]) -> set[str]:
    """The names after a dot that can lead to a function of this repository: all others lead outside."""
    found: set[str] = set()
    for module in modules:
        found.update(module.top.names, module.exports)
        found.update(
            key
            for key, given in module.entries.items()
            if any(not isinstance(each.value, (ir.Lit, ir.Tmpl, ir.Arr)) for each in given)
        )
        found.update(each.target.name for each in module.all(ir.Assign) if isinstance(each.target, ir.Attr))
        for cls in module.all(ir.Class):
            for part in cls.body:
                if isinstance(part, ir.Func):
                    found.update((part.name, *(each.name for each in part.params)))
                elif isinstance(part, ir.Assign) and isinstance(part.target, ir.Name):
                    found.add(part.target.id)
    return found


def hung_on(modules: Iterable[Module]) -> dict[str, list[tuple[Module, ir.Node]]]:
    """By name: objects that a program hangs on its framework's own object, for others to take from there.

    `fastify.decorate("client", value)`, `app.state.client = value`, `app.locals.client = value`.
    """
    found: dict[str, list[tuple[Module, ir.Node]]] = {}
    for module in modules:
        for call in module.calls(_HANGERS):
            named = ir.text_of(call.args[0]) if len(call.args) == 2 else None
            if named and isinstance(call.func, ir.Attr):
                found.setdefault(named, []).append((module, call.args[1]))
        for assign in module.all(ir.Assign):
            target, value = assign.target, assign.value
            holder = target.obj if isinstance(target, ir.Attr) else None
            if value is not None and isinstance(holder, ir.Attr) and holder.name in {"state", "locals"}:
                assert isinstance(target, ir.Attr)
                found.setdefault(target.name, []).append((module, value))
    return found


FRAMEWORK = re.compile(
    r"^(param:|@?(fastify|express|fastapi|starlette|flask|koa|hono|quart|sanic|aiohttp)\b)|\.(state|locals|app|server)$"
)
"""Origins of objects on which a program may hang its own."""

_HANGERS = {"decorate", "decorateRequest", "decorateReply"}


def _methods(cls: ir.Class) -> set[str]:
    return {each.name for each in cls.body if isinstance(each, ir.Func)}


def few(targets: Iterable[Target]) -> tuple[Target, ...]:
    """The first eight different ones."""
    found = tuple(targets)
    return tuple(dict.fromkeys(found))[:8] if len(found) > 1 else found


WRAPPERS = {
    "Promise", "Optional", "Annotated", "Awaitable", "Readonly", "Final", "ClassVar", "Coroutine", "Any",
    "AsyncIterator", "Iterator", "Generator", "AsyncGenerator", "ContextManager", "AsyncContextManager",
}  # fmt: skip
"""Types that stand for the type in their brackets."""

HANDING_ON = {
    "to_thread": 0,
    "run_in_executor": 1,
    "run_in_threadpool": 0,
    "run_sync": 0,
    "submit": 0,
    "add_task": 0,
}
"""Python's calls that call what they are handed, with the arguments after it, by its position."""


def handed_on(call: ir.Call) -> ir.Call | None:
    """The call that such a call makes: `f(x)` for `loop.run_in_executor(None, f, x)`; it stands where that one does."""
    name = (
        call.func.name
        if isinstance(call.func, ir.Attr)
        else call.func.id
        if isinstance(call.func, ir.Name)
        else ""
    )
    position = HANDING_ON[name]
    if len(call.args) <= position:
        return None
    given = ir.Call(call.line, call.end, call.args[position], call.args[position + 1 :], call.kw)
    given.parent, given.within, given.order, given.first = call, call.within, call.order, call.first
    return given


def methods_by_name(modules: Iterable[Module]) -> dict[str, list[Target]]:
    """The methods of the classes that are no backup, generated or document, by their names."""
    found: dict[str, list[Target]] = {}
    for module in modules:
        for func in module.all(ir.Func) if module.role in {"src", "script", "test"} else ():
            if func.owner and func.name != "constructor":
                found.setdefault(func.name, []).append(Target(module, func))
    return found


def owner_of(node: ir.Node) -> ir.Class | ir.Obj | None:
    """The class, or the object with a name, that `this` and `self` stand for at `node`."""
    for each in ir.ancestors(node):
        if isinstance(each, ir.Class):
            return each
        if isinstance(each, ir.Obj) and isinstance(each.parent, ir.Assign):
            return each
    return None


def alike(receiver: str, owner: str) -> bool:
    """Whether a variable's name speaks of a class."""
    owner = owner.lower().replace("_", "")
    return len(owner) >= 3 and (receiver in owner or owner in receiver)


def bare(specifier: str) -> str:
    """A package's name without the version that is pinned in the import."""
    head, at, _version = specifier[1:].partition("@")
    return specifier[0] + head if at else specifier
