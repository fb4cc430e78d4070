"""One parsed file with its scopes: which name is bound where, and every node by its type.

Looks at one file only; other files are reached through `program`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TypeVar

from portraitist.audit import ir
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
        self.by_type: dict[type[ir.Node], list[ir.Node]] = {}
        self._index()

    @functools.cached_property
    def lines(self) -> list[str]:
        """The text by lines, split when first asked for."""
        return self.file.text.split("\n")

    def all(self, kind: type[N]) -> list[N]:
        """Every node of `kind` in this file, in source order."""
        return self.by_type.get(kind, [])  # type: ignore[return-value]

    def scope_of(self, node: ir.Node) -> Scope:
        """The scope in which `node` is evaluated."""
        func = node if isinstance(node, ir.Func) else ir.enclosing(node, ir.Func)
        return self.scopes.get(func, self.top) if func is not None else self.top

    def lookup(self, name: str, at: ir.Node) -> tuple[Scope, list[Binding]] | None:
        """The bindings of `name` visible at `at`, from the nearest scope that has any."""
        scope: Scope | None = self.scope_of(at)
        while scope is not None:
            if name in scope.names:
                return scope, scope.names[name]
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
        order: list[ir.Node] = []
        by_type = self.by_type
        stack: list[tuple[ir.Node, Scope]] = [(self.body, self.top)]
        first = 0
        while stack:
            node, scope = stack.pop()
            node.within, node.order, node.first = scope.func, order, first
            first += 1
            node.last = first
            order.append(node)
            kind = type(node)
            if kind in by_type:
                by_type[kind].append(node)
            else:
                by_type[kind] = [node]
            if kind in _LEAVES:
                continue
            inner = self._enter(node, scope) if kind in _BINDING else scope
            children = list(node.children())
            for child in children:
                child.parent = node
            if len(children) == 1:
                stack.append((children[0], inner))
            else:
                stack.extend([(child, inner) for child in reversed(children)])
        for node in reversed(order):
            parent = node.parent
            if parent is not None and parent.last < node.last:
                parent.last = node.last

    def _enter(self, node: ir.Node, scope: Scope) -> Scope:
        if isinstance(node, ir.Func):
            return self._function(node, scope)
        if isinstance(node, ir.Assign):
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
            for name in ir.find(node.catches, ir.Name):
                scope.bind(name.id, Binding("caught", node))
        elif isinstance(node, ir.Loop) and node.target is not None:
            _pattern(scope, node.target, node.source, "loop", ("*",))
        return scope

    def _function(self, node: ir.Func, scope: Scope) -> Scope:
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
        return inner

    def _assign(self, node: ir.Assign, scope: Scope) -> None:
        if node.decl == "field":
            return
        if isinstance(node.target, ir.Attr | ir.Index):
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
            else:
                scope.bind(local, Binding("import", node, keys=(imported,)))


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
