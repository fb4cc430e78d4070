"""Small questions the evaluator asks of the syntax: which bindings reach a use, what a node plainly is."""

from __future__ import annotations

from dataclasses import field

from portraitist.audit import ir
from portraitist.audit.frozen import dataclass
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.link.values import Known, Outside, Unknown, Value


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The arguments of one call: `call` in `module`, evaluated in the frame `up`; `memo` keeps what was folded."""

    func: ir.Func
    call: ir.Call
    module: Module
    up: Frame | None = None
    depth: int = 0
    memo: dict[ir.Node, tuple[int, Value]] = field(default_factory=dict, repr=False)


def visible(bindings: list[Binding], use: ir.Node) -> list[Binding]:
    """The bindings that can reach `use`: in an enclosing block, and earlier when in the same function."""
    if len(bindings) == 1:
        return bindings
    above = set(ir.ancestors(use))
    func = ir.enclosing(use, ir.Func)
    found: list[Binding] = []
    for each in bindings:
        if each.decl in {"const", "let"} and block_of(each.node) not in above:
            continue
        same = ir.enclosing(each.node, ir.Func) is func
        if same and (each.node.line > use.line or (each.kind == "assign" and each.node in above)):
            continue  # set later, or just being made of this use: `given = dict(given)`
        found.append(each)
    straight = [each for each in found if _is_straight(each, above)]
    if straight:
        found = found[found.index(straight[-1]) :]
    return found or bindings


def bindings_of(module: Module, node: ir.Node | None) -> list[Binding]:
    """What a variable is set to anywhere; nothing for what is no variable."""
    found = module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    return found[1] if found else []


def reaching(module: Module, node: ir.Node | None) -> list[Binding]:
    """The bindings of a variable that can reach this use of it; nothing for what is no variable."""
    found = bindings_of(module, node)
    return visible(found, node) if found and node is not None else []


def entry_of(module: Module, node: ir.Node | None, key: str | int) -> ir.Node | None:
    """The entry of an object that is written in place, or in the one assignment that reaches this use of it."""
    if isinstance(node, ir.Name):
        values = [each.value for each in reaching(module, node) if not each.keys]
        node = values[0] if len(values) == 1 else None
    return node.get(key) if isinstance(node, ir.Obj) and isinstance(key, str) else None


def fillings(module: Module, node: ir.Node | None) -> list[ir.Call]:
    """The calls of its function that add to a list one by one: `urls.append(url)`; none for what is no variable."""
    if not isinstance(node, ir.Name):
        return []
    calls = [each for each in module.calls({"append", "push"}) if each.within is node.within]
    return [each for each in calls if isinstance(each.func, ir.Attr) and is_name(each.func.obj, node.id)]


def variables_in(node: ir.Node) -> set[str]:
    """The names of the variables at or below a node."""
    return {each.id for each in ir.find(node, ir.Name)}


def _is_straight(binding: Binding, above: set[ir.Node]) -> bool:
    """Whether what was bound before is hidden: by an assignment on the way, or by a loop around the use."""
    if binding.kind == "loop":
        return ir.enclosing(binding.node, ir.Loop) in above
    return binding.kind == "assign" and block_of(binding.node) in above


def block_of(node: ir.Node) -> ir.Node | None:
    """The nearest node around another that holds statements, else the outermost."""
    block = (ir.If, ir.Loop, ir.Try, ir.Handler, ir.Func)
    last = None
    for last in ir.ancestors(node):
        if isinstance(last, block):
            break
    return last


def is_name(node: ir.Node, name: str) -> bool:
    return isinstance(node, ir.Name) and node.id == name


def says_nothing(value: Value) -> bool:
    """Empty, unknown, or from outside but for the environment."""
    if isinstance(value, Known):
        return value.value in (None, "")
    return isinstance(value, Unknown) or (isinstance(value, Outside) and value.kind != "env")


def loads_module(node: ir.Node | None) -> bool:
    return (
        isinstance(node, ir.Call) and isinstance(node.func, ir.Name) and node.func.id in {"require", "import"}
    )


def member_path(node: ir.Node) -> list[str]:
    """The keys from a variable to a member that is set: `["input", "seed"]` for `body.input.seed`, else []."""
    way: list[str] = []
    while isinstance(node, ir.Attr | ir.Index):
        key = node.name if isinstance(node, ir.Attr) else ir.text_of(node.key)
        if key is None:
            return []
        way.append(key)
        node = node.obj
    return way[::-1] if isinstance(node, ir.Name) else []


Merges = dict[ir.Func, list[tuple[ir.Call, str, list[ir.Node]]]]


def merging_calls(module: Module) -> Merges:
    """The calls that merge objects into a variable (`Object.assign`, `update`), by function."""
    made: Merges = {}
    for call in module.calls({"assign", "update"}):
        name = ir.plain_dotted(call.func)
        if call.within is None or not (name == "Object.assign" or name.endswith(".update")):
            continue
        if name == "Object.assign" and call.args and isinstance(call.args[0], ir.Name):
            made.setdefault(call.within, []).append((call, call.args[0].id, call.args[1:]))
        elif name.count(".") == 1:
            sources = [*call.args, *([call.kw] if call.kw else [])]
            made.setdefault(call.within, []).append((call, name.partition(".")[0], sources))
    return made
