"""Rows of others that a signed-in visitor is given: reads by an id of the request, without the owner. Part of `idor`.

Writes are in `ownership`, routes that ask nobody in `open_data`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import for_few
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import last_name, refusing_names, unasked
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.others import permissions
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.others.checks import WHO_ASKS
from portraitist.audit.rules.others.table_owners import Owners, asks_for_parent, place_near
from portraitist.audit.rules.requests import Given, below, is_given

Compares = Callable[[Context, Statement, tuple[ir.Func, ...]], bool]


_GIVEN_AROUND = re.compile(r"web-?_?hook|callback|cron|/share|public|invite|unsubscribe|/og\b", re.I)
"""What a route that asks who calls is still made for: rows that are handed around by their ids."""
_ROLE = re.compile(r"admin|superuser|staff|operator|moderator|^role$|member|permission", re.I)
_ASKS = re.compile(r"(^|_)(verify|check|ensure|assert|require|can|has|is|authori[sz]e)_?[A-Z]?\w*"
                   r"(member|owner|access|permi|allow|role|admin|belong|authori)", re.I)  # fmt: skip


PROGRAMS = re.compile(r"internal|(^|_)cron|service_?(key|token|secret)", re.I)
"""Names of secrets by which another program of the owner's shows itself: it has no owner to be."""


def given_away(ctx: Context, route: Route, owned: Owners, compares: Compares) -> Iterator[Finding]:
    """The first read of each table by which a route gives, or pays to work with, the row that its visitor names.

    Not where anything on the way asks for the owner, for a role or a membership, or compares the owner (`compares`),
    nor where the database may know the visitor, nor for tables of people and of what is there to be seen.
    """
    if asks_role(route) or asks_owner(route):
        return
    pays = any(flow.route is route for flow in ctx.flows)
    seen: set[str] = set()
    meant = _GIVEN_AROUND if route.guarded_by else open_data.MEANT_OPEN
    for here in below(ctx, route) if not meant.search(route.path) else ():
        made = ctx.statements_under.get(here.func, [])
        made = [each for each in made if each.table in owned and _by_id_alone(ctx, here, each, pays)]
        asked = made and are_known(ctx, route, here.way)
        if not made or not (pays or asked) or any(asks_more(ctx, each) for each in here.way):
            continue
        if any(_asks_secret(here, each) for each in ir.find(here.func, ir.If)):
            continue
        for statement in made:
            owner = owned[statement.table]
            if statement.table in seen or (owner.by_definition and not asked):
                continue
            if compares(ctx, statement, here.way) or asks_for_parent(
                ctx, here.way, statement, owner.parts, here
            ):
                continue
            seen.add(statement.table)
            message = f"{route.key} reads {statement.table} by an id of the request, without {owner.column}"
            site = (statement.module, statement.node)
            weight = (68 if pays else 62) if asked else BARELY
            weight = BARELY if _only_there(statement) else permissions.weighed(ctx, route, weight)
            whose = place_near(ctx, statement.table, owner, route.module.path)
            yield unasked("idor", route, site, message, key=f"{statement.table} {route.key}", weight=weight,
                          evidence=[whose, Place(route.module.path, route.node.line)])  # fmt: skip


def _asks_secret(here: Given, test: ir.If) -> bool:
    """`if (row.session_id !== body.session_id) return …`: whose a row is, by what its visitor alone knows."""
    compared = (each for each in ir.find(test.test, ir.Bin) if each.op in {"!=", "!=="} and exits(test.then))
    return any(
        isinstance(own, ir.Attr) and _SECRET.search(own.name) and is_given(here, told)
        for each in compared
        for own, told in ((each.left, each.right), (each.right, each.left))
    )


_SECRET = re.compile(r"session_?id|secret|token|passw|(^|_)(pin|key|code|email)$|[a-z](Key|Code|Email)$")


def _only_there(statement: Statement) -> bool:
    """Whether nothing but the id is taken of a row, `select: { id: true }`: only whether it is there is learned."""
    chosen = [each.value for each in ir.find(statement.node, ir.Prop) if each.key == "select"]
    return any(isinstance(each, ir.Obj) and [one.key for one in each.props] == ["id"] for each in chosen)


def asks_owner(route: Route) -> bool:
    """Whether something in front of a handler asks for an owner by its name: `isModelOwner`."""
    return any(re.search(r"own(s|er)|belongs", ir.dotted(node), re.I) for _, node in route.guards)


def asks_role(route: Route) -> bool:
    """Whether what guards a handler is named for a role or a membership: `adminProcedure`."""
    return any(_ROLE.search(name.rpartition(".")[2]) for name, _ in route.guarded_by)


def asks_more(ctx: Context, func: ir.Func) -> bool:
    """Whether a function asks for a membership by a helper, or tests a role and leaves."""
    return ctx.once(_asks_more, func)


def _asks_more(ctx: Context, func: ir.Func) -> bool:
    if any(_ASKS.search(each) for each in {last_name(each.func) for each in ir.find(func, ir.Call)}):
        return True
    return looks_for_role(ctx, func) or any(_ROLE.search(each) for each in ctx.once(refusing_names, func))


def looks_for_role(ctx: Context, func: ir.Func) -> bool:
    """Whether a function asks for a role: in a table of roles, by a row with one, by a list of the few who may."""
    return ctx.once(for_few, func) or any(
        each.kind == "read"
        and (_ROLES.search(each.table) or {snake(one) for one in each.where} & {"role", "is_admin"})
        for each in ctx.statements_under.get(func, ())
    )


_ROLES = re.compile(r"(^|_)(roles?|admins?|permissions?|staff)$", re.I)


def _by_id_alone(ctx: Context, here: Given, statement: Statement, pays: bool) -> bool:
    """Whether nothing but ids of the request selects a row; its own id, unless the route works with it for money."""
    where = {snake(each) for each in statement.where}
    if (
        statement.kind != "read"
        or open_data.PEOPLE.search(statement.table)
        or where & ctx.words.owner_columns
        or not open_data.is_private(statement)
    ):
        return False
    ids = [(snake(each), node) for each, node in statement.where_values
           if snake(each) in open_data.IDS or each.endswith(("_id", "Id"))]  # fmt: skip
    if not all(is_given(here, node) for _, node in ids):
        return False  # a company's or a team's id, which the server knows
    named = [each for each, _ in ids if pays or each in {*open_data.IDS, f"{_single(statement.table)}_id"}]
    return bool(named) and open_data.unprotected(ctx, statement)


def _single(table: str) -> str:
    return snake(table).removesuffix("s")


def member_ids(statement: Statement) -> set[str]:
    """The members that a statement's conditions are, spelled out: `params.id`; not those of the owner's own id."""
    plain = {ir.plain_dotted(node) for _, node in statement.where_values if isinstance(node, ir.Attr)}
    return {each for each in plain if each and not WHO_ASKS.search(each)}


def is_needed(statement: Statement) -> bool:
    """Whether a function leaves where what a statement reads is not there: `if (!row) return …`, `findFirstOrThrow`."""
    if statement.func is None or _OR_LEAVES.search(ir.dotted(statement.node)):
        return statement.func is not None
    return is_missed(statement.func, statement.node)


_OR_LEAVES = re.compile(r"or_?(throw|fail|404)", re.I)


def is_missed(func: ir.Func, site: ir.Node) -> bool:
    """Whether a branch leaves where what was read is not there: `if (!row) return …`."""
    holder = ir.enclosing(site, ir.Assign)
    names = variables_in(holder.target) if holder is not None else set()
    for branch in ir.find(func, ir.If):
        named = any(each.id in names for each in ir.find(branch.test, ir.Name))
        plain = isinstance(branch.test, ir.Name | ir.Attr)
        if branch.line > site.line and named and not plain and exits(branch.then):
            return True
    return False
