"""The whole repository: modules by path, what an expression refers to, and who calls which function.

References end at a definition of this repository or at an *origin*: a dotted path that starts at an
outside package, such as `replicate().predictions.create`. Values are folded in `values`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.link import by_name
from portraitist.audit.link.calls import argument_for, returns
from portraitist.audit.link.imports import Resolver
from portraitist.audit.link.module import Binding, Module, Scope
from portraitist.audit.link.targets import (
    FRAMEWORK,
    HANDING_ON,
    WRAPPERS,
    Site,
    Target,
    alike,
    bare,
    few,
    handed_on,
    hung_on,
    member_names,
    methods_by_name,
    owner_of,
    subclasses,
)

MAX_STEPS = 14
"""How many hops a reference is followed before it counts as not resolved."""
MAX_KEPT = 2
"""What is resolved from deeper than this may have been cut short: it is not kept."""

_SELF = {"this", "self", "cls", "super"}
_RUNS = {"src", "script"}
_ASIDE = {"test", "backup", "removed", "doc"}


class Program:
    """All parsed modules and the links between them."""

    def __init__(self, modules: Iterable[Module], resolver: Resolver) -> None:
        self.modules = {each.path: each for each in modules}
        self.resolver = resolver
        self.callers: dict[ir.Func, list[Site]] = {}
        self.callees: dict[ir.Call, list[Target]] = {}
        self.module_of: dict[ir.Func, Module] = {}
        self.methods = methods_by_name(self.modules.values())
        self.subclasses = subclasses(self.modules.values())
        self.hung_on = hung_on(self.modules.values())
        self._memo: dict[ir.Node, tuple[Target, ...]] = {}
        self._named: dict[tuple[Scope, str], tuple[Target, ...]] = {}
        self._active: set[ir.Node] = set()
        for module in self.modules.values():
            self.module_of.update(dict.fromkeys(module.all(ir.Func), module))
        self._call_graph()

    def _call_graph(self) -> None:
        members = member_names(self.modules.values()) | self.hung_on.keys()
        for module in self.modules.values():
            named: dict[tuple[Scope | None, str], list[Target]] = {}
            for call in module.all(ir.Call):
                func = call.func
                if isinstance(func, ir.Attr) and func.name not in members:
                    continue
                if isinstance(func, ir.Name) and func.id not in _SELF:  # as wherever the same name is called
                    looked = module.lookup(func.id, func)
                    key = (looked[0] if looked is not None else None, func.id)
                    found = named.get(key)
                    if found is None:
                        found = named[key] = self._functions(module, call)
                    targets = found
                else:
                    targets = self._functions(module, call)
                if targets:
                    self.callees[call] = targets
                    self._called_by(targets, module, call)
            for call in module.calls(HANDING_ON.keys()) if module.language == "python" else ():
                given = handed_on(call)
                if given is not None:
                    self._called_by(self.resolve(module, given.func), module, given)
            for call, target in by_name.runs(self.modules, module):
                self.callees[call] = [target]
                self._called_by([target], module, call)
        self._memo.clear()
        self._named.clear()

    def _called_by(self, targets: Iterable[Target], module: Module, call: ir.Call) -> None:
        for target in targets:
            if target.module is not None and module.role in _ASIDE and target.module.role in _RUNS:
                continue  # what a test or a backup passes says nothing about the product
            if isinstance(target.node, ir.Func):
                self.callers.setdefault(target.node, []).append(Site(module, call))

    def _functions(self, module: Module, call: ir.Call) -> list[Target]:
        return [each for each in self._callee(module, call) if isinstance(each.node, ir.Func)]

    def _callee(self, module: Module, call: ir.Call) -> list[Target]:
        found: list[Target] = []
        for target in self.resolve(module, call.func):
            if isinstance(target.node, ir.Class) and target.module is not None:
                made = self.member(target, "constructor") + self.member(target, "__init__")
                found.extend(made)
            elif target.node is not None:
                found.append(target)
        if not any(isinstance(each.node, ir.Func) for each in found) and isinstance(call.func, ir.Attr):
            found.extend(self._by_name(module, call.func))
        return found

    def _by_name(self, module: Module, func: ir.Attr) -> list[Target]:
        """Methods found by a distinctive name when the receiver has no resolvable type."""
        candidates = self.methods.get(func.name, [])
        if not 0 < len(candidates) <= 3:
            return []
        receiver = ir.plain_dotted(func.obj).rpartition(".")[2].lower().replace("_", "")
        if len(receiver) < 3 or any(
            target.origin and not target.origin.startswith("param:")
            for target in self.resolve(module, func.obj)
        ):
            return []
        return [
            each for each in candidates if isinstance(each.node, ir.Func) and alike(receiver, each.node.owner)
        ]

    def resolve(self, module: Module, expr: ir.Node, depth: int = 0) -> tuple[Target, ...]:
        """Everything `expr` may refer to; empty when it is not known."""
        if (kept := self._memo.get(expr)) is not None:
            return kept
        if depth > MAX_STEPS or expr in self._active:
            return ()
        self._active.add(expr)
        if isinstance(expr, ir.Name):
            found = self._name(module, expr, depth + 1)
        else:
            found = few(self._resolve(module, expr, depth + 1))
        self._active.discard(expr)
        if depth <= MAX_KEPT:
            self._memo[expr] = found
        return found

    def _resolve(self, module: Module, expr: ir.Node, depth: int) -> Iterator[Target]:
        if isinstance(expr, ir.Attr):
            for base in self.resolve(module, expr.obj, depth):
                yield from self.member(base, expr.name, depth)
        elif isinstance(expr, ir.Call):
            yield from self._call(module, expr, depth)
        elif isinstance(expr, ir.Bin) and expr.op in {"or", "and"} and expr.right is not None:
            if expr.op == "or":
                yield from self.resolve(module, expr.left, depth)
            yield from self.resolve(module, expr.right, depth)
        elif isinstance(expr, ir.Cond):
            yield from self.resolve(module, expr.then, depth)
            yield from self.resolve(module, expr.other, depth)
        elif isinstance(expr, ir.Assign) and expr.value is not None:
            yield from self.resolve(module, expr.value, depth)
        elif isinstance(expr, ir.Index):
            for base in self.resolve(module, expr.obj, depth):
                yield from self._entry(base, expr.key, depth)
        elif isinstance(expr, ir.Func | ir.Class | ir.Obj | ir.Other | ir.Tmpl | ir.Arr):
            yield Target(module, expr)

    def _entry(self, base: Target, key: ir.Node, depth: int) -> Iterator[Target]:
        """What `base[key]` refers to; with a key that is not known, any function of a table of them."""
        if isinstance(key, ir.Lit):
            yield from self.member(base, str(key.value), depth)
        elif isinstance(base.node, ir.Obj) and base.module is not None:
            given = (self.resolve(base.module, prop.value, depth) for prop in base.node.props)
            yield from (each for found in given for each in found if isinstance(each.node, ir.Func))

    def _call(self, module: Module, call: ir.Call, depth: int) -> Iterator[Target]:
        if isinstance(call.func, ir.Name) and call.func.id in {"import", "require"} and call.args:
            specifier = ir.text_of(call.args[0]) or "?"
            yield from self.imported(module, specifier, "*", depth)
            # a CommonJS module may be a function as a whole: `module.exports = (req, res, next) => …`
            whole = self.imported(module, specifier, "default", depth)
            yield from (each for each in whole if isinstance(each.node, ir.Func | ir.Class))
            return
        if isinstance(call.func, ir.Name) and call.func.id == "super":
            yield from self.resolve(module, call.func, depth)
            return
        for target in self.resolve(module, call.func, depth):
            if isinstance(target.node, ir.Class):
                yield target
            elif isinstance(target.node, ir.Func) and target.module is not None:
                yield from self._returned(target.module, target.node, depth)
            elif target.origin:
                yield from self._outside_call(module, call, target, depth)

    def _outside_call(self, module: Module, call: ir.Call, target: Target, depth: int) -> Iterator[Target]:
        name = target.origin.rpartition(".")[2]
        if target.origin == "typing.cast" and call.args:
            yield from self._instance(module, call.args[0], depth)
        elif name in {"memo", "cache", "lru_cache", "once", "freeze", "Depends", "promisify"} and call.args:
            yield from self.resolve(module, call.args[0], depth)
        else:
            yield target.step("()")

    def _returned(self, module: Module, func: ir.Func, depth: int) -> Iterator[Target]:
        """What a function gives back: what its returns refer to, else what its annotation says."""
        found = [each for value in returns(func) for each in self.resolve(module, value, depth)]
        if func.annotation is not None and not any(each.node is not None for each in found):
            found += [
                each for each in self._instance(module, func.annotation, depth) if each.node is not None
            ]
        yield from found

    def _name(self, module: Module, name: ir.Name, depth: int) -> tuple[Target, ...]:
        if name.id in _SELF:
            owner = owner_of(name)
            return (Target(module, owner),) if owner is not None else ()
        found = module.lookup(name.id, name)
        if found is None:
            return few(self._star(module, name.id, depth))
        scope, bindings = found
        if (kept := self._named.get((scope, name.id))) is not None:
            return kept
        made = few(each for binding in bindings[-6:] for each in self.bound(module, binding, depth))
        if depth <= MAX_KEPT + 1:
            self._named[scope, name.id] = made
        return made

    def _star(self, module: Module, name: str, depth: int) -> Iterator[Target]:
        for star in module.stars:
            path = self.resolver.resolve(module.path, star, module.language)
            if path in self.modules and name in self.modules[path].top.names:
                yield from self.exported(self.modules[path], name, depth)
                return
        yield Target(origin=f"global:{name}")

    def bound(self, module: Module, binding: Binding, depth: int = 0) -> Iterator[Target]:
        """What one binding of a name refers to."""
        if binding.kind == "import":
            assert isinstance(binding.node, ir.Import)
            yield from self.imported(module, binding.node.module, str(binding.keys[0]), depth)
        elif binding.kind in {"func", "class"}:
            yield Target(module, binding.node)
        elif binding.kind == "param":
            yield from self._param(module, binding, depth)
        elif binding.kind in {"assign", "loop"} and binding.value is not None:
            targets: Iterable[Target] = self.resolve(module, binding.value, depth)
            for key in binding.keys:
                targets = [inner for each in targets for inner in self.member(each, str(key), depth)]
            yield from targets
        elif isinstance(binding.node, ir.Assign) and binding.node.annotation is not None:
            yield from self._instance(module, binding.node.annotation, depth)

    def _param(self, module: Module, binding: Binding, depth: int) -> Iterator[Target]:
        param = binding.value if isinstance(binding.value, ir.Param) else binding.node
        assert isinstance(param, ir.Param)
        known = False
        if param.annotation is not None and not binding.keys:
            for each in self._instance(module, param.annotation, depth):
                known = True
                yield each
        if not known and param.default is not None and not binding.keys:
            yield from self.resolve(module, param.default, depth)
        if not known:
            yield from self._from_callers(module, param, binding, depth)
            yield Target(origin=f"param:{param.name or '.'.join(map(str, binding.keys))}")

    def _from_callers(
        self, module: Module, param: ir.Param, binding: Binding, depth: int
    ) -> Iterator[Target]:
        func = param.parent
        if not isinstance(func, ir.Func) or depth > 8:
            return
        for site in self.callers.get(func, [])[:4]:
            argument = argument_for(site.call, func, param)
            if argument is None:
                continue
            targets: Iterable[Target] = self.resolve(site.module, argument, depth + 2)
            for key in binding.keys:
                targets = [inner for each in targets for inner in self.member(each, str(key), depth)]
            yield from targets

    def _instance(self, module: Module, annotation: ir.Node, depth: int) -> Iterator[Target]:
        for part in ir.walk(annotation):
            if not isinstance(part, ir.Name | ir.Attr) or (isinstance(part, ir.Name) and part.id in WRAPPERS):
                continue
            for target in self._typed(module, part, depth):
                if isinstance(target.node, ir.Class):
                    yield target
                elif target.origin and not target.origin.startswith(("global:", "param:")):
                    yield target.step("()")
            if isinstance(part, ir.Name) and part.id in self.subclasses:
                yield from self.subclasses[part.id]
            return

    def _typed(self, module: Module, part: ir.Name | ir.Attr, depth: int) -> Iterable[Target]:
        """What a type's name refers to; a parameter that is called like its type is none: `service: service`."""
        param = part.parent
        if isinstance(part, ir.Name) and isinstance(param, ir.Param) and param.name == part.id:
            return few(
                each for one in module.top.names.get(part.id, ()) for each in self.bound(module, one, depth)
            )
        return self.resolve(module, part, depth)

    def imported(self, module: Module, specifier: str, name: str, depth: int = 0) -> Iterator[Target]:
        """What `name` of an import refers to: an export of this repository or an outside origin."""
        path = self.resolver.resolve(module.path, specifier, module.language)
        target = self.modules.get(path) if path else None
        if target is not None:
            found = list(self.exported(target, name, depth)) if name != "*" else [Target(target, target.body)]
            yield from found or self._submodule(module, specifier, name)
        elif module.language == "python" and self._submodule(module, specifier, name):
            yield from self._submodule(module, specifier, name)
        elif not self.resolver.is_local(module.path, specifier, module.language):
            root = specifier.removeprefix("node:").removeprefix("npm:").split("@", 2)
            clean = specifier if specifier.startswith("@") else root[0]
            clean = bare(clean.removeprefix("https://esm.sh/"))
            yield Target(origin=clean if name in {"*", "default"} else f"{clean}.{name}")

    def _submodule(self, module: Module, specifier: str, name: str) -> list[Target]:
        if module.language != "python":
            return []
        joined = f"{specifier}{'' if specifier.endswith('.') else '.'}{name}"
        path = self.resolver.resolve(module.path, joined, "python")
        return [Target(self.modules[path], self.modules[path].body)] if path in self.modules else []

    def exported(self, module: Module, name: str, depth: int = 0) -> Iterator[Target]:
        """What a module exports under `name`."""
        if depth > MAX_STEPS:
            return
        entry = module.exports.get(name)
        if isinstance(entry, ir.Import):
            yield from self.imported(module, entry.module, entry.names[0][0], depth + 1)
        elif isinstance(entry, ir.Node):
            yield from self.resolve(module, entry, depth + 1)
        elif (entry or name) in module.top.names:
            for binding in module.top.names[entry or name][-3:]:
                yield from self.bound(module, binding, depth + 1)
        else:
            for star in module.stars:
                path = self.resolver.resolve(module.path, star, module.language)
                if path in self.modules and path != module.path:
                    yield from self.exported(self.modules[path], name, depth + 1)

    def member(self, base: Target, name: str, depth: int = 0) -> list[Target]:
        """What `base.name` refers to."""
        if base.module is None or base.node is None:
            return self._outside_member(base, name, depth) if base.origin else []
        if isinstance(base.node, ir.Class):
            return self._class_member(base.module, base.node, name, depth)
        if isinstance(base.node, ir.Obj):
            value = base.node.get(name)
            return list(self.resolve(base.module, value, depth)) if value is not None else []
        if isinstance(base.node, ir.Other) and base.node.kind == "program":
            return list(self.exported(base.module, name, depth)) or self._submodule_of(base.module, name)
        return []

    def _outside_member(self, base: Target, name: str, depth: int) -> list[Target]:
        hung = self.hung_on.get(name, ())
        if hung and (depth >= MAX_STEPS or not FRAMEWORK.search(base.origin)):
            hung = ()
        found = [each for module, value in hung for each in self.resolve(module, value, depth + 1)]
        return found or [base.step(f".{name}")]

    def _submodule_of(self, package: Module, name: str) -> list[Target]:
        if package.language != "python":
            return []
        path = self.resolver.resolve(package.path, f".{name}", "python")
        return [Target(self.modules[path], self.modules[path].body)] if path in self.modules else []

    def _class_member(self, module: Module, cls: ir.Class, name: str, depth: int) -> list[Target]:
        for each in cls.body:
            if isinstance(each, ir.Func) and each.name == name:
                return [Target(module, each)]
            if isinstance(each, ir.Assign) and isinstance(each.target, ir.Name) and each.target.id == name:
                found = list(self.resolve(module, each.value, depth)) if each.value is not None else []
                if not found and each.annotation is not None:
                    found = list(self._instance(module, each.annotation, depth))
                if found:
                    return found
        assigned = self._assigned_member(module, cls, name, depth)
        if assigned or depth >= MAX_STEPS:
            return assigned
        inherited = [
            inner
            for base in cls.bases
            for target in self.resolve(module, base, depth)
            if target.node is not cls
            for inner in self.member(target, name, depth + 1)
        ]
        return inherited or self._of_subclasses(cls, name)

    def _of_subclasses(self, cls: ir.Class, name: str) -> list[Target]:
        """A mixin's or abstract class's member that only its subclasses define."""
        return [
            Target(each.module, part)
            for each in self.subclasses.get(cls.name, [])[:6]
            if isinstance(each.node, ir.Class)
            for part in each.node.body
            if isinstance(part, ir.Func) and part.name == name
        ]

    def _assigned_member(self, module: Module, cls: ir.Class, name: str, depth: int) -> list[Target]:
        for func in (each for each in cls.body if isinstance(each, ir.Func)):
            members = module.scopes[func].members
            for assign in (*members.get("this", ()), *members.get("self", ())):
                if (
                    isinstance(assign.target, ir.Attr)
                    and assign.target.name == name
                    and assign.value is not None
                ):
                    found = list(self.resolve(module, assign.value, depth))
                    if found:
                        return found
            if func.name == "constructor":
                for param in func.params:
                    if param.name == name and param.annotation is not None:
                        return list(self._instance(module, param.annotation, depth))
        return []

    def functions_called(self, call: ir.Call) -> list[Target]:
        """The functions of this repository that `call` runs."""
        return self.callees.get(call, [])

    def origin(self, module: Module, expr: ir.Node) -> str:
        """The outside origin of `expr`, the first one that names a package, or ""."""
        origins = [each.origin for each in self.resolve(module, expr) if each.origin]
        named = [each for each in origins if not each.startswith(("global:", "param:"))]
        return (named or origins or [""])[0]
