"""Part of the rule on credits: requests that say themselves that nothing is to be paid.

A flag counts as the request's word where it comes from the body or the query under a name of its own, and where the
test asks for nothing else. Whether a flag is kept from members by a page is not known, and protects nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.credits.steps import goes_on
from portraitist.audit.rules.credits.unpaid import marks_paid
from portraitist.audit.rules.requests import Given, below, is_given

_FLAG = re.compile(
    r"^(is_|has_|_)?(demo|demo_mode|free|is_free|paid|premium|pro|vip|trial|free_trial|test_mode|admin|admin_\w+|gift"
    r"|skip_?(\w+_)?(payment|credits?|billing|charges?|credit_check|deduct\w*|quota|limits?|cost)(_\w+)?|bypass\w*"
    r"|(no|without|ignore|exempt_from)_(\w+_)?(charges?|credits?|limits?|quota|deduct\w*|billing)|unlimited|subscribed"
    r"|sandbox)$"
)
"""Flags by which a request would say that it need not pay, in snake case."""


def decided_by_request(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """Branches on the ways to paid calls, and before marks of payments, that a flag of the request decides."""
    seen: set[ir.Node] = set()
    for flow in flows:
        for here in below(ctx, flow.route) if flow.route is not None else ():
            if here.func in flow.funcs and ctx.role_at(here.module, here.func) in LIVE_ROLES:
                for test, flag in _flagged(here):
                    if test not in seen and (found := _on_way(ledger, flow, here, test, flag)) is not None:
                        seen.add(test)
                        yield found
    for route in ctx.routes:
        for here in below(ctx, route) if route.is_http else ():
            for test, flag in _flagged(here):
                mark = next((each for part in test.then for each in marks_paid(part)), None)
                if test not in seen and mark is not None and ctx.role_at(here.module, test) in LIVE_ROLES:
                    seen.add(test)
                    yield _found(
                        here, test, mark, f"the request says itself that this is paid for ({flag})", route
                    )


def _found(here: Given, test: ir.If, last: ir.Node, message: str, route: Route | None) -> Finding:
    key = f"flag {route.key if route is not None else ''}"
    return finding("credit-before-check", here.module, test, message, key=key, weight=66, end=last.end,
                   evidence=[Place(here.module.path, last.line)])  # fmt: skip


def _flagged(here: Given) -> Iterator[tuple[ir.If, str]]:
    """The branches whose test names such a flag of the request, with its name; `!` in front where it must be off."""
    for test in ir.find(here.func, ir.If):
        atoms = list(_joined(test.test))
        for atom, on in atoms:
            name = _name(atom)
            if not _FLAG.match(snake(name)) or not is_given(here, atom):
                continue
            if not on:
                yield test, f"!{name}"
            elif all(is_given(here, each) for each, _ in atoms):
                yield test, name


def _joined(test: ir.Node, on: bool = True) -> Iterator[tuple[ir.Node, bool]]:
    """What a test asks for at once, and whether it must hold; a comparison with `true` is the flag itself."""
    if isinstance(test, ir.Bin) and test.op in {"!", "not"}:
        yield from _joined(test.left, not on)
    elif isinstance(test, ir.Bin) and test.op in {"&&", "and"} and test.right is not None and on:
        yield from _joined(test.left)
        yield from _joined(test.right)
    elif isinstance(test, ir.Bin) and test.op in {"===", "==", "is"} and isinstance(test.right, ir.Lit):
        yield test.left, on is (test.right.value in {True, "true", "1"})
    else:
        yield test, on


def _name(atom: ir.Node) -> str:
    """The flag's name: of a variable or a member, or the key of `data.get("demo")`."""
    if isinstance(atom, ir.Call) and last_name(atom.func) == "get" and atom.args:
        return ir.text_of(atom.args[0]) or ""
    return last_name(atom)


def _on_way(ledger: Ledger, flow: Flow, here: Given, test: ir.If, flag: str) -> Finding | None:
    """What is said where a flag leads to the paid call around what the others are asked for."""
    line = goes_on(flow, here.module, here.func)
    last = max((each.end for each in test.then), default=test.line)
    asked = [each for each in ledger.events(here.func) if each.kind in {"take", "check"}]
    inside = [each for each in asked if test.line < each.line <= last]
    if flag.startswith("!"):
        if not inside or line <= last or any(each.kind == "take" for each in asked if each not in inside):
            return None
        message = (
            f"the request says itself ({flag[1:]}) whether the paid {flow.call.purpose} asks for credits"
        )
        return _found(here, test, inside[-1].node, message, flow.route)
    others = [each for each in asked if each not in inside and each.line > last]
    pays = any(
        _PROVES.search(snake(ir.dotted(each.func)))
        for each in ir.find(here.func, ir.Call)
        if each.line > last
    )
    if (
        not test.line < line <= last
        or inside
        or not (others or pays)
        or any(each.line < test.line for each in asked)
    ):
        return None
    message = f"the request says itself ({flag}) that the paid {flow.call.purpose} is made without what the others pay"
    return _found(here, test, ir.Other(line, line, []), message, flow.route)


_PROVES = re.compile(r"sessions?\.retrieve|payment_?intents?\.retrieve|verify_\w*payment|capture")
