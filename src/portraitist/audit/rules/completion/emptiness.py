"""Whether what a row keeps of a run may be nothing, and nobody asks: a question of the rule `no-retry`.

Only the function that writes is read, and what a helper of the repository plainly gives back.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.rules.base import last_name, names_in
from portraitist.audit.rules.syntax import leaves_within

PART = re.compile(r"version|weights|lora|tensor", re.I)
"""Names of what a training makes."""
RESULT = re.compile(r"output|result|version|weights|lora|tensor|url|image|file|photo|picture|video", re.I)
"""Names of what any run makes."""


def may_be_empty(ctx: Context, module: Module, node: ir.Node | None, depth: int = 0) -> bool:
    """Whether an expression may give nothing and nobody asks: `x or None`, `a?.b`, `answer.get("version")`."""
    if isinstance(node, ir.Bin) and node.op == "or":
        return _falls_back(ctx, module, node, depth)
    if isinstance(node, ir.Bin) and node.op == "and" and isinstance(node.left, ir.Name | ir.Attr):
        return not _asked(node, looked_at(node.left))
    if isinstance(node, ir.Name) and depth < 3:
        made = reaching(module, node)
        given = _may_stay_empty(made, node) or any(
            may_be_empty(ctx, module, each.value, depth + 1) for each in made if not each.keys
        )
        return given and not _asked(node, {node.id})
    if isinstance(node, ir.Cond):
        nothing = any(_is_nothing(each) for each in (node.then, node.other))
        if any(each.op == "typeof" for each in ir.find(node.test, ir.Bin)):
            return may_be_empty(ctx, module, node.other, depth)
        return nothing and not leaves_before(node, looked_at(node.test))
    if isinstance(node, ir.Call) and ir.dotted(node.func) == "JSON.stringify" and node.args:
        return may_be_empty(ctx, module, node.args[0], depth)
    if isinstance(node, ir.Call) and _gives_nothing(ctx, node):
        return True
    return _may_be_nothing(node) and not _asked(node, _spelt(node))


def taken_unasked(node: ir.Node | None) -> bool:
    """`output.version`, a member of what the provider answered, where no test before names the output or it."""
    own = last_name(node)
    chain = {each.name for each in ir.find(node, ir.Attr)} if isinstance(node, ir.Attr | ir.Index) else set()
    chain |= {each.id for each in ir.find(node, ir.Name)} if chain and node is not None else set()
    known = own in _OF_OUTPUT and bool(chain & {"output"})
    return known and not _asked(node, {"output", own} - {"model"})


_OF_OUTPUT = {"version", "weights", "model", "lora", "lora_weights"}


def may_lose(ctx: Context, module: Module, node: ir.Node | None) -> bool:
    """Whether a value is what a helper gave back that says `return null` for a failure, and nobody asks for it."""
    made = [each.value for each in reaching(module, node)] if isinstance(node, ir.Name) else [node]
    helped = any(isinstance(each, ir.Call) and _gives_nothing(ctx, each) for each in made)
    return helped and may_be_empty(ctx, module, node)


def _falls_back(ctx: Context, module: Module, node: ir.Bin, depth: int) -> bool:
    """`x or None`, `output?.version || output`: the last resort is nothing, or what holds the version stands in."""
    whole = isinstance(node.right, ir.Name) and last_name(ir.root_of(node.left)) == node.right.id
    if whole and isinstance(node.left, ir.Attr):
        return True
    if _is_nothing(node.right):
        return not leaves_before(node, looked_at(node.left))
    return node.right is not None and all(may_be_empty(ctx, module, each, depth) for each in node.children())


def _is_nothing(node: ir.Node | None) -> bool:
    """`null`, `""`, `[]`, `{}`."""
    if isinstance(node, ir.Arr | ir.Obj):
        return not node.children()
    return isinstance(node, ir.Lit) and not node.value and node.value is not False


def leaves_before(node: ir.Node, names: set[str]) -> bool:
    """Whether a test of one of the names leaves the function before: `if (!output?.version) return`."""
    func = ir.enclosing(node, ir.Func)
    return func is not None and any(
        each.line < node.line and exits(each.then) and names & names_in(each.test)
        for each in ir.find(func, ir.If)
    )


def _gives_nothing(ctx: Context, call: ir.Call) -> bool:
    """Whether a call may find nothing: `files.find(…)`, `next(…, None)`, a helper that says `return null`."""
    name = last_name(call.func)
    if (
        name == "find"
        and isinstance(call.func, ir.Attr)
        and any(isinstance(each, ir.Func) for each in call.args)
    ):
        return True
    if name == "next" and isinstance(call.func, ir.Name):
        return len(call.args) > 1 and _is_nothing(call.args[1])
    return any(
        isinstance(value, ir.Lit) and value.value is None
        for target in ctx.program.functions_called(call)
        for value in (returns(target.node) if isinstance(target.node, ir.Func) else ())
    )


def leaves_without(test: ir.If) -> bool:
    """Whether the function was left before where there is no output: `if (!output) return` above `if (output) …`."""
    asked = {each for each in names_in(test.test) if each == "output" or PART.search(each)}
    return any(
        each.line < test.line and exits(each.then) and bool(asked & names_in(each.test))
        for each in (ir.find(test.within, ir.If) if test.within is not None else ())
    )


def _may_stay_empty(bindings: list[Binding], use: ir.Name) -> bool:
    """Whether a variable begins empty and is only set under tests that have no other branch: `let v; if (o) v = …`.

    Also where only a loop that looks for it sets it, or an attempt whose handler goes on. A test of a state alone is
    none of those: where the state is another, nothing is wanted.
    """
    empty = [each for each in bindings if each.kind == "unset" or _is_empty(each)]
    filled = [each for each in bindings if each not in empty]
    around = set(ir.ancestors(use))
    for each in filled:
        inside = [one for one in ir.ancestors(each.node) if one not in around and isinstance(one, _BLOCKS)]
        only = [one for one in inside if not (isinstance(one, ir.If) and _about_state_alone(one.test))]
        if each.kind != "assign" or not only or not all(_may_pass_over(one) for one in inside):
            return False
    return bool(empty) and bool(filled)


_BLOCKS = (ir.If, ir.Loop, ir.Try, ir.Handler)


def _may_pass_over(block: ir.Node) -> bool:
    """Whether the function may go on behind a block of which a part did not run."""
    if isinstance(block, ir.If):
        last = block
        while len(last.other) == 1 and isinstance(last.other[0], ir.If):
            last = last.other[0]
        return not last.other and not leaves_without(block) and not (_KINDS & names_in(block.test))
    if isinstance(block, ir.Loop):
        return block.target is not None
    if isinstance(block, ir.Try):
        return bool(block.handlers) and not any(leaves_within(each.body) for each in block.handlers)
    return False


_KINDS = {"isArray", "isinstance", "string", "object", "typeof"}
"""A branch for each kind of thing that an output may be: one of them is taken."""


def _about_state_alone(test: ir.Node) -> bool:
    names = " ".join(names_in(test))
    return re.search(r"status|state", names, re.I) is not None and not RESULT.search(names)


def _is_empty(binding: Binding) -> bool:
    return binding.kind == "assign" and isinstance(binding.value, ir.Lit) and not binding.value.value


def _may_be_nothing(node: ir.Node | None) -> bool:
    while isinstance(node, ir.Attr | ir.Index | ir.Call):
        if isinstance(node, ir.Attr | ir.Index) and node.maybe:
            return True
        if isinstance(node, ir.Call):
            func = node.func
            if isinstance(func, ir.Attr) and func.name == "get" and node.args and not node.kw:
                given = node.args[1] if len(node.args) > 1 else None
                return ir.text_of(node.args[0]) is not None and (given is None or _is_nothing(given))
            node = func
        else:
            node = node.obj
    return False


def _spelt(node: ir.Node | None) -> set[str]:
    """The last names of a chain: a test that holds one of them may have looked at it."""
    own = {each.name for each in ir.find(node, ir.Attr)} if node is not None else set()
    texts = (
        {text for each in ir.find(node, ir.Lit) if (text := ir.text_of(each))} if node is not None else set()
    )
    return (own | texts) - {"get", "status"}


def looked_at(node: ir.Node) -> set[str]:
    """The members and the variables of an expression that a test of it may name, without what they are taken of."""
    bare = (each for each in ir.find(node, ir.Name) if not isinstance(each.parent, ir.Attr | ir.Index))
    return (_spelt(node) | {each.id for each in bare}) - _QUESTIONS


_QUESTIONS = {"isinstance", "list", "str", "dict", "isArray", "length", "len", "string", "object"}


def _asked(node: ir.Node | None, names: set[str]) -> bool:
    """Whether a test before, or around, holds one of the names."""
    func = ir.enclosing(node, ir.Func) if node is not None else None
    tests = ir.find(func, ir.If) if func is not None else ()
    return node is not None and any(each.line <= node.line and names & names_in(each.test) for each in tests)
