"""Part of the rule on credits: a balance that the database lowers itself, on no condition, after a look at it apart.

Balances that the code reads and writes back are in `raced`. A trigger that refuses, and a lock taken by a caller, are
not seen; a column that may not be negative is, where its definition says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements
from portraitist.audit.rules.credits.changes import CREDIT, meaning, signs_of
from portraitist.audit.rules.credits.ledger import NOTHING, Event, Ledger
from portraitist.audit.rules.credits.raced import conditioned, is_locked
from portraitist.audit.rules.gravity import BARELY

_FLOOR = (
    r"\bcheck\s*\([^;]{{0,60}}\b{0}\b[^;]{{0,20}}>=?\s*-?\d"
    r"|\b{0}\b[^;\n]{{0,60}}\b(unsigned|check\b[^;\n]{{0,40}}>=)"
)
"""A column's definition that refuses what lies below."""


def lowered(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """`SET credits = credits - 1 WHERE id = …`, before which somebody only compared the balance.

    Left alone: a condition on the balance, a balance asked for behind the take, a lock or a transaction, a column that
    may not be negative, and a take that nobody's test comes before (which is told as such).
    """
    for statement in live_statements(ctx, "write"):
        use = _taken(ctx, statement) if not statement.insert else None
        if use is None or statement.func is None or conditioned(statement, snake(use.column)):
            continue
        looked = _looked_at(ctx, ledger, statement)
        if looked is None or is_locked(statement.node) or _has_floor(ctx, statement.table, use.column):
            continue
        message = (
            f"{statement.table}.{use.column} is charged on no condition, and only compared before (line {looked.line}"
            f" of {looked.path}): requests side by side all find enough"
        )
        yield finding("credit-before-check", statement.module, statement.node, message, weight=BARELY,
                      end=statement.end, key=f"lowered {statement.table}.{use.column}", evidence=[looked])  # fmt: skip


def _taken(ctx: Context, statement: Statement) -> ColumnUse | None:
    """The balance that the database itself lowers by a statement."""
    for use in statement.columns:
        if CREDIT.search(snake(use.column)) and {
            meaning(use.column, each) for each in signs_of(ctx, statement, use)
        } == {"take"}:
            return use if _by_database(use.node) else None
    return None


def _by_database(node: ir.Node | None) -> bool:
    """Whether a new value is computed where the row is: `{ decrement: 1 }`, `F("credits") - 1`, SQL."""
    if node is None or isinstance(node, ir.Obj | ir.Tmpl | ir.Lit):
        return True
    if isinstance(node, ir.Call):
        return bool(re.search(r"(^|\.)(sql|raw|increment|literal|F)$", ir.dotted(node.func)))
    if isinstance(node, ir.Bin):
        left = node.left
        return (isinstance(left, ir.Call) and ir.dotted(left.func) in {"F", "models.F"}) or (
            isinstance(left, ir.Attr) and ir.dotted(left)[:1].isupper()
        )
    return False


def _looked_at(ctx: Context, ledger: Ledger, statement: Statement) -> Place | None:
    """Where the balance was compared before the take, in its function or in the one that calls it; not behind it."""
    func = statement.func
    assert func is not None
    own = [each for each in ledger.events(func) if each.kind == "check" and each.node is not statement.node]
    if any(each.line > statement.end for each in own):
        return None
    sites = ctx.program.callers.get(func, ())
    blocking = statement.module.language == "python" and not _is_async(ctx, func)
    if blocking and any(each.call.within is not None and _is_async(ctx, each.call.within) for each in sites):
        return None  # nothing else runs on a loop between two calls that wait for nobody
    if (first := _compared(ctx, own, func)) is not None:
        return first
    for site in sites:
        caller, call = site.call.within, site.call
        events = ledger.events(caller) if caller is not None else []
        before = [
            each
            for each in events
            if each.kind == "check" and each.end < call.line and "take" not in _kinds_at(ctx, ledger, each)
        ]
        if caller is not None and (found := _compared(ctx, before, caller)) is not None:
            return found
    return None


def _is_async(ctx: Context, func: ir.Func) -> bool:
    """Whether a function of Python is declared `async`."""
    lines = ctx.program.module_of[func].lines[func.line - 1 : func.end]
    return any(re.match(rf"\s*async\s+def\s+{re.escape(func.name)}\b", each) for each in lines)


def _kinds_at(ctx: Context, ledger: Ledger, event: Event) -> frozenset[str]:
    """What the helpers that an event calls do besides."""
    if not isinstance(event.node, ir.Call):
        return NOTHING
    targets = ctx.program.functions_called(event.node)
    return NOTHING.union(
        *(ledger.kinds.get(each.node, NOTHING) for each in targets if isinstance(each.node, ir.Func))
    )


def _compared(ctx: Context, events: list[Event], func: ir.Func) -> Place | None:
    for each in events:
        if isinstance(each.node, ir.If | ir.Cond | ir.Call):
            return Place(ctx.program.module_of[func].path, each.line)
    return None


def _has_floor(ctx: Context, table: str, column: str) -> bool:
    """Whether a definition in the repository keeps the column from falling below nothing."""
    asked = re.compile(_FLOOR.format(re.escape(column)), re.I)
    return any(
        column in each.text and asked.search(each.text) for each in ctx.tree.files if _defines(each.path)
    )


def _defines(path: str) -> bool:
    return path.endswith((".sql", ".prisma")) or re.search(r"schema|models?|migrations?", path) is not None
