"""Part of the rule on credits: limits that stand in a request of their own, beside paid ways that ask for nothing.

The page is to call one after the other; who calls the paid route himself meets no limit. Judged only where no way to
a paid call asks for anything at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, hears_provider, last_name, place
from portraitist.audit.rules.credits.changes import CREDIT
from portraitist.audit.rules.credits.learned import balances, counts
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.requests import within_reach
from portraitist.audit.rules.syntax import ORDER

_ELSE = re.compile(
    r"web-?_?hook|callback|cron|admin|refund|transfer|withdraw|purchase|checkout|payment|stripe|billing|subscri|redeem|gift"
    r"|status|poll|sync|complete",
    re.I,
)
"""Ways that lower a balance for another reason, or when the work is done."""
_SAYS = re.compile(
    r"^(can_?(generate|create|use|train|proceed|make)\w*|allowed|has_(enough_)?(credits|tokens|quota)|remaining\w*|limit_reached"
    r"|is_(over|at|within)_?limit|needs_upgrade|exceeded|eligible|sufficient|enough)$"
)
"""Keys of an answer that tell a page whether it may go on, in snake case."""


def apart(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """Takes, counts and checks in handlers that lead to no paid call, where no way to one (`flows`) asks."""
    paid = {func for flow in flows for func in flow.funcs}
    told: set[ir.Node] = set()
    for route in ctx.routes:
        if not route.is_http or _ELSE.search(route.path) or hears_provider(ctx, route):
            continue
        funcs = within_reach(ctx, route)
        if ctx.role_at(route.module, route.node) not in LIVE_ROLES or not paid.isdisjoint(funcs):
            continue
        if any(each.call.within in set(funcs) for each in ctx.calls) or any(map(_works, funcs)):
            continue
        for func, node, end, what, weight in (*_takes(ctx, ledger, funcs), *_answers(ctx, route)):
            module = ctx.program.module_of[func]
            if node in told or ctx.role_at(module, func) not in LIVE_ROLES:
                continue
            told.add(node)
            first = flows[0]
            way = first.route.key if first.route is not None else "the way"
            message = (
                f"{what} in a request of its own: {way} to the paid {first.call.purpose} asks for no limit"
            )
            proof = [place(first.call), Place(route.module.path, route.node.line)]
            yield finding("credit-before-check", module, node, message, key=f"apart {route.key}", weight=weight,
                          end=end, evidence=proof)  # fmt: skip


_WORKS = re.compile(
    r"generat|render|synthesi|complet|predict|infer|upscale|enhance|train|transcri|process|run_"
)
_ASKS = re.compile(
    r"count|limit|check|(^|_)can(_|$)|record|increment|track|log|save|store|^get|^find|^fetch|deduct|^use_|credit|usage|token"
)
_SERVICES = re.compile(
    r"openai|anthropic|genai|gemini|(^|\.)fal\.|completions|eleven|runway|stability|together", re.I
)


_POSTS = {"axios.post", "requests.post", "httpx.post", "client.post"}


def _works(func: ir.Func) -> bool:
    """Whether a function plainly has work done itself, by whatever provider: what it takes is for that."""
    for call in ir.find(func, ir.Call):
        name = snake(last_name(call.func))
        if _WORKS.search(name) and not _ASKS.search(name):
            return True
        sends = ir.text_of(keyword) if (keyword := ir.keyword(call, "method")) is not None else ""
        posts = ir.plain_dotted(call.func) in _POSTS or (name == "fetch" and sends == "POST")
        if posts or _SERVICES.search(ir.dotted(call.func)):
            return True
    return False


Apart = tuple[ir.Func, ir.Node, int, str, int]


def _takes(ctx: Context, ledger: Ledger, funcs: list[ir.Func]) -> Iterator[Apart]:
    """What the first of these functions that lowers or counts something lowers, or counts."""
    for func in funcs:
        take = next((each for each in ledger.own.get(func, ()) if each.kind == "take"), None)
        if take is not None:
            yield func, take.node, take.end, "what is used is taken here", 44
            return
        for statement in ctx.statements_under.get(func, ()):
            raised = any(f"{statement.table}.{use.column}" in counts(ctx) for use in statement.columns)
            if statement.kind == "write" and not statement.insert and raised:
                yield func, statement.node, statement.end, "what is used is counted here", 44
                return


def _answers(ctx: Context, route: Route) -> Iterator[Apart]:
    """A comparison of a balance or a count, told to a page: `{ canGenerate: used < limit }`."""
    known = {snake(each.partition(".")[2]) for each in (*balances(ctx), *counts(ctx))}
    for func in route.funcs:
        says = next(
            (each for each in ir.find(func, ir.Prop) if each.key and _SAYS.search(snake(each.key))), None
        )
        if says is None:
            continue
        for each in ir.find(func, ir.Bin):
            names = (
                {snake(last_name(side)) for side in (each.left, each.right)} if each.op in ORDER else set()
            )
            if any(name in known or CREDIT.search(name) or _LIMIT.search(name) for name in names if name):
                yield (
                    func,
                    each,
                    max(each.end, each.line),
                    "whether more may be made is only told here",
                    BARELY,
                )
                break


_LIMIT = re.compile(r"(^|_)limit($|_)|^max_(free|daily|generations|images)")
