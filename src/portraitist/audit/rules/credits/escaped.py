"""Part of the rule on credits: limits that nobody needs to keep to.

Those that only a browser keeps, or a cookie; plans that are looked at and turn nobody away; and counts of rows that a
member deletes, or that a request writes into instead of adding one. What a proxy or a database limits is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits, refuses_in
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    helpers_behind,
    live_statements,
    names_in,
    place,
    runs_in_browser,
    trace,
)
from portraitist.audit.rules.credits.apart import apart
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.credits.rows_later import asks_number, limits
from portraitist.audit.rules.credits.siblings import siblings
from portraitist.audit.rules.credits.steps import Step, goes_on, steps_of
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.requests import Given, below, is_given
from portraitist.audit.rules.syntax import ORDER

_KEPT = re.compile(
    r"(free|trial|guest|daily|remaining|used|usage|generation|image|photo|render|try|attempt)s?_?(\w+_)?"
    r"(count|counts|uses|used|left|limit|remaining|credits?|generations|usage|tries|attempts|trial)$"
    r"|(^|_)credits?(_left|_remaining|_count)?$|(^|_)quota(_|$)|^usage(_count)?$|generation_?count"
)
"""Keys and names of what says how much a visitor has used, in snake case."""
_SHOWN = re.compile(
    r"modal|banner|shown|seen|dismiss|tooltip|popup|toast|theme|price|cost|card|max_tokens|filter|sort|tab"
)
_PLAN = re.compile(
    r"subscri|(^|_)plan(_|$)|(^|_)tier(_|$)|premium|(^|_)(is_)?pro(_|$)|has_paid|(^|_)paid(_|$)|trial"
)
_NOT_LOGIN = re.compile(
    r"auth|token|login|sign_?in|unauthori|401|session_id|csrf|locale|admin|password", re.I
)
_LIMITS = re.compile(r"limit|free|trial|quota|already|used|guest|once", re.I)


def escaped(ctx: Context, ledger: Ledger, flows: list[Flow], hooks: list[ir.Func]) -> Iterator[Finding]:
    """Everything of this file."""
    members = [each for each in flows if not any(func in hooks for func in each.funcs)]
    ways = [(each, steps_of(ctx, ledger, each)) for each in members if each.route is not None]
    told: set[ir.Node] = set()
    for flow, steps in ways:
        for found, node in (*_by_rows(ctx, flow), *_by_cookie(ctx, flow), *_looked_in_vain(ctx, flow, steps)):
            if node not in told:
                told.add(node)
                yield found
    opened = [flow for flow, steps in ways if not _asks(ctx, flow, steps)]
    if opened:
        yield from _by_browser(ctx, opened)
    yield from siblings(ctx, [flow for flow, _ in ways], opened)
    if ways and len(opened) == len(ways):
        yield from apart(ctx, ledger, opened)
    if flows:
        yield from _says_yes(ctx, ledger)


def _asks(ctx: Context, flow: Flow, steps: list[Step]) -> bool:
    """Whether anything on a way may turn away those who have had theirs, or have bought nothing."""
    for each in steps:
        node = each.event.node
        helper = isinstance(node, ir.Call) and node not in ctx.statements_at
        if each.event.kind != "look" or helper or (isinstance(node, ir.If) and exits(node.then)):
            return True
    return any(ctx.once(limits, each) or ctx.once(asks_number, each) for each in flow.funcs)


Told = tuple[Finding, ir.Node]


def _by_rows(ctx: Context, flow: Flow) -> Iterator[Told]:
    """Limits that count rows which a member deletes, or which the request has written into again."""
    told = {each.func: each for each in below(ctx, flow.route)} if flow.route is not None else {}
    for func in flow.funcs:
        module = ctx.program.module_of[func]
        for read, test in ctx.once(limits, func) if ctx.role_at(module, func) in LIVE_ROLES else ():
            if not _too_many(ctx, read, test):
                continue
            for again in _written_again(ctx, flow, read, told):
                message = (
                    f"the limit counts rows of {read.table}, and a request that names one (line {again.line}) has"
                    " it written into instead: it is never reached"
                )
                proof = [Place(again.module.path, again.line)]
                yield finding("credit-before-check", module, read.node, message, key=f"counted {read.table}",
                              weight=45, line=read.line, end=max(read.end, test.test.end),
                              evidence=proof), again.node  # fmt: skip
            gone = next((each for each in ctx.once(_deleted) if each.table == read.table), None)
            if gone is not None:
                message = f"the limit counts rows of {read.table}, which members can delete: then there is room again"
                yield finding("credit-before-check", module, test, message, key=f"deleted {read.table}", weight=BARELY,
                              end=test.test.end, evidence=[Place(gone.module.path, gone.line)]), test  # fmt: skip


def _too_many(ctx: Context, read: Statement, test: ir.If) -> bool:
    """Whether a test turns away those who have many rows, not those who have too few."""
    made = ir.enclosing(read.node, ir.Assign)
    names = variables_in(made.target) if made is not None else set()
    return any(
        names & names_in(more)
        for each in ir.find(test.test, ir.Bin)
        if each.right is not None and each.op in ORDER
        if not (isinstance(each.right, ir.Lit) and each.right.value == 0) or refuses_in(ctx, test.then)
        for more in (each.left if each.op in {">", ">="} else each.right,)
    )


def _written_again(
    ctx: Context, flow: Flow, read: Statement, told: dict[ir.Func, Given]
) -> Iterator[Statement]:
    """The first write of each function on a way into a counted row that the request names, where rows are added too."""
    for func in flow.funcs if _adds(ctx, flow, read.table) else ():
        again = next((each for each in ctx.statements_under.get(func, ()) if _writes_into(each, read)), None)
        here = told.get(func) if again is not None else None
        if again is not None and here is not None and any(is_given(here, by) for _, by in again.where_values):
            yield again


def _writes_into(statement: Statement, read: Statement) -> bool:
    return (
        statement.kind == "write"
        and not statement.insert
        and statement.table == read.table
        and bool(statement.where)
    )


def _adds(ctx: Context, flow: Flow, table: str) -> bool:
    made = (each for func in flow.funcs for each in ctx.statements_under.get(func, ()))
    return any(each.kind == "write" and each.insert and each.table == table for each in made)


def _deleted(ctx: Context) -> list[Statement]:
    """The statements by which the handlers of routes delete a row by its id."""
    handled = {func for func, routes in ctx.handled_by.items() if any(each.is_http for each in routes)}
    return [
        each
        for each in live_statements(ctx, "delete")
        if each.func is not None
        and any(one in handled for one in (each.func, *ir.ancestors(each.func)))
        and any(snake(one) in {"id", "_id"} for one in each.where)
        and not re.search(r"admin|cron|webhook", each.module.path, re.I)
    ]


def _by_cookie(ctx: Context, flow: Flow) -> Iterator[Told]:
    """A limit that asks a cookie which the visitor need not send."""
    for func in flow.funcs[:1]:
        module = ctx.program.module_of[func]
        line = goes_on(flow, module, func)
        for test in ir.find(func, ir.If) if "ookie" in module.file.text else ():
            text = "\n".join(module.lines[test.line - 1 : test.end])
            if (
                test.line >= line
                or not exits(test.then)
                or not _LIMITS.search(text)
                or _NOT_LOGIN.search(text)
            ):
                continue
            asked = [part for each in ir.find(test.test, ir.Name) for _, part in trace(ctx, module, each)]
            read = next((each for each in (*asked, *ir.walk(test.test)) if _reads_cookie(each)), None)
            if read is not None and ctx.role_at(module, test) in LIVE_ROLES:
                message = f"only a cookie keeps visitors from the next paid {flow.call.purpose}: who sends none passes"
                yield finding("credit-before-check", module, test, message, key=f"cookie {flow.call.api}", weight=42,
                              end=test.end, evidence=[place(flow.call)]), test  # fmt: skip


def _reads_cookie(node: ir.Node) -> bool:
    """`cookies().get("used")`, `req.cookies.used`, not of one that names who somebody is."""
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name == "get":
        named = " ".join(ir.text_of(each) or ir.dotted(each) for each in node.args)
        return "cookie" in ir.dotted(node.func.obj).lower() and not _NAMES_SOMEBODY.search(named)
    holder = node.obj if isinstance(node, ir.Attr | ir.Index) else None
    return (
        isinstance(holder, ir.Attr)
        and holder.name.lower() == "cookies"
        and not _NAMES_SOMEBODY.search(ir.dotted(node))
    )


_NAMES_SOMEBODY = re.compile(r"session|token|auth|user|sid", re.I)


def _looked_in_vain(ctx: Context, flow: Flow, steps: list[Step]) -> Iterator[Told]:
    """A plan that is read before the paid call, where no test of anything that money may buy leaves."""
    before = [each for each in steps if each.before]
    tests = [each for each in before if isinstance(each.event.node, ir.If | ir.Cond)]
    if not tests or _asks(ctx, flow, steps):
        return
    if flow.route is not None and any(_PLAN.search(snake(name)) for name, _ in flow.route.guarded_by):
        return
    func, last = tests[0].func, tests[-1].event
    reads = (
        each for each in ctx.statements_under.get(func, ()) if each.kind == "read" and each.line < last.line
    )
    read = next(
        (each for each in reads if any(_PLAN.search(snake(one)) for one in names_in(each.node))), None
    )
    if read is not None and ctx.role_at(read.module, read.node) in LIVE_ROLES:
        message = f"the plan is looked at here and turns nobody away from the paid {flow.call.purpose}"
        yield finding("credit-before-check", read.module, read.node, message, key=f"plan {flow.call.api}",
                      weight=44, line=read.line, end=last.line, evidence=[place(flow.call)]), read.node  # fmt: skip


def _says_yes(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """Checks of credits or a quota that ask nothing and let everybody pass, where a route relies on them."""
    told: set[ir.Func] = set()
    for handler in ctx.handled_by:
        for event in ledger.events(handler):
            called = event.node if event.kind == "check" else None
            for helper in helpers_behind(ctx, called) if isinstance(called, ir.Call) else ():
                given = returns(helper)
                asks = any(
                    isinstance(each, ir.Call | ir.If | ir.Cond)
                    for one in helper.body
                    for each in ir.walk(one)
                )
                module = ctx.program.module_of[helper]
                if helper in told or asks or not given or not all(map(_is_yes, given)):
                    continue
                told.add(helper)
                message = f"{helper.name} lets everybody pass: what relies on it has no limit"
                relies = [Place(ctx.program.module_of[handler].path, event.line)]
                yield finding("credit-before-check", module, helper, message, key=f"yes {helper.name}", weight=56,
                              end=helper.end, evidence=relies)  # fmt: skip


def _is_yes(value: ir.Node) -> bool:
    """`true`, or an answer with a yes in it."""
    told = value.get(*_YES) if isinstance(value, ir.Obj) else value
    return isinstance(told, ir.Lit) and told.value is True


_YES = ("allowed", "ok", "success", "canGenerate", "hasCredits", "can_generate")


def _by_browser(ctx: Context, opened: list[Flow]) -> Iterator[Finding]:
    """What a page counts in the browser's own store, where a paid route that a page calls asks for nothing."""
    for module in ctx.modules:
        words = module.file.words
        if module.role != "src" or not ("localStorage" in words or "indexedDB" in words):
            continue
        kept = next(_counts(module), None)
        flow = (
            next((each for each in opened if _calls(ctx, module, each)), None) if kept is not None else None
        )
        if flow is None or kept is None or flow.route is None or ctx.role_at(module, kept) not in LIVE_ROLES:
            continue
        message = f"only the browser keeps count of what may be made: {flow.route.key} asks for no limit"
        yield finding("credit-before-check", module, kept, message, key="browser", weight=43, end=kept.end,
                      evidence=[place(flow.call)])  # fmt: skip


def _calls(ctx: Context, module: Module, flow: Flow) -> bool:
    """Whether a page names the route, or, for what several pages share, whether any page does."""
    path = flow.route.path if flow.route is not None else ""
    if len(path) < 4 or "[" in path or "{" in path:
        return False
    pages = [module] if runs_in_browser(module) else ctx.once(_pages)
    return any(
        f"{path}{end}" in each.file.text for each in pages for end in "\"'`?" if path in each.file.text
    )


def _pages(ctx: Context) -> list[Module]:
    return [each for each in ctx.modules if runs_in_browser(each)]


def _counts(module: Module) -> Iterator[ir.Node]:
    """Where a count is put into the browser's store."""
    for call in module.calls({"setItem", "getItem"}):
        key = ir.text_of(call.args[0]) if call.args else None
        name = snake(
            (key or (ir.dotted(call.args[0]) if call.args else "")).replace("-", "_").replace(":", "_")
        )
        if _KEPT.search(name) and not _SHOWN.search(name):
            yield call
    for entry in module.all(ir.Prop) if "indexedDB" in module.file.words else ():
        value = entry.value
        if isinstance(value, ir.Bin) and value.op in {"+", "-"} and _KEPT.search(snake(entry.key or "")):
            yield entry
    if "localStorage" in module.file.words:
        for test in module.all(ir.If):
            for each in ir.find(test.test, ir.Bin):
                if each.op in ORDER and any(_FREE.search(name) for name in names_in(each)):
                    yield test


_FREE = re.compile(
    r"^(MAX_)?(FREE|DAILY|TRIAL|GUEST)_\w*(LIMIT|GENERATIONS|IMAGES|CREDITS|USES|COUNT|TRIES)$|^MAX_FREE_\w+$"
)
"""Constants of a limit."""
