"""Which router object is which, and under which prefixes and guards it is mounted.

A router is identified by the call that made it, wherever it travels: imports, parameters, factories.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import loads_module
from portraitist.audit.link.calls import argument_for, returns
from portraitist.audit.link.module import Binding, Module

Guard = tuple[Module, ir.Node]


@dataclass(slots=True)
class Mounts:
    """Prefixes and guards by router; a router mounted twice has two prefixes."""

    prefixes: dict[ir.Node, list[tuple[str, ir.Node | None]]] = field(default_factory=dict)
    guards: dict[ir.Node, list[tuple[str, Guard]]] = field(default_factory=dict)

    def paths(self, router: ir.Node | None, depth: int = 0) -> list[str]:
        """Every prefix under which a router is reachable."""
        if router is None or depth > 6:
            return [""]
        entries = self.prefixes.get(router)
        if not entries:
            return [""]
        found = [f"{head}{prefix}" for prefix, up in entries for head in self.paths(up, depth + 1)]
        return list(dict.fromkeys(found))[:4]

    def guards_of(
        self, router: ir.Node | None, path: str, is_before: Callable[[Guard], bool], depth: int = 0
    ) -> list[Guard]:
        """Guards that cover `path`, put on the router before it, or on a router above it."""
        if router is None or depth > 6:
            return []
        found = [
            guard
            for prefix, guard in self.guards.get(router, [])
            if path.startswith(prefix.rstrip("*").rstrip("/")) and (depth or is_before(guard))
        ]
        for prefix, up in self.prefixes.get(router, []):
            found.extend(self.guards_of(up, f"{prefix}{path}", is_before, depth + 1))
        return found


def creations(ctx: Context, module: Module, expr: ir.Node, depth: int = 0) -> list[ir.Node]:
    """The calls that made the object `expr` stands for."""
    if depth > 8:
        return []
    if isinstance(expr, ir.Name):
        found = module.lookup(expr.id, expr)
        if found is None:
            return []
        return [made for each in found[1][-3:] for made in _bound(ctx, module, each, depth + 1)]
    if isinstance(expr, ir.Call):
        return _called(ctx, module, expr, depth)
    if isinstance(expr, ir.Attr):
        return _attribute(ctx, module, expr, depth)
    if isinstance(expr, ir.Bin) and expr.op in {"or", "??"} and expr.right is not None:
        return [made for each in (expr.left, expr.right) for made in creations(ctx, module, each, depth + 1)]
    return []


def _called(ctx: Context, module: Module, call: ir.Call, depth: int) -> list[ir.Node]:
    targets = ctx.program.functions_called(call)
    made = [
        each
        for target in targets
        if isinstance(target.node, ir.Func)
        and target.module is not None
        and target.node.name != "constructor"
        for value in returns(target.node)
        for each in creations(ctx, target.module, value, depth + 1)
    ]
    if made:
        return made
    name = call.func.name if isinstance(call.func, ir.Attr) else ""
    chained = name in ctx.words.route_methods or name in {"use", "route", "basePath", "register", "on"}
    if chained and isinstance(call.func, ir.Attr):
        return creations(ctx, module, call.func.obj, depth + 1)
    if isinstance(call.func, ir.Name) and call.func.id in {"require", "import"} and call.args:
        return _exported(ctx, module, ir.text_of(call.args[0]) or "", "default", depth)
    return [call]


def _attribute(ctx: Context, module: Module, expr: ir.Attr, depth: int) -> list[ir.Node]:
    if isinstance(expr.obj, ir.Name):
        for target in ctx.program.resolve(module, expr.obj):
            body = target.node
            if isinstance(body, ir.Other) and target.module is not None:
                return _entry(ctx, target.module, expr.name, depth)
        if expr.obj.id in {"this", "self"}:
            for assign in module.all(ir.Assign):
                named = isinstance(assign.target, ir.Attr) and assign.target.name == expr.name
                field_of = (
                    isinstance(assign.target, ir.Name)
                    and assign.decl == "field"
                    and assign.target.id == expr.name
                )
                if (named or field_of) and assign.value is not None:
                    return creations(ctx, module, assign.value, depth + 1)
    return []


def _bound(ctx: Context, module: Module, binding: Binding, depth: int) -> list[ir.Node]:
    if binding.kind == "import" and isinstance(binding.node, ir.Import):
        return _exported(ctx, module, binding.node.module, str(binding.keys[0]), depth)
    if binding.kind == "assign" and binding.value is not None:
        if binding.keys and isinstance(binding.value, ir.Call) and binding.value.args:
            module_name = ir.text_of(binding.value.args[0])
            if module_name is not None:
                return _exported(ctx, module, module_name, str(binding.keys[0]), depth)
        return creations(ctx, module, binding.value, depth)
    if (
        binding.kind == "param"
        and isinstance(binding.node, ir.Param)
        and isinstance(binding.node.parent, ir.Func)
    ):
        func = binding.node.parent
        made: list[ir.Node] = []
        for site in ctx.program.callers.get(func, [])[:3]:
            argument = argument_for(site.call, func, binding.node)
            if argument is not None:
                made.extend(creations(ctx, site.module, argument, depth))
        return made or [binding.node]
    return []


def _exported(ctx: Context, module: Module, specifier: str, name: str, depth: int) -> list[ir.Node]:
    path = ctx.program.resolver.resolve(module.path, specifier, module.language) if depth <= 8 else None
    other = ctx.program.modules.get(path) if path else None
    return _entry(ctx, other, name, depth) if other is not None else []


def _entry(ctx: Context, module: Module, name: str, depth: int) -> list[ir.Node]:
    entry = module.exports.get(name, name)
    if isinstance(entry, ir.Import):
        return _exported(ctx, module, entry.module, entry.names[0][0], depth + 1)
    if isinstance(entry, ir.Node):
        return creations(ctx, module, entry, depth + 1)
    bindings = module.top.names.get(entry, [])
    return [made for each in bindings[-3:] for made in _bound(ctx, module, each, depth + 1)]


def listed(ctx: Context, module: Module, node: ir.Node) -> list[Guard]:
    """What stands in a list of middleware, written in place or by a name, here or in the file it is imported from."""
    found = definitions(ctx, module, node) if isinstance(node, ir.Name) else [(module, node)]
    return [(where, part) for where, each in found if isinstance(each, ir.Arr) for part in each.items]


def definitions(ctx: Context, module: Module, name: ir.Name) -> list[tuple[Module, ir.Node]]:
    """What a name is bound to, here or in the module it is imported from."""
    looked = module.lookup(name.id, name)
    return [found for each in (looked[1] if looked else ()) for found in _values(ctx, module, each, 0)]


def _values(ctx: Context, module: Module, binding: Binding, depth: int) -> list[tuple[Module, ir.Node]]:
    if binding.kind == "assign" and binding.keys and loads_module(binding.value):
        loaded = ir.text_of(binding.value.args[0]) if isinstance(binding.value, ir.Call) else None
        return _exported_values(ctx, module, loaded, str(binding.keys[0]), depth) if loaded else []
    if binding.kind == "assign" and binding.value is not None:
        return [(module, binding.value)]
    if binding.kind == "import" and isinstance(binding.node, ir.Import) and binding.keys:
        return _exported_values(ctx, module, binding.node.module, str(binding.keys[0]), depth)
    return []


def _exported_values(
    ctx: Context, module: Module, specifier: str, name: str, depth: int
) -> list[tuple[Module, ir.Node]]:
    path = ctx.program.resolver.resolve(module.path, specifier, module.language)
    other = ctx.program.modules.get(path) if path else None
    if other is None or depth > 4:
        return []
    entry = other.exports.get(name, name)
    if isinstance(entry, ir.Import):
        return _exported_values(ctx, other, entry.module, entry.names[0][0], depth + 1)
    if isinstance(entry, ir.Node):
        return [(other, entry)]
    return [
        found for each in other.top.names.get(entry, []) for found in _values(ctx, other, each, depth + 1)
    ]


def normalise(path: str, *, ending: bool = False) -> str:
    """One spelling for holes: `:id`, `<int:id>` and `{id:path}` become `{id}`; slashes are single.

    A slash at the `ending` counts in Python's frameworks, where another address is meant without it.
    """
    path = re.sub(r":(\w+)(\([^)]*\))?\??", r"{\1}", path)
    path = re.sub(r"<(?:\w+[:{])?\{?(\w+)\}?>", r"{\1}", path)
    path = re.sub(
        r"\(\?P\{(\w+)\}[^)]*\)|\(\?P<(\w+)>[^)]*\)",
        lambda found: "{" + (found.group(1) or found.group(2)) + "}",
        path,
    )
    path = re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
    path = re.sub(r"/+", "/", "/" + path.strip("^$ "))
    return path if ending else path.rstrip("/") or "/"
