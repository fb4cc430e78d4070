"""Part of the rule on temporary addresses: addresses that a storage signs for a time, and Telegram's own, in rows.

How long a signature holds is read from its call; one of more than a month, or of a length that is not known, is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.addresses.loose import PICTURE
from portraitist.audit.rules.base import (
    at_column,
    finding,
    last_name,
    live_statements,
    module_of,
    names_in,
    trace,
)

_SIGNS = re.compile(r"^_?(create_|get_|generate_)?(signed|presigned)(_get)?_(url|object)s?$")
_FOR_SENDING = re.compile(r"put_?object|post_?object|upload|^put$|^write$", re.I)
_LENGTH = ("expiresIn", "ExpiresIn", "expires", "expiration", "expires_in", "Expires", "expiry")
_AGAIN = re.compile(r"expir|(^|_)(path|key|filename|object|storage_id)$|valid_until")
"""Columns by which an address is known to run out, or by which a new one can be made."""
_MONTH, _WEEK = 31 * 86_400, 7 * 86_400
_TELEGRAM = "api.telegram.org/file"


def signed_for_a_time(ctx: Context) -> Iterator[Finding]:
    """A picture column gets an address that is signed for a time, and the row has nothing to make a new one of."""
    if not ctx.once(_any_signs):
        return
    for statement in live_statements(ctx, "write"):
        if any(_AGAIN.search(snake(each.column)) for each in statement.columns):
            continue
        for use in statement.columns:
            if use.node is not None and PICTURE.search(snake(use.column)):
                yield from _kept(ctx, statement, use)


def _any_signs(ctx: Context) -> bool:
    return any("signed" in each.lowered or "telegram" in each.lowered for each in ctx.live)


def _kept(ctx: Context, statement: Statement, use: ColumnUse) -> Iterator[Finding]:
    module = module_of(ctx, use)
    if _is_key_first(module, use.node):
        return
    for where, part in trace(ctx, module, use.node, helpers=True):
        said = _runs_out(ctx, where, part)
        if said:
            key = f"{statement.table}.{use.column}"
            places = [Place(where.path, part.line)]
            here = at_column(ctx, statement, use)
            yield finding("temporary-url-persisted", *here, f"{key} keeps {said}", key=f"signed {key}", weight=56,
                          evidence=places)  # fmt: skip
            return


_KEY = re.compile(r"(^|_)(path|key|filename|storage_id)$")


def _is_key_first(module: Module, node: ir.Node | None) -> bool:
    """`storagePath || url`: where there is a signed address there is the file's own key, and the row keeps that."""
    made = (
        [each.value for each in reaching(module, node) if not each.keys]
        if isinstance(node, ir.Name)
        else [node]
    )
    for each in made:
        first = each
        while isinstance(first, ir.Bin) and first.op == "or":
            first = first.left
        if first is not None and first is not each and _KEY.search(snake(last_name(first))):
            return True
    return False


def _runs_out(ctx: Context, module: Module, part: ir.Node) -> str:
    """What is said of an address that is of no use after a while, "" of any other."""
    if isinstance(part, ir.Lit) and isinstance(part.value, str) and _TELEGRAM in part.value:
        return "Telegram's address of a file, which is gone after an hour and holds the bot's token"
    if not isinstance(part, ir.Call) or not _SIGNS.match(snake(last_name(part.func))):
        return ""
    given = [each for each in (*part.args, part.kw) if each is not None]
    if any(_FOR_SENDING.search(name) for each in given for name in names_in(each)):
        return ""
    seconds = _seconds(ctx, module, part)
    if seconds is None or seconds > _MONTH:
        return ""
    return f"an address that is signed for {_spelled(seconds)}"


def _seconds(ctx: Context, module: Module, call: ir.Call) -> float | None:
    """How long a signature holds, as far as its call says; S3's hold no longer than a week."""
    named = ir.keyword(call, *_LENGTH)
    plain = call.args[1] if len(call.args) == 2 and not isinstance(call.args[1], ir.Obj) else None
    value = fold(ctx.ev.eval(module, named or plain)) if named is not None or plain is not None else None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e10:
        return float(value)
    names = {name for each in (*call.args, call.kw) if each is not None for name in names_in(each)}
    of_s3 = "GetObjectCommand" in names or "get_object" in names or "getObject" in names
    return float(_WEEK) if of_s3 else None


def _spelled(seconds: float) -> str:
    days, hours = seconds / 86_400, seconds / 3_600
    if seconds == _WEEK:
        return "a week at most"
    return f"{days:.0f} days" if days > 2 else f"{hours:.0f} hours" if hours > 1 else "an hour or less"
