"""Part of the rule `no-retry`: what the work made goes into the row as it comes, beside a state that says done.

`output.version`, `output[0]` of the provider's answer or of its webhook's body, of which no test asks whether it is
there. All of it is of low weight: a run that succeeded has mostly made something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import (
    askers,
    last_name,
    live_statements,
    module_of,
    names_in,
)
from portraitist.audit.rules.completion.results import of_both
from portraitist.audit.rules.completion.words import holds_model, is_done, says_done
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.proven import is_proven
from portraitist.audit.rules.syntax import tests_of

_OUTPUT = re.compile(r"^outputs?$")
_HELD = re.compile(r"(^|_)(model|version|weights|lora|image|photo|picture|video|result|output)s?(_|$)")


def taken_plainly(ctx: Context) -> Iterator[Finding]:
    """`{ status: "READY", modelId: output.model }`, and nobody asks for the model."""
    ways, asking = working(ctx), askers(ctx)
    for statement in live_statements(ctx, "write"):
        if not (statement.func in ways or statement.func in asking):
            continue
        done = next((each for each in statement.columns if says_done(each.column) and is_done(each)), None)
        if done is None or statement.func is None:
            continue
        use = next((each for each in statement.columns if _is_plain(ctx, statement, each)), None)
        if use is not None and use.node is not None:
            key = f"{statement.table}.{use.column}"
            message = (
                f"status becomes done and {key} takes what came as it is: nothing asks whether it is there"
            )
            yield of_both(ctx, done, use, message, key=f"plain {key}", weight=BARELY)


def _is_plain(ctx: Context, statement: Statement, use: ColumnUse) -> bool:
    held = _HELD.search(snake(use.column)) is not None and not says_done(use.column)
    if use.node is None or not (held or holds_model(ctx, use)) or is_proven(use.node):
        return False
    func = use.node.within
    if func is None or func is not statement.func:
        return False
    parts = list(_parts(module_of(ctx, use), use.node))
    if not parts or not all(any(_OUTPUT.match(each) for each in _chain(part)) for part in parts):
        return False
    tests = [each.test for each in tests_of(func) if not _asks_for_kind(each.test)]
    return not any(_asked(tests, part) for part in {use.node, *parts})


def _asked(tests: list[ir.Node], part: ir.Node) -> bool:
    """Whether a test names a chain, or what of it holds the output: `output.model`, `training.output`, `output`."""
    dotted = ir.plain_dotted(part)
    if not dotted:
        return any((set(_chain(part)) - {"status"}) & names_in(each) for each in tests)
    steps = dotted.split(".")
    first = next((at for at, each in enumerate(steps) if _OUTPUT.match(each)), len(steps) - 1)
    told = {".".join(steps[: at + 1]) for at in range(first, len(steps))}
    return any(
        ir.plain_dotted(one) in told
        for each in tests
        for one in ir.walk(each)
        if isinstance(one, ir.Name | ir.Attr)
    )


def _parts(module: Module, node: ir.Node, depth: int = 0) -> Iterator[ir.Node]:
    """The plain chains that a value may be: of a variable, and of both branches where its kind is asked."""
    if isinstance(node, ir.Cond) and _asks_for_kind(node.test):
        yield from _parts(module, node.then, depth)
        yield from _parts(module, node.other, depth)
    elif isinstance(node, ir.Name) and not _OUTPUT.match(node.id) and depth < 1:
        made = [each for each in reaching(module, node) if not each.keys]
        if len(made) == 1 and made[0].kind == "assign" and made[0].value is not None:
            yield from _parts(module, made[0].value, depth + 1)
    elif isinstance(node, ir.Name) or (isinstance(node, ir.Attr | ir.Index) and not _may_be_nothing(node)):
        yield node


def _may_be_nothing(node: ir.Node) -> bool:
    """Whether a chain says itself that it may be nothing: `output?.version` is for `emptiness`."""
    while isinstance(node, ir.Attr | ir.Index):
        if node.maybe:
            return True
        node = node.obj
    return not isinstance(node, ir.Name)


def _chain(node: ir.Node) -> list[str]:
    """The names of a chain, texts of its keys too."""
    found: list[str] = []
    while isinstance(node, ir.Attr | ir.Index):
        found.append(node.name if isinstance(node, ir.Attr) else ir.text_of(node.key) or "")
        node = node.obj
    return [each for each in (*found, last_name(node)) if each]


def _asks_for_kind(test: ir.Node) -> bool:
    """`Array.isArray(output)`, `typeof output === "string"`: no question whether there is one."""
    names = {last_name(each.func) for each in ir.find(test, ir.Call)}
    plain = not isinstance(test, ir.Bin) or test.op not in {"and", "or"}
    return plain and bool(
        names & {"isArray", "isinstance"} or any(each.op == "typeof" for each in ir.find(test, ir.Bin))
    )
