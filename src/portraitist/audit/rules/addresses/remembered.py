"""Part of the rule on temporary addresses: what sessions and jobs in memory are told to remember of the provider's.

Objects that a function looked up, and dictionaries of an object or a file; rows of a database are in `delivered`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.addresses.delivered import NO_PICTURE, in_order, is_safe
from portraitist.audit.rules.addresses.deliveries import held
from portraitist.audit.rules.addresses.loose import PICTURE
from portraitist.audit.rules.addresses.near import is_near
from portraitist.audit.rules.base import finding, last_name, place, runs_in_browser
from portraitist.audit.rules.gravity import BARELY

_LOOKED_UP = re.compile(r"get|find|load|look|fetch|read|session|job|ensure|touch", re.I)


def remembered(ctx: Context, known: list[Finding]) -> Iterator[Finding]:
    """`session.current_image_url = url` of a session that was looked up, at whoever hands the address over."""
    told = {(each.path, line) for each in known for line in range(each.line, each.end_line + 1)}
    rows = {each.node for each in ctx.statements}
    for module in ctx.live:
        if module.role != "src" or runs_in_browser(module):
            continue
        for assign in module.all(ir.Assign):
            name = _remembered(module, assign) if assign not in rows else ""
            if not name or not is_near(ctx, assign.within) or assign.value is None:
                continue
            for way, sites in sorted(held(ctx, module, assign.value), key=in_order):
                if (
                    not way.address
                    or not isinstance(way.source, ProviderCall)
                    or is_safe(ctx, module, assign)
                ):
                    continue
                if _is_answer(ctx, module, assign):
                    break
                where, node = sites[-1] if sites else (module, assign)
                if (where.path, node.line) not in told and not is_safe(ctx, where, node):
                    told.add((where.path, node.line))
                    message = f"{name} remembers the provider's temporary address"
                    yield finding("temporary-url-persisted", where, node, message, key=f"{name} remembered",
                                  weight=BARELY,
                                  evidence=[place(way.source), Place(module.path, assign.line)])  # fmt: skip


def _is_answer(ctx: Context, module: Module, assign: ir.Assign) -> bool:
    """Whether what is changed is the provider's answer itself."""
    holder = assign.target.obj if isinstance(assign.target, ir.Attr) else None
    return any(isinstance(way.source, ProviderCall) and not way.path for way, _ in held(ctx, module, holder))


def _remembered(module: Module, assign: ir.Assign) -> str:
    """The name under which an assignment keeps a picture's address beyond its function, else ""."""
    target = assign.target
    if isinstance(target, ir.Attr):
        name, holder = target.name, target.obj
        made = [each.value for each in reaching(module, holder)] if isinstance(holder, ir.Name) else []
        looked = [
            each for each in made if isinstance(each, ir.Call) and _LOOKED_UP.search(last_name(each.func))
        ]
        kept = bool(looked) and len(looked) == len(made)
    else:
        name, kept = "", False
    pictured = PICTURE.search(snake(name)) is not None and not NO_PICTURE.search(snake(name))
    return name if kept and pictured else ""
