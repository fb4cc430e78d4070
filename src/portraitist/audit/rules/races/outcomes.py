"""How a test came out where something is reached, what must hold for that, and whether a write ends it.

Reads branches and ways out of one function; a helper that answers a test is read by its own tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import argument_for, returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, Unknown, fold
from portraitist.audit.rules.base import helpers_behind, last_name
from portraitist.audit.rules.credits.changes import sign, signs_of
from portraitist.audit.rules.races.rows import column_in
from portraitist.audit.rules.syntax import ORDER, is_express, is_way_out

_EQUAL = {"==": True, "===": True, "is": True, "!=": False, "!==": False, "is not": False}
_NOT = {"!", "not"}
_BOTH = {True: {"&&", "and"}, False: {"||", "or"}}
"""The operators both sides of which must hold for a whole to be true, and be false for it to be false."""
_ENDS = {"abort", "redirect", "exit", "notFound", "sendStatus"}


def outcome(test: ir.If, node: ir.Node) -> bool | None:
    """How a test has come out wherever a node is reached, None where it is reached either way."""
    below = node
    for each in ir.ancestors(node):
        if each is test:
            return True if below in test.then else False if below in test.other else None
        if each is test.parent:
            return _behind(test, below)
        if isinstance(each, ir.Func) and each is test.within:
            return None
        below = each
    return None


def _behind(test: ir.If, below: ir.Node) -> bool | None:
    """How a test came out for what stands behind it in the same body."""
    home = (
        next((each for each in ir.bodies_of(test.parent) if test in each), ())
        if test.parent is not None
        else ()
    )
    if below not in home or below.line <= test.line:
        return None
    if leaves(test.then):
        return False
    return True if test.other and leaves(test.other) else None


def leaves(body: list[ir.Node]) -> bool:
    """Whether whoever comes into a body never comes out behind it."""
    last = body[-1] if body else None
    if last is None:
        return False
    if isinstance(last, ir.If):
        return bool(last.other) and leaves(last.then) and leaves(last.other)
    if isinstance(last, ir.Try):
        return leaves(last.final) or (leaves(last.body) and all(leaves(each.body) for each in last.handlers))
    if isinstance(last, ir.Call):
        return last_name(last.func) in _ENDS or (is_express(last) and last_name(last.func) == "end")
    return is_way_out(last)


def meets(one: ir.Node, two: ir.Node) -> bool:
    """Whether whoever comes to the first of two nodes may go on to the other: no way out, no other branch."""
    first, then = (one, two) if one.line <= two.line else (two, one)
    above = {then: then}
    below = then
    for each in ir.ancestors(then):
        above[each] = below
        below = each
    below = first
    for each in ir.ancestors(first):
        body = next((part for part in ir.bodies_of(each) if below in part), [])
        if each in above:
            return not body or above[each] in body or each is first
        if isinstance(each, ir.Func) or leaves(body[body.index(below) :] if body else []):
            return False
        below = each
    return False


Atom = tuple[Module, ir.Node, bool, dict[str, ir.Node]]
"""An expression in its file, whether it held, and for a helper's what its parameters were given."""


def atoms(ctx: Context, module: Module, test: ir.Node, held: bool, *, deep: bool = True) -> Iterator[Atom]:
    """What surely was true (or false) of the parts of a test that came out as told."""
    if isinstance(test, ir.Bin) and test.op in _NOT:
        yield from atoms(ctx, module, test.left, not held, deep=deep)
    elif isinstance(test, ir.Bin) and test.op in _BOTH[held] and test.right is not None:
        yield from atoms(ctx, module, test.left, held, deep=deep)
        yield from atoms(ctx, module, test.right, held, deep=deep)
    else:
        yield module, test, held, {}
        if isinstance(test, ir.Call) and deep:
            yield from _answered(ctx, test, held)


def _answered(ctx: Context, call: ir.Call, held: bool) -> Iterator[Atom]:
    """What a helper of the repository has found where its answer is a plain yes or no."""
    for func in helpers_behind(ctx, call)[:1]:
        module = ctx.program.module_of[func]
        given = {
            each.name: value
            for each in func.params
            if each.name and (value := argument_for(call, func, each)) is not None
        }
        answers = returns(func)
        for test in (each for each in func.body if isinstance(each, ir.If) and leaves(each.then)):
            told = test.then[-1].value if isinstance(test.then[-1], ir.Return) else None
            if isinstance(told, ir.Lit) and bool(told.value) is not held:
                for where, part, true, _ in atoms(ctx, module, test.test, False, deep=False):
                    yield where, part, true, given
        if len(answers) == 1 and answers[0] in [
            each.value for each in func.body if isinstance(each, ir.Return)
        ]:
            for where, part, true, _ in atoms(ctx, module, answers[0], held, deep=False):
                yield where, part, true, given


def asked_columns(module: Module, atom: ir.Node) -> Iterator[tuple[ir.Node, ir.Node, str]]:
    """The parts of an atom that are columns of a row: the part, the row, the column."""
    parts = [atom]
    if isinstance(atom, ir.Bin) and atom.right is not None and atom.op in {*_EQUAL, *ORDER, "in", "not in"}:
        parts = [atom.left, atom.right]
    elif isinstance(atom, ir.Call) and last_name(atom.func) in {"includes", "has"} and atom.args:
        parts = [atom.args[0]]
    for part in parts:
        found = column_in(module, part)
        if found is not None:
            yield part, found[0], found[1]


def ends(ctx: Context, atom: Atom, part: ir.Node, use: ColumnUse, moves: str) -> bool:
    """Whether an atom comes out otherwise once a column holds what a write sets it to.

    `moves` tells that the write raises ("give") or lowers ("take") the number that the column held.
    """
    module, node, held, _ = atom
    if part is node:
        truth = _truth(ctx, use)
    elif isinstance(node, ir.Bin) and node.op in ORDER:
        truth = _passed(node, part, moves)
    elif isinstance(node, ir.Bin) and node.op in _EQUAL:
        truth = _equals(ctx, module, node, part, use)
    else:
        truth = _among(ctx, module, node, part, use)
    return truth is not None and truth is not held


def _truth(ctx: Context, use: ColumnUse) -> bool | None:
    """Whether what is written counts as true."""
    if isinstance(use.value, Known):
        return bool(use.value.value)
    if isinstance(use.node, ir.Lit):
        return bool(use.node.value)
    return True if isinstance(use.node, ir.Call | ir.Tmpl) else None


def _passed(node: ir.Bin, part: ir.Node, moves: str) -> bool | None:
    """What a comparison with a limit comes to at last, where each time the number goes up or down."""
    if moves not in {"give", "take"}:
        return None
    grows = node.op in {">", ">="} if node.left is part else node.op in {"<", "<="}
    return grows if moves == "give" else not grows


def _equals(ctx: Context, module: Module, node: ir.Bin, part: ir.Node, use: ColumnUse) -> bool | None:
    other = node.right if node.left is part else node.left
    if isinstance(other, ir.Lit) and other.value is None:
        there = _truth(ctx, use)
        return None if there is None else _EQUAL[node.op] is not there
    told, wanted = _said(ctx, use), _constant(ctx, module, other)
    if told is None or wanted is None:
        return None
    return (told == wanted) is _EQUAL[node.op]


def _among(ctx: Context, module: Module, node: ir.Node, part: ir.Node, use: ColumnUse) -> bool | None:
    """`row.status in ("paid", "done")`, `DONE.includes(row.status)`."""
    listed: ir.Node | None = None
    if isinstance(node, ir.Bin) and node.op in {"in", "not in"} and node.left is part:
        listed = node.right
    elif isinstance(node, ir.Call) and isinstance(node.func, ir.Attr):
        listed = node.func.obj
    if listed is None:
        return None
    if isinstance(listed, ir.Arr):
        words: set[object] = {_constant(ctx, module, each) for each in listed.items}
    else:
        value = fold(ctx.ev.eval(module, listed))
        words = (
            set(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else set()
        )
    told = _said(ctx, use)
    if told is None or not words or None in words:
        return None
    inside = told in words
    return not inside if isinstance(node, ir.Bin) and node.op == "not in" else inside


def _said(ctx: Context, use: ColumnUse) -> object:
    """The word or number that is written, None where it is not known."""
    if isinstance(use.value, Known):
        return use.value.value
    return _constant(ctx, ctx.program.modules[use.path], use.node) if use.node is not None else None


def _constant(ctx: Context, module: Module, node: ir.Node | None) -> object:
    """A literal, a constant, or the member of an enumeration by its name."""
    if isinstance(node, ir.Lit):
        return node.value
    value = ctx.ev.eval(module, node) if node is not None else None
    if isinstance(value, Known):
        return value.value
    name = ir.plain_dotted(node).removesuffix(".value") if node is not None else ""
    return name if "." in name and name[:1].isupper() else None


def moved(ctx: Context, module: Module, write: Statement, use: ColumnUse) -> str:
    """`give` where a write raises the number that the column held, `take` where it lowers it: by code or database."""
    node = use.node
    if node is None:
        signs = signs_of(ctx, write, use) if use.value is None or isinstance(use.value, Unknown) else set()
        return signs.pop() if len(signs) == 1 else ""
    up = node.parent if node is not None else None
    if isinstance(up, ir.Assign) and up.op in {"+=", "-="} and up.value is node:
        return "give" if up.op == "+=" else "take"
    if isinstance(node, ir.Obj) or (isinstance(node, ir.Call) and last_name(node.func) == "increment"):
        return sign(node)
    value = _made(module, node)
    if not isinstance(value, ir.Bin) or value.right is None or value.op not in {"+", "-"}:
        return ""
    found = column_in(module, value.left)
    named = found[1] if found is not None else last_name(value.left)
    return ("give" if value.op == "+" else "take") if snake(named) == snake(use.column) else ""


def _made(module: Module, node: ir.Node | None) -> ir.Node | None:
    """What a variable was made of, and what is inside `Math.max(0, …)`."""
    if isinstance(node, ir.Name):
        values = [each.value for each in reaching(module, node) if each.kind == "assign" and not each.keys]
        node = values[0] if len(values) == 1 else None
    if isinstance(node, ir.Call) and last_name(node.func) in {"max", "min", "int"}:
        return next((each for each in node.args if isinstance(each, ir.Bin)), None)
    return node
