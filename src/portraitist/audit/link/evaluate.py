"""Folds expressions to values: constants, spreads, later assignments, helpers, parameters and imports.

A call is folded by folding what the called function returns, with its parameters bound to that call's
arguments. Limits keep it quick: beyond them the answer is `Unknown`.
"""

from __future__ import annotations

from collections.abc import Callable

from portraitist.audit import ir
from portraitist.audit.link.bindings import (
    Frame,
    is_name,
    says_nothing,
)
from portraitist.audit.link.builders import Builders
from portraitist.audit.link.calls import returns
from portraitist.audit.link.library import filtered_of, fold_library_call
from portraitist.audit.link.module import Module
from portraitist.audit.link.names import Names
from portraitist.audit.link.program import Program
from portraitist.audit.link.targets import Target
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
    render,
    text,
)

MAX_DEPTH = 24
"""How deep expressions are folded into each other."""


MANY = 3
"""A hole that may be more texts than these keeps its name."""


class Evaluator:
    """Folds expressions of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._memo: dict[ir.Node, tuple[int, Value]] = {}
        self._active: set[tuple[ir.Node, Frame | None]] = set()
        self._frames: dict[tuple[ir.Func, ir.Call, Frame | None], Frame] = {}
        self._cycles = 0
        self._cuts = 0
        self.names = Names(self)
        self.builders = Builders(program)
        self._table: dict[type[ir.Node], Callable[..., Value]] = {
            ir.Lit: lambda _m, node, _f, _d: Known(node.value),
            ir.Tmpl: self._template,
            ir.Name: self.names.fold,
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
            ir.Other: self._other,
        }

    def eval(self, module: Module, node: ir.Node | None, frame: Frame | None = None, depth: int = 0) -> Value:
        """The value of `node`; `frame` binds the parameters around it."""
        if node is None:
            return Unknown("no value")
        if frame is not None and node.within is None:
            frame = None  # no parameter reaches the top of a file
        memo = self._memo if frame is None else frame.memo
        if (kept := memo.get(node)) is not None and kept[0] <= depth:
            self._cuts += kept[0] > 0
            return kept[1]
        method = self._table.get(type(node))
        if method is None:
            return Unknown(type(node).__name__.lower())
        asked, active = (node, frame), self._active
        if depth > MAX_DEPTH or asked in active:
            return self._given_up(depth)
        active.add(asked)
        cycles, cuts = self._cycles, self._cuts
        value: Value = method(module, node, frame, depth + 1)
        active.discard(asked)
        if depth == 0 or self._cycles == cycles:
            memo[node] = (depth if self._cuts > cuts else 0, value)
        return value

    def part(self, module: Module, node: ir.Node | None, key: str, frame: Frame | None, depth: int) -> Value:
        """`node` as far as its entry `key` needs it: of an object literal only that entry is folded."""
        if not isinstance(node, ir.Obj | ir.Name) or (isinstance(node, ir.Obj) and not _is_plain(node)):
            return self.eval(module, node, frame, depth)
        if frame is not None and node.within is None:
            frame = None
        memo = self._memo if frame is None else frame.memo
        if (kept := memo.get(node)) is not None and kept[0] <= depth:
            self._cuts += kept[0] > 0
            return kept[1]
        if depth > MAX_DEPTH or (node, frame) in self._active:
            return self._given_up(depth)
        self._active.add((node, frame))
        if isinstance(node, ir.Name):
            value = self.names.fold(module, node, frame, depth + 1, key)
        else:
            props = [each for each in node.props if each.key == key]
            made = [self._property(module, each, frame, depth + 1)[0] for each in props]
            value = Struct(tuple(field for fields in made for field in fields))
        self._active.discard((node, frame))
        return value

    def frame(self, func: ir.Func, call: ir.Call, module: Module, up: Frame | None) -> Frame:
        """The one frame of a call in a frame, so that what was folded in it is not folded again."""
        key = (func, call, up)
        if key not in self._frames:
            self._frames[key] = Frame(func, call, module, up, (up.depth if up else 0) + 1)
        return self._frames[key]

    def cut_short(self) -> None:
        """Remembers that a limit of depth was reached: an ask from less deep may know more."""
        self._cuts += 1

    def _given_up(self, depth: int) -> Value:
        """Unknown because of a limit, or because the question is asked while it is being answered."""
        if depth > MAX_DEPTH:
            self.cut_short()
        else:
            self._cycles += 1
        return Unknown("too deep")

    def _other(self, module: Module, node: ir.Other, frame: Frame | None, depth: int) -> Value:
        source = filtered_of(node)
        return Unknown("other") if source is None else self.eval(module, source, frame, depth)

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
            if len(known) > MANY and not any("://" in str(render(each)) for each in known):
                local = True
            unsure = any(isinstance(each, Unknown) for each in value.options) and not outside
            local = local or (unsure and not any("://" in str(render(each)) for each in known))
        name = ir.plain_dotted(node)
        if not name and isinstance(node, ir.Call) and len(node.args) == 1:
            name = ir.plain_dotted(node.args[0])
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

    def _attribute(self, module: Module, node: ir.Attr, frame: Frame | None, depth: int) -> Value:
        name = ir.plain_dotted(node)
        if name.startswith(("process.env.", "import.meta.env.")):
            return Outside("env", node.name)
        base = self.part(module, node.obj, node.name, frame, depth)
        if isinstance(base, Struct | Items) or (isinstance(base, OneOf) and not isinstance(base, Outside)):
            found = self.member(base, node.name)
            if not isinstance(found, Unknown):
                return found
        if (exported := self._of_module(module, node, depth)) is not None:
            return exported
        targets = self.program.resolve(module, node)
        values = [
            self.target(each, depth)
            for each in targets
            if each.node is not None and not isinstance(each.node, ir.Func)
        ]
        outside = Outside("field", name or node.name)
        return one_of(values) if values else self._field(module, node, depth) or outside

    def _of_module(self, module: Module, node: ir.Attr, depth: int) -> Value | None:
        """A name of a module that was imported as a whole: `routes.START`."""
        for target in (
            self.program.resolve(module, node.obj) if isinstance(node.obj, ir.Name | ir.Attr) else ()
        ):
            if (
                target.module is not None
                and isinstance(target.node, ir.Other)
                and target.node.kind == "program"
            ):
                value = self.names.exported(target.module, node.name, depth)
                if value is not None and not isinstance(value, Unknown):
                    return value
        return None

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

    def target(self, target: Target, depth: int) -> Value:
        """The value of what a reference ends at."""
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
        called = self.program.functions_called(node)
        built = [] if called else self.builders.called(module, node)
        for target in called or built:
            if not isinstance(target.node, ir.Func) or target.module is None:
                continue
            inner = self.frame(target.node, node, module, frame)
            returned = returns(target.node)
            values.extend(self.eval(target.module, each, inner, depth) for each in returned[:8])
        values = [each for each in values if not (isinstance(each, Known) and each.value is None)] or values
        return one_of(values, len(built)) if values else Unknown("call")


def _is_plain(node: ir.Obj) -> bool:
    """Whether every entry has its name in the source: nothing is merged in or computed."""
    return all(each.key is not None for each in node.props)
