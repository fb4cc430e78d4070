"""Folds expressions to values: constants, spreads, later assignments, helpers, parameters and imports.

A call is folded by folding what the called function returns, with its parameters bound to that call's
arguments. Limits keep it quick: beyond them the answer is `Unknown`.
"""

from __future__ import annotations

from collections.abc import Callable

from portraitist.audit import ir
from portraitist.audit.link.bindings import (
    Frame,
    Merges,
    is_name,
    loads_module,
    member_path,
    merging_calls,
    says_nothing,
    visible,
)
from portraitist.audit.link.calls import argument_for, returns
from portraitist.audit.link.library import fold_library_call
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.link.program import Program, Target
from portraitist.audit.link.values import (
    Field,
    Items,
    Known,
    OneOf,
    Outside,
    Struct,
    Text,
    Unknown,
    Value,
    arithmetic,
    one_of,
    text,
    with_fields,
)

MAX_DEPTH = 24


class Evaluator:
    """Folds expressions of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._memo: dict[ir.Node, Value] = {}
        self._active: set[tuple[ir.Node, Frame | None]] = set()
        self._merge_calls: dict[str, Merges] = {}
        self._table: dict[type[ir.Node], Callable[..., Value]] = {
            ir.Lit: lambda _m, node, _f, _d: Known(node.value),
            ir.Tmpl: self._template,
            ir.Name: self._name,
            ir.Attr: self._attribute,
            ir.Index: self._index,
            ir.Obj: self._object,
            ir.Arr: self._array,
            ir.Call: self._call,
            ir.Bin: self._operation,
            ir.Cond: lambda m, node, f, d: one_of(
                [self.eval(m, node.then, f, d), self.eval(m, node.other, f, d)]
            ),
            ir.Assign: lambda m, node, f, d: self.eval(m, node.value, f, d),
        }

    def eval(self, module: Module, node: ir.Node | None, frame: Frame | None = None, depth: int = 0) -> Value:
        """The value of `node`; `frame` binds the parameters around it."""
        if node is None:
            return Unknown("no value")
        if frame is None and node in self._memo:
            return self._memo[node]
        method = self._table.get(type(node))
        if method is None:
            return Unknown(type(node).__name__.lower())
        if depth > MAX_DEPTH or (node, frame) in self._active:
            return Unknown("too deep")
        self._active.add((node, frame))
        value: Value = method(module, node, frame, depth + 1)
        self._active.discard((node, frame))
        if frame is None and depth == 0:
            self._memo[node] = value
        return value

    def _template(self, module: Module, node: ir.Tmpl, frame: Frame | None, depth: int) -> Value:
        return text([self._hole(module, each, frame, depth) for each in node.parts])

    def _hole(self, module: Module, node: ir.Node, frame: Frame | None, depth: int) -> Value:
        """A part of a text; what is not known keeps the name it has here, not the caller's."""
        value = self.eval(module, node, frame, depth)
        local = isinstance(value, Unknown) or (isinstance(value, Outside) and value.kind != "env")
        local = local or (isinstance(value, Known) and value.value in (None, ""))
        if isinstance(value, OneOf):
            local = all(says_nothing(each) for each in value.options)
            known = [
                each for each in value.options if isinstance(each, Known | Text) and not says_nothing(each)
            ]
            outside = [each for each in value.options if isinstance(each, Outside) and each.kind == "env"]
            if outside and not known:
                return outside[0]
        name = ir.plain_dotted(node)
        return Outside("local", name) if local and name else value

    def _array(self, module: Module, node: ir.Arr, frame: Frame | None, depth: int) -> Value:
        return Items(tuple(self.eval(module, each, frame, depth) for each in node.items[:40]))

    def _object(self, module: Module, node: ir.Obj, frame: Frame | None, depth: int) -> Value:
        fields: list[Field] = []
        unknown = False
        for prop in node.props:
            made, known = self._property(module, prop, frame, depth)
            fields.extend(made)
            unknown = unknown or not known
        return Struct(tuple(fields), unknown)

    def _property(
        self, module: Module, prop: ir.Prop, frame: Frame | None, depth: int
    ) -> tuple[list[Field], bool]:
        value = self.eval(module, prop.value, frame, depth)
        scope = module.scope_name(prop)
        if prop.key is not None:
            return [
                Field(prop.key, value, module.path, prop.line, prop.end, scope=scope, node=prop.value)
            ], True
        if prop.computed is not None:
            key = self.eval(module, prop.computed, frame, depth)
            if isinstance(key, Known) and isinstance(key.value, str):
                return [
                    Field(key.value, value, module.path, prop.line, prop.end, scope=scope, node=prop.value)
                ], True
            return [], False
        return self._spread(module, prop, value, scope)

    def _spread(self, module: Module, prop: ir.Prop, value: Value, scope: str) -> tuple[list[Field], bool]:
        inner = prop.value
        conditional = isinstance(inner, ir.Bin | ir.Cond | ir.Obj)
        name = "" if conditional else ir.dotted(inner)
        made = (
            [Field(name, value, module.path, prop.line, prop.end, spread=True, scope=scope)] if name else []
        )
        if isinstance(value, Struct):
            return [*made, *value.fields], not value.open
        if isinstance(value, OneOf):
            fields = [
                each for option in value.options if isinstance(option, Struct) for each in option.fields
            ]
            return [*made, *fields], bool(fields)
        return made, False

    def _operation(self, module: Module, node: ir.Bin, frame: Frame | None, depth: int) -> Value:
        if node.op == "or" and node.right is not None:
            left = self.eval(module, node.left, frame, depth)
            if isinstance(left, Known) and left.value:
                return left
            right = self.eval(module, node.right, frame, depth)
            return right if isinstance(left, Known) else one_of([left, right])
        if node.op == "and" and node.right is not None:
            return self.eval(module, node.right, frame, depth)
        return self._arithmetic(module, node, frame, depth)

    def _arithmetic(self, module: Module, node: ir.Bin, frame: Frame | None, depth: int) -> Value:
        if node.right is None or node.op not in {"*", "-", "/", "+"}:
            return Unknown("operation")
        left = self.eval(module, node.left, frame, depth)
        right = self.eval(module, node.right, frame, depth)
        return arithmetic(node.op, left, right)

    def _name(self, module: Module, node: ir.Name, frame: Frame | None, depth: int) -> Value:
        found = module.lookup(node.id, node)
        if found is None:
            return self._star(module, node, depth) if module.stars else Outside("global", node.id)
        reaching = visible(found[1], node)
        options = [self._binding(module, each, frame, depth) for each in reaching[-6:]]
        if len(options) > 1:
            options = [
                each for each in options if not (isinstance(each, Known) and each.value in (None, ""))
            ] or options
        value = one_of(options) if options else Unknown(f"{node.id} is not assigned before")
        return self._mutated(module, node, value, frame, depth)

    def _star(self, module: Module, node: ir.Name, depth: int) -> Value:
        found = [each for star in module.stars for each in self.program.imported(module, star, node.id)]
        return self._target(found[0], depth) if found else Outside("global", node.id)

    def _mutated(self, module: Module, node: ir.Name, value: Value, frame: Frame | None, depth: int) -> Value:
        """`value` with the members set on the variable before `node` is read."""
        found = module.lookup(node.id, node)
        fields: list[Field] = []
        for each in found[0].members.get(node.id, ()) if found is not None else ():
            way = member_path(each.target)
            if not way or len(way) > 2 or "exports" in way or each.line > node.line or each.op != "=":
                continue
            value_set = self.eval(module, each.value, frame, depth)
            for key in reversed(way):
                made = Field(
                    key,
                    value_set,
                    module.path,
                    each.line,
                    each.end,
                    scope=module.scope_name(each),
                    node=each.value,
                )
                value_set = Struct((made,), open=True)
            fields.append(made)
        merged = self._merges(module, node, frame, depth)
        return with_fields(value, tuple(fields + merged)) if fields or merged else value

    def _merges(self, module: Module, node: ir.Name, frame: Frame | None, depth: int) -> list[Field]:
        """What `Object.assign(name, …)` and `name.update(…)` put in before `node` is read."""
        if node.within is None or depth > 8:
            return []
        found: list[Field] = []
        for call, target, sources in self._merging(module).get(node.within, ()):
            if target != node.id or call.line >= node.line:
                continue
            for source in sources:
                value = self.eval(module, source, frame, depth)
                found.extend(value.fields if isinstance(value, Struct) else ())
        return found

    def _merging(self, module: Module) -> Merges:
        if module.path not in self._merge_calls:
            self._merge_calls[module.path] = merging_calls(module)
        return self._merge_calls[module.path]

    def _binding(self, module: Module, binding: Binding, frame: Frame | None, depth: int) -> Value:
        if binding.kind == "param":
            return self._param(module, binding, frame, depth)
        if binding.kind == "import":
            return self._imported(module, binding, depth)
        if binding.kind == "loop":
            return self._loop(module, binding, frame, depth)
        if binding.kind != "assign":
            return Unknown(binding.kind)
        if loads_module(binding.value):
            targets = list(self.program.bound(module, binding))
            return one_of([self._target(each, depth) for each in targets] or [Unknown("import")])
        assign = binding.node
        if isinstance(assign, ir.Assign) and assign.op not in {"=", ":="} and not binding.keys:
            return Unknown("accumulated")
        return self._picked(self.eval(module, binding.value, frame, depth), binding, module, frame, depth)

    def _imported(self, module: Module, binding: Binding, depth: int) -> Value:
        """The value of an imported name: what its module binds to it, or what it refers to."""
        node = binding.node
        assert isinstance(node, ir.Import)
        path = self.program.resolver.resolve(module.path, node.module, module.language)
        other = self.program.modules.get(path) if path else None
        if other is not None and depth < MAX_DEPTH:
            entry = other.exports.get(str(binding.keys[0]), str(binding.keys[0]))
            if isinstance(entry, ir.Import):
                again = Binding("import", entry, keys=(entry.names[0][0],))
                return self._imported(other, again, depth + 1)
            if isinstance(entry, ir.Node):
                return self.eval(other, entry, None, depth + 1)
            assigned = [each for each in other.top.names.get(entry, []) if each.kind in {"assign", "import"}]
            if assigned:
                return one_of([self._binding(other, each, None, depth + 1) for each in assigned[-3:]])
        targets = [self._target(each, depth) for each in self.program.bound(module, binding)]
        return one_of(targets or [Unknown("import")])

    def _picked(
        self, value: Value, binding: Binding, module: Module, frame: Frame | None, depth: int
    ) -> Value:
        for key in binding.keys:
            value = self.member(value, key)
        if binding.default is not None:
            default = self.eval(module, binding.default, frame, depth)
            return one_of([value, default]) if not isinstance(value, Known) else value
        return value

    def _loop(self, module: Module, binding: Binding, frame: Frame | None, depth: int) -> Value:
        source = self.eval(module, binding.value, frame, depth)
        value = one_of(list(source.items)) if isinstance(source, Items) and source.items else Unknown("loop")
        for key in binding.keys[1:]:
            value = self.member(value, key)
        return value

    def _param(self, module: Module, binding: Binding, frame: Frame | None, depth: int) -> Value:
        param = binding.value if isinstance(binding.value, ir.Param) else binding.node
        assert isinstance(param, ir.Param)
        func = param.parent
        name = param.name or ".".join(str(each) for each in binding.keys)
        if not isinstance(func, ir.Func):
            return Outside("param", name)
        current = frame
        while current is not None and current.func is not func:
            current = current.up
        if current is not None:
            values = [self._argument(current, param, depth)]
        else:
            sites = self.program.callers.get(func, [])[:6] if depth < 10 else []
            frames = [Frame(func, each.call, each.module, None, 1) for each in sites]
            values = [self._argument(each, param, depth + 2) for each in frames]
        if param.default is not None and (current is None or isinstance(values[0], Unknown)):
            values.append(self.eval(module, param.default, None, depth))
        value = one_of(values) if values else Outside("param", name)
        value = (
            Outside("param", name) if isinstance(value, Unknown) and value.reason == "not passed" else value
        )
        return self._picked(value, binding, module, frame, depth)

    def _argument(self, frame: Frame, param: ir.Param, depth: int) -> Value:
        passed = argument_for(frame.call, frame.func, param)
        return Unknown("not passed") if passed is None else self.eval(frame.module, passed, frame.up, depth)

    def _attribute(self, module: Module, node: ir.Attr, frame: Frame | None, depth: int) -> Value:
        name = ir.plain_dotted(node)
        if name.startswith(("process.env.", "import.meta.env.")):
            return Outside("env", node.name)
        base = self.eval(module, node.obj, frame, depth)
        if isinstance(base, Struct | Items) or (isinstance(base, OneOf) and not isinstance(base, Outside)):
            found = self.member(base, node.name)
            if not isinstance(found, Unknown):
                return found
        targets = self.program.resolve(module, node)
        values = [
            self._target(each, depth)
            for each in targets
            if each.node is not None and not isinstance(each.node, ir.Func)
        ]
        outside = Outside("field", name or node.name)
        return one_of(values) if values else self._field(module, node, depth) or outside

    def _field(self, module: Module, node: ir.Attr, depth: int) -> Value | None:
        """A class field, a class static or a member set on `this`."""
        for target in self.program.resolve(module, node.obj):
            if not isinstance(target.node, ir.Class) or target.module is None:
                continue
            for each in target.node.body:
                if isinstance(each, ir.Assign) and is_name(each.target, node.name) and each.value is not None:
                    return self.eval(target.module, each.value, None, depth)
            found = self._assigned(target.module, target.node, node.name, depth)
            if found is not None:
                return found
        return None

    def _assigned(self, module: Module, cls: ir.Class, name: str, depth: int) -> Value | None:
        for func in (each for each in cls.body if isinstance(each, ir.Func)):
            members = module.scopes[func].members
            for each in (*members.get("this", ()), *members.get("self", ())):
                if isinstance(each.target, ir.Attr) and each.target.name == name and each.value is not None:
                    return self.eval(module, each.value, None, depth)
        return None

    def _target(self, target: Target, depth: int) -> Value:
        if target.module is None or target.node is None:
            return Outside("global", target.origin)
        if isinstance(target.node, ir.Class | ir.Func | ir.Other):
            return Unknown("definition")
        return self.eval(target.module, target.node, None, depth)

    def _index(self, module: Module, node: ir.Index, frame: Frame | None, depth: int) -> Value:
        name = ir.plain_dotted(node.obj)
        key = self.eval(module, node.key, frame, depth)
        if name in {"process.env", "os.environ", "import.meta.env"} and isinstance(key, Known):
            return Outside("env", str(key.value))
        base = self.eval(module, node.obj, frame, depth)
        if isinstance(key, Known) and isinstance(key.value, str | int):
            found = self.member(base, key.value)
            return found if not isinstance(found, Unknown) else Outside("field", str(key.value))
        if isinstance(base, Struct) and base.fields:
            return one_of([each.value for each in base.fields])
        return Unknown("index")

    def member(self, base: Value, key: str | int) -> Value:
        """`base.key` or `base[key]`."""
        if isinstance(base, Struct):
            found = base.get(str(key))
            return found if found is not None else Unknown(f"no {key}")
        if isinstance(base, Items) and isinstance(key, int) and -len(base.items) <= key < len(base.items):
            return base.items[key]
        if isinstance(base, OneOf):
            found_all = [self.member(each, key) for each in base.options]
            known: list[Value] = [each for each in found_all if not isinstance(each, Unknown)]
            return one_of(known) if known else Unknown("member")
        if isinstance(base, Outside):
            return Outside("field", f"{base.name}.{key}")
        return Unknown("member")

    def _call(self, module: Module, node: ir.Call, frame: Frame | None, depth: int) -> Value:
        known = fold_library_call(self, module, node, frame, depth)
        if known is not None:
            return known
        if frame is not None and frame.depth > 5:
            return Unknown("call depth")
        values: list[Value] = []
        for target in self.program.functions_called(node):
            if not isinstance(target.node, ir.Func) or target.module is None:
                continue
            inner = Frame(target.node, node, module, frame, (frame.depth if frame else 0) + 1)
            returned = returns(target.node)
            values.extend(self.eval(target.module, each, inner, depth) for each in returned[:8])
        values = [each for each in values if not (isinstance(each, Known) and each.value is None)] or values
        return one_of(values) if values else Unknown("call")
