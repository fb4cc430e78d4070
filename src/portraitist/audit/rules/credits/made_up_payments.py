"""Part of the rule on credits: a payment that the code makes up itself, and what it stores as paid for by it.

Whether the route is switched off where it runs is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in, runs_in_browser
from portraitist.audit.rules.requests import within_reach

_SETTLED = {"succeeded", "paid", "completed", "complete", "success", "captured"}
_PAYMENT = re.compile(r"(^|_)(payments?|intent|charge|transaction|checkout|(payment_?)?order|invoice)(_|$)")
_WORDS = re.compile(r"payment|intent|charge|transaction|order|checkout|invoice")
_MADE = re.compile(r"\bnow\b|random|uuid|nanoid|time", re.I)
_SOLD = re.compile(r"subscri|user|profile|member|account|credit|plan|wallet|balance")
_SAID = re.compile(
    r"mock|test(_|s|$)|demo|simulat|sandbox|debug|stripe|paypal|key|(^|_)env(_|$)|(^|_)dev(_|$)|free|zero|total"
)
"""Names in a test around or before it, or in a route, by which such a payment may be meant or may cost nothing."""


def made_up_payments(ctx: Context) -> Iterator[Finding]:
    """`const payment = { id: `pi_${Date.now()}`, status: "succeeded" }` on the way to a member's row.

    Not where a test decides whether it is made up, nor in routes that say by their names that they try something out.
    """
    made = ctx.once(_made_up)
    told: set[ir.Obj] = set()
    for route in ctx.routes if made else ():
        if not route.is_http or _SAID.search(snake(route.path)) or not _is_live(ctx, route):
            continue
        funcs = list(within_reach(ctx, route))
        stored = next((each for func in funcs for each in ctx.statements_under.get(func, ())
                       if each.kind == "write" and _SOLD.search(snake(each.table))), None)  # fmt: skip
        for func in funcs if stored is not None else ():
            for obj in (each for each in made.get(func, ()) if each not in told):
                told.add(obj)
                module = ctx.program.module_of[func]
                message = (
                    f"{route.key} makes its payment up: that it succeeded stands in the source, and what is paid for "
                    "is stored all the same"
                )
                assert stored is not None
                yield finding("credit-before-check", module, obj, message, key=f"made up {route.key} {len(told)}",
                              weight=76, end=obj.end, evidence=[Place(stored.module.path, stored.line)])  # fmt: skip


def _is_live(ctx: Context, route: Route) -> bool:
    return ctx.role_at(route.module, route.node) in LIVE_ROLES


def _made_up(ctx: Context) -> dict[ir.Func, list[ir.Obj]]:
    """The payments that functions make up, under no test that decides it."""
    found: dict[ir.Func, list[ir.Obj]] = {}
    for module in ctx.live:
        if "status" not in module.file.text or not _WORDS.search(module.file.lowered_words):
            continue
        if runs_in_browser(module):
            continue
        for obj in module.all(ir.Obj):
            func = obj.within
            if func is not None and _is_payment(obj) and not _is_decided(func, obj):
                found.setdefault(func, []).append(obj)
    return found


def _is_payment(obj: ir.Obj) -> bool:
    """Whether an object has a payment's name, an id that is made on the spot, and says that it succeeded."""
    made = obj.parent
    named = isinstance(made, ir.Assign) and _PAYMENT.search(snake(last_name(made.target)))
    said = (ir.text_of(obj.get("status")) or "").lower()
    given = obj.get("id", "payment_id", "transaction_id")
    fresh = isinstance(given, ir.Tmpl | ir.Call | ir.Bin) and any(
        _MADE.search(each) for each in names_in(given)
    )
    return bool(named) and said in _SETTLED and fresh


def _is_decided(func: ir.Func, obj: ir.Obj) -> bool:
    """Whether a test around an object, or one that leaves before it, may say that no payment is to be made."""
    around = [each for each in ir.ancestors(obj) if isinstance(each, ir.If) and each.within is func]
    before = [each for each in ir.find(func, ir.If) if each.end < obj.line and exits(each.then)]
    return any(_SAID.search(snake(name)) for each in (*around, *before) for name in names_in(each.test))
