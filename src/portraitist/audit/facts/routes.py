"""Ways in: dispatches to the frameworks' collectors and adds `route` facts.

JavaScript frameworks are in `routes_javascript`, `routes_nest`, `routes_files`, `routes_cloud`, `routes_servers`,
`routes_trpc` and `routes_tanstack`, Python ones in `routes_python`, `routes_python_views` and `routes_lambda`.
"""

from __future__ import annotations

import re

from portraitist.audit.facts import (
    jobs,
    routes_cloud,
    routes_files,
    routes_javascript,
    routes_lambda,
    routes_nest,
    routes_python,
    routes_python_views,
    routes_servers,
    routes_tanstack,
    routes_trpc,
)
from portraitist.audit.facts.base import Context, Route


def find(ctx: Context) -> None:
    """Finds every route, action, page and job in live and in dead code."""
    collectors = (
        routes_javascript, routes_nest, routes_files, routes_cloud, routes_lambda, routes_servers, routes_trpc,
        routes_tanstack, routes_python, routes_python_views, jobs,
    )  # fmt: skip
    for collector in collectors:
        ctx.routes.extend(collector.routes(ctx))
    ctx.routes.sort(key=lambda each: (each.module.path, each.node.line, each.key))


def collect(ctx: Context) -> None:
    """Adds the `route` facts."""
    for route in ctx.routes:
        if route.is_http:
            token = ctx.shown(route.module, route.node.line, route.node.end, _token(route))
            ctx.add("route", route.key, route.module, route.node, shows=token, end=_end(route))
            module, view = route.home
            if view is not route.node:
                ctx.add("route", route.key, module, view, shows="")


def _end(route: Route) -> int:
    ends = [each.node.end for each in route.handlers if each.module is route.module and each.node is not None]
    ends = [each for each in ends if each >= route.node.line]
    return max(ends, default=max(route.node.line, route.node.end))


def _token(route: Route) -> str:
    """A word of the route that its line may show: the last plain piece of the path, which may come from a prefix."""
    pieces = [each for each in re.split(r"[/\s]", route.path) if each and each[0] not in "{[:<*("]
    return f"{pieces[-1] if pieces and route.framework in {'express', 'python'} else ''}"
