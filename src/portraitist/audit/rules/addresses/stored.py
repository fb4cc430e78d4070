"""The rule on temporary addresses: the provider's own address in a row, an answer or in place of a failed copy.

What rows get is read from the statements; answers and failed copies are in `loose`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.addresses.loose import loose_addresses
from portraitist.audit.rules.base import (
    finding,
    last_name,
    live_statements,
    module_of,
    provider_behind,
    trace,
)

_UPLOADS = re.compile(
    r"upload|save|store|persist|put|copy|download|mirror|archive|transfer|cloudinary|blob|permanent", re.I
)


def temporary_url_persisted(ctx: Context) -> Iterator[Finding]:
    """A picture column gets the provider's own address, which is gone after an hour, or an answer does.

    Follows the value back to a provider call or to a webhook's body; stops at anything that uploads or copies.
    """
    yield from loose_addresses(ctx)
    bodies = {
        each.node
        for route in ctx.routes
        if _receives(ctx, route.module.path, route.node.line)
        for each in route.handlers
    }
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            name = snake(use.column)
            picture = re.search(r"(image|picture|photo|output)_urls?$", name) is not None
            if not (picture or name in ctx.words.picture_columns) or use.node is None:
                continue
            own = Place(statement.module.path, statement.line)
            key = f"{statement.table}.{use.column}"
            found: list[tuple[Module, ir.Node]] = []
            if _is_temporary(ctx, statement, use, bodies):
                found = [(module_of(ctx, use), ir.Other(use.line, use.line, []))]
            for module, node in found or _handed_temporary(ctx, statement, use):
                message = f"{key} keeps the provider's temporary address"
                yield finding(
                    "temporary-url-persisted", module, node, message, key=key, weight=72, evidence=[own]
                )


def _handed_temporary(ctx: Context, statement: Statement, use: ColumnUse) -> list[tuple[Module, ir.Node]]:
    """The arguments by which callers hand a storage helper the `output` of an answer of the provider."""
    func = statement.func
    param = next((each for each in func.params if each.name == last_name(use.node)), None) if func else None
    if func is None or param is None or not isinstance(use.node, ir.Name):
        return []
    found: list[tuple[Module, ir.Node]] = []
    for site in ctx.program.callers.get(func, []):
        passed = argument_for(site.call, func, param)
        behind = provider_behind(ctx, site.module, passed, helpers=True)
        if passed is not None and behind is not None and behind.purpose in {"generation", "status"}:
            nodes = list(trace(ctx, site.module, passed))
            copied = any(
                isinstance(part, ir.Call) and _UPLOADS.search(ir.dotted(part.func)) for _, part in nodes
            )
            if not copied and any(last_name(part) == "output" for _, part in nodes):
                found.append((site.module, passed))
    return found


def _parts(ctx: Context, module: Module, node: ir.Node | None) -> list[tuple[Module, ir.Node]]:
    """Where a column's value comes from, through the entries of one object too: `{ ...old, [name]: url }`."""
    found = list(trace(ctx, module, node, helpers=True))
    inside = [(where, prop.value) for where, part in found if isinstance(part, ir.Obj) for prop in part.props]
    return [*found, *(one for where, part in inside for one in trace(ctx, where, part, helpers=True))]


def _receives(ctx: Context, path: str, line: int) -> bool:
    return any(each.path == path and each.line == line for each in ctx.of("webhook"))


def _is_temporary(ctx: Context, statement: Statement, use: ColumnUse, bodies: set[ir.Node | None]) -> bool:
    module = module_of(ctx, use)
    nodes = _parts(ctx, module, use.node)
    behind = next(
        (each for _, part in nodes if isinstance(part, ir.Call) and (each := ctx.call_at.get(part))), None
    )
    if behind is not None and (behind.purpose in {"generation", "status"} or behind.api == "wait"):
        names = {last_name(part) for _, part in nodes}
        return behind.api in {"run", "async_run", "stream"} or bool(names & {"output", "urls"})
    func = statement.func
    outer = {func, *(ir.ancestors(func) if func is not None else ())}
    return bool(outer & bodies) and any(last_name(part) == "output" for _, part in nodes)
