"""Members' rows that a route reads or changes for whoever names them: who is asked nothing, by an id of the request.

Which tables are members' own, and which statements their database would still protect. Part of `missing-auth`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who, dependencies
from portraitist.audit.facts.base import Context, ProviderCall, Route, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.facts.db_common import call_name, made, pairs_of
from portraitist.audit.facts.db_documents import FIRESTORE_FUNCTIONS
from portraitist.audit.facts.denial import flat, is_always, is_reader
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.rules.base import helpers_of, last_name
from portraitist.audit.rules.open_ways import open_database
from portraitist.audit.rules.open_ways.clients import all_rights_behind, has_all_rights, is_asked_for_nobody
from portraitist.audit.rules.open_ways.look_alikes import is_read_for_more, opens_database, own_things
from portraitist.audit.rules.requests import Given, below, is_given, of_chosen_row

MEANT_OPEN = re.compile(
    r"webhook|callback|cron|login|log-in|signin|sign-in|signup|sign-up|register|reset(?!-?_?(train|credit|usage|model|status|job|data|quota|limit|(user|member|account|profile)(?!-?_?passw)))|forgot|verif|confirm|unsubscribe"
    r"|/share|public|/auth\b|/auth/|health|invite|track|analytics|/og\b|sitemap|contact|waitlist|newsletter",
    re.I,
)
_OF_SERVICES = re.compile(r"webhooks?|callbacks?|cron", re.I)
_OPEN_COLUMNS = re.compile(
    r"public|publish|shared?|token|slug|secret|code|visib|hash|email|username|handle|signature|featured", re.I
)
PEOPLE = re.compile(r"(^|_)(users?|profiles?|accounts?|members?|customers?|subscriptions?)$", re.I)
_SHOWN = re.compile(
    r"stores?|shops?|products?|posts?|articles?|templates?|styles?|presets?|galler|feeds?|listings?|plans?|pric|comments?"
    r"|reviews?|creators?|artists?|blogs?|categor|packs?|themes?|settings|configs?|pages?|sites?|institution|schools?|countr|regions?|faqs?",
    re.I,
)
"""Tables whose rows are made to be seen by all."""
IDS = {"id", "pk", "uuid"}
DOES = {"read": "reads", "write": "changes", "delete": "deletes from"}
"""What a statement does to a table, for a message."""
_STORE = re.compile(r"db|session|store|conn|client|settings|config|repo|service", re.I)


def is_meant_open(route: Route) -> bool:
    """Whether a route's address says that it is for whoever comes; another service reaches no function of Convex."""
    path = _OF_SERVICES.sub("", route.path) if route.framework == "convex" else route.path
    return MEANT_OPEN.search(path) is not None


def told(ctx: Context, route: Route) -> tuple[Given, Statement, str] | None:
    """The gravest statement of an open route on a row that the request names: a change before a read, else None.

    Nothing where anything on the way asks who calls, where the row's owner is not the request's word, or where the
    database may still protect the row because it is asked with the visitor's own rights.
    """
    if is_meant_open(route) or MEANT_OPEN.search(route.module.path) or may_refuse(ctx, route):
        return None
    found: list[tuple[int, Given, Statement, str]] = []
    for here in below(ctx, route):
        if any(asks_who(ctx, each) for each in here.way) or knows_who(ctx, here.func):
            return None
        for statement in (*ctx.statements_under.get(here.func, ()), *_deeds(ctx, here)):
            column = _named_by(ctx, here, statement)
            if column and not _is_passing(ctx, statement):
                grave = 2 * (statement.kind == "read") + (not is_members(ctx, statement.table))
                found.append((grave, here, statement, column))
    best = min(found, key=lambda each: each[0], default=None)
    return best[1:] if best is not None else None


def _is_passing(ctx: Context, statement: Statement) -> bool:
    """Whether what is set of a row goes into the answer alone: no column of its table, or nothing is committed."""
    if _only_adds(statement):
        return True
    if statement.kind != "write" or not isinstance(statement.node, ir.Assign) or statement.func is None:
        return False
    known = {snake(each) for each in columns_of(ctx, statement.table)}
    if known and not known & {snake(each.column) for each in statement.columns}:
        return True
    stores = {"commit", "flush", "save", "asave", "merge", "add", "begin"}
    python = statement.module.language == "python"
    return python and not any(last_name(each.func) in stores for each in ir.find(statement.func, ir.Call))


def _only_adds(statement: Statement) -> bool:
    """`upsert({ where, update: {}, create })`: a row that is there stays as it is."""
    updates = (each.value for each in ir.find(statement.node, ir.Prop) if each.key == "update")
    return any(isinstance(each, ir.Obj) and not each.props for each in updates)


def looked_up(ctx: Context, route: Route) -> ProviderCall | None:
    """The provider's answer that an open route gives for an id of the request: a training's or a prediction's."""
    if is_meant_open(route) or may_refuse(ctx, route):
        return None
    ways = below(ctx, route)
    if any(asks_who(ctx, each) for here in ways for each in here.way) or any(
        knows_who(ctx, here.func) for here in ways
    ):
        return None
    return provider_asked(ctx, ways)


def provider_asked(ctx: Context, ways: list[Given]) -> ProviderCall | None:
    """The first call below a route that asks the provider for what has an id of the request."""
    for call in ctx.calls if ways else ():
        single = call.api.endswith((".get", "async_get")) or call.api.startswith("GET ")
        for here in ways if call.purpose == "status" and single else ():
            named = call.call.kw.props if call.call.kw is not None else []
            arguments = [*call.call.args[:1], *(each.value for each in named)]
            if here.func in ir.ancestors(call.call) and any(is_given(here, each) for each in arguments):
                return call
    return None


def looks_up(ctx: Context, here: Given) -> bool:
    """Whether a row is selected by what the request says: an order's number may be known to its buyer alone."""
    asked = ctx.statements_under.get(here.func, ())
    return any(is_given(here, node) for each in asked for _, node in each.where_values)


def may_refuse(ctx: Context, route: Route) -> bool:
    """Whether a FastAPI dependency of the handler can raise for whatever reason: it may be the one that asks."""
    for handler in route.handlers:
        if not isinstance(handler.node, ir.Func) or handler.module is None:
            continue
        for _, where, depended in dependencies(ctx, handler.module, handler.node):
            made = ctx.program.resolve(where, depended)
            if any(isinstance(each.node, ir.Func) and _raises(ctx, each.node) for each in made):
                return True
            if not any(each.node is not None for each in made) and not _STORE.search(ir.dotted(depended)):
                return True
    return False


def _raises(ctx: Context, func: ir.Func, depth: int = 0) -> bool:
    if any(each.throws and each.value is not None for each in ir.find(func, ir.Return)):
        return True
    called: list[ir.Node | None] = [*helpers_of(ctx, func)]
    for _, where, depended in dependencies(ctx, ctx.program.module_of[func], func):
        called.extend(each.node for each in ctx.program.resolve(where, depended))
    return depth < 2 and any(isinstance(each, ir.Func) and _raises(ctx, each, depth + 1) for each in called)


def knows_besides(ctx: Context, func: ir.Func) -> bool:
    """As `knows_who`, where a payment that is begun may be called a session."""
    paid = any(_PAYMENT.search(ir.dotted(each.func)) for each in ir.find(func, ir.Call))
    return knows_who(ctx, func, frozenset({"session"} if paid else ()))


_PAYMENT = re.compile(r"checkout\.?sessions?\.create$", re.I)


def knows_who(ctx: Context, func: ir.Func, own: frozenset[str] = frozenset()) -> bool:
    """Whether a function reads who is asking at all, tested or not, or a cookie or header that may say so."""
    vain: set[str] = set()
    for call in ir.find(func, ir.Call):
        name = ir.plain_dotted(call.func) or ir.dotted(call.func)
        if is_reader(ctx, name) and flat(name) not in {"decode", "verify"}:
            if "ession" in name and opens_database(ctx, call):
                continue
            unused = _in_vain(ctx, func, call)
            if not unused:
                return True
            vain.add(unused)
    stores = {each.name for each in func.params if each.annotation is not None and _is_store(each.annotation)}
    stores |= own_things(func) | own
    return any(
        says_who(func, each)
        and not (isinstance(each, ir.Name) and each.id in stores | vain)
        and not is_read_for_more(ctx, each)
        for each in ir.walk(func)
    )


def _in_vain(ctx: Context, func: ir.Func, call: ir.Call) -> str:
    """The name of who was read where nothing is taken of it: Supabase's whole answer, tested and always there."""
    holder = ir.enclosing(call, ir.Assign)
    if holder is None or not isinstance(holder.target, ir.Name) or func not in ctx.program.module_of:
        return ""
    name, module = holder.target.id, ctx.program.module_of[func]
    used = [each for each in ir.find(func, ir.Name) if each.id == name and each is not holder.target]
    return name if used and all(is_always(module, each) for each in used) else ""


def _is_store(annotation: ir.Node) -> bool:
    """Whether a parameter is a database's session: `session: AsyncSession`."""
    return any(each.id in {"Session", "AsyncSession", "SessionDep"} for each in ir.find(annotation, ir.Name))


_HARMLESS = {
    "origin", "host", "referer", "user-agent", "content-type", "content-length", "accept-language", "x-real-ip",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "range", "accept", "accept-encoding", "if-none-match",
    "if-modified-since", "cache-control", "connection", "idempotency-key", "x-vercel-ip-country", "cf-ipcountry",
}  # fmt: skip
"""Headers that say nothing of who somebody is."""


def _is_harmless(func: ir.Func, node: ir.Node) -> bool:
    """Whether headers are read for nothing but such: `headers().get("origin")`, or through a variable."""
    if (
        node.name if isinstance(node, ir.Attr) else node.id if isinstance(node, ir.Name) else ""
    ) != "headers":
        return False
    made = node.parent if isinstance(node.parent, ir.Call) and node.parent.func is node else node
    holders = [made]
    if isinstance(made.parent, ir.Assign) and isinstance(made.parent.target, ir.Name):
        name = made.parent.target.id
        holders = [
            each for each in ir.find(func, ir.Name) if each.id == name and each is not made.parent.target
        ]
    return bool(holders) and all(_header_of(each) in _HARMLESS for each in holders)


def _header_of(node: ir.Node) -> str:
    """The header that is taken of an object of headers, in lower case; "" where that is not plain."""
    up = node.parent
    if isinstance(up, ir.Index):
        return (ir.text_of(up.key) or "").lower()
    if isinstance(up, ir.Attr) and up.name == "get" and isinstance(up.parent, ir.Call) and up.parent.args:
        return (ir.text_of(up.parent.args[0]) or "").lower()
    return up.name.lower() if isinstance(up, ir.Attr) else ""


def says_who(func: ir.Func, node: ir.Node) -> bool:
    """`req.headers`, `ctx.user`, `cookies()`, `session`: what may say who is asking, in a function."""
    return _names_who(node) and not _is_harmless(func, node)


def _names_who(node: ir.Node) -> bool:
    if isinstance(node, ir.Attr) and isinstance(node.obj, ir.Name):
        hung = node.name in {"headers", "cookies", "session", "user", "auth"}
        return hung and node.obj.id in {"req", "request", "ctx", "context", "c"}
    return isinstance(node, ir.Name) and node.id in {"cookies", "headers", "session", "current_user"}


_READS = re.compile(r"(get|list|fetch|find|search|count|load|read|select|show)_")
"""How stored functions that only read are called."""
_ADMIN = {"deleteUser": "delete", "updateUserById": "write", "getUserById": "read"}


def _deeds(ctx: Context, here: Given) -> Iterator[Statement]:
    """What works like a statement: a stored function that is told a member, a sign-in service's administration."""
    for call in ir.find(here.func, ir.Call):
        func = call.func
        if not isinstance(func, ir.Attr) or not call.args:
            continue
        site = (here.module, call)
        given = call.args[1] if func.name == "rpc" and len(call.args) > 1 else None
        if isinstance(given, ir.Obj) and ir.text_of(call.args[0]):
            named = [(re.sub(r"^(p|in|_)_?(?=[a-z]+_)", "", key), node) for key, node in pairs_of(given)]
            members = tuple((key, node) for key, node in named if snake(key) in ctx.words.owner_columns)
            where = tuple(key for key, _ in members)
            if members and all_rights_behind(ctx, here.module, func.obj):
                name = ir.text_of(call.args[0]) or ""
                yield made("read" if _READS.match(name) else "write", name, (), where, site, values=members)
        elif func.name in _ADMIN and re.search(r"admin|users$|clerk", ir.dotted(func.obj), re.I):
            yield made(_ADMIN[func.name], "users", (), ("id",), site, values=(("id", call.args[0]),))


def _named_by(ctx: Context, here: Given, statement: Statement) -> str:
    """The column by which the request chooses whose row this is, or ""."""
    where = {snake(each): node for each, node in statement.where_values}
    owners = ctx.words.owner_columns
    if not unprotected(ctx, statement):
        return ""
    if statement.kind == "read" and [snake(each) for each in statement.where] == ["email"]:
        shown = PEOPLE.search(statement.table) or _KNOWN_BY_MAIL.search(statement.table)
        return "email" if not shown and is_given(here, where["email"]) else ""
    if (told_who := of_person(here, statement)) or any(
        _OPEN_COLUMNS.search(each) for each in statement.where
    ):
        return told_who
    if any(snake(each) in owners for each in statement.where):
        mine = [each for each in where if each in owners]
        return mine[0] if mine and all(is_given(here, where[each]) for each in mine) else ""
    if statement.insert or (statement.kind == "write" and not statement.where):
        given = [each for each in statement.columns if snake(each.column) in owners - {"user", "uid"}]
        people = re.search(r"(^|_)(users?|profiles?|accounts?|members?|customers?)$", statement.table, re.I)
        part = (
            each.column
            for each in statement.columns
            if statement.insert and _belongs(ctx, each.column) and is_given(here, each.node)
        )
        return next(
            (
                each.column
                for each in given
                if not (people and statement.insert) and is_given(here, each.node)
            ),
            next(part, ""),
        )
    if not is_private(statement) or _is_for_all(ctx, statement):
        return ""
    if not is_members(ctx, statement.table):
        return next((each for each in where if _belongs(ctx, each) and is_given(here, where[each])), "")
    ids = [each for each in where if each in IDS or each.endswith("_id") or statement.kind == "delete"]
    chosen = (each for each in ids if statement.kind == "write" and _of_chosen(ctx, here, where[each]))
    return next((each for each in ids if is_given(here, where[each])), next(chosen, ""))


def _of_chosen(ctx: Context, here: Given, node: ir.Node) -> bool:
    """Whether a row is one that was read before by nothing but a member or an id that the request names."""
    if not of_chosen_row(ctx, here, node):
        return False
    row = ir.root_of(node)
    values = [each.value for each in bindings_of(here.module, row) if each.value is not None]
    read = [
        each
        for each in ctx.statements_under.get(here.func, ())
        if each.kind == "read" and any(each.node in ir.walk(value) for value in values)
    ]
    known = ctx.words.owner_columns | IDS
    return bool(read) and all(each.where and {snake(one) for one in each.where} <= known for each in read)


_KNOWN_BY_MAIL = re.compile(
    r"wait_?list|subscri|newsletter|leads?$|contact|invit|otp|verif|token|code|allow|admin|black|banned|session",
    re.I,
)
"""Tables in which an address is looked for to know whether it is there."""
_ACCOUNT = re.compile(
    r"^(clerk|auth|auth0|supabase|firebase|kinde|cognito|okta|privy|stack)_?(user_?)?(id|uid)$"
)
"""Under which a sign-in service knows a person: it was not chosen, and only the service can say whose it is."""
_OWN_DOING = re.compile(r"passw|verif|reset|otp|code|login|logged|subscri|opt_|newsletter|seen|token", re.I)


def of_person(here: Given, statement: Statement) -> str:
    """The sign-in service's id by which a person is added, or the e-mail address by which one is changed."""
    if statement.kind != "write" or not PEOPLE.search(statement.table):
        return ""
    names = [each.column for each in statement.columns]
    if any(_OWN_DOING.search(each) for each in names):
        return ""
    if statement.insert:
        told = (each for each in statement.columns if _ACCOUNT.match(snake(each.column)))
        return next((each.column for each in told if is_given(here, each.node)), "")
    by = [node for column, node in statement.where_values if snake(column) == "email"]
    alone = [snake(each) for each in statement.where] == ["email"] and bool(names)
    return "email" if alone and by and is_given(here, by[0]) else ""


def is_private(statement: Statement) -> bool:
    """Whether a statement is none of those that read what is there to be seen, by its table or by what it asks for."""
    shown = statement.kind == "read" and _SHOWN.search(statement.table)
    return not shown and not any(_OPEN_COLUMNS.search(each) for each in statement.where)


def _belongs(ctx: Context, column: str) -> bool:
    """Whether a column names the row of a members' table that a row is part of: `order_id` where orders have users."""
    stem = snake(column).removesuffix("_id")
    if stem == snake(column):
        return False
    tables = {*ctx.tables, *(each.table for each in ctx.statements)}
    return any(snake(each) in {stem, f"{stem}s"} and is_members(ctx, each) for each in tables)


def is_members(ctx: Context, table: str) -> bool:
    """Whether the rows of a table belong to somebody: by definition, by name, or by what statements set and ask."""
    owners = ctx.words.owner_columns
    if PEOPLE.search(table) or {snake(each) for each in columns_of(ctx, table)} & owners:
        return True
    return any(
        each.table == table
        and (
            {snake(one) for one in each.where} & owners
            or (each.insert and {snake(one.column) for one in each.columns} & owners)
        )
        for each in ctx.statements
    )


def unprotected(ctx: Context, statement: Statement) -> bool:
    """Whether the database lets everybody through: it does but for a client that asks with a visitor's rights."""
    if isinstance(statement.node, ir.Call) and call_name(statement.node) in FIRESTORE_FUNCTIONS:
        return False  # the browser's library, which asks with the visitor's rights on a server too
    if has_all_rights(ctx, statement):
        return True
    command = {"read": "select", "delete": "delete"}.get(
        statement.kind, "insert" if statement.insert else "update"
    )
    if open_database.lets_anybody(ctx, statement.table, command):
        return True
    return is_asked_for_nobody(ctx, statement) and not open_database.has_policies(ctx, statement.table)


def _is_for_all(ctx: Context, statement: Statement) -> bool:
    """Whether a row is read by a client that has no rights of its own: what it may see, everybody may."""
    return statement.kind == "read" and not has_all_rights(ctx, statement)
