"""Which check of a signature or a shared secret turns away a request that another service did not send.

Adds `auth` facts for handlers that ask for no user. What is wrong where such a check is missing or open is the rules'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import denial
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.auth import answer_tested, swallowed, throws
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module

MAX_DEPTH = 2
"""How many helpers below a handler's own the comparison may stand."""
_COMPARES = {"timingsafeequal", "comparedigest", "validatewebhook", "constructevent", "safecompare"}
_LIBRARY = {"verify", "verifyandparse"}
_CHECKS = re.compile(r"verif|valid|check|assert|ensure|require|authenti", re.I)
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
    """Whether a handler heeds a signature and asks for no user: there is none behind such a request."""
    return not route.guarded_by and ctx.once(_is_signed, route)


def _is_signed(ctx: Context, route: Route) -> bool:
    targets = [(each.module, each.node) for each in route.handlers]
    return any(
        next(_checks(ctx, module, func), None) is not None
        for module, func in targets
        if module is not None and isinstance(func, ir.Func)
    )


def _is_hmac(call: ir.Call) -> bool:
    """`createHmac("sha256", secret)`, `hmac.new(…)`: what should have been sent is computed."""
    name = ir.dotted(call.func).lower()
    return name.endswith(("createhmac", "hmac.new"))


def _verifies(call: ir.Call, name: str) -> bool:
    """Whether a call compares by itself: `timingSafeEqual(a, b)`, or what a library verifies."""
    return denial.flat(name) in _COMPARES or is_verification(call)


def is_verification(call: ir.Call) -> bool:
    """`new Webhook(secret).verify(body, headers)` of a library: what it is given names the signature or all headers."""
    if (
        not isinstance(call.func, ir.Attr)
        or denial.flat(call.func.name) not in _LIBRARY
        or len(call.args) < 2
    ):
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
    if denial.flat(name) in {"constructevent", *_LIBRARY}:
        return True
    return any(
        each.module is not None and isinstance(each.node, ir.Func) and throws(ctx, each.module, each.node)
        for each in ctx.program.functions_called(call)
    )
