"""Part of the rule on credits: payments whose price, or whose worth in credits, the request says itself.

A price counts as looked at where a function on the way compares it with anything but a plain number, or takes it from
a list; what the payment service or a webhook compares afterwards is seen by its name only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, live_statements, names_in, trace
from portraitist.audit.rules.credits.amounts import names_behind
from portraitist.audit.rules.credits.changes import CREDIT
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.requests import Given, below, is_given
from portraitist.audit.rules.syntax import COMPARISONS, ORDER, STAND_IN

_PAYS = re.compile(
    r"(checkout\.)?sessions?\.create$|payment_?intents?\.create$|(razor\w*|rzp\w*|instance|paypal\w*|client)\.orders?\.create$"
    r"|(charges|preferences?|invoices|payment_?links|payments?)\.create$"
    r"|(^|[._])(create|initiate|initialize|make|start|open)_(\w+_)?(payment|checkout|charge|invoice)(_?(intent|link|session|order|url|preference))?$"
)
"""Calls that open a payment, in snake case."""
_PRICE = re.compile(
    r"^(unit_)?(amount|price|value|cost)(_(cents|usd|total|value|in_cents|in_paise|minor))?$|^total(_(amount|price))?$"
    r"|^transaction_amount$|^price_amount$|^unit_amount_decimal$"
)
"""Keys of what is to be paid."""
_WORTH = re.compile(r"^(num_|number_of_|total_)?(credits?|tokens|coins|generations)(_(amount|count))?$")
"""Keys of what is had for it."""
_GOODS = re.compile(
    r"(^|_)(credits?|tokens|coins|package|pack|plan|product|sku|tier|bundle|item|reference|story|book|order|poster|size)(_|$)"
)
"""Names of what is bought; a request that says the sum alone fills an account or gives to somebody."""
_OTHERS = re.compile(
    r"web-?_?hook|callback|cron|admin|internal|donat|tip(s|/|$)|refund|payout|withdraw", re.I
)
_WHOSE = re.compile(r"(^|_)(lead|client|patient|guest|tenant|debtor)(_id)?$")
_IDS = re.compile(r"(^|_)id$|lookup|price_key")


def priced_by_request(ctx: Context) -> Iterator[Finding]:
    """The first payment of each function below a route that is opened for as much as the request says."""
    seen: set[ir.Node] = set()
    for route in ctx.routes:
        if not route.is_http or _OTHERS.search(route.path):
            continue
        for here in below(ctx, route):
            for call in ctx.once(_opens, here.func) if ctx.once(_may_open, here.module) else ():
                if call in seen:
                    continue
                live = ctx.role_at(here.module, call) in LIVE_ROLES
                found = _said(here, call, route) if live else None
                noted = _noted_worth(ctx, here, call, route) if live else None
                if noted is not None:
                    seen.add(call)
                    yield noted
                if found is not None:
                    seen.add(call)
                    yield found
                    yield from _handed_on(ctx, here, found)


def _handed_on(ctx: Context, here: Given, found: Finding) -> Iterator[Finding]:
    """The same where a handler hands the helper that opens the payment what the request says."""
    above, below_it = here.way[0], here.way[1] if len(here.way) > 1 else None
    for call in ir.find(above, ir.Call) if below_it is not None else ():
        if any(each.node is below_it for each in ctx.program.functions_called(call)):
            module = ctx.program.module_of[above]
            where = f"line {found.line} of {found.path}"
            message = f"the request says here what {where} lets be paid, and nothing looks it up"
            yield finding("credit-before-check", module, call, message, key=f"handed {found.key}", weight=BARELY,
                          end=call.end, evidence=[found.place])  # fmt: skip


def _may_open(_ctx: Context, module: Module) -> bool:
    """Whether a file names a payment at all: asked first because that is quicker."""
    return any(
        each in module.file.lowered_words
        for each in ("checkout", "payment", "order", "charge", "invoice", "preference")
    )


def _opens(_ctx: Context, func: ir.Func) -> list[ir.Call]:
    """The calls of a function that open a payment."""
    return [each for each in ir.find(func, ir.Call) if _PAYS.search(snake(ir.plain_dotted(each.func)))]


def _said(here: Given, call: ir.Call, route: Route) -> Finding | None:
    """What a payment is told by the request: what is to be paid, or how many credits are had for it."""
    entries = _entries(here, call)
    prices = [each for each in entries if _PRICE.search(snake(each.key or "")) and not _names_id(each.value)]
    price = next((each for each in prices if _is_free(here, each.value)), None)
    if price is not None and _buys(here, price):
        said = last_name(_core(here, price.value)) or price.key
        message = f"the request says what is to be paid here ({said}), and nothing compares it with a price"
        return finding("credit-before-check", here.module, price, message, key=f"price {route.key}", weight=66,
                       end=price.end)  # fmt: skip
    worth = next(
        (each for each in entries if _WORTH.search(snake(each.key or "")) and _is_free(here, each.value)),
        None,
    )
    if worth is not None:
        message = (
            f"the request says how many credits this payment buys ({worth.key}), and nothing compares that with its"
            " price"
        )
        return finding("credit-before-check", here.module, worth, message, key=f"worth {route.key}", weight=66,
                       end=worth.end)  # fmt: skip
    named = next((each for each in entries if each.key == "price" and _is_free(here, each.value)), None)
    if named is not None:
        message = "the request names the price of this payment, and nothing looks it up in a list"
        return finding("credit-before-check", here.module, named, message, key=f"named {route.key}", weight=BARELY,
                       end=named.end)  # fmt: skip
    return None


def _entries(here: Given, call: ir.Call) -> list[ir.Prop]:
    """All that a payment is told, by the call or by the objects that it is handed."""
    entries = [each for each in ir.find(call, ir.Prop) if each.key is not None]
    return entries + [
        each for made in _made(here, call) for each in ir.find(made, ir.Prop) if each.key is not None
    ]


def _noted_worth(ctx: Context, here: Given, call: ir.Call, route: Route) -> Finding | None:
    """A number of the request that a payment carries along, and that is stored as a balance when it is paid."""
    entries = _entries(here, call)
    booked = ctx.once(_booked) if any(each.key == "metadata" for each in entries) else frozenset()
    paid = (
        [each for each in entries if each.key == "quantity" or _PRICE.search(snake(each.key or ""))]
        if booked
        else []
    )
    priced = {name for each in paid for name in names_behind(here.module, each.value)}
    told = [each for each in entries if snake(each.key or "") in booked and _is_noted(each)]
    free = (each for each in told if _is_free(here, each.value))
    worth = next((each for each in free if last_name(_core(here, each.value)) not in priced), None)
    if worth is not None:
        message = (
            f"the request says what this payment is worth ({worth.key}), which is booked when it is paid, whatever its"
            " price"
        )
        return finding("credit-before-check", here.module, worth, message, key=f"booked {route.key}", weight=BARELY,
                       end=worth.end)  # fmt: skip
    return None


def _is_noted(entry: ir.Prop) -> bool:
    """Whether an entry is one of what a payment carries along: `metadata: { pieces }`."""
    around = entry.parent.parent if entry.parent is not None else None
    return isinstance(around, ir.Prop) and around.key == "metadata"


_NO_WORTH = re.compile(
    r"(^|_)(id|uid|email|user|member|name|plan|tier|pack|package|product|type|kind|status|currency|key|price|code)$"
)
"""What says whose a payment is, or which thing is bought: its worth is looked up."""


def _booked(ctx: Context) -> frozenset[str]:
    """The members, in snake case, of what a payment carries along whose worth is stored as a balance."""
    found: set[str] = set()
    for statement in live_statements(ctx, "write"):
        about = CREDIT.search(snake(statement.table))
        for use in statement.columns if "metadata" in statement.module.file.words else ():
            if about or CREDIT.search(snake(use.column)):
                for _, part in trace(ctx, ctx.program.modules[use.path], use.node):
                    for each in ir.find(part, ir.Attr):
                        if "metadata" in ir.dotted(each.obj) and not _NO_WORTH.search(snake(each.name)):
                            found.add(snake(each.name))
    return frozenset(found)


def _made(here: Given, call: ir.Call) -> Iterator[ir.Node]:
    """The objects behind the names that a call is handed."""
    for each in call.args:
        found = here.module.lookup(each.id, each) if isinstance(each, ir.Name) else None
        for binding in found[1] if found else ():
            if isinstance(binding.value, ir.Obj | ir.Arr) and binding.node.within is call.within:
                yield binding.value


def _names_id(value: ir.Node) -> bool:
    return any(_IDS.search(snake(each)) for each in names_in(value))


def _choices(value: ir.Node) -> Iterator[ir.Node]:
    """What a value may be: both of `a ? a : b` and of `a || b`; what is computed of one number is as free as that."""
    if isinstance(value, ir.Cond):
        yield from _choices(value.then)
        yield from _choices(value.other)
    elif isinstance(value, ir.Bin) and value.op in STAND_IN and value.right is not None:
        yield from _choices(value.left)
        yield from _choices(value.right)
    elif isinstance(value, ir.Call) and value.args and not isinstance(value.func, ir.Attr):
        yield from _choices(value.args[0])  # float(value), String(amount)
    elif isinstance(value, ir.Call) and last_name(value.func) in {
        "round",
        "ceil",
        "floor",
        "trunc",
        "toString",
        "toFixed",
    }:
        yield from _choices(
            value.args[0] if value.args else value.func.obj if isinstance(value.func, ir.Attr) else value
        )
    elif isinstance(value, ir.Bin) and value.op in {"*", "/"} and isinstance(value.right, ir.Lit):
        yield from _choices(value.left)
    else:
        yield value


def _core(here: Given, value: ir.Node) -> ir.Node:
    return next((each for each in _choices(value) if is_given(here, each)), value)


def _is_free(here: Given, value: ir.Node) -> bool:
    """Whether a value is the request's own number, which nothing on the way compares with another value."""
    named = (each for each in _choices(value) if isinstance(each, ir.Name | ir.Attr | ir.Index))
    given = next((each for each in named if is_given(here, each)), None)
    name = last_name(given)
    if given is None or not name or not _is_said_once(here, given):
        return False
    return not any(_compared(func, name) for func in here.way)


def _is_said_once(here: Given, node: ir.Node) -> bool:
    """Whether a variable has no other value than what the request says."""
    found = here.module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    values = (
        [each.value for each in found[1] if each.kind == "assign" and each.value is not None] if found else []
    )
    return len(values) < 2 and not any(
        call.func is not None and not _PARSES.search(last_name(call.func))
        for value in values
        for call in ir.find(value, ir.Call)
    )


_PARSES = re.compile(
    r"^(json|get|get_json|parse|safeParse|parseAsync|Number|parseInt|parseFloat|int|float|str|String|formData|body|trim"
    r"|strip|round|loads)$"
)


def _compared(func: ir.Func, name: str) -> bool:
    """Whether a function compares a name with what is no plain number, looks it up, or sets it itself."""
    for each in ir.find(func, ir.Bin):
        if each.op in COMPARISONS | ORDER and each.right is not None:
            sides = (each.left, each.right)
            plain = any(
                isinstance(one, ir.Lit) or last_name(one) in {"undefined", "None", "NaN"} for one in sides
            )
            if not plain and any(name in names_in(one) for one in sides):
                return True
    for call in ir.find(func, ir.Call):
        told = any(name in names_in(each) for each in call.args)
        if told and re.search(
            r"^(includes|has|indexOf|find\w*|valid\w*|verify\w*|check\w*|assert\w*|is_?[Vv]alid\w*)$",
            last_name(call.func),
        ):
            return True
        listed = isinstance(call.func, ir.Attr) and _LISTS.search(snake(last_name(call.func.obj)))
        if told and listed and last_name(call.func) == "get":
            return True
    return any(
        isinstance(each.key, ir.Name | ir.Attr) and last_name(each.key) == name
        for each in ir.find(func, ir.Index)
    )


_LISTS = re.compile(r"(^|_)(prices?|pricing|packs?|packages?|plans?|tiers?|products?|bundles?|amounts?)(_|$)")
"""Names of the lists in which a price is looked up: `PACK_PRICES.get(size)`."""


def _buys(here: Given, price: ir.Prop) -> bool:
    """Whether the request says, beside the price, what is bought."""
    skipped = names_in(price.value)
    if any(_WHOSE.search(snake(each)) for each in names_in(here.func) if " " not in each):
        return False  # somebody else is asked to pay
    for each in ir.find(here.func, ir.Attr):
        if each.name not in skipped and _GOODS.search(snake(each.name)) and is_given(here, each):
            return True
    named = (
        each
        for each in ir.find(here.func, ir.Name)
        if _GOODS.search(snake(each.id)) and each.id not in skipped
    )
    return any(is_given(here, each) for each in named)
