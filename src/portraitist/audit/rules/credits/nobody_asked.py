"""Part of the rule on credits: routes whose trouble is not that no credits are taken.

One that asks nobody who calls is told as that, and a tool of the owner takes no member's credits.
"""

from __future__ import annotations

import re

from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.rules.open_ways.access import behind_middleware

_OWNERS = re.compile(r"(^|[/_.-])(admin|staff|backoffice|back-office|internal|debug)([/_.-]|$)", re.I)


def has_no_member(ctx: Context, flow: Flow) -> bool:
    """Whether a way starts at a tool of the owner, or at a route that turns nobody away."""
    route = flow.route
    if route is None or not route.is_http:
        return False
    if _OWNERS.search(route.path) or _OWNERS.search(route.module.path):
        return True
    asked = route.guarded_by or any(asks_who(ctx, each) for each in flow.funcs)
    return not asked and not behind_middleware(ctx, route)
