"""What each function does to a balance, relative to what it was, and by how much.

Read from sums and differences that are stored, and from stored functions named for it; a value that is set as a whole
changes nothing when it comes again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.calls import arguments
from portraitist.audit.rules.base import last_name, live_statements
from portraitist.audit.rules.credits.changes import CREDIT, all_changes, meaning, signs_of
from portraitist.audit.rules.credits.handed import handed_in
from portraitist.audit.rules.credits.learned import is_learned
from portraitist.audit.rules.credits.ledger import kinds_of, named_kinds

_FOR = re.compile(
    r"(event|session|payment|order|transaction|checkout|charge|purchase|invoice|receipt|intent|job|generation"
    r"|prediction|training)\w*(_id|_ref|_key)?$|refer|idempot|^id$|external"
)
AMOUNT = re.compile(r"amount|cost|price|credits?$|count|value|(^|_)n$|quantity")


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that must happen once: kind is give, take or paid; `amounts` may say by how much."""

    kind: str
    node: ir.Node
    name: str
    amounts: tuple[ir.Node, ...] = ()


def balance_effects(ctx: Context) -> dict[ir.Func, list[Effect]]:
    """What each function adds to a balance or takes from it: by a sum that is stored, or by a stored function."""
    found: dict[ir.Func, list[Effect]] = {}
    for statement in live_statements(ctx, "write"):
        about = CREDIT.search(snake(statement.table))
        for use in statement.columns if not statement.insert and statement.func is not None else ():
            if about or CREDIT.search(snake(use.column)) or is_learned(ctx, statement, use.column):
                for effect in _moved(ctx, statement, use, statement.node):
                    _note(found, statement.func, effect)
                for call, handed in handed_in(ctx, statement, use):
                    for effect in _moved(ctx, statement, handed, call):
                        _note(found, call.within, effect)
    for _, kind, name, node in ctx.once(all_changes):
        value = node.value if isinstance(node, ir.Assign | ir.Prop) else None
        _note(found, node.within, Effect(kind, node, name, _amounts(value)))
    for module in ctx.live:
        for call in module.calls({"rpc"}):
            named = ir.text_of(call.args[0]) if call.args else None
            told = {one for each in call.args[1:] for one in _told(each)}
            if named and not any(_FOR.search(snake(each)) for each in told):
                for kind in set(kinds_of(ctx, call)) & {"give", "take"}:
                    _note(found, call.within, Effect(kind, call, named, tuple(asked_for(call))))
    return found


def _moved(ctx: Context, statement: Statement, use: ColumnUse, node: ir.Node) -> Iterator[Effect]:
    """By what a column is raised or lowered, at the node that does it."""
    for sign in sorted({meaning(use.column, each) for each in signs_of(ctx, statement, use)} - {""}):
        yield Effect(sign, node, f"{statement.table}.{use.column}", _amounts(use.node))


def _told(given: ir.Node) -> Iterator[str]:
    """The keys and names in what a stored function is told, but for the object that they are members of."""
    for each in ir.walk(given):
        if isinstance(each, ir.Prop) and each.key:
            yield re.sub(r"^_?(p|in|arg)_", "", each.key)


def done_in(ctx: Context, func: ir.Func, kind: str) -> Iterator[Effect]:
    """What lowers or raises a balance in a function: its statements, and calls of what is named for that."""
    yield from (each for each in ctx.once(balance_effects).get(func, ()) if each.kind == kind)
    yield from (each for each in ctx.once(_by_name, func) if each.kind == kind)


def _by_name(_ctx: Context, func: ir.Func) -> list[Effect]:
    """What the calls of a function say by their names that they lower or raise."""
    found: list[Effect] = []
    for call in ir.find(func, ir.Call):
        for kind in named_kinds(call) if last_name(call.func) != "rpc" else ():
            priced = tuple(
                each
                for each in arguments(call)
                if isinstance(each, ir.Lit) or AMOUNT.search(snake(last_name(each)))
            )
            found.append(Effect(kind, call, last_name(call.func), priced))
    return found


def asked_for(call: ir.Call) -> Iterator[ir.Node]:
    """The amounts that a stored function is told."""
    for given in call.args[1:]:
        for entry in given.props if isinstance(given, ir.Obj) else ():
            if entry.key and AMOUNT.search(snake(entry.key)):
                yield entry.value


def _note(found: dict[ir.Func, list[Effect]], func: ir.Func | None, effect: Effect) -> None:
    known = found.setdefault(func, []) if func is not None else []
    if not any(
        each.kind == effect.kind and each.node.line <= effect.node.line <= each.node.end for each in known
    ):
        known.append(effect)


def _amounts(node: ir.Node | None) -> tuple[ir.Node, ...]:
    """By how much a value is lowered or raised: `cost` of `user.credits - cost` and of `{ decrement: cost }`."""
    if node is None:
        return ()
    around = node.parent
    if isinstance(around, ir.Assign) and around.op in {"-=", "+="} and around.value is node:
        return (node,)
    found = [each.right for each in ir.find(node, ir.Bin) if each.op in {"-", "+"} and each.right is not None]
    for each in ir.find(node, ir.Obj):
        by = each.get("decrement", "increment")
        found += [by] if by is not None else []
    return tuple(found)
