"""Part of the rule on unverified webhooks: messages of WhatsApp, Messenger and Twilio that anybody may post.

Such a service signs what it sends; a number or an account in the body is nobody's proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, is_readable
from portraitist.audit.rules.requests import below

_META = re.compile(
    r"hub[._]verify_token|hub[._]challenge|messaging_product|entry\??\.?\[[\"']?0?\"?\]|\.entry\b"
)
_CERTAIN = re.compile(r"hub[._](verify_token|challenge|mode)|messaging_product")
_TWILIO = ("MessagingResponse", "MediaUrl0", "WaId", "twiml")
_CHECKED = re.compile(
    r"signature|hmac|x-hub|RequestValidator|validateRequest|validateExpressRequest|timingSafeEqual|compare_digest"
    r"|twilio\.webhook|app_?secret",
    re.I,
)
"""What any file on the way would have if the sender were looked at."""


def unsigned_messages(ctx: Context) -> Iterator[Finding]:
    """A POST route that takes a messenger's messages, in a file that never speaks of a signature.

    Known by the words that the service demands: its challenge, its fields. The files of the handler and of the
    functions it hands the message to are searched for any check at all.
    """
    for route in ctx.routes:
        service = ctx.once(_service, route.home[0])
        if not service or not route.is_http or route.method not in {"POST", "ANY"} or route.guarded_by:
            continue
        if ctx.role_at(route.module, route.node) not in LIVE_ROLES or not is_readable(route):
            continue
        own = {each.func for each in below(ctx, route)} | {
            one for each in route.funcs for one in helpers_of(ctx, each)
        }
        files = {route.module, *(ctx.program.module_of[each] for each in own)}
        if any(_CHECKED.search(each.file.text) for each in files) or not _takes_messages(route):
            continue
        message = f"{route.key} believes whoever calls it to be {service}: no signature is checked"
        paid = next((each for each in ctx.flows if each.route is route), None)
        seen = [Place(paid.call.module.path, paid.call.call.line)] if paid is not None else []
        yield finding("webhook-unverified", *route.home, message, key=route.key, weight=76 if paid else 66,
                      end=route.head, evidence=seen)  # fmt: skip


def _service(_ctx: Context, module: Module) -> str:
    """Whose messages a file takes, by the words that the service demands; "" where it names none."""
    text = module.file.text
    if ("messaging_product" in text or "hub" in text) and _CERTAIN.search(text) and _META.search(text):
        return "Meta"
    return "Twilio" if any(each in text for each in _TWILIO) else ""


_MESSAGES = re.compile(r"\bentry\b|\bchanges\b|\bmessages?\b|\bFrom\b|\bBody\b")


def _takes_messages(route: Route) -> bool:
    """Whether the lines of the handler, or of its file behind it, read a message's fields."""
    lines = route.home[0].file.text.split("\n")
    return any(_MESSAGES.search(each) for each in lines[route.home[1].line - 1 :])
