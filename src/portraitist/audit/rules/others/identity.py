"""Who somebody is by their own word: a signed-in visitor names the member whose rows are written, changed or read.

Part of `idor`. Accounts that a sibling compares are in `accounts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import last_name, live_statements, refusing_names, unasked
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.others.accounts import tests_name
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.others.checks import WHO_ASKS, asks_for_own
from portraitist.audit.rules.requests import Given, below, is_given

_MINE = {"user_id", "owner_id", "member_id", "profile_id", "created_by", "clerk_id", "clerk_user_id"}
_MACHINES = re.compile(
    r"secret|api_?key|cron|service|internal|web-?_?hook|signature|passw|hmac|bot|worker|admin|staff|permission|role",
    re.I,
)
"""Guards and paths of other programs: those may say for whom they act."""


def written_for(ctx: Context, route: Route) -> Iterator[Finding]:
    """A route that knows who asks, and adds, changes or reads rows for the owner that the request names.

    Read are those that are not there to be seen, and not by a route whose name says that it shows somebody to others.
    Not where anything on the way compares that name or asks for a role, nor where another program is asked for its
    secret: it may say for whom it acts. The first such statement of a route is named.
    """
    guards = " ".join((route.path, *(name for name, _ in route.guarded_by)))
    if ctx.role_at(route.module, route.node) not in LIVE_ROLES or _MACHINES.search(guards):
        return
    joined = False
    for here in below(ctx, route):
        if not are_known(ctx, route, here.way):
            continue
        joined = joined or _joins_both(ctx, here)
        if any(ctx.once(_asks_machines, func) for func in here.way):
            return
        for statement in ctx.statements_under.get(here.func, ()):
            column, node = _named(here, statement)
            if node is None or not open_data.unprotected(ctx, statement):
                continue
            if any(tests_name(func, last_name(node)) for func in here.way) or _is_for_host(
                ctx, here, statement
            ):
                continue
            if statement.kind == "read" and (joined or not _is_kept(route, statement)):
                continue
            does = "adds to" if statement.insert else open_data.DOES[statement.kind]
            message = (
                f"{route.key} {does} {statement.table} for the {column} that the request names, whoever asks"
            )
            site = (statement.module, statement.node)
            weight = 61 if statement.kind == "read" else 72
            weight = weight if statement.table in ctx.once(_of_askers) else BARELY
            yield unasked("idor", route, site, message, key=f"owner {route.key}", weight=weight,
                          evidence=[Place(route.module.path, route.node.line)])  # fmt: skip
            return


def _of_askers(ctx: Context) -> set[str]:
    """The tables whose rows are somewhere asked for, or made, as those of who asks: these are known to be theirs."""
    found: set[str] = set()
    for each in live_statements(ctx, "read", "write", "delete"):
        written = [(one.column, one.node) for one in each.columns if each.insert]
        for column, node in (*written, *each.where_values) if each.table not in found else ():
            mine = snake(column) in _MINE or (
                snake(column) in open_data.IDS and open_data.PEOPLE.search(each.table)
            )
            if mine and node is not None and is_asker(each.module, node):
                found.add(each.table)
    return found


_ASKER = re.compile(
    r"(user|session|auth|profile|viewer|identity|claims|account|jwt|token)\w*(\.\w+)*\.(id|_id|uid|sub|user_?id|subject)$",
    re.I,
)


def is_asker(module: Module, node: ir.Node) -> bool:
    """`session.user.id`, or a name that was made of it or of what a reader of sessions answers."""
    if _ASKER.search(ir.dotted(node)):
        return True
    for each in bindings_of(module, node) if isinstance(node, ir.Name) else ():
        if each.value is None:
            continue
        if _ASKER.search(".".join((ir.dotted(each.value), *map(str, each.keys)))):
            return True
        if isinstance(each.value, ir.Call) and WHO_ASKS.search(ir.dotted(each.value.func)):
            return True
    return False


def _asks_machines(ctx: Context, func: ir.Func) -> bool:
    return any(_MACHINES.search(each) for each in ctx.once(refusing_names, func))


def _named(here: Given, statement: Statement) -> tuple[str, ir.Node | None]:
    """The owner that a statement writes or selects by, where the request says who that is."""
    written = [(each.column, each.node) for each in statement.columns if statement.insert]
    people = open_data.PEOPLE.search(statement.table) is not None
    for column, node in (*written, *statement.where_values):
        told = node is not None and snake(last_name(node)) in _MINE
        mine = snake(column) in _MINE or (people and snake(column) in open_data.IDS)
        if told and mine and is_given(here, node):
            return column, node
    return "", None


def _is_for_host(ctx: Context, here: Given, statement: Statement) -> bool:
    """Whether somebody is named for a thing of who asks: `getOwnAlbum(params.id, me)`, and then its members."""
    things = [node for column, node in statement.where_values if snake(column) not in _MINE]
    ids = {each.id for node in things for each in ir.find(node, ir.Name)}
    calls = (call for func in here.way for call in ir.find(func, ir.Call) if call.line < statement.line)
    return any(
        asks_for_own(call, ids) or (variables_in(call) & ids and _reads_own(ctx, call))
        for call in (calls if ids else ())
    )


def _reads_own(ctx: Context, call: ir.Call) -> bool:
    """Whether a call is a read by an id and an owner, or a helper of the repository that reads so."""
    helpers = [each.node for each in ctx.program.functions_called(call)]
    below_it = (
        one for each in helpers if isinstance(each, ir.Func) for one in ctx.statements_under.get(each, ())
    )
    for each in (*ctx.statements_at.get(call, ()), *below_it):
        where = {snake(one) for one in each.where}
        if each.kind == "read" and where & _MINE and where - _MINE:
            return True
    return False


def _joins_both(ctx: Context, here: Given) -> bool:
    """Whether a row is looked for that joins who asks with whom the request names: `from = me and to = them`."""
    for each in ctx.statements_under.get(here.func, ()):
        told = [is_given(here, node) for _, node in each.where_values]
        mine = (node for (_, node), given in zip(each.where_values, told, strict=True) if not given)
        if each.kind == "read" and any(told) and any(WHO_ASKS.search(ir.dotted(one)) for one in mine):
            return True
    return False


def _is_kept(route: Route, statement: Statement) -> bool:
    """Whether rows are read that nobody means to show to others."""
    shown = _SHOWS.search(route.path) or open_data.MEANT_OPEN.search(route.path)
    counted = any(each.key == "head" for each in ir.find(statement.node, ir.Prop))
    return not shown and not counted and open_data.is_private(statement)


_SHOWS = re.compile(
    r"profile|communit|explore|follow|friend|creator|artist|author|social|feed|search|chat|messag|team|org",
    re.I,
)
