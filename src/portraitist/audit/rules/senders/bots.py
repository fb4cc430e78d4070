"""Part of the rule on unverified webhooks: updates of a Telegram bot that anybody may post.

A webhook that a library serves by itself, with a secret of its own, is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, unguarded

_TAKES = {
    "process_update", "feed_update", "feed_raw_update", "feed_webhook_update", "process_new_updates", "handleUpdate",
    "processUpdate", "process_webhook_update",
}  # fmt: skip
_SECRET = re.compile(r"secret-token|secret_?token", re.I)


def unasked_updates(ctx: Context, is_verified: Callable[[Context, Route], bool]) -> Iterator[Finding]:
    """A route that hands its body to a bot as Telegram's update, and asks for no secret in header or path.

    A path with a hole or a word for a secret in it is taken for a secret one; a file may name Telegram's header.
    """
    for route in ctx.routes:
        if not route.is_http or route.method == "GET" or route.guarded_by:
            continue
        hidden = re.search(r"[{\[:]|token|secret", route.path, re.I) or _SECRET.search(route.module.file.text)
        taken = None if hidden else _taken(ctx, route)
        if (
            taken is None
            or ctx.role_at(route.module, route.node) not in LIVE_ROLES
            or is_verified(ctx, route)
        ):
            continue
        message = f"{route.key} believes whoever calls it to be Telegram: no secret is asked for"
        yield finding("webhook-unverified", *route.home, message, key=route.key, weight=66,
                      end=unguarded(route, [taken]), evidence=[taken])  # fmt: skip


def _taken(ctx: Context, route: Route) -> Place | None:
    """Where the bot is handed an update, in the handler or one call below."""
    own = route.funcs
    for func in (*own, *(one for each in own for one in helpers_of(ctx, each))):
        module = ctx.program.module_of[func]
        if "telegram" in module.lowered or "telebot" in module.lowered or "telegraf" in module.lowered:
            for call in ir.find(func, ir.Call):
                if (
                    isinstance(call.func, ir.Attr)
                    and call.func.name in _TAKES
                    and not _SECRET.search(module.file.text)
                ):
                    return Place(module.path, call.line)
    return None
