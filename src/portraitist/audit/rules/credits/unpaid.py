"""Part of the rule on credits: what is sold and given away, by a route on which nothing looks at a payment.

Judges routes whose path or functions are named for a purchase, and those that set what a payment sets. What a service
answers under a name that says nothing of payments is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, helpers_of, last_name, names_in
from portraitist.audit.rules.credits.effects import done_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.requests import Given, below, is_given

_SELLS = re.compile(
    r"(^|_)(buy|purchase|pay|payments?|checkout|upgrade|subscribe|subscriptions?|top_?up|billing|packs?|packages?"
    r"|recharge|deposit|(add|grant)_credits)(_|$)"
)
"""Words of a route or function that say that something is sold there."""
_ELSE = re.compile(
    r"refund|cancel|downgrade|unsubscribe|bonus|daily|claim|referr|reward|promo|coupon|redeem|voucher|gift|welcome"
    r"|sign_?up|regist|onboard|init|seed|create_user|ensure|sync|hook|callback|cron|trial|restor|revert|fail|admin"
    r"|staff|internal|free|mock|test|demo|simulat|debug|dev(_|$)|reset|migrat"
)
"""Words of ways that give for another reason than a payment, or whose sender proves himself in another way."""
_PROVES = re.compile(
    r"verif(y|ied)_?(?!token|jwt|auth|user|session|id_token)\w|retrieve|receipt|construct_?event|capture|hmac|signature"
    r"|timing_?safe|compare_digest|stripe|paypal|razorpay|paddle|lemon|polar|creem|dodo|mercado|yookassa|robokassa"
    r"|cloud_?payments|crypto_?pay|revenue_?cat|adapty|midtrans|xendit|paystack|flutterwave|alipay|wechat|toss|iyzi"
    r"|braintree|square|adyen|mollie|payos|vnpay|momo|jazz|sepay|(get|fetch|find|check|load)_\w*transaction|invoice|confirm_payment|check_?payment"
)
_ASKS = re.compile(
    r"pay|paid|receipt|invoice|charge|order|purchase|transaction|signature|secret|coupon|promo|code(_|$)|voucher|status"
    r"|env(_|$)|debug|(^|_)dev(_|$)|admin|role|staff|balance|price|cost|wallet|(^|_)eligib|once|already|claimed|granted"
)
"""Names in a test that turns away which may prove, or may ask, what makes the gift right."""
_BOUGHT = re.compile(
    r"^(is_|has_)?(paid|premium|pro|subscribed|pro_member|vip|active_subscription|lifetime(_access)?)$"
    r"|^(is_|has_)?(paid|payment)_(succeeded|success|completed?|done|verified|confirmed|status)$|^has_paid\w*$"
    r"|^subscription(_(status|active|tier|plan|type))?$|^(current_)?(plan|tier|membership)(_(id|type|name|tier|level))?$"
)
"""Columns that say what a member has bought."""
_MEMBERS = re.compile(
    r"user|profile|account|member|customer|subscri|plan|organi[sz]ation|team|workspace|people"
)
_GRANTED = re.compile(
    r"^(true|paid|active|pro|premium|plus|basic|starter|standard|business|enterprise|vip|ultimate|succeeded|success"
    r"|completed?|lifetime|monthly|yearly|unlimited|creator|gold|silver)$",
    re.I,
)


def given_unpaid(ctx: Context, route: Route) -> Finding | None:
    """The first thing a route gives that is sold, where no function on the way looks at a payment or a reason.

    Where the handler's own comment declares that no payment is asked for now, its owner knows: it weighs little.
    """
    for handler in route.funcs:
        module = ctx.program.module_of[handler]
        way = _way(ctx, handler)
        given = next(_bought(ctx, route, way), None) or next(_credits(ctx, route, way), None)
        ordered = given is None
        if given is None:
            given = min(_ordered(ctx, handler), key=lambda each: each[1].line, default=None)
        if given is None or ctx.role_at(module, handler) not in LIVE_ROLES:
            continue
        func, node, what = given
        words = {snake(each) for each in re.split(r"[/{}\[\]\s.-]+", f"{route.path}/{module.path}")}
        words |= {snake(each.name) for each in (handler, func)}
        if any(_ELSE.search(each) for each in words):
            continue
        told = {each.func: each for each in below(ctx, route)}
        if (
            _is_proven(ctx, handler, node)
            if ordered
            else any(_is_earned(ctx, each, told.get(each)) for each in way)
        ):
            continue
        at = node if way[func] is None else way[func]
        assert at is not None
        message = f"{route.key} gives {what} and nothing on the way looks at a payment"
        if ordered:
            message = f"{route.key} sets {what} to paid and nothing before that looks at a payment"
        proof = Place(ctx.program.module_of[func].path, node.line)
        weight = BARELY if _is_declared(module, handler) else 74
        return finding("credit-before-check", module, at, message, key=f"unpaid {route.key}", weight=weight,
                       end=at.end, evidence=[proof])  # fmt: skip
    return None


_DECLARES = re.compile(
    r"(no|without)[ \w]{0,12} payments?[ \w]{0,16}(required|needed|necessary|asked|for now|yet|during)"
    r"|\bpayments?[ \w]{0,12}(not|n't)[ \w]{0,8}(required|needed)",
    re.I,
)
_COMMENT = re.compile(r"^\s*(//|/?\*|#)(?P<said>.*)")
MAX_ABOVE = 12
"""So many lines above a handler may hold what its comment says of it."""


def _is_declared(module: Module, handler: ir.Func) -> bool:
    """Whether the comment above a handler or in it says that no payment is asked for now."""
    lines = module.file.text.split("\n")[max(0, handler.line - 1 - MAX_ABOVE) : handler.end]
    said = (_COMMENT.match(each) for each in lines)
    return any(each is not None and _DECLARES.search(each["said"]) for each in said)


def _way(ctx: Context, handler: ir.Func) -> dict[ir.Func, ir.Call | None]:
    """A handler and the functions down to two calls below, each with the handler's own call that leads there."""
    found: dict[ir.Func, ir.Call | None] = {handler: None}
    called: list[ir.Func] = []
    for call in ir.find(handler, ir.Call):
        for target in ctx.program.functions_called(call):
            if isinstance(target.node, ir.Func) and target.node not in found:
                found[target.node] = call
                called.append(target.node)
    for each in called:
        for inner in helpers_of(ctx, each):
            found.setdefault(inner, found[each])
    return found


Gift = tuple[ir.Func, ir.Node, str]


def _credits(ctx: Context, route: Route, way: dict[ir.Func, ir.Call | None]) -> Iterator[Gift]:
    """Sums of a balance, where the route or a function on the way is named for a sale and takes nothing."""
    handler = next(iter(way))
    for func in way:
        gives = list(done_in(ctx, func, "give"))
        named = (*re.split(r"[/\s.-]+", route.path), handler.name, func.name, *(each.name for each in gives))
        if not gives or not any(_SELLS.search(snake(each)) for each in named):
            continue
        if any(next(done_in(ctx, each, "take"), None) for each in way):
            return  # what is given was taken elsewhere
        yield func, gives[0].node, f"credits ({gives[0].name})"


def _bought(ctx: Context, route: Route, way: dict[ir.Func, ir.Call | None]) -> Iterator[Gift]:
    """Writes of what a member has bought: `{ isPaid: true }`, `{ plan: "pro" }`, `{ plan: body.plan }`."""
    told = {each.func: each for each in below(ctx, route)}
    for func in way:
        for each in ctx.statements_under.get(func, ()):
            if each.kind != "write" or not _MEMBERS.search(snake(each.table)) or "push" in each.table:
                continue
            use = next((use for use in each.columns if _is_bought(each, use, told.get(func))), None)
            if use is not None:
                yield func, each.node, f"what is paid for ({each.table}.{use.column})"


def _is_bought(statement: Statement, use: ColumnUse, here: Given | None) -> bool:
    """Whether a column gets the value of something paid for, or what the request says of it."""
    begun = "subscri" in statement.table.lower() and snake(use.column) == "status" and statement.insert
    begun = begun and not any(_is_free(each) for each in statement.columns)
    if not _BOUGHT.search(snake(use.column)) and not begun:
        return False
    if isinstance(use.value, Known):
        signs_up = statement.insert and _PEOPLE.search(snake(statement.table)) is not None
        return bool(_GRANTED.match(str(use.value.value))) and not (signs_up and use.value.value is not True)
    if isinstance(use.node, ir.Obj) and not statement.insert:
        return any(_is_given_out(each) for each in use.node.props)
    return not statement.insert and here is not None and is_given(here, use.node)


def _is_given_out(entry: ir.Prop) -> bool:
    """`isActive: true` and `plan: "premium"` of `user.subscription = { … }`."""
    said = entry.value.value if isinstance(entry.value, ir.Lit) else None
    key = snake(entry.key or "")
    return (said is True and key in {"is_active", "active"}) or (
        isinstance(said, str) and _PLAN.search(key) is not None and _GRANTED.match(said) is not None
    )


def _is_free(use: ColumnUse) -> bool:
    """`plan: "FREE"`, `tier: Plan.FREE`, `planId: PLANS.free.id`: such a row is what everybody begins with."""
    if not _PLAN.search(snake(use.column)):
        return False
    known = isinstance(use.value, Known) and isinstance(use.value.value, str)
    said = (
        str(use.value.value)
        if known and isinstance(use.value, Known)
        else ir.dotted(use.node)
        if use.node
        else ""
    )
    return any(_FREE.search(snake(each)) for each in said.split("."))


_PLAN = re.compile(
    r"(^|_)(plan|tier|package|product|membership|level|type|kind)(_(id|type|name|tier|level|code|key|slug))?$"
)
_FREE = re.compile(r"(^|_)(free|trial|starter_free|guest|no_plan|none)(_|$)", re.I)

_PEOPLE = re.compile(r"(^|_)(users?|profiles?|accounts?|members?|customers?|people)$")
"""Tables of which a new row is a new member: the plan that it begins with is what everybody begins with."""


def marks_paid(node: ir.Node) -> Iterator[ir.Assign]:
    """Assignments below a node by which something stored becomes paid: `story["paid"] = True`."""
    for each in ir.find(node, ir.Assign):
        name = snake(last_name(each.target))
        said = each.value.value if isinstance(each.value, ir.Lit) else None
        stored = (
            isinstance(each.target, ir.Index | ir.Attr)
            and getattr(ir.root_of(each.target), "id", "") != "session"
        )
        if stored and (
            (_PAID.match(name) and said is True) or (name == "payment_status" and str(said) in _SETTLED)
        ):
            yield each


_PAID = re.compile(r"^(is_|has_)?paid$")
_SETTLED = {"paid", "completed", "succeeded", "success", "complete"}
_ORDERS = re.compile(r"order|booking|purchase|photo_?shoot|checkout|payment")


def _ordered(ctx: Context, handler: ir.Func) -> Iterator[Gift]:
    """Orders that a handler stores as paid, and marks of payment that it sets itself."""
    for each in ctx.statements_under.get(handler, ()):
        for use in each.columns if each.kind == "write" and _ORDERS.search(snake(each.table)) else ():
            said = use.value.value if isinstance(use.value, Known) else None
            status = re.search(r"(^|_)status$", snake(use.column)) and str(said).lower() == "paid"
            if status or (_PAID.match(snake(use.column)) and said is True):
                yield handler, each.node, f"{each.table}.{use.column}"
    mark = next(marks_paid(handler), None)
    if mark is not None and not any(
        isinstance(each, ir.If) for each in ir.ancestors(mark) if each.within is handler
    ):
        yield handler, mark, f"{last_name(mark.target)} of what it keeps"


_HINTS = re.compile(
    r"pay(?!pal_order)|paid|receipt|invoice|charge|transaction|signature|secret|coupon|promo|voucher|admin|role|staff"
    r"|debug|balance|credit|code$|refund|capture|webhook|cron|token$"
)
"""Names, in a test that turns away, of what may prove a payment or another right."""


def _is_proven(ctx: Context, handler: ir.Func, mark: ir.Node) -> bool:
    """Whether a handler asks a payment service, or turns away by what may stand for a payment, before a mark."""
    for call in ir.find(handler, ir.Call):
        if call.line < mark.line and call not in handler.decorators:
            inside = (one for func in helpers_behind(ctx, call) for one in ir.find(func, ir.Call))
            names = [snake(ir.dotted(each.func)) for each in (call, *inside)]
            if any(_PROVES.search(each) or _GUARDS.search(each) for each in names):
                return True
    tests = (
        each
        for each in ir.find(handler, ir.If)
        if each.line < mark.line and (exits(each.then) or exits(each.other))
    )
    around = (each for each in ir.ancestors(mark) if isinstance(each, ir.If) and each.within is handler)
    return any(
        _HINTS.search(snake(name))
        for each in (*tests, *around)
        for name in names_in(each.test)
        if " " not in name
    )


_GUARDS = re.compile(
    r"(^|[._])(check|require|is|verify|ensure|assert|has|must_be|only)_(\w+_)?(admin|staff|super_?user|role|owner)"
)


_SEEN = re.compile(
    r"^(existing|duplicate|prior|previous|known|used)_(transaction|purchase|payment|order|receipt)$"
)
"""Whether something was shown before says nothing of whether it was paid."""


def _is_earned(ctx: Context, func: ir.Func, here: Given | None) -> bool:
    """Whether a function asks a payment service, or turns away by something that may be a reason, or works for money.

    That something was sent at all, or was not sent before, is no reason.
    """
    calls = [each for each in ir.find(func, ir.Call) if each not in func.decorators]
    if any(each in ctx.call_at or _PROVES.search(snake(ir.dotted(each.func))) for each in calls):
        return True
    tests = (each.test for each in ir.find(func, ir.If) if exits(each.then) or exits(each.other))
    names = (
        snake(name)
        for each in tests
        if not _only_sent(here, each)
        for name in names_in(each) - _of_errors(each)
        if " " not in name
    )
    return any(
        _ASKS.search(each) and not each.endswith("_method") and not _SEEN.match(each) for each in names
    )


def _of_errors(test: ir.Node) -> set[str]:
    """What a test asks of an error alone: `failed.code` is no code that a member was given."""
    members = [each for each in ir.find(test, ir.Attr) if each.name in {"code", "status"}]
    errors = [each for each in members if _ERROR.search(snake(last_name(each.obj)))]
    return {each.name for each in errors} - {each.name for each in members if each not in errors}


_ERROR = re.compile(r"(^|_)(err|error|e|exc|exception|failure)$")


def _only_sent(here: Given | None, test: ir.Node) -> bool:
    """`!transactionId || !receipt`: whether the request said anything at all."""
    if isinstance(test, ir.Bin) and test.right is not None and test.op in {"||", "or"}:
        return _only_sent(here, test.left) and _only_sent(here, test.right)
    empty = isinstance(test, ir.Bin) and test.right is None and test.op in {"!", "not"}
    return empty and here is not None and is_given(here, test.left)  # type: ignore[attr-defined]
