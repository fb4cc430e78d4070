"""Logins that believe whoever a body names, and answer with that member's session. Part of `missing-auth`.

Anything on the way that may be a proof ends the search: a password, a code, a question to somebody else. What a
proxy asks, and a proof by a name that is not known, is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in
from portraitist.audit.rules.open_ways.open_answers import SIGNERS
from portraitist.audit.rules.requests import below, is_given, within_reach

_LOGINS = re.compile(r"oauth|google|apple|facebook|github|social|firebase|log_?in|sign_?in|wallet")
_ELSE = re.compile(
    r"guest|anonym|demo|(^|_)(test|mock|dev|e2e)(_|$)|admin|callback|web_?hook|refresh|regist|sign_?up"
)
_SESSIONS = re.compile(
    r"(sign|create|generate|issue|send|make|get|new|encode)_?\w*(jwt|token|session|cookie)s?(_response)?$|(^|_)jwt_?(sign|encode)$"
)
_PROVES = re.compile(
    r"verif|compar|match|passw|passcode|bcrypt|argon|scrypt|hash|(^|_)otps?(_|$)|(?<!status_)(?<!error_)(?<![a-z])codes?(_|$)|decode|user_?info"
    r"|token_?info|exchange|signature|magic|challenge|nonce|id_token|access_token|credential|fetch|axios|requests|httpx"
    r"|get_user$|authenticate|check_|validate_?\w*token|introspect|secret_compare|certs|jwks|recover"
)
_WHO = re.compile(
    r"(^|[._])(e?mail|email_address|(google|apple|facebook|github|oauth|provider|auth_provider|clerk)_?(id|sub|uid))$"
)


def believed_logins(ctx: Context) -> Iterator[Finding]:
    """`User.findOne({ email: req.body.email })` and that user's token, with no proof on the whole way."""
    for route in ctx.routes:
        if not route.is_http or route.method == "GET" or route.guarded_by or route.method == "ACTION":
            continue
        path = snake(re.sub(r"[/{}-]+", "_", route.path))
        if not _LOGINS.search(path) or _ELSE.search(path):
            continue
        if ctx.role_at(route.module, route.node) not in LIVE_ROLES:
            continue
        read = _found_by_word(ctx, route)
        if read is None or not _opens_session(ctx, route) or _may_prove(ctx, route):
            continue
        named = f"{route.key} gives a session to whoever names a member's {read[1]}"
        message = f"{named}: nothing on the way asks for a proof"
        yield finding("missing-auth", *route.home, message, key=f"believed {route.key}", weight=80, end=route.head,
                      evidence=[Place(read[0].module.path, read[0].line)])  # fmt: skip


def _found_by_word(ctx: Context, route: Route) -> tuple[Statement, str] | None:
    """The read of a member by what the request says of who he is, and the column."""
    for here in below(ctx, route):
        for each in ctx.statements_under.get(here.func, ()):
            for column, value in _asked(each) if each.kind == "read" else ():
                if _WHO.search(snake(column)) and is_given(here, value):
                    return each, column
    return None


def _asked(each: Statement) -> Iterator[tuple[str, ir.Node]]:
    """What a read asks for, column by column, those of alternatives (`$or`, `OR`) too."""
    for column, value in each.where_values:
        yield column, value
        for entry in ir.find(value, ir.Prop) if column in {"$or", "OR"} else ():
            yield entry.key or "", entry.value


def _opens_session(ctx: Context, route: Route) -> bool:
    """Whether anything on the way makes a token or a session."""
    for func in within_reach(ctx, route):
        module = ctx.program.module_of[func]
        for call in ir.find(func, ir.Call):
            name = snake(ir.dotted(call.func).rpartition(".")[2])
            signs = name in {"sign", "encode"} and SIGNERS.match(ctx.program.origin(module, call.func))
            if signs or _SESSIONS.search(name):
                return True
    return False


def _may_prove(ctx: Context, route: Route) -> bool:
    """Whether a name on the way may be a proof's; what the request is parsed with, and a secret that signs, is none."""
    for func in within_reach(ctx, route):
        for each in names_in(func):
            if " " not in each and _PROVES.search(snake(each)):
                return True
    return False
