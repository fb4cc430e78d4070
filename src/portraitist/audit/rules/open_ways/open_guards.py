"""Guards in front of paid work that let everybody pass, or believe whatever name they are told. Part of `missing-auth`.

What the environment is sure to have, and what a proxy writes into headers, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.auth import dependencies
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.denial import exits, refuses_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.senders.open_checks import Walk
from portraitist.audit.rules.syntax import COMPARISONS

_KEY = re.compile(r"key|token|secret|passw", re.I)
_SENT = re.compile(r"auth|token|bearer|credential|api_?key|jwt", re.I)
_MEANT = re.compile(r"optional|maybe|soft|try|guest|anonymous|public", re.I)
_NAMED = re.compile(r"^x?[-_]?(user|uid|owner|account|member|client|device|clerk)([-_]?u?id)?$", re.I)
"""Headers and parameters by which a caller says who that is."""
_HARMLESS = {
    "get", "header", "status", "json", "next", "send", "end", "HTTPException", "Header", "Query", "str", "int", "strip",
    "trim", "String", "jsonify", "abort", "log", "error", "warn", "warning", "info", "wraps", "f", "func", "fn",
    "toString", "sendStatus", "Error",
}  # fmt: skip
"""Calls that verify nothing."""


def left_ajar(ctx: Context) -> Iterator[Finding]:
    """A guard in front of paid work that compares nothing where a setting is missing or a token was not sent.

    Also one that believes a name in a header. Not where the code asks for a developer's machine besides, nor where the
    handler looks who was let in; each guard is told once, with one route that relies on it.
    """
    told: set[ir.Func] = set()
    paid = {flow.route: None for flow in ctx.flows if flow.route is not None}
    for route in paid:
        if (
            not route.is_http
            or ctx.role_at(route.module, route.node) not in LIVE_ROLES
            or not route.guarded_by
        ):
            continue
        guards = list(dict.fromkeys(guards_of(ctx, route)))
        handlers = {each.node for each in route.handlers}
        alone = sum(func not in handlers for _, func in guards) == 1
        for module, func in guards:
            found = _ajar(ctx, route, module, func, alone=alone) if func not in told else None
            if found is None:
                continue
            told.add(func)
            node, message, weight = found
            yield finding("missing-auth", module, node, f"{func.name or route.key} {message}", key=f"ajar {func.name}",
                          weight=weight, evidence=[Place(route.module.path, route.node.line)])  # fmt: skip


def guards_of(ctx: Context, route: Route) -> Iterator[tuple[Module, ir.Func]]:
    """The repository's own functions that guard a route: in front of it, its dependencies and decorators, itself."""
    for module, node in route.guards:
        for each in ctx.program.resolve(module, node.func if isinstance(node, ir.Call) else node):
            if isinstance(each.node, ir.Func) and each.module is not None:
                yield each.module, each.node
    for handler in route.handlers:
        if not isinstance(handler.node, ir.Func) or handler.module is None:
            continue
        for _, where, depended in dependencies(ctx, handler.module, handler.node):
            for each in ctx.program.resolve(where, depended):
                if isinstance(each.node, ir.Func) and each.module is not None:
                    yield each.module, each.node
        for decorator in handler.node.decorators:
            for each in ctx.program.resolve(handler.module, decorator):
                if isinstance(each.node, ir.Func) and each.module is not None:
                    yield each.module, each.node
        yield handler.module, handler.node


def _ajar(
    ctx: Context, route: Route, module: Module, func: ir.Func, *, alone: bool
) -> tuple[ir.Node, str, int] | None:
    """Where a guard lets callers pass, what is said of it, and how grave that is.

    Where it is not `alone` in front of the handler, another may be the one that looks at tokens.
    """
    own = any(each.node is func for each in route.handlers)
    unset = _without_setting(ctx, module, func)
    if unset is not None:
        return unset[0], f"turns nobody away where {unset[1]} is not set", 56
    if (
        own
        or _MEANT.search(func.name)
        or any(
            open_data.knows_who(ctx, each.node) for each in route.handlers if isinstance(each.node, ir.Func)
        )
    ):
        return None
    passed = _without_token(func) if alone else None
    if passed is not None:
        return passed, "lets pass whoever sends no token or a wrong one", 78
    named = _by_name(func)
    return (func, f"believes whoever names a member in {named}", 72) if named else None


def _without_setting(ctx: Context, module: Module, func: ir.Func) -> tuple[ir.Node, str] | None:
    """`if (!API_KEY) return next()`, `if API_KEY and sent != API_KEY: refuse`: the test, and the setting."""
    walk = Walk(ctx, _KEY, True, lambda node: False)
    for branch in ir.find(func, ir.If):
        test = branch.test
        if not isinstance(test, ir.Bin):
            continue
        name = last_name(test.left)
        unset = test.op in {"not", "!"} and walk.is_missing(module, test.left)
        if unset and branch.then and _lets_pass(branch.then[-1], func) and _compares(func, name):
            return test, name
        if test.op not in {"and", "&&"} or test.right is None or branch.other:
            continue
        if walk.is_missing(module, test.left) and refuses_in(ctx, branch.then):
            compares = (
                isinstance(test.right, ir.Bin)
                and test.right.op in {"!=", "!=="}
                and name in names_in(test.right)
            )
            others = (
                each for each in ir.find(func, ir.If) if each is not branch and refuses_in(ctx, each.then)
            )
            if compares and not any(others):
                return test, name
    return None


def _lets_pass(node: ir.Node, func: ir.Func) -> bool:
    """`return next()`, `return true`; `return` of nothing where the function refuses by raising or by an answer."""
    if not isinstance(node, ir.Return) or node.throws:
        return False
    value = node.value
    if value is None or (isinstance(value, ir.Lit) and value.value is None):
        return any(each.throws or isinstance(each.value, ir.Call) for each in ir.find(func, ir.Return))
    if isinstance(value, ir.Call):
        return ir.plain_dotted(value.func) == "next" and not value.args
    return isinstance(value, ir.Lit) and value.value is True


def _compares(func: ir.Func, name: str) -> bool:
    """Whether a function compares something with the setting of that name elsewhere."""
    tests = (each for each in ir.find(func, ir.Bin) if each.op in EQUALITY and each.right is not None)
    return any(name in names_in(each) for each in tests)


def _without_token(func: ir.Func) -> ir.Node | None:
    """The branch or `catch` of a guard that goes on where no token came, or a wrong one."""
    for branch in ir.find(func, ir.If):
        test = branch.test
        missing = isinstance(test, ir.Bin) and test.op in {"not", "!"} and _SENT.search(last_name(test.left))
        if missing and any(_goes_on(each) for each in branch.then):
            return branch
    for attempt in ir.find(func, ir.Try):
        for handler in attempt.handlers:
            if (
                handler.body
                and _goes_on(handler.body[-1])
                and not any(isinstance(each, ir.If) for each in handler.body)
            ):
                return handler
    return None


def _goes_on(node: ir.Node) -> bool:
    """`next()`, `return next()`, or a made-up user that is returned."""
    value = node.value if isinstance(node, ir.Return) and not node.throws else node
    if isinstance(value, ir.Call):
        return ir.plain_dotted(value.func) == "next" and not value.args
    if not isinstance(node, ir.Return) or node.throws or not isinstance(value, ir.Obj):
        return False
    return any(each.key in {"id", "user_id", "sub", "uid", "userId"} for each in value.props)


def _by_name(func: ir.Func) -> str:
    """The header or parameter that a guard takes for who somebody is, where it does nothing to verify it."""
    calls = {ir.dotted(each.func).rpartition(".")[2] for each in ir.find(func, ir.Call)}
    if calls - _HARMLESS or not any(exits(each.then) for each in ir.find(func, ir.If)):
        return ""
    for test in ir.find(func, ir.Bin):
        if test.op in COMPARISONS and not isinstance(test.right, ir.Lit):
            return ""
    read = {each.value for each in ir.find(func, ir.Lit) if isinstance(each.value, str) and _in_headers(each)}
    for param in func.params:
        if isinstance(param.default, ir.Call) and ir.dotted(param.default.func) in {"Header", "Query"}:
            read.add(param.name)
    others = [each for each in read if not _NAMED.match(each)]
    return min((each for each in read if _NAMED.match(each)), default="") if not others else ""


def _in_headers(lit: ir.Lit) -> bool:
    """Whether a text names what is taken out of a request: `headers["x-user-id"]`, `request.headers.get("…")`."""
    up = lit.parent
    holder = up.obj if isinstance(up, ir.Index) else up.func if isinstance(up, ir.Call) else None
    return (
        holder is not None
        and re.search(r"header|query|params|args|body", ir.dotted(holder), re.I) is not None
    )
