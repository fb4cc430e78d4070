"""What a name is worth where it stands: assignments, imports, parameters, loops, and members set on it later.

The evaluator folds expressions and asks here for names; the bindings that reach a use are chosen in `bindings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portraitist.audit import ir
from portraitist.audit.link.bindings import (
    Frame,
    Merges,
    fillings,
    loads_module,
    member_path,
    merging_calls,
    visible,
)
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Binding, Module, Scope
from portraitist.audit.link.values import (
    Field,
    Items,
    Known,
    Outside,
    Struct,
    Unknown,
    Value,
    one_of,
    with_fields,
)

if TYPE_CHECKING:
    from portraitist.audit.link.evaluate import Evaluator

MAX_IMPORTS = 24
"""How many re-exports an imported value is followed through."""

MAX_CALLER_DEPTH = 10
"""How deep a parameter is still looked up in the function's callers."""

MAX_CALLERS = 6
"""How many callers are asked what a parameter may be."""

MAX_FILLED = 40
"""How many calls that add to one list are looked at."""
MAX_MERGE_DEPTH = 8
"""How deep merged objects are still looked into."""


class Names:
    """Folds names for one evaluator."""

    def __init__(self, ev: Evaluator) -> None:
        self.ev = ev
        self._merge_calls: dict[str, Merges] = {}

    def fold(
        self, module: Module, node: ir.Name, frame: Frame | None, depth: int, only: str | None = None
    ) -> Value:
        """The value of a name where it stands: of the bindings that reach it, with what was set on it since.

        With `only`, objects may lack all entries but that one.
        """
        found = module.lookup(node.id, node)
        if found is None:
            return self._star(module, node, depth) if module.stars else Outside("global", node.id)
        reaching = visible(found[1], node)
        options = [self._binding(module, each, frame, depth, only) for each in reaching[-6:]]
        if len(options) > 1:
            options = [
                each for each in options if not (isinstance(each, Known) and each.value in (None, ""))
            ] or options
        value = one_of(options) if options else Unknown(f"{node.id} is not assigned before")
        since = self._set_on(module, node, found, frame, depth) + self._merges(module, node, frame, depth)
        return with_fields(value, tuple(since)) if since else value

    def _star(self, module: Module, node: ir.Name, depth: int) -> Value:
        found = [each for star in module.stars for each in self.ev.program.imported(module, star, node.id)]
        return self.ev.target(found[0], depth) if found else Outside("global", node.id)

    def _set_on(
        self,
        module: Module,
        node: ir.Name,
        found: tuple[Scope, list[Binding]],
        frame: Frame | None,
        depth: int,
    ) -> list[Field]:
        """The members set on a variable, whose scope and bindings are `found`, before `node` is read."""
        fields: list[Field] = []
        for each in found[0].members.get(node.id, ()):
            way = member_path(each.target)
            if not way or len(way) > 2 or "exports" in way or each.line > node.line or each.op != "=":
                continue
            if not _is_same(found[1], each.target, node):
                continue
            value_set = self.ev.eval(module, each.value, frame, depth)
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
        return fields

    def _merges(self, module: Module, node: ir.Name, frame: Frame | None, depth: int) -> list[Field]:
        """What `Object.assign(name, …)` and `name.update(…)` put in before `node` is read."""
        if node.within is None:
            return []
        found: list[Field] = []
        for call, target, sources in self._merging(module).get(node.within, ()):
            if target != node.id or call.line >= node.line:
                continue
            if depth > MAX_MERGE_DEPTH:
                self.ev.cut_short()
                continue
            for source in sources:
                value = self.ev.eval(module, source, frame, depth)
                found.extend(value.fields if isinstance(value, Struct) else ())
        return found

    def _merging(self, module: Module) -> Merges:
        if module.path not in self._merge_calls:
            self._merge_calls[module.path] = merging_calls(module)
        return self._merge_calls[module.path]

    def _binding(
        self, module: Module, binding: Binding, frame: Frame | None, depth: int, only: str | None = None
    ) -> Value:
        only = str(binding.keys[0]) if binding.keys else only
        if binding.kind == "param":
            return self._param(module, binding, frame, depth, only)
        if binding.kind == "import":
            return self._imported(module, binding, depth)
        if binding.kind == "loop":
            return self._loop(module, binding, frame, depth)
        if binding.kind != "assign":
            return Unknown(binding.kind)
        if loads_module(binding.value):
            targets = list(self.ev.program.bound(module, binding))
            return one_of([self.ev.target(each, depth) for each in targets] or [Unknown("import")])
        assign = binding.node
        if isinstance(assign, ir.Assign) and assign.op not in {"=", ":="} and not binding.keys:
            return Unknown("accumulated")
        return self._picked(
            self._value(module, binding.value, frame, depth, only), binding, module, frame, depth
        )

    def _value(
        self, module: Module, node: ir.Node | None, frame: Frame | None, depth: int, only: str | None
    ) -> Value:
        if only is None:
            return self.ev.eval(module, node, frame, depth)
        return self.ev.part(module, node, only, frame, depth)

    def _imported(self, module: Module, binding: Binding, depth: int) -> Value:
        """The value of an imported name: what its module binds to it, or what it refers to."""
        node = binding.node
        assert isinstance(node, ir.Import)
        path = self.ev.program.resolver.resolve(module.path, node.module, module.language)
        other = self.ev.program.modules.get(path) if path else None
        value = self.exported(other, str(binding.keys[0]), depth) if other is not None else None
        if value is not None:
            return value
        targets = [self.ev.target(each, depth) for each in self.ev.program.bound(module, binding)]
        return one_of(targets or [Unknown("import")])

    def exported(self, module: Module, name: str, depth: int) -> Value | None:
        """The value that a module binds to a name it exports, None where it binds none."""
        if depth >= MAX_IMPORTS:
            return None
        entry = module.exports.get(name, name)
        if isinstance(entry, ir.Import):
            again = Binding("import", entry, keys=(entry.names[0][0],))
            return self._imported(module, again, depth + 1)
        if isinstance(entry, ir.Node):
            return self.ev.eval(module, entry, None, depth + 1)
        assigned = [each for each in module.top.names.get(entry, []) if each.kind in {"assign", "import"}]
        values = [self._binding(module, each, None, depth + 1) for each in assigned[-3:]]
        return one_of(values) if values else None

    def _picked(
        self, value: Value, binding: Binding, module: Module, frame: Frame | None, depth: int
    ) -> Value:
        for key in binding.keys:
            value = self.ev.member(value, key)
        if binding.default is not None:
            default = self.ev.eval(module, binding.default, frame, depth)
            return one_of([value, default]) if not isinstance(value, Known) else value
        return value

    def _loop(self, module: Module, binding: Binding, frame: Frame | None, depth: int) -> Value:
        """What a loop's variable may be: an item of a list that is written, or filled one by one, before it."""
        over, keys = binding.value, binding.keys[1:]
        if isinstance(over, ir.Call) and _counts(over) and keys[:1] == (1,):
            over, keys = _counted(over), keys[1:]
        source = self.ev.eval(module, over, frame, depth)
        items = list(source.items) if isinstance(source, Items) else []
        before = [
            each for each in fillings(module, over)[:MAX_FILLED] if over is not None and each.line < over.line
        ]
        items.extend(self.ev.eval(module, arg, frame, depth) for each in before for arg in each.args)
        value = one_of(items) if items else Unknown("loop")
        for key in keys:
            value = self.ev.member(value, key)
        return value

    def _param(
        self, module: Module, binding: Binding, frame: Frame | None, depth: int, only: str | None
    ) -> Value:
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
            values = [self._argument(current, param, depth, only)]
        else:
            sites = self.ev.program.callers.get(func, [])[:MAX_CALLERS]
            if depth >= MAX_CALLER_DEPTH and sites:
                self.ev.cut_short()
                sites = []
            frames = [self.ev.frame(func, each.call, each.module, None) for each in sites]
            values = [self._argument(each, param, depth + 2, only) for each in frames]
        if param.default is not None and (current is None or isinstance(values[0], Unknown)):
            values.append(self.ev.eval(module, param.default, None, depth))
        value = one_of(values) if values else Outside("param", name)
        value = (
            Outside("param", name) if isinstance(value, Unknown) and value.reason == "not passed" else value
        )
        return self._picked(value, binding, module, frame, depth)

    def _argument(self, frame: Frame, param: ir.Param, depth: int, only: str | None) -> Value:
        passed = argument_for(frame.call, frame.func, param)
        if passed is None:
            return Unknown("not passed")
        return self._value(frame.module, passed, frame.up, depth, only)


def _counts(call: ir.Call) -> bool:
    """`enumerate(items)`, `items.entries()`: pairs of a number and an item."""
    name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    return name == "enumerate" if call.args else name == "entries"


def _counted(call: ir.Call) -> ir.Node | None:
    return call.args[0] if call.args else call.func.obj if isinstance(call.func, ir.Attr) else None


def _is_same(bindings: list[Binding], target: ir.Node, use: ir.Name) -> bool:
    """Whether a member is set on the variable that is read, not on another block's: `let x` in two loops."""
    if len(bindings) < 2:
        return True
    read = visible(bindings, use)
    return any(each is one for each in visible(bindings, ir.root_of(target)) for one in read)
