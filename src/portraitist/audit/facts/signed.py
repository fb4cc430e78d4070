"""Which check of a signature or a shared secret turns away a request that another service did not send.

Adds `auth` facts for handlers that ask for no user. What is wrong where such a check is missing or open is the rules'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import denial
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.auth import throws
from portraitist.audit.facts.auth_answers import answer_tested, swallowed
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module

MAX_DEPTH = 2
"""How many helpers below a handler's own the comparison may stand."""
_COMPARES = {"timingsafeequal", "comparedigest", "validatewebhook", "constructevent", "safecompare"}
_LIBRARY = {"verify", "verifyandparse"}
_EVENTS = {"validateevent"}
"""What Polar's library calls the check of a webhook: it is imported by itself, and throws."""
_CHECKS = re.compile(r"verif|valid|check|assert|ensure|require|authenti|failure|error|problem|mismatch", re.I)
_SIGNED = re.compile(r"webhook|signature|hmac|svix|secret", re.I)


def collect(ctx: Context) -> None:
    """Adds one fact for the first check of each handler that has no other guard."""
    seen: set[ir.Call] = set()
    for route in ctx.routes:
        if not route.is_http or route.method == "GET" or route.guarded_by:
            continue
        for target in route.handlers:
            if target.module is not None and isinstance(target.node, ir.Func):
                for name, call in _checks(ctx, target.module, target.node):
                    if call not in seen:
                        seen.add(call)
                        ctx.add("auth", name, target.module, call, shows=name.rpartition(".")[2])
                    break


def _checks(ctx: Context, module: Module, func: ir.Func) -> Iterator[tuple[str, ir.Call]]:
    """The calls of a handler that verify a signature and whose verdict is heeded."""
    for call in ir.find(func, ir.Call):
        name = ir.plain_dotted(call.func) or ir.dotted(call.func)
        if not name or not (_verifies(call, name) or _is_hmac(call) or _asks_helper(ctx, call, name)):
            continue
        if (_raises(ctx, call, name) and not swallowed(call)) or answer_tested(ctx, module, func, call):
            yield name, call


def is_signed(ctx: Context, route: Route) -> bool:
    """Whether a handler heeds a signature and asks for no user: there is none behind such a request.

    What is asked of a body whose raw text was checked before, a token in it, is asked of the sender.
    """
    return ctx.once(_is_signed, route)


def _is_signed(ctx: Context, route: Route) -> bool:
    asked = [each for _, each in route.guarded_by]
    for each in route.handlers:
        if each.module is None or not isinstance(each.node, ir.Func):
            continue
        module, func = each.module, each.node
        for _, check in _checks(ctx, module, func):
            later = all(one.path == module.path and check.line < one.line <= func.end for one in asked)
            if not asked or (later and _is_of_raw_text(module, check)):
                return True
    return False


def _is_of_raw_text(module: Module, check: ir.Call) -> bool:
    """Whether a check is given the text of the request's body: `verify(raw, …)` of `raw = await request.text()`."""
    made = [each.value for arg in check.args if isinstance(arg, ir.Name) for each in reaching(module, arg)]
    calls = (one for value in made if value is not None for one in ir.find(value, ir.Call))
    return any(isinstance(one.func, ir.Attr) and one.func.name == "text" and not one.args for one in calls)


def _is_hmac(call: ir.Call) -> bool:
    """`createHmac("sha256", secret)`, `hmac.new(…)`: what should have been sent is computed."""
    name = ir.dotted(call.func).lower()
    return name.endswith(("createhmac", "hmac.new"))


def _verifies(call: ir.Call, name: str) -> bool:
    """Whether a call compares by itself: `timingSafeEqual(a, b)`, or what a library verifies."""
    return denial.flat(name) in _COMPARES or is_verification(call)


def is_verification(call: ir.Call) -> bool:
    """`new Webhook(secret).verify(body, headers)` of a library: what it is given names the signature or all headers."""
    known = isinstance(call.func, ir.Attr) and denial.flat(call.func.name) in _LIBRARY
    known = known or denial.flat(ir.dotted(call.func).rpartition(".")[2]) in _EVENTS
    if not known or len(call.args) < 2:
        return False
    parts = list(ir.walk(call))
    said = [str(each.value) for each in parts if isinstance(each, ir.Lit) and isinstance(each.value, str)]
    said += [each.id for each in parts if isinstance(each, ir.Name)]
    said += [each.name for each in parts if isinstance(each, ir.Attr)]
    return re.search(r"signature|headers", " ".join(said), re.I) is not None


def _asks_helper(ctx: Context, call: ir.Call, name: str) -> bool:
    """Whether a call by its name asks a helper of the repository that compares."""
    last = name.rpartition(".")[2]
    if not (_CHECKS.search(last) and _SIGNED.search(last)):
        return False
    return any(
        isinstance(each.node, ir.Func) and ctx.once(_compares, each.node, 0)
        for each in ctx.program.functions_called(call)
    )


def _compares(ctx: Context, func: ir.Func, depth: int) -> bool:
    computed = any(_is_hmac(each) for each in ir.find(func, ir.Call))
    if computed and any(each.op in EQUALITY for each in ir.find(func, ir.Bin)):
        return True
    for call in ir.find(func, ir.Call):
        name = ir.plain_dotted(call.func) or ir.dotted(call.func)
        if _verifies(call, name):
            return True
        below = (each.node for each in ctx.program.functions_called(call)) if depth < MAX_DEPTH else ()
        if any(isinstance(each, ir.Func) and ctx.once(_compares, each, depth + 1) for each in below):
            return True
    return False


def _raises(ctx: Context, call: ir.Call, name: str) -> bool:
    """Whether a check refuses by an error: a library's that says so, or a helper that throws."""
    if denial.flat(name) in {"constructevent", *_LIBRARY, *_EVENTS}:
        return True
    return any(
        each.module is not None and isinstance(each.node, ir.Func) and throws(ctx, each.module, each.node)
        for each in ctx.program.functions_called(call)
    )
