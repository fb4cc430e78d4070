"""Part of the rule on credits: payments that a webhook books as a visitor without a session, which books nothing.

Of Supabase alone, whose rows are kept by policies; those are read from SQL files. What was set in the database by hand
is not known: where no file tells of a table, either nothing is booked or everybody may write it, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.clients import is_browsers
from portraitist.audit.rules.open_ways.open_database import all_sql, has_policies, keeps_strangers_from
from portraitist.audit.rules.requests import within_reach

_HOOK = re.compile(r"hook|(^|/)ipn\b|notif|callback", re.I)
_PAYMENTS = re.compile(
    r"stripe|paddle|polar\b|lemon_?-?squeezy|razorpay|paypal|mercado_?pago|paystack|dodo_?payments|whop|creem|flutterwave"
    r"|xendit|midtrans|revenue_?cat|mollie|asaas|payos",
    re.I,
)
_OF_RECORD = re.compile(r"events?$|logs?$|webhook|audit", re.I)
"""Tables of what was heard, beside those of what was bought."""
_ADDS = {"insert", "upsert"}


def unbooked(ctx: Context) -> Iterator[Finding]:
    """A payment service's webhook that writes with the key of every browser: the service has no session.

    A table whose policies all ask who somebody is takes nothing from it: an update changes no row and tells no error.
    """
    for route in ctx.routes if ctx.once(_speaks_supabase) else ():
        if route.is_http and route.method in {"POST", "ANY"} and _is_payments(ctx, route):
            found = [each for each in _written(ctx, route) if is_browsers(ctx, each)]
            kept = [each for each in found if keeps_strangers_from(ctx, each.table, _command(each))]
            untold = [each for each in found if not _is_told(ctx, each.table)]
            if kept or untold:
                gravest = min(kept or untold, key=lambda each: _OF_RECORD.search(each.table) is not None)
                yield _told(route, gravest, known=bool(kept))


def _speaks_supabase(ctx: Context) -> bool:
    return any("supabase" in each.lowered for each in ctx.live)


def _is_payments(ctx: Context, route: Route) -> bool:
    """Whether a live route is one that a payment's service calls, by its address and what its files speak of."""
    if not _HOOK.search(route.path) or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return False
    if "replicate" in route.path:
        return False  # whose webhooks are in `deaf_hooks`
    ways = within_reach(ctx, route)
    files = dict.fromkeys(ctx.program.module_of[each] for each in ways if each in ctx.program.module_of)
    return _PAYMENTS.search(route.path) is not None or any(_PAYMENTS.search(each.file.text) for each in files)


def _written(ctx: Context, route: Route) -> list[Statement]:
    ways = within_reach(ctx, route)
    return [each for func in ways for each in ctx.statements_under.get(func, ()) if each.kind != "read"]


def _command(statement: Statement) -> str:
    return "delete" if statement.kind == "delete" else "insert" if _adds(statement) else "update"


def _adds(statement: Statement) -> bool:
    return statement.insert or any(call_name(each) in _ADDS for each in chain_calls(statement.node))


def _is_told(ctx: Context, table: str) -> bool:
    """Whether the repository's files make a table or say who may touch it."""
    made = (
        rf"{sql.first('create')}\s+table\s+(?:if\s+not\s+exists\s+)?(?:\"?\w+\"?\.)?\"?{re.escape(table)}\b"
    )
    return has_policies(ctx, table) or re.search(made, ctx.once(all_sql), re.I) is not None


def _told(route: Route, written: Statement, *, known: bool) -> Finding:
    table = written.table
    quiet = "" if _adds(written) else ", and no error tells it"
    message = (
        f"the payment's service has no session, and the policies of {table} let nobody without one write a row: "
        f"nothing is booked here{quiet}"
        if known
        else f"the payment's service has no session, and {table} is written with the key of every browser: either "
        f"nothing is booked here, or whoever has the page may write {table}"
    )
    return finding("credit-before-check", written.module, written.node, message, key=f"{table} session",
                   weight=78 if known else BARELY, line=written.line, end=written.end,
                   evidence=[Place(route.module.path, route.node.line)])  # fmt: skip
