"""Addresses to which a payment's service sends the buyer back: no login belongs there. Part of `missing-auth`.

What such a route believes of the payment is not judged here.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.rules.requests import below, is_given

_PAYS = re.compile(
    r"paypal|stripe|mollie|razorpay|paddle|lemon_?squeezy|paystack|flutterwave|mercado_?pago|midtrans|xendit|iyzi|payu"
    r"|adyen|braintree|creem|polar|yookassa|robokassa|khalti|esewa|sslcommerz|phonepe|cashfree",
    re.I,
)
_REDIRECTS = {"redirect", "RedirectResponse", "HttpResponseRedirect"}
_ANSWERS = {"json", "send", "render", "end"}
_ANSWERING = {"res", "Response", "NextResponse", "reply", "response"}


def is_payment_return(ctx: Context, route: Route) -> bool:
    """Whether a route asks a payment's service by the very id by which it finds the row, and does nothing but redirect.

    The id is the service's own, which it tells nobody but the buyer, and no row is shown.
    """
    if route.method not in {"GET", "ANY"} or not route.funcs:
        return False
    return all(map(_only_redirects, route.funcs)) and _asks_by_same(ctx, route)


def _only_redirects(func: ir.Func) -> bool:
    calls = [each for each in ir.find(func, ir.Call) if isinstance(each.func, ir.Attr | ir.Name)]
    redirects = [each for each in calls if ir.dotted(each.func).rpartition(".")[2] in _REDIRECTS]
    shown = any(
        isinstance(each.func, ir.Attr)
        and each.func.name in _ANSWERS
        and ir.dotted(ir.root_of(each.func)) in _ANSWERING
        for each in calls
    )
    given = (each.value for each in ir.find(func, ir.Return) if each.within is func and not each.throws)
    return bool(redirects) and not shown and all(each is None or each in redirects for each in given)


def _asks_by_same(ctx: Context, route: Route) -> bool:
    here = next((each for each in below(ctx, route) if each.func in route.funcs), None)
    if here is None:
        return False
    by = {
        name
        for each in ctx.statements_under.get(here.func, ())
        for _, node in each.where_values
        if is_given(here, node)
        for name in variables_in(node)
    }
    return any(
        _PAYS.search(ir.dotted(call.func)) and any(by & variables_in(each) for each in call.args)
        for call in ir.find(here.func, ir.Call)
    )
