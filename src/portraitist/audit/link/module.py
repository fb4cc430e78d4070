"""One parsed file with its scopes: which name is bound where, and every node by its type.

Looks at one file only; other files are reached through `program`.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from portraitist.audit import ir
from portraitist.audit.order import Order
from portraitist.audit.source import SourceFile

N = TypeVar("N", bound=ir.Node)


@dataclass(slots=True, eq=False)
class Binding:
    """How a name got its value: `value` seen through the keys of a destructuring pattern, if any.

    `kind` is assign, param, func, class, import, loop or unset (declared without a value).
    """

    kind: str
    node: ir.Node
    value: ir.Node | None = None
    keys: tuple[str | int, ...] = ()
    default: ir.Node | None = None
    decl: str = ""


@dataclass(slots=True, eq=False)
class Scope:
    """The names of one function, or of the module when `func` is None."""

    func: ir.Func | None
    up: Scope | None
    names: dict[str, list[Binding]] = field(default_factory=dict)
    members: dict[str, list[ir.Assign]] = field(default_factory=dict)

    def bind(self, name: str, binding: Binding) -> None:
        """Records one more way in which `name` gets a value here."""
        self.names.setdefault(name, []).append(binding)


_LEAVES = frozenset({ir.Name, ir.Lit})
_BINDING = frozenset({ir.Func, ir.Assign, ir.Import, ir.Class, ir.Export, ir.Handler, ir.Loop})


class Module:
    """A file's syntax with its scopes, imports, exports and classes."""

    def __init__(self, file: SourceFile, body: ir.Other, errors: list[tuple[int, int]]) -> None:
        self.file = file
        self.path = file.path
        self.role = file.role
        self.language = file.language
        self.body = body
        self.errors = errors
        self.top = Scope(None, None)
        self.scopes: dict[ir.Func, Scope] = {}
        self.classes: dict[str, ir.Class] = {}
        self.exports: dict[str, str | ir.Node] = {}
        self.stars: list[str] = []
        self.order = Order()
        self._all: dict[type[ir.Node], list[ir.Node]] = {}
        self._index()

    @functools.cached_property
    def lines(self) -> list[str]:
        """The text by lines, split when first asked for."""
        return self.file.text.split("\n")

    @functools.cached_property
    def lowered(self) -> str:
        """The text in lower case: words of any case are found in it faster than by a pattern."""
        return self.file.text.lower()

    def all(self, kind: type[N]) -> list[N]:
        """Every node of `kind` in this file, in source order."""
        found = self._all.get(kind)
        if found is None:
            found = self._all[kind] = [*map(self.order.nodes.__getitem__, self.order.places.get(kind, ()))]
        return found  # type: ignore[return-value]

    @functools.cached_property
    def attributes(self) -> dict[str, list[ir.Attr]]:
        """Every attribute by its name, in source order: most are asked for by their name, and most files have none."""
        found: dict[str, list[ir.Attr]] = {}
        for each in self.all(ir.Attr):
            found.setdefault(each.name, []).append(each)
        return found

    @functools.cached_property
    def entries(self) -> dict[str, list[ir.Prop]]:
        """Every entry of an object that has a key, by that, in source order."""
        found: dict[str, list[ir.Prop]] = {}
        for each in self.all(ir.Prop):
            if each.key:
                found.setdefault(each.key, []).append(each)
        return found

    @functools.cached_property
    def _by_callee(self) -> dict[str, list[ir.Call]]:
        found: dict[str, list[ir.Call]] = defaultdict(list)
        for call in self.all(ir.Call):
            func = call.func
            if isinstance(func, ir.Attr):
                found[func.name].append(call)
            else:
                found[func.id if isinstance(func, ir.Name) else ""].append(call)
        return found

    @functools.cached_property
    def _by_lowered_callee(self) -> dict[str, list[list[ir.Call]]]:
        found: dict[str, list[list[ir.Call]]] = {}
        for name, calls in self._by_callee.items():
            found.setdefault(name.lower(), []).append(calls)
        return found

    @property
    def callees(self) -> AbstractSet[str]:
        """The names under which something is called here: `b` of `b()` and `a.b()`, "" of what has none."""
        return self._by_callee.keys()

    def calls(self, names: AbstractSet[str], *, lower: bool = False) -> list[ir.Call]:
        """The calls of functions and methods with one of these names, in source order: `b` finds `b()` and `a.b()`.

        With `lower`, `names` are in lower case and the case in the source does not matter.
        """
        if lower:
            lowered = self._by_lowered_callee
            lists = [calls for name in names & lowered.keys() for calls in lowered[name]]
        else:
            found = self._by_callee
            if found.keys().isdisjoint(names):  # most files have none
                return []
            lists = [found[name] for name in names & found.keys()]
        if len(lists) == 1:
            return lists[0]
        return sorted((call for calls in lists for call in calls), key=lambda each: each.first)

    def scope_of(self, node: ir.Node) -> Scope:
        """The scope in which `node` is evaluated."""
        if isinstance(node, ir.Func):
            func: ir.Func | None = node
        else:
            func = node.within if node.order is not None else ir.enclosing(node, ir.Func)
        return self.scopes.get(func, self.top) if func is not None else self.top

    def lookup(self, name: str, at: ir.Node) -> tuple[Scope, list[Binding]] | None:
        """The bindings of `name` visible at `at`, from the nearest scope that has any."""
        if at.order is None or type(at) is ir.Func:
            scope: Scope | None = self.scope_of(at)
        else:
            scope = self.top if at.within is None else self.scopes.get(at.within, self.top)
        while scope is not None:
            if (found := scope.names.get(name)) is not None:
                return scope, found
            scope = scope.up
        return None

    def text(self, line: int) -> str:
        """The text of a 1-based line."""
        return self.lines[line - 1] if 0 < line <= len(self.lines) else ""

    def function_at(self, line: int) -> ir.Func | None:
        """The innermost function whose lines hold `line`."""
        inside = [each for each in self.scopes if each.line <= line <= each.end]
        return min(inside, key=lambda each: (each.end - each.line, -each.line)) if inside else None

    def scope_name(self, node: ir.Node) -> str:
        """The enclosing function's name for people and fingerprints, `Class.method` for methods, else ""."""
        func = node if isinstance(node, ir.Func) else ir.enclosing(node, ir.Func)
        while func is not None and not func.name:
            func = ir.enclosing(func, ir.Func)
        if func is None:
            return ""
        return f"{func.owner}.{func.name}" if func.owner else func.name

    def _index(self) -> None:
        """Fills `order` and the scopes, and tells every node its place; a node's scope is its function's."""
        order, nodes, places = self.order, self.order.nodes, self.order.places
        leaves, binding, attr, function = _LEAVES, _BINDING, ir.Attr, ir.Func
        stack: list[ir.Node] = [self.body]
        take, put, put_all, keep = stack.pop, stack.append, stack.extend, nodes.append
        self.body.within = None
        first = -1
        while stack:
            node = take()
            kind = type(node)
            first += 1
            node.order, node.first = order, first
            keep(node)
            places[kind].append(first)
            if kind in leaves:
                continue
            if kind in binding:
                self._enter(node)
            func = node.within
            if kind is attr:  # the most frequent one: no list for its one child
                child = node.obj  # type: ignore[attr-defined]
                child.parent, child.within = node, func
                put(child)
                continue
            if kind is function:
                func = node  # type: ignore[assignment]
            children = node.children()
            for child in children:
                child.parent, child.within = node, func
            put_all(children[::-1])

    def _enter(self, node: ir.Node) -> None:
        scope = self.top if node.within is None else self.scopes[node.within]
        if isinstance(node, ir.Func):
            self._function(node, scope)
        elif isinstance(node, ir.Assign):
            self._assign(node, scope)
        elif isinstance(node, ir.Import):
            self._import(node, scope)
        elif isinstance(node, ir.Class):
            self.classes.setdefault(node.name, node)
            scope.bind(node.name, Binding("class", node))
        elif isinstance(node, ir.Export):
            for local, exported in node.names:
                direct = local == "default" or not _is_declared(node)
                self.exports[exported] = (
                    node.body[0] if node.body and direct and exported == "default" else local
                )
        elif isinstance(node, ir.Handler) and node.catches is not None:
            for name in self._caught(node.catches):
                scope.bind(name.id, Binding("caught", node))
        elif isinstance(node, ir.Loop) and node.target is not None:
            _pattern(scope, node.target, node.source, "loop", ("*",))

    def _caught(self, catches: ir.Node) -> list[ir.Name]:
        """The names that a handler binds: in Python only what stands after `as`, not the types it catches."""
        if self.language != "python":
            return list(ir.find(catches, ir.Name))
        named = isinstance(catches, ir.Other) and catches.kind == "as_pattern" and len(catches.parts) > 1
        return list(ir.find(catches.parts[-1], ir.Name)) if named and isinstance(catches, ir.Other) else []

    def _function(self, node: ir.Func, scope: Scope) -> None:
        inside_class = isinstance(node.parent, ir.Class)
        if node.name and not inside_class and not isinstance(node.parent, ir.Prop | ir.Assign):
            scope.bind(node.name, Binding("func", node))
        inner = Scope(node, scope)
        self.scopes[node] = inner
        for param in node.params:
            if param.name:
                inner.bind(param.name, Binding("param", param, default=param.default))
            elif param.pattern is not None:
                _pattern(inner, param.pattern, param, "param", ())

    def _assign(self, node: ir.Assign, scope: Scope) -> None:
        if node.decl == "field":
            return
        if isinstance(node.target, (ir.Attr, ir.Index)):
            root = ir.root_of(node.target)
            if isinstance(root, ir.Name):
                scope.members.setdefault(root.id, []).append(node)
            self._commonjs(node)
            return
        kind = "assign" if node.value is not None else "unset"
        _pattern(scope, node.target, node.value, kind, (), decl=node.decl, node=node)

    def _commonjs(self, node: ir.Assign) -> None:
        name = ir.plain_dotted(node.target)
        if name == "module.exports" and node.value is not None:
            self.exports["default"] = node.value
            if isinstance(node.value, ir.Obj):
                for prop in node.value.props:
                    if prop.key is not None:
                        self.exports[prop.key] = prop.value
        elif name.startswith(("module.exports.", "exports.")) and node.value is not None:
            self.exports[name.rpartition(".")[2]] = node.value

    def _import(self, node: ir.Import, scope: Scope) -> None:
        if node.reexport:
            for imported, exported in node.names:
                if exported == "*":
                    self.stars.append(node.module)
                else:
                    self.exports[exported] = ir.Import(
                        node.line, node.end, node.module, [(imported, exported)]
                    )
            return
        for imported, local in node.names:
            if local == "*":
                self.stars.append(node.module)
                continue
            made = Binding("import", node, keys=(imported,))
            earlier = scope.names.get(local)
            if earlier and self._goes_before(node, earlier[-1]):
                earlier[-1] = made
            else:
                scope.bind(local, made)

    def _goes_before(self, node: ir.Import, other: Binding) -> bool:
        """Whether an import takes the place of an earlier one: both straight in the file, the later one is meant."""
        both = (node, other.node)
        return other.kind == "import" and all(each.parent is self.body for each in both)


def _is_declared(node: ir.Export) -> bool:
    return any(isinstance(each, ir.Func | ir.Class | ir.Assign) for each in node.body)


def _pattern(
    scope: Scope, target: ir.Node, value: ir.Node | None, kind: str, keys: tuple[str | int, ...],
    *, decl: str = "", node: ir.Node | None = None, default: ir.Node | None = None,
) -> None:  # fmt: skip
    """Binds every name of a target pattern; `keys` is the way from the value to that name."""
    if isinstance(target, ir.Name):
        scope.bind(target.id, Binding(kind, node or target, value, keys, default, decl))
    elif isinstance(target, ir.Obj):
        for prop in target.props:
            way = keys if prop.spread else (*keys, prop.key or "?")
            _pattern(scope, prop.value, value, kind, way, decl=decl, node=node, default=prop.computed)
    elif isinstance(target, ir.Arr):
        for position, item in enumerate(target.items):
            _pattern(scope, item, value, kind, (*keys, position), decl=decl, node=node)
    elif isinstance(target, ir.Other):  # `*rest`: which of the value's items it holds is not followed
        for part in target.parts:
            _pattern(scope, part, value, kind, (*keys, "?"), decl=decl, node=node)
