"""Rows that an open route changes or shows without being told whose: balances that grow, an office's lists.

Rows that the request names are in `open_data`. Part of `missing-auth`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.facts.denial import is_reader
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, unguarded
from portraitist.audit.rules.credits.changes import CREDIT, all_changes, meaning, signs_of
from portraitist.audit.rules.credits.granted import proves_payment
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.open_ways.meant import counts_visits, declared_public
from portraitist.audit.rules.open_ways.sweeps import is_aged, swept
from portraitist.audit.rules.provider_told import asks_provider
from portraitist.audit.rules.requests import below, is_given
from portraitist.audit.rules.senders.verified import verifies

MAX_DEPTH = 3
"""How many calls below a handler a statement is looked for."""

_OFFICE = re.compile(r"(^|[/_.-])(admin|backoffice|back-office)([/_.-]|$)", re.I)
_ENTRANCE = re.compile(
    r"log-?in|log-?out|sign-?in|sign-?out|/auth\b|verif|passw|session|web-?hook|callback|cron|health|set-?up|seed|init",
    re.I,
)
_STATE = re.compile(r"(^|_)(status|state|stage|paid|price|approved|archived|deleted(_at)?)$")
_CLIENT = re.compile(r"client|supabase|database|(^|_)db$", re.I)
"""What connects to a database hands it the visitor's cookies, and tells nobody who that is."""
_BACK = re.compile(
    r"refund|cancel|fail|web-?_?hook|callback|cron|renew|daily|internal|log-?in|sign-?_?(in|up)|register|reset|forgot|verif"
    r"|confirm|invite|referr|redeem|coupon|promo|voucher|/auth\b",
    re.I,
)
"""Where a balance grows for a reason of its own, or for a code that is asked for."""


def weight_of(ctx: Context, route: Route, statement: Statement) -> int:
    """The weight of what an open route does to a row that the request names.

    BARELY for doors that are meant for everybody: what is declared public to read, a counter of visits, a form that
    strangers fill in, and a question that writes no more than what the provider answers.
    """
    if statement.kind == "read":
        declared = any("public" in ir.dotted(node).lower() for _, node in route.guards)
        return BARELY if declared or declared_public(route) else 41
    meant = _FOR_STRANGERS.search(route.path) or any(counts_visits(each, statement) for each in route.funcs)
    return BARELY if meant or asks_provider(ctx, statement) else 72


_FOR_STRANGERS = re.compile(
    r"click|impression|page-?_?view|email-?_?capture|capture-?_?(email|lead)|(^|/)leads?(/|$)|survey|feedback|(^|/)(up)?votes?(/|$)"
    r"|(^|/)likes?(/|$)|rsvp|push(/|$)|subscribe(/|$)|guest-?_?book",
    re.I,
)


def shown_or_changed(ctx: Context, route: Route) -> Iterator[Finding]:
    """The balance that an open route raises, the row whose state it sets, or what it does to its office's rows."""
    told = _gravest(ctx, route, _ways(ctx, route))
    if told is not None:
        does, at, weight = told
        yield finding("missing-auth", *route.home, f"{route.key} {does}", key=route.key, weight=weight,
                      end=unguarded(route, [at]), evidence=[at])  # fmt: skip


def _gravest(ctx: Context, route: Route, ways: list[ir.Func]) -> tuple[str, Place, int] | None:
    """What is said of the gravest that an open route does to rows, where it does that, and its weight."""
    if (grown := _grown(ctx, route, ways)) is not None:
        return f"adds to {grown[0]}, turns nobody away and asks for no payment", grown[1], 78
    if (kept := _of_office(ctx, route, ways)) is not None:
        does = f"{open_data.DOES[kept.kind]} {kept.table} and asks nobody"
        return does, _place(kept), 66 if kept.kind == "read" else 74
    if (timed := _on_time(ctx, route, ways)) is not None:
        does = f"{open_data.DOES[timed.kind]} {timed.table}, and not even a timer's secret is asked for"
        return does, _place(timed), 54
    if (listed := _all_of(ctx, route, ways)) is not None:
        return f"reads rows of {listed.table}, whoever's they are, and asks nobody", _place(listed), 56
    if (moved := _moved(ctx, route, ways)) is not None:
        does = f"{open_data.DOES[moved[0].kind]} {moved[0].table} by the {moved[1]} of the request and asks nobody"
        return does, _place(moved[0]), _where_others_ask(ctx, 64)
    if (ended := swept(ctx, route, ways)) is not None:
        does = "deletes from" if ended.kind == "delete" else "ends work of"
        does = f"{does} {ended.table} whoever it belongs to, by its state, and asks nobody"
        return does, _place(ended), _where_others_ask(ctx, 63) if not is_aged(ctx, ended, ways) else BARELY
    return None


def _where_others_ask(ctx: Context, weight: int) -> int:
    """The weight where some route of the repository asks who calls; else all is open, which is told elsewhere."""
    return weight if any(each.guarded_by for each in ctx.routes) else BARELY


def _place(statement: Statement) -> Place:
    return Place(statement.module.path, statement.line)


def _ways(ctx: Context, route: Route) -> list[ir.Func]:
    """The functions below an open route; none where one of them asks, or may know, who calls."""
    if open_data.may_refuse(ctx, route):
        return []
    found: list[ir.Func] = []
    level = [each.node for each in route.handlers if isinstance(each.node, ir.Func) and each.module]
    for _ in range(MAX_DEPTH + 1):
        for func in level:
            asked = func in ctx.program.module_of and asks_who(ctx, func)
            if asked or _may_know(ctx, func):
                return []
            found.append(func)
        level = [each for func in level for each in helpers_of(ctx, func) if each not in found]
    return found


def _may_know(ctx: Context, func: ir.Func) -> bool:
    connects = func.name is not None and _CLIENT.search(func.name)
    return not connects and ctx.once(open_data.knows_who, func) and not ctx.once(_makes_who_up, func)


def _makes_who_up(ctx: Context, func: ir.Func) -> bool:
    """Whether who somebody is comes from a cookie alone, and whoever has none is given a name all the same.

    `key = request.cookies.get("key")` and then `if not key: key = …`, or `… or uuid4()`: nobody is turned away.
    """
    if any(is_reader(ctx, ir.dotted(each.func)) for each in ir.find(func, ir.Call)):
        return False
    read = [each for each in ir.walk(func) if open_data.says_who(func, each)]
    holders = [ir.enclosing(each, ir.Assign) for each in read]
    return bool(holders) and all(each is not None and _has_another(func, each) for each in holders)


def _has_another(func: ir.Func, read: ir.Assign) -> bool:
    """Whether a variable that was read has a second value where the first is nothing."""
    if not isinstance(read.target, ir.Name):
        return False
    if any(each.op == "or" and not isinstance(each.right, ir.Lit) for each in ir.find(read, ir.Bin)):
        return True
    name = read.target.id
    for branch in ir.find(func, ir.If):
        test = branch.test
        missing = isinstance(test, ir.Bin) and test.op == "not" and getattr(test.left, "id", "") == name
        set_there = (one for part in branch.then for one in ir.find(part, ir.Assign))
        if missing and any(getattr(each.target, "id", "") == name for each in set_there):
            return True
    return False


def _grown(ctx: Context, route: Route, ways: list[ir.Func]) -> tuple[str, Place] | None:
    """The balance that is raised below a route, and where; None where one is lowered too, or paid work is done.

    Such give back what they took. None either where anything on the way proves a payment.
    """
    if not ways or route.method == "GET" or _BACK.search(route.path):
        return None
    if any(ctx.once(proves_payment, each) for each in ways) or any(each.func in ways for each in ctx.calls):
        return None
    done = [each for func in ways for each in ctx.once(_by_function).get(func, ())]
    given = [each for each in done if each[0] == "give"]
    return given[0][1:] if given and len(given) == len(done) else None


def _by_function(ctx: Context) -> dict[ir.Func, list[tuple[str, str, Place]]]:
    """What each function does to balances, by statements and by assignments: give or take, which, and where."""
    found: dict[ir.Func, list[tuple[str, str, Place]]] = {}
    for statement in ctx.statements:
        func = statement.func
        for use in statement.columns if statement.kind == "write" and not statement.insert else ():
            if func is not None and CREDIT.search(snake(use.column)):
                kinds = {meaning(use.column, each) for each in signs_of(ctx, statement, use)}
                where = Place(statement.module.path, statement.line)
                name = f"{statement.table}.{use.column}"
                found.setdefault(func, []).extend((each, name, where) for each in sorted(kinds))
    for module, kind, name, node in ctx.once(all_changes):
        if node.within is not None and CREDIT.search(name):
            found.setdefault(node.within, []).append((kind, name, Place(module.path, node.line)))
    return found


def _moved(ctx: Context, route: Route, ways: list[ir.Func]) -> tuple[Statement, str] | None:
    """What is deleted, or whose state is set, by an id of the request; a row of nobody's is one of somebody's work.

    Not where the provider is asked on the way: then the state is the provider's, and not the caller's word.
    """
    if not ways or route.method == "GET" or open_data.is_meant_open(route):
        return None
    if any(each.func in ways for each in ctx.calls):
        return None
    for here in below(ctx, route):
        for statement in ctx.statements_under.get(here.func, ()) if here.func in ways else ():
            told = [(snake(name), node) for name, node in statement.where_values]
            ids = [name for name, node in told if name in open_data.IDS and is_given(here, node)]
            if ids and _sets_state(statement) and open_data.unprotected(ctx, statement):
                return statement, ids[0]
    return None


def _sets_state(statement: Statement) -> bool:
    if statement.kind == "write" and not statement.insert:
        return any(_STATE.search(snake(each.column)) for each in statement.columns)
    return statement.kind == "delete"


def _of_office(ctx: Context, route: Route, ways: list[ir.Func]) -> Statement | None:
    """The gravest statement of a route that lies below an office's address, or in its file."""
    own = _OFFICE.search(route.path) or _OFFICE.search(route.module.path.rpartition(".")[0])
    if not own or _ENTRANCE.search(route.path) or any(_asks_word(ctx, each) for each in ways[:1]):
        return None
    made = [each for func in ways for each in ctx.statements_under.get(func, ())]
    made = [each for each in made if open_data.unprotected(ctx, each)]
    return min(made, key=lambda each: each.kind == "read", default=None)


def _asks_word(ctx: Context, func: ir.Func) -> bool:
    """Whether a handler asks for a word, be it one that everybody reads in the code, or says that it is for all."""
    module = ctx.program.module_of[func]
    head = "\n".join(module.file.text.split("\n")[max(func.line - 2, 0) : func.line + 3])
    return verifies(ctx, module, func) or re.search(r"public (endpoint|route|api)", head, re.I) is not None


_TIMED = re.compile(r"(^|[/_.-])(cron|scheduled?)([/_.-]|$)", re.I)


def _on_time(ctx: Context, route: Route, ways: list[ir.Func]) -> Statement | None:
    """What a route for a timer changes or deletes; none where any secret is compared on the way."""
    if not _TIMED.search(route.path) or any(
        verifies(ctx, ctx.program.module_of[each], each) for each in ways[:1]
    ):
        return None
    made = [each for func in ways for each in ctx.statements_under.get(func, ()) if each.kind != "read"]
    return next((each for each in made if not each.insert and open_data.unprotected(ctx, each)), None)


FOR_ALL = re.compile(
    r"communit|explore|public|galler|feed|showcase|discover|trending|leaderboard|recent|popular|featured|stats|home|search|top"
    r"|preview|sample|example",
    re.I,
)
"""Lists that are made to be seen by all."""


def _all_of(ctx: Context, route: Route, ways: list[ir.Func]) -> Statement | None:
    """A read that names no row and no owner, of a table whose rows have owners, where other routes are guarded."""
    if route.method != "GET" or FOR_ALL.search(route.path) or open_data.is_meant_open(route):
        return None
    if not any(each.guarded_by for each in ctx.routes):
        return None
    owners = ctx.words.owner_columns
    for func in ways[:1]:
        for each in ctx.statements_under.get(func, ()):
            owned = {snake(one) for one in columns_of(ctx, each.table)} & owners
            whole = each.kind == "read" and not each.where and not each.where_values and not each.columns
            if whole and owned and open_data.is_private(each) and not counts(each):
                return each if open_data.unprotected(ctx, each) else None
    return None


def counts(statement: Statement) -> bool:
    """Whether rows are only counted or summed, or a condition is built that is not seen."""
    names = {call_name(each) for each in chain_calls(statement.node)}
    return bool(names & _SUMS) or not isinstance(statement.node, ir.Call)


_SUMS = {
    "count",
    "aggregate",
    "groupBy",
    "group_by",
    "sum",
    "where",
    "filter",
    "filter_by",
    "eq",
    "match",
    "in_",
    "first",
}
