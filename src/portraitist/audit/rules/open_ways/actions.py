"""Server actions whose file lies below a page that a middleware guards: whoever calls them has been on that page.

Another page that imports such an action may be open: that is not looked for, so that the report's list leaves them out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name, names_in
from portraitist.audit.rules.open_ways.middleware import middleware_files
from portraitist.audit.rules.syntax import calls_in

_FOLDER = re.compile(r"(?:^|/)app/(?P<folder>.+)/[^/]+$")
Guards = Callable[[Context, Route], bool]
"""Whether a middleware denies on the path of a route."""


def behind_page(ctx: Context, route: Route, guards: Guards) -> bool:
    """Whether a middleware denies on the address of the folder that an action's file lies in."""
    found = _FOLDER.search(route.module.path) if route.framework == "action" else None
    if found is None:
        return False
    parts = [each for each in found.group("folder").split("/") if not each.startswith(("(", "@", "_"))]
    own = [each for each in parts if each not in {"actions", "lib"}]
    page = "/" + "/".join(own)
    told = any(_sends_away(each, page) for each in ctx.once(middleware_files))
    return bool(own) and (told or guards(ctx, replace(route, path=page, framework="next")))


_WHO = re.compile(r"user|session|token|auth|logged|signed", re.I)


def _sends_away(module: Module, page: str) -> bool:
    """`if (!user && path.startsWith("/dashboard")) return redirect(…)`, where the page lies below `/dashboard`."""
    for branch in module.all(ir.If):
        said = names_in(branch.test)
        below = any(
            f"{page}/".startswith(each.rstrip("/") + "/") for each in said if len(each) > 1 and each[0] == "/"
        )
        asked = below and any(_WHO.search(each) for each in said)
        if asked and any(last_name(each.func) in {"redirect", "rewrite"} for each in calls_in(branch.then)):
            return True
    return False
