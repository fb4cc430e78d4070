"""Part of the rule on credits: limits that count rows, or a number of a row, around the paid work.

Reads counts that are compared in the function that asks for them. Constraints and triggers of a database are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements, names_in, trace
from portraitist.audit.rules.credits.changes import CREDIT, is_one, signs_of
from portraitist.audit.rules.credits.counted import bounds
from portraitist.audit.rules.credits.steps import goes_on
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import ORDER

_COUNTS = re.compile(r"count|\.length\b|len\(", re.I)
_NUMBER = re.compile(r"(^|_)(counts?|generations?|usage|used|uses|daily|monthly|today|remaining|left)(_|$)")
_LOCKED = re.compile(r"transaction|atomic|for_update|(^|_)lock|rpc|increment", re.I)


def by_rows(ctx: Context, flows: list[Flow]) -> Iterator[Finding]:
    """Limits that are asked of rows which come only after the paid work, and uses that stay counted when it fails."""
    told: set[ir.Node] = set()
    for flow in flows:
        for func in flow.funcs:
            line = goes_on(flow, ctx.program.module_of[func], func)
            for each in (*_rows_later(ctx, flow, func, line), *_kept_count(ctx, flow, func, line)):
                node, found = each
                if node not in told:
                    told.add(node)
                    yield found


def limits(ctx: Context, func: ir.Func) -> list[tuple[Statement, ir.If]]:
    """The reads of a function whose rows it counts, each with the test that turns away by their number."""
    found: list[tuple[Statement, ir.If]] = []
    tests = [each for each in ir.find(func, ir.If) if exits(each.then)]
    for each in ctx.statements_under.get(func, ()) if tests else ():
        made = ir.enclosing(each.node, ir.Assign)
        module = ctx.program.module_of[func]
        text = "\n".join(module.lines[each.line - 1 : each.end])
        names = variables_in(made.target) if each.kind == "read" and made is not None else set()
        for test in tests if names else ():
            asked = _number_asked(test, names)
            if (
                test.line >= each.line
                and in_sight(made, test)
                and asked is not None
                and _COUNTS.search(text + " " + asked)
            ):
                found.append((each, test))
                break
    return found


def in_sight(made: ir.Assign | None, test: ir.Node) -> bool:
    """Whether a test may see what was declared: not in another case of a switch."""
    around = ir.ancestors(made) if made is not None else ()
    cases = (each for each in around if isinstance(each.parent, ir.Other) and each.parent.kind == "switch")
    case = next(cases, None)
    return case is None or case in ir.ancestors(test)


def asks_number(_ctx: Context, func: ir.Func) -> bool:
    """Whether a function turns away by a number that says how often something was done: `user.daily_count >= 3`."""
    tests = (each for each in ir.find(func, ir.If) if exits(each.then))
    return any(
        one.op in ORDER and isinstance(side, ir.Attr) and _NUMBER.search(snake(side.name)) is not None
        for each in tests
        for one in ir.find(each.test, ir.Bin)
        for side in (one.left, one.right)
    )


def _number_asked(test: ir.If, names: set[str]) -> str | None:
    """The text of a comparison by order in a test that names one of these variables."""
    for each in ir.find(test.test, ir.Bin):
        if (
            each.op in ORDER
            and each.right is not None
            and names & (names_in(each.left) | names_in(each.right))
        ):
            return f"{ir.dotted(each.left)} {ir.dotted(each.right)}"
    return None


def _rows_later(ctx: Context, flow: Flow, func: ir.Func, line: int) -> Iterator[tuple[ir.Node, Finding]]:
    """A limit to the rows of a table that gets its row below the paid call only."""
    module = ctx.program.module_of[func]
    for read, test in ctx.once(limits, func):
        if read.line >= line or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        written = [
            (each.line > goes_on(flow, ctx.program.module_of[one], one), each)
            for one in flow.funcs
            for each in ctx.statements_under.get(one, ())
            if each.kind == "write" and each.insert and each.table == read.table
        ]
        if written and all(later for later, _ in written):
            proof = written[0][1]
            message = (
                f"the limit counts rows of {read.table}, which gets its row only after the paid {flow.call.purpose}:"
                " requests side by side all pass"
            )
            yield read.node, finding(
                "credit-before-check", module, read.node, message, key=f"rows {read.table}", weight=43, line=read.line,
                end=max(read.end, test.test.end), evidence=[Place(proof.module.path, proof.line)])  # fmt: skip


def _kept_count(ctx: Context, flow: Flow, func: ir.Func, line: int) -> Iterator[tuple[ir.Node, Finding]]:
    """A number of a row that is raised by one behind its limit, before the paid call, and lowered nowhere."""
    module = ctx.program.module_of[func]
    for statement in ctx.statements_under.get(func, ()):
        if statement.kind != "write" or statement.insert or statement.end >= line:
            continue
        for use in statement.columns:
            base = _raised_by_one(ctx, statement, use)
            if not base or CREDIT.search(snake(use.column)):
                continue
            if not any(each.line < statement.line for each in bounds(func, base)):
                continue
            if (
                f"{statement.table}.{use.column}" in ctx.once(_lowered)
                or ctx.role_at(module, func) not in LIVE_ROLES
            ):
                continue
            caught = _caught(func, line)
            ends = f"line {caught.line} keeps it" if caught is not None else "nothing lowers it"
            counts = f"{statement.table}.{use.column} counts this use before the {flow.call.purpose}"
            message = f"{counts}, and {ends} when that fails"
            yield statement.node, finding(
                "credit-before-check", module, statement.node, message, key=f"counted {use.column}",
                weight=46 if caught is not None else BARELY, line=statement.line, end=statement.end,
                evidence=[Place(module.path, line)])  # fmt: skip


def _raised_by_one(ctx: Context, statement: Statement, use: ColumnUse) -> str:
    """The name of what a column is set to one more than: `count` of `count + 1`; else nothing."""
    if use.node is None or use.path != statement.module.path or _LOCKED.search(snake(use.column)):
        return ""
    around = use.node.parent
    if isinstance(around, ir.Assign) and around.op == "+=" and around.value is use.node:
        return last_name(around.target) if is_one(use.node) else ""
    for _, part in trace(ctx, statement.module, use.node):
        if isinstance(part, ir.Bin) and part.op == "+" and is_one(part.right):
            inner = part.left.left if isinstance(part.left, ir.Bin) else part.left
            return last_name(inner)
    return ""


def _lowered(ctx: Context) -> set[str]:
    """The columns that some statement lowers."""
    found: set[str] = set()
    for each in live_statements(ctx, "write"):
        for use in each.columns:
            if "take" in signs_of(ctx, each, use):
                found.add(f"{each.table}.{use.column}")
    return found


def _caught(func: ir.Func, line: int) -> ir.Handler | None:
    """The handler around the line that goes on to the paid call."""
    for each in ir.find(func, ir.Try):
        body = each.body
        if body and body[0].line <= line <= body[-1].end and each.handlers and each.within is func:
            return each.handlers[-1]
    return None
