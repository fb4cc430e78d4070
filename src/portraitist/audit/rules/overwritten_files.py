"""Part of the rule on shared destinations: a member's files that are stored under the names they were sent with.

What a bucket keeps of earlier versions is not known, nor whether a page lets a member store one name twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.calls import argument_for, arguments
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, last_name, names_in, trace
from portraitist.audit.rules.gravity import BARELY

_SENT_NAME = re.compile(r"(^|_)(file_?name|original_?name|file\.name|upload\w*\.name|name_of_file)$")
_WHOSE = re.compile(
    r"(^|[._])(user|member|owner|account|profile|customer|author|current_user)(_?u?id)?([._]u?id)?$"
)
_ONCE = re.compile(
    r"uuid|nano|rand|time|(^|_)now|(?<!up)date|stamp|hash|session|uniq|(?<!ac)count|digest|token|serial|hex|index"
    r"|(job|task|run|prediction)_?id|(^|_)(seq|ts|suffix|key)(_|$)",
    re.I,
)
"""Names of what differs each time."""


def overwritten_files(ctx: Context) -> Iterator[Finding]:
    """`upload(`${user.id}/${file.name}`, …, { upsert: true })` beside a row that is made for each file.

    A second file of one name takes the place of the first, and the first one's row shows the second. Not where any
    part of the path has a name for what differs each time, or an id that is no member's.
    """
    for module in ctx.live:
        for call in module.calls({"upload"}) if "upsert" in module.file.words else ():
            if not call.args or not _replaces(call) or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            for where, path, func in _paths(ctx, module, call):
                if _is_sent_name(ctx, where, path) and _makes_row(ctx, func):
                    message = (
                        "this path is the member and the name of the file that was sent, and what is there is "
                        "replaced: a second file of that name takes the first one's place"
                    )
                    yield finding("shared-destination", module, call, message, key="same name", weight=BARELY,
                                  end=call.end, evidence=[Place(where.path, path.line)])  # fmt: skip
                    break


def _replaces(call: ir.Call) -> bool:
    """`{ upsert: true }`, `{"upsert": "true"}`."""
    props = (each for arg in arguments(call) for each in ir.find(arg, ir.Prop))
    said = (each.value for each in props if each.key in {"upsert", "x-upsert"})
    return any(isinstance(each, ir.Lit) and str(each.value).lower() == "true" for each in said)


def _paths(ctx: Context, module: Module, call: ir.Call) -> Iterator[tuple[Module, ir.Node, ir.Func]]:
    """The paths that a call stores to: its own argument, or what the callers of its function hand it, and where."""
    given, func = call.args[0], call.within
    if func is None:
        return
    param = next((each for each in func.params if isinstance(given, ir.Name) and each.name == given.id), None)
    if param is None:
        yield module, given, func
        return
    for site in ctx.program.callers.get(func, []):
        handed = argument_for(site.call, func, param)
        if handed is not None and site.call.within is not None:
            yield site.module, handed, site.call.within


def _is_sent_name(ctx: Context, module: Module, path: ir.Node) -> bool:
    """Whether a path is made of a member's id and the name of a file that was sent, and of nothing else."""
    parts = [part for _, part in trace(ctx, module, path, helpers=True)]
    texts = [each for each in parts if isinstance(each, ir.Tmpl)]
    holes = [each for text in texts for each in text.parts if not isinstance(each, ir.Lit)]
    spelled = [snake(ir.dotted(each)) for each in (*parts, *holes) if isinstance(each, ir.Name | ir.Attr)]
    said = {snake(each) for part in (*parts, *holes) for each in names_in(part) if " " not in each}
    if not texts or any(_ONCE.search(each) for each in said):
        return False
    ids = [each for each in spelled if re.search(r"(^|[._])u?id$", each)]
    if not any(_WHOSE.search(each) for each in spelled) or not all(_WHOSE.search(each) for each in ids):
        return False
    return any(_SENT_NAME.search(each) for each in spelled)


def _makes_row(ctx: Context, func: ir.Func) -> bool:
    """Whether a function, or a helper that it calls, makes a row."""
    return any(
        each.insert and not last_name(each.node).startswith("upsert")
        for one in (func, *helpers_of(ctx, func))
        for each in ctx.statements_under.get(one, ())
    )
