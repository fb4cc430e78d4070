"""The risk that somebody changes or deletes rows of others: writes by an id of the request, without the owner.

Routes that ask nobody at all are in `access`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import dependencies
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.signed import is_signed
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements, names_in, refusing_names, trace, unasked
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.open_ways.access import is_webhook
from portraitist.audit.rules.open_ways.open_data import unprotected
from portraitist.audit.rules.open_ways.open_database import keeps_to_owner
from portraitist.audit.rules.others import (
    accounts,
    children,
    files,
    identity,
    mail_addresses,
    models,
    named_owner,
    partly,
    parts_alone,
    permissions,
    predictions,
    rows,
    stored_keys,
    table_owners,
    view_classes,
)
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.others.checks import (
    WHO_ASKS,
    is_checked,
    is_narrowed,
    names_of_ids,
    tests_owner,
    tests_payment,
)
from portraitist.audit.rules.others.loosely import loosely_kept
from portraitist.audit.rules.others.table_owners import Owner, Owners, asks_for_parent, place_near
from portraitist.audit.rules.provider_told import asks_provider, plain_ids
from portraitist.audit.rules.requests import below, is_given, told_by_server

_REQUEST = {"req", "request"}


def idor(ctx: Context) -> Iterator[Finding]:
    """A row is changed or deleted by an id of the request, without its owner, while other statements use the owner.

    Also where the owner is the one that the request names (`named_owner` where it is compared with that one), where a
    paying route reads such a row to work with it (`rows`), where a route hands out files by a key of the request
    (`files`) or of a row that holds what a request gave (`stored_keys`), where a view class has everybody's rows for
    its own (`view_classes`), where lists hold others' addresses (`mail_addresses`), where the owner is only asked for
    if there is one (`loosely`), and parts of a row that was asked for (`parts_alone`). Only tables with an owner
    column, and no webhooks. Row-level security counts where a file here has its policies; no other check is seen.
    """
    yield from view_classes.for_members(ctx)
    yield from mail_addresses.shown_to_members(ctx)
    yield from stored_keys.by_stored_keys(ctx)
    owned = table_owners.owned(ctx)
    handlers = {each.node: route for route in ctx.routes if route.is_http for each in route.handlers}
    everyones, kept = table_owners.compared(ctx) | owned, files.members_buckets(ctx)
    for way_in in ctx.routes:
        if way_in.is_http and not _of_no_user(ctx, way_in) and not _STAFF.search(way_in.path):
            yield from _named_on(ctx, way_in, owned, everyones)
            yield from files.handed_out(ctx, way_in, kept)
            yield from models.run_by_name(ctx, way_in)
            yield from parts_alone.parts_by_id(ctx, way_in, owned)
            yield from predictions.shown(ctx, way_in)
            yield from partly.for_rows_with_owner(ctx, way_in)
            yield from _through_helpers(ctx, way_in, owned, set(handlers))
            yield from loosely_kept(ctx, way_in)
            yield from named_owner.compared_with_request(ctx, way_in)
    for statement in live_statements(ctx, "write", "delete"):
        named = _owner_of_request(ctx, statement, handlers)
        if named is not None:
            yield named
        owner = owned.get(statement.table)
        where = {snake(each) for each in statement.where}
        if owner is None or statement.insert or not where or where & ctx.words.owner_columns:
            continue
        route = _route_of(statement, handlers)
        if (
            route is None
            or (owner.by_definition and not are_known(ctx, route, ()))
            or _of_no_user(ctx, route)
            or _for_staff(ctx, route, statement)
            or not (_by_request(ctx, statement, set(handlers)) or _is_named(ctx, route, statement))
            or _compares_owner(ctx, statement)
            or _is_of_own_parent(ctx, statement, owner)
            or not _is_id(where)
            or _kept_by_policy(ctx, statement)
        ):
            continue
        if statement.kind == "write" and statement.table.lower().rstrip("s") in {"user", "profile"}:
            continue
        key = statement.table
        message = (
            f"{statement.kind} on {key} by {', '.join(sorted(where))} of the request, without {owner.column}"
        )
        site = (statement.module, statement.node)
        weight = 76 if are_known(ctx, route, ()) else _of_strangers(ctx, route)
        weight = weight if unprotected(ctx, statement) and not asks_provider(ctx, statement) else BARELY
        if any(rows.PROGRAMS.search(each) for func in route.funcs for each in ctx.once(refusing_names, func)):
            weight = BARELY
        weight = permissions.weighed(ctx, route, weight)
        whose = place_near(ctx, key, owner, route.module.path)
        yield unasked("idor", route, site, message, key=key, weight=weight, evidence=[whose])


def _of_no_user(ctx: Context, route: Route) -> bool:
    """Whether another service calls a route: its request names rows of whoever they are."""
    return is_webhook(ctx, route) or is_signed(ctx, route)


def _of_strangers(ctx: Context, route: Route) -> int:
    """The weight where no user is known: BARELY where `missing-auth` tells of it, and where nobody need be known."""
    return BARELY if _ANSWERED.search(route.path) or open_data.told(ctx, route) is not None else 57


_ANSWERED = re.compile(r"call_?back|hook|notif|(^|[/_-])ipn\b|/click|/link$", re.I)


def _named_on(ctx: Context, route: Route, owned: Owners, everyones: Owners) -> Iterator[Finding]:
    """Rows, and people, that a route takes because the request names them; what is the same hole is told once.

    So it is with a row that is put into one which is read by that id, and with an account that a sibling compares.
    """
    read = list(rows.given_away(ctx, route, everyones, _asks_on_the_way))
    accounted = list(accounts.of_whoever(ctx, route))
    yield from (*read, *accounted)
    parents = {each.evidence[-2:] for each in read}  # where the table has its owner, and the route
    parts = children.of_parents(ctx, route, owned, _asks_on_the_way)
    yield from (each for each in parts if each.evidence[-2:] not in parents)
    places = {(each.path, each.line, each.end_line) for each in accounted}
    people = identity.written_for(ctx, route)
    yield from (each for each in people if (each.path, each.line, each.end_line) not in places)


_GIVEN = re.compile(r"(^|\.)(body|json|query|params|formData|searchParams|args|form|get_json|values)(\.|$)")


def _owner_of_request(
    ctx: Context, statement: Statement, handlers: dict[ir.Node | None, Route]
) -> Finding | None:
    """A write for whoever the request names as the owner, by a route that knows who is asking and does not compare."""
    route = _route_of(statement, handlers)
    if route is None or not route.guarded_by or _for_staff(ctx, route, statement) or statement.func is None:
        return None
    others = {snake(each) for each in statement.where} - ctx.words.owner_columns
    if _is_id(others) or any(tests_owner(ctx, each) for each in ir.find(statement.func, ir.Bin)):
        return None
    for column, node in statement.where_values:
        if told_by_server(ctx, statement, node):
            continue
        ways = [ir.dotted(part) for _, part in trace(ctx, statement.module, node)]
        given = any(_GIVEN.search(each) and each.partition(".")[0] in _REQUEST for each in ways)
        if snake(column) in ctx.words.owner_columns and given:
            message = f"{statement.kind} on {statement.table} for the {column} that the request names"
            site = (statement.module, statement.node)
            return unasked("idor", route, site, message, key=statement.table, weight=76)
    return None


def _is_id(where: set[str]) -> bool:
    return any(each in {"id", "pk"} or each.endswith("_id") or each.endswith("uuid") for each in where)


def _asks_on_the_way(ctx: Context, statement: Statement, way: tuple[ir.Func, ...]) -> bool:
    """Whether a function between the handler and the statement asks for the owner, or for an id as somebody's."""
    if _compares_owner(ctx, statement):
        return True
    parts = {use.column: use.node for use in statement.columns if statement.insert}
    told = [
        each
        for name, each in parts.items()
        if snake(name).endswith("_id") and snake(name) not in ctx.words.owner_columns
    ]
    nodes = [*(node for _, node in statement.where_values), *(each for each in told if each is not None)]
    ids = {each.id for node in nodes for each in ir.find(node, ir.Name)}
    for func in way:
        for each in ctx.statements_under.get(func, []):
            where = {snake(one) for one in each.where}
            if where & ctx.words.owner_columns and (
                each.table == statement.table or _is_id(where - ctx.words.owner_columns)
            ):
                return True
        site = _site_in(ctx, func, statement, way)
        if any(_tests(ctx, each, site) for each in ir.find(func, ir.Bin)):
            return True
        if is_checked(ctx, func, ids):
            return True
    return False


def _tests(ctx: Context, test: ir.Bin, site: ir.Node) -> bool:
    """Whether a comparison asks whose something is: of what is asked at a site, and on the branch of that."""
    if not tests_owner(ctx, test) or partly.stands_apart(test, site):
        return False
    return not partly.is_of_another(ctx, test, site)


def _site_in(ctx: Context, func: ir.Func, statement: Statement, way: tuple[ir.Func, ...]) -> ir.Node:
    """Where a function comes to a statement: the statement, or the call of the next function on the way to it."""
    return next((call for above, call in _calls_on(ctx, way) if above is func), statement.node)


def _route_of(statement: Statement, handlers: dict[ir.Node | None, Route]) -> Route | None:
    func = statement.func
    while func is not None:
        if func in handlers:
            return handlers[func]
        func = ir.enclosing(func, ir.Func)
    return None


def _through_helpers(
    ctx: Context, route: Route, owned: Owners, handlers: set[ir.Node | None]
) -> Iterator[Finding]:
    """The routes whose handler hands a storage helper nothing but an id of the request: `remove(req.params.id)`.

    Named at the route: the helper may be right for others.
    """
    told: set[str] = set()
    if re.search(r"web-?_?hook", route.path, re.I):
        return
    for here in below(ctx, route):
        if any(ctx.once(_asks_for_staff, each) for each in here.way):
            return
        if here.func in handlers or any(_knows_whose(each) for each in here.way[1:]):
            continue
        asked = are_known(ctx, route, here.way)
        for each in ctx.statements_under.get(here.func, []):
            where = {snake(one) for one in each.where}
            ids = [node for column, node in each.where_values if _is_id({snake(column)})]
            if (
                each.kind == "read"
                or each.insert
                or each.table not in owned
                or (owned[each.table].by_definition and not asked)
                or each.table in told
                or each.table.lower().rstrip("s") in {"user", "profile"}
                or where & ctx.words.owner_columns
                or not any(is_given(here, node) for node in ids)
                or _for_staff(ctx, route, each)
                or _asks_on_the_way(ctx, each, here.way)
                or asks_for_parent(ctx, here.way, each, owned[each.table].parts, here)
                or any(_checks_before(ctx, above, call) for above, call in _calls_on(ctx, here.way))
            ):
                continue
            told.add(each.table)
            does = "deletes from" if each.kind == "delete" else "changes"
            message = (
                f"{route.key} {does} {each.table} by an id of the request, without {owned[each.table].column}"
            )
            whose = place_near(ctx, each.table, owned[each.table], route.module.path)
            seen = [Place(each.module.path, each.line), whose]
            weight = permissions.weighed(ctx, route, 76 if asked else _of_strangers(ctx, route))
            yield finding("idor", *route.home, message, key=f"{each.table} {route.key}", weight=weight,
                          end=route.head, evidence=seen)  # fmt: skip


def _asks_for_staff(ctx: Context, func: ir.Func) -> bool:
    return any(_STAFF.search(name) for name in ctx.once(refusing_names, func))


def _knows_whose(func: ir.Func) -> bool:
    """Whether a function is told who asks, by a parameter or by what one is made for: `tx: UserTx`."""
    said = (name for each in func.params for name in (each.name, *names_in(each.annotation)))
    return any(WHO_ASKS.search(each) for each in said)


def _calls_on(ctx: Context, way: tuple[ir.Func, ...]) -> Iterator[tuple[ir.Func, ir.Call]]:
    """Each call that leads from one function of a way to the next."""
    for above, below_it in itertools.pairwise(way):
        for call in ir.find(above, ir.Call):
            if any(each.node is below_it for each in ctx.program.functions_called(call)):
                yield above, call


def _checks_before(ctx: Context, handler: ir.Func | None, call: ir.Call) -> bool:
    """Whether a handler compares an owner, or looks for the row as somebody's, before it calls the helper."""
    if handler is None:
        return True
    tests = any(tests_owner(ctx, each) for each in ir.find(handler, ir.Bin))
    asked = (each for each in ir.find(handler, ir.Call) if each.line < call.line and len(each.args) > 1)
    return tests or any(WHO_ASKS.search(one) for each in asked for arg in each.args for one in names_in(arg))


def _by_request(ctx: Context, statement: Statement, handlers: set[ir.Node | None]) -> bool:
    """Whether an id in the condition comes from the request: from `req` or from a parameter of the handler."""
    given = set(_REQUEST)
    func = statement.func
    while func is not None:
        if func in handlers:
            injected = [param for param, _, _ in dependencies(ctx, ctx.program.module_of[func], func)]
            asked = [each for each in func.params if each not in injected and not _is_dependency(each)]
            given |= {each.id for param in asked for each in ir.find(param, ir.Name)}
            given |= {param.name for param in asked}
        func = ir.enclosing(func, ir.Func)
    for column, node in statement.where_values:
        if _is_id({snake(column)}):
            for _, part in trace(ctx, statement.module, node):
                root = ir.root_of(part)
                if isinstance(root, ir.Name) and root.id in given:
                    return True
    return False


def _is_named(ctx: Context, route: Route, statement: Statement) -> bool:
    """Whether what a handler made of the request, by a helper or a schema, says which row is meant."""
    around = [each for each in below(ctx, route) if each.func in ir.ancestors(statement.node)]
    ids = [node for column, node in statement.where_values if _is_id({snake(column)})]
    return any(is_given(here, node) for here in around for node in ids)


_STAFF = re.compile(r"admin|superuser|staff|operator|moderator|require_?permission", re.I)


def _for_staff(ctx: Context, route: Route, statement: Statement) -> bool:
    """Whether only staff may come here: by the path, a guard's name, or a test of a role that leaves."""
    func = statement.func
    if func is not None and rows.looks_for_role(ctx, func):
        return True
    tested = ctx.once(refusing_names, func) if func is not None else ()
    named = [route.path, *(name for name, _ in route.guarded_by), *tested]
    return any(_STAFF.search(each) for each in named)


def _is_dependency(param: ir.Param) -> bool:
    """Whether a framework fills a parameter itself: FastAPI's `Depends`, a session, whoever is signed in."""
    nodes = [each for each in (param.default, param.annotation) if each is not None]
    depends = any(
        ir.dotted(call.func).endswith("Depends") for each in nodes for call in ir.find(each, ir.Call)
    )
    return depends or re.search(r"^(db|session|self|cls)$|user$", param.name) is not None


def _is_of_own_parent(ctx: Context, statement: Statement, owner: Owner) -> bool:
    """Whether a row that is part of another is selected by that too, or the other is asked for before."""
    columns = {snake(column) for column, _ in owner.parts}
    if columns & {snake(each) for each in statement.where}:
        return True
    way = tuple(each for each in ir.ancestors(statement.node) if isinstance(each, ir.Func))
    return asks_for_parent(ctx, way, statement, owner.parts)


_COMMANDS = {"write": "update", "delete": "delete"}


def _kept_by_policy(ctx: Context, statement: Statement) -> bool:
    """Whether a statement asks with the member's own rights, and a policy leaves members their own rows."""
    if unprotected(ctx, statement):
        return False
    return keeps_to_owner(ctx, statement.table, _COMMANDS.get(statement.kind, "select"))


def _compares_owner(ctx: Context, statement: Statement) -> bool:
    """Whether the function reads the row with its owner, or compares the owner, before.

    So do the functions around it: what a handler has asked holds in the callback of its transaction.
    """
    mine = any(identity.is_asker(statement.module, node) for _, node in statement.where_values)
    if mine or is_narrowed(ctx, statement):
        return True  # `Order.tailor_id == current_user.id`: whatever the column is called
    ids = names_of_ids(statement)
    around = [each for each in ir.ancestors(statement.node) if isinstance(each, ir.Func)]
    asked = (each for func in around for each in ctx.statements_under.get(func, ()) if each.func is func)
    if any(_asks_owner_of(ctx, each, statement) for each in asked):
        return True
    for func in around:
        if any(
            _tests(ctx, each, statement.node) or tests_payment(each, ids) for each in ir.find(func, ir.Bin)
        ):
            return True
        if is_checked(ctx, func, ids, statement.line):
            return True
    return False


def _asks_owner_of(ctx: Context, asked: Statement, statement: Statement) -> bool:
    """Whether one statement asks for the row of another, or for what that is part of by the same id, with the owner.

    An id that is a member, `params.id`, counts only before, and where the handler leaves if there is no such row.
    """
    where = {snake(one) for one in asked.where}
    later = asked.func is not statement.func and asked.line > statement.line
    if later or not where & ctx.words.owner_columns:
        return False
    listed = asked.kind == "read" and not _is_id(where - ctx.words.owner_columns)
    if listed and partly.stands_apart(asked.node, statement.node):
        return False  # a list of one's own, which another branch answers with
    if asked.table == statement.table or plain_ids(asked) & plain_ids(statement):
        return True
    same = rows.member_ids(asked) & rows.member_ids(statement)
    return bool(same) and asked.line < statement.line and rows.is_needed(asked)
