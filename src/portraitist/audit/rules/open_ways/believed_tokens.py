"""Callers who are believed: tokens that are read and whose signature nobody checks. Part of `missing-auth`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, helpers_of, names_in, trace
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.open_guards import guards_of

MAX_DEPTH = 3
"""How many calls below a route's handler a token is looked for."""

_WHO = {"sub", "user_id", "userId", "uid", "id", "email", "username"}
_VERIFIES = re.compile(
    r"verif[^.]*$|auth\.getUser$|getClaims$|authenticateRequest|introspect|get_signing_key", re.I
)
_UNBASED = {"atob", "b64decode", "urlsafe_b64decode", "decode_base64", "base64url_decode"}
_PARSES = {"parse", "loads"}


def believed_tokens(ctx: Context) -> Iterator[Finding]:
    """A function below a route that takes a name out of a token's payload, where nothing checks the signature.

    A check in a function that calls it, or by a proxy in front, is not seen where it has another name.
    """
    for func, handler in _below_routes(ctx).items():
        module = ctx.program.module_of[func]
        if ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        read = next((each for each in ir.find(func, ir.Call) if _is_reading(ctx, module, each)), None)
        if read is None or read.within is not func or not _names_somebody(func):
            continue
        if not _verified(ctx, func, handler):
            message = (
                f"{func.name or 'a handler'} believes what a token says of its bearer, unsigned as it may be"
            )
            where = ctx.program.module_of[handler]
            weight = BARELY if _checked_in_front(ctx, where) else 84
            yield finding("missing-auth", module, func, message, key=f"token {func.name}", weight=weight, end=read.line,
                          evidence=[Place(where.path, handler.line)])  # fmt: skip


def _checked_in_front(ctx: Context, module: Module) -> bool:
    """Whether Supabase looks at a token's signature before an edge function runs: unless its settings say otherwise."""
    found = re.search(r"supabase/functions/([\w-]+)/", module.path)
    if found is None:
        return False
    off = re.compile(rf"\[functions\.[\"']?{found.group(1)}[\"']?\][^\[]*verify_jwt\s*=\s*false")
    files = (each for each in (*ctx.tree.files, *ctx.tree.others) if each.path.endswith("config.toml"))
    return not any(off.search(each.text) for each in files)


def _below_routes(ctx: Context) -> dict[ir.Func, ir.Func]:
    """The functions that handlers of HTTP routes and their guards call, with the handler of the first such way."""
    found: dict[ir.Func, ir.Func] = {}
    for route in ctx.routes:
        guards = [func for _, func in guards_of(ctx, route)] if route.is_http else []
        for handler in route.handlers if route.is_http else ():
            level: list[ir.Node | None] = [handler.node, *guards]
            for _ in range(MAX_DEPTH + 1):
                new = [each for each in level if isinstance(each, ir.Func) and each not in found]
                found.update({each: handler.node for each in new if isinstance(handler.node, ir.Func)})
                level = [helper for each in new for helper in helpers_of(ctx, each)]
    return {each: handler for each, handler in found.items() if each in ctx.program.module_of}


def _verified(ctx: Context, func: ir.Func, handler: ir.Func) -> bool:
    """Whether the function or the handler calls something that verifies, other than the function itself."""
    return any(_calls_check(ctx, each, func, 0) for each in (func, handler))


def _calls_check(ctx: Context, caller: ir.Func, func: ir.Func, depth: int) -> bool:
    for called, verifies in ctx.once(_calls, caller):
        if func in called:
            continue
        if verifies:
            return True
        if depth < MAX_DEPTH - 1 and any(_calls_check(ctx, each, func, depth + 1) for each in called):
            return True
    return False


def _calls(ctx: Context, caller: ir.Func) -> list[tuple[list[ir.Func], bool]]:
    """For each call: the functions of the repository that it runs, and whether its name says that it verifies."""
    found: list[tuple[list[ir.Func], bool]] = []
    for call in ir.find(caller, ir.Call):
        called = helpers_behind(ctx, call)
        verifies = _VERIFIES.search(ir.dotted(call.func)) is not None
        if called or verifies:
            found.append((called, verifies))
    return found


def _is_reading(ctx: Context, module: Module, call: ir.Call) -> bool:
    """Whether a call gives a token's payload without looking at its signature."""
    name = ir.dotted(call.func).rpartition(".")[2]
    if name in _PARSES:
        return any(_is_payload(ctx, module, each) for each in call.args)
    if name not in {"decode", "decodeJwt", "jwtDecode", "jwt_decode", "get_unverified_claims"}:
        return False
    if module.language == "python":
        return name == "get_unverified_claims" or (name == "decode" and _unverified(call))
    return ctx.program.origin(module, call.func).startswith(
        ("jsonwebtoken.decode", "jose.decodeJwt", "jwt-decode")
    )


def _unverified(call: ir.Call) -> bool:
    """`options={"verify_signature": False}` or `verify=False` of PyJWT."""
    options, plain = ir.keyword(call, "options"), ir.keyword(call, "verify")
    given = options.get("verify_signature") if isinstance(options, ir.Obj) else plain
    return isinstance(given, ir.Lit) and given.value is False


def _is_payload(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether an expression is the second part of a token, decoded: `atob(token.split(".")[1])`."""
    parts = [part for _, each in trace(ctx, module, node) for part in ir.walk(each)]
    decoded = any(
        isinstance(each, ir.Call)
        and (ir.dotted(each.func).rpartition(".")[2] in _UNBASED or {"base64", "base64url"} & names_in(each))
        for each in parts
    )
    places = (each for each in parts if isinstance(each, ir.Index) and isinstance(each.key, ir.Lit))
    second = [each for each in places if isinstance(each.key, ir.Lit) and each.key.value == 1]
    return decoded and any(_is_split(ctx, module, each.obj) for each in second)


def _is_split(ctx: Context, module: Module, node: ir.Node) -> bool:
    for _, each in trace(ctx, module, node):
        if isinstance(each, ir.Call) and isinstance(each.func, ir.Attr) and each.func.name == "split":
            return bool(each.args) and ir.text_of(each.args[0]) == "."
    return False


def _names_somebody(func: ir.Func) -> bool:
    """Whether the function reads who somebody is out of something, and gives an answer."""
    read = {each.name for each in ir.find(func, ir.Attr)}
    read |= {str(ir.text_of(each.key)) for each in ir.find(func, ir.Index)}
    read |= {str(ir.text_of(each.args[0])) for each in ir.find(func, ir.Call) if each.args}
    return bool(read & _WHO) and any(each.value is not None for each in ir.find(func, ir.Return))
