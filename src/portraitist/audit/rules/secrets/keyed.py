"""Whether a setting is what something is signed with, by where it ends up and not by what it is called.

A framework's `secret_key`, the key of a token library, an HMAC under a function that speaks of tokens or sessions.
Settings that reach a signer by more than one variable, or through a library's own settings, are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import Fact
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.secrets.holders import holders, mentions

_FRAMEWORKS = re.compile(r"^(flask|quart|sanic|starlette)\b")
_TOKENS = re.compile(
    r"^(jsonwebtoken|jose|jwt|PyJWT|python_jose|itsdangerous|express-session|cookie-session|starlette|fastapi)\b"
)
_KEYED = {"sign", "verify", "encode", "decode"}
_MADE = {"URLSafeTimedSerializer", "URLSafeSerializer", "TimestampSigner", "Signer", "SessionMiddleware",
         "add_middleware", "session", "expressSession", "cookieSession"}  # fmt: skip
_HMAC = {"new": 0, "digest": 0, "createHmac": 1}
_OF_HMAC = re.compile(r"^(hmac|(node:)?crypto|global:crypto)\b")
_SIGNED = re.compile(r"(^|_)(token|session|jwt|cookie|sign(ed|ature)?|login|auth|ticket|link)(_|$|s_|s$)")
_SALTS = re.compile(r"salt|pepper|(^|_)(otp|hash|ip|id)_", re.I)
"""What is only mixed into a digest that nobody brings back."""


def signs_by_use(ctx: Context, module: Module, fact: Fact) -> bool:
    """Whether what this setting falls back on is what a session, a token or a signature is made with."""
    if _SALTS.search(fact.key):
        return False
    keys = ctx.once(_keys)
    if any(each.line <= fact.line and fact.end_line <= each.end for each in keys.get(module, ())):
        return True
    func = _holding(module, fact.line)
    for other, name in holders(ctx, module, fact.line, fact.key):
        for key in keys.get(other, ()):
            near = func is None or name == fact.key or (other is module and func.line <= key.line <= func.end)
            if near and mentions(other, key, name):
                return True
    return False


def _holding(module: Module, line: int) -> ir.Func | None:
    """The function in which a variable takes a setting; None where the file takes it, or a function gives it back."""
    made = (each for each in module.all(ir.Assign) if each.line <= line <= each.end)
    return next((each.within for each in made if isinstance(each.target, ir.Name)), None)


def _keys(ctx: Context) -> dict[Module, list[ir.Node]]:
    """What signers are given as their keys, file by file."""
    return {module: found for module in ctx.live if (found := [*_keys_in(ctx, module)])}


def _keys_in(ctx: Context, module: Module) -> Iterator[ir.Node]:
    if "secret_key" in module.lowered and module.language == "python":
        framework = any(_FRAMEWORKS.match(each.module) for each in module.all(ir.Import))
        for each in module.all(ir.Assign) if framework else ():
            hung = isinstance(each.target, ir.Attr | ir.Index) and each.value is not None
            if hung and each.value is not None and last_name(each.target).lower() == "secret_key":
                yield each.value
    for call in module.calls(_KEYED | _MADE):
        if not _TOKENS.match(ctx.program.origin(module, call.func)):
            continue
        key = ir.keyword(call, "secret_key", "secret", "keys", "key")
        placed = call.args[1:2] if last_name(call.func) in _KEYED else call.args[:1]
        for given in (key, *placed):
            if given is not None and not isinstance(given, ir.Obj):
                yield given
    for call in module.calls(set(_HMAC)):
        at = _HMAC[last_name(call.func)]
        if len(call.args) > at and _OF_HMAC.match(ctx.program.origin(module, call.func)) and _is_signed(call):
            yield call.args[at]


def _is_signed(call: ir.Call) -> bool:
    """Whether the function around a digest is named for what is signed: `_make_token`, `verifySession`."""
    above = (each for each in ir.ancestors(call) if isinstance(each, ir.Func))
    return any(_SIGNED.search(snake(name)) for each in above if (name := _name_of(each)))


def _name_of(func: ir.Func) -> str:
    up = func.parent
    return func.name or (last_name(up.target) if isinstance(up, ir.Assign) else "")
