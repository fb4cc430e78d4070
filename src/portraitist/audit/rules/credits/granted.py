"""Part of the rule on credits: credits that a member is given for the asking, by the number that the request names.

Who counts as staff, and what proves a payment, is told by names; gifts that no request measures are in `unpaid`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, last_name, names_in, refusing_names, trace
from portraitist.audit.rules.credits.amounts import names_behind
from portraitist.audit.rules.credits.asked_back import asked_back
from portraitist.audit.rules.credits.changes import CREDIT, all_changes, meaning
from portraitist.audit.rules.credits.effects import asked_for, done_in
from portraitist.audit.rules.credits.ledger import named_kinds
from portraitist.audit.rules.credits.made_up_payments import made_up_payments
from portraitist.audit.rules.credits.marked_first import marked_first
from portraitist.audit.rules.credits.noted_after import noted_after
from portraitist.audit.rules.credits.unpaid import given_unpaid
from portraitist.audit.rules.requests import Given, below, is_given

_OTHERS = re.compile(r"web-?_?hook|callback|cron|internal|/ipn\b", re.I)
_STAFF = re.compile(r"admin|superuser|staff|operator|moderator|internal|service_?key|cron", re.I)
_PROVES = re.compile(
    r"verify_?(?!token|jwt|auth|user|session)\w|retrieve|receipt|construct_?event|checkout|capture"
    r"|validate_?\w*(purchase|payment|transaction)|stripe|revenue_?cat",
    re.I,
)
_EARNS = re.compile(r"(validate|verify|redeem|use|consume|apply)_?\w*(promo|coupon|voucher|gift)", re.I)
"""Helpers that say what a code is worth: the request names the code alone."""


def given_for_the_asking(ctx: Context) -> Iterator[Finding]:
    """A sum of a member's credits and a number of the request is stored, and nothing on the way proves a payment.

    Not in webhooks, whose sender is another rule's, nor where only staff may come. A proof by another name is not seen.
    Also where an office's route lets in whoever is signed in, where a payment is proven and nothing asks how large, and
    where a route for refunds asks for no failure (`asked_back`), and where the code makes up the payment itself
    (`made_up_payments`). Payments that are called settled first are in `marked_first`, those that are
    noted last in `noted_after`.
    """
    told: set[str] = set()
    yield from made_up_payments(ctx)
    yield from marked_first(ctx)
    yield from noted_after(ctx)
    for route in ctx.routes:
        if (
            not route.is_http
            or _OTHERS.search(route.path)
            or ctx.role_at(route.module, route.node) not in LIVE_ROLES
        ):
            continue
        office = _STAFF.search(route.path) is not None
        if office and not _lets_members_in(ctx, route):
            continue
        if any(_STAFF.search(name) for name, _ in route.guarded_by):
            continue
        found = _first_sum(ctx, route)
        told |= {f"asked back {route.key}"} if found is not None else set()
        if office and found is not None:
            here, node, line, _ = found
            message = (
                f"{route.key} adds as many credits as the request says, and lets in whoever is signed in"
            )
            yield finding("credit-before-check", here.module, node, message, key=f"given {route.key}", weight=79,
                          evidence=[Place(here.module.path, line)])  # fmt: skip
            continue
        unpaid = given_unpaid(ctx, route) if found is None else None
        if unpaid is not None:
            yield unpaid
        if found is not None:
            here, node, line, proven = found
            message = (
                f"{route.key} adds as many credits as the request says, with no proof that they were paid for"
            )
            if proven:
                message = f"{route.key} adds as many credits as the request says, however little the shown payment was"
            yield finding("credit-before-check", here.module, node, message, key=f"given {route.key}", weight=79,
                          evidence=[Place(here.module.path, line)])  # fmt: skip
    yield from (each for each in asked_back(ctx) if each.key not in told)


def _lets_members_in(ctx: Context, route: Route) -> bool:
    """Whether an office's route is guarded by functions of the repository that name nothing but who is signed in."""
    asking = {name for name, _ in route.guarded_by}
    named = ((module, each.func if isinstance(each, ir.Call) else each) for module, each in route.guards)
    guards = [
        target.node
        for module, each in named
        if ir.plain_dotted(each) in asking
        for target in ctx.program.resolve(module, each)
    ]
    known = len(guards) == len(asking) > 0 and all(isinstance(each, ir.Func) for each in guards)
    ways = (each for each in (*guards, *route.funcs) if isinstance(each, ir.Func))
    return known and not any(_STAFF.search(name) for each in ways for name in names_in(each))


Sum = tuple[Given, ir.Node, int]


def _first_sum(ctx: Context, route: Route) -> tuple[Given, ir.Node, int, bool] | None:
    """The first sum on the way of a route, where no function up to it proves a payment or lets only staff pass.

    Also where a payment is proven, and nobody looks at how much of what was paid: then the last is true.
    """
    before: list[Given] = []
    for here in below(ctx, route):
        before.append(here)
        found = next(_sums(ctx, here), None)
        given = names_behind(found[0].module, found[1]) if found is not None else set()
        if found is not None and not any(_has_reason(ctx, each, given) for each in before):
            return *found, False
        if found is not None:
            shown = [func for each in before for func in each.way if ctx.once(_asks_payments, func)]
            others = any(_only_staff(each) or _takes(ctx, each, given) or _earns(each) for each in before)
            return (*found, True) if shown and not others and not any(map(_weighs, shown)) else None
    return None


_WORTH = re.compile(
    r"amount|metadata|total(_?price)?$|line_?items|notes|price|custom|product|quantity|value|plan|pack", re.I
)


def _weighs(func: ir.Func) -> bool:
    """Whether a function that proves a payment names anything of what was paid, or for what."""
    return any(_WORTH.search(each.name) for each in ir.find(func, ir.Attr)) or any(
        _WORTH.search(each.id) for each in ir.find(func, ir.Name)
    )


def _sums(ctx: Context, here: Given) -> Iterator[Sum]:
    """Each sum with a number of the request that a statement or a stored function adds to a column of credits."""
    for statement in ctx.statements_under.get(here.func, []):
        for column in statement.columns if statement.kind == "write" and not statement.insert else ():
            counts_up = meaning(column.column, "give") != "give"
            if not CREDIT.search(snake(column.column)) or counts_up or column.path != here.module.path:
                continue
            for _, part in trace(ctx, here.module, column.node):
                if _adds_given(here, part) or _increments(here, part) or _is_added(here, part):
                    yield here, part, statement.line
    for each in ctx.once(_raised).get(here.func, ()):
        if is_given(here, each.value) if each.op == "+=" else _adds_given(here, each.value):
            yield here, each, each.line
    for call in ir.find(here.func, ir.Call) if "rpc" in here.module.file.words else ():
        stored = last_name(call.func) == "rpc" and "give" in named_kinds(call)
        if stored and any(is_given(here, each) for each in asked_for(call)):
            yield here, call, call.line


def _raised(ctx: Context) -> dict[ir.Func, list[ir.Assign]]:
    """Where each function adds to a balance that a document holds: `user.tokens.balance += amount`.

    What an object says of itself (`this.balance`) is left out: whether it is ever stored is not known.
    """
    found: dict[ir.Func, list[ir.Assign]] = {}
    for _, kind, _, node in ctx.once(all_changes):
        own = isinstance(node, ir.Assign) and getattr(ir.root_of(node.target), "id", "") in {"this", "self"}
        if kind == "give" and isinstance(node, ir.Assign) and not own and node.within is not None:
            found.setdefault(node.within, []).append(node)
    return found


def _has_reason(ctx: Context, here: Given, given: set[str]) -> bool:
    """Whether a payment is asked for on the way, only staff may come, or what is given was taken here before."""
    if any(ctx.once(_asks_payments, each) for each in here.way) or _only_staff(here):
        return True
    return _takes(ctx, here, given) or _earns(here)


def _earns(here: Given) -> bool:
    """Whether a code is asked for what it is worth on the way."""
    return any(_EARNS.search(last_name(each.func)) for func in here.way for each in ir.find(func, ir.Call))


def _takes(ctx: Context, here: Given, given: set[str]) -> bool:
    """Whether something is taken on the way that may be what is given: by an amount made of one of the same names.

    Plain numbers and amounts that are not known are believed to be.
    """
    asked = (
        one for func in here.way for each in (func, *helpers_of(ctx, func)) for one in ir.find(each, ir.Func)
    )
    for func in dict.fromkeys(asked):
        for each in done_in(ctx, func, "take"):
            module = ctx.program.module_of[func]
            named = [names_behind(module, amount) for amount in each.amounts]
            if func not in here.way or not named or any(not one or one & given for one in named):
                return True
    return False


def _increments(here: Given, part: ir.Node) -> bool:
    """Whether a value is one that an update adds: `credits` of `{ $inc: { credits } }`."""
    entry = part.parent
    outer = entry.parent.parent if isinstance(entry, ir.Prop) and entry.parent is not None else None
    return isinstance(outer, ir.Prop) and outer.key == "$inc" and is_given(here, part)


def _is_added(here: Given, part: ir.Node) -> bool:
    """`user.credits += amount`."""
    around = part.parent
    return (
        isinstance(around, ir.Assign) and around.op == "+=" and around.value is part and is_given(here, part)
    )


def _only_staff(here: Given) -> bool:
    """Whether a test on the way turns away all but staff; one of what the request says turns nobody away."""
    for func in here.way:
        for test in ir.find(func, ir.If):
            if exits(test.then):
                told = [each for each in ir.find(test.test, ir.Bin) if is_given(here, each.left)]
                named = names_in(test.test).difference(*(names_in(each) for each in told))
                if any(_STAFF.search(each) for each in named):
                    return True
    return False


def _adds_given(here: Given, part: ir.Node | None) -> bool:
    if isinstance(part, ir.Obj):
        return is_given(here, part.get("increment", "$inc"))
    sides = (part.left, part.right) if isinstance(part, ir.Bin) and part.op == "+" else ()
    return sum(is_given(here, each) for each in sides) == 1


def proves_payment(ctx: Context, func: ir.Func) -> bool:
    """Whether a function asks a payment service, or turns away all but staff."""
    return _asks_payments(ctx, func) or any(_STAFF.search(each) for each in ctx.once(refusing_names, func))


def _asks_payments(_ctx: Context, func: ir.Func) -> bool:
    own = (each for each in ir.find(func, ir.Call) if each not in func.decorators)
    return any(_PROVES.search(ir.dotted(each.func)) for each in own)
