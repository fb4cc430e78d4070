"""Part of the rule on shared destinations: one fixed file, or one fixed key of a bucket, for whatever a run brings.

Only where a route, a job or a bot comes to it, so that a second run overwrites it; what a script writes for its owner
is not meant. A file that is taken away again counts in a bot alone, which serves many at once in one folder. Whether a
bucket keeps earlier versions, and whether only one person uses the program, is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, last_name, runs_in_browser
from portraitist.audit.rules.credits.bots import is_bot
from portraitist.audit.rules.open_ways import open_bots
from portraitist.audit.rules.open_ways.open_effects import ERASES
from portraitist.audit.rules.requests import within_reach

_WRITES = {"writeFile": 0, "writeFileSync": 0, "upload_file": 2, "upload_fileobj": 2, "open": 0}
"""Calls that store a file, and which argument names it."""
_STORES = {*_WRITES, "put_object", "PutObjectCommand", "putObject"}
_MEDIA = re.compile(r"\.(png|jpe?g|webp|gif|avif|mp4|mov|webm|mp3|wav|zip|tar|safetensors)$", re.I)
_AWAY = {*ERASES, "delete_object", "DeleteObjectCommand"}
_SAME = re.compile(r"placeholder|default|sample|logo|seed|fixture|demo|not-?_?found|blank|empty", re.I)
"""Names of files that are meant to be one for all."""


def one_file(ctx: Context) -> Iterator[Finding]:
    """`put_object(Key="videos/generated.mp4", Body=video)` on the way of a route or a job."""
    reached = ctx.once(_reached)
    for module in ctx.live:
        if not any(each in module.file.words for each in _STORES) or runs_in_browser(module):
            continue
        for call in module.calls(_STORES):
            way = reached.get(call.within) if call.within is not None else None
            if way is None or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            if last_name(call.func) == "open" and not _is_written(call):
                continue
            name = _fixed(ctx, module, call)
            if not name or not _brings(call):
                continue
            passing = _taken_away(call.within)
            if not passing or ctx.once(is_bot, module):
                message = (
                    f"whatever is made lies under the one name {name} until it is sent: of two at once one is lost"
                    if passing
                    else f"whatever is made is stored under the one name {name}: each takes the place of the last"
                )
                yield finding("shared-destination", module, call, message, key=f"one file {name}", weight=60,
                              end=call.end, evidence=[way])  # fmt: skip


def _is_written(call: ir.Call) -> bool:
    """`open("made.png", "wb")`, Python's own, which begins the file anew."""
    mode = ir.text_of(ir.keyword(call, "mode") or (call.args[1] if len(call.args) > 1 else None))
    return isinstance(call.func, ir.Name) and mode is not None and mode.startswith(("w", "x"))


def _reached(ctx: Context) -> dict[ir.Func, Place]:
    """The functions that routes, jobs and bots' handlers come to, with one such place each."""
    found: dict[ir.Func, Place] = {}
    bots = [each for each in ctx.live if ctx.once(is_bot, each)]
    for module, func, _ in open_bots.handlers(ctx, bots) if bots else ():
        for each in (func, *helpers_of(ctx, func)):
            found.setdefault(each, Place(module.path, func.line))
    for route in ctx.routes:
        if route.method in {"SCRIPT", "PAGE"} or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
            continue
        for func in within_reach(ctx, route):
            found.setdefault(func, Place(route.module.path, route.head))
    return found


def _fixed(ctx: Context, module: Module, call: ir.Call) -> str:
    """The whole name of what a call stores, where it is a picture's, a film's or an archive's and always the same."""
    node, name = ir.keyword(call, "Key"), last_name(call.func)
    if node is None and name in _WRITES and len(call.args) > _WRITES[name]:
        node = call.args[_WRITES[name]]
    value = ctx.ev.eval(module, node) if node is not None else None
    said = value.value if isinstance(value, Known) else None
    return said if isinstance(said, str) and _MEDIA.search(said) and not _SAME.search(said) else ""


def _brings(call: ir.Call) -> bool:
    """Whether what is stored may differ each time: it is no literal."""
    if last_name(call.func) == "open":
        return True
    given = ir.keyword(call, "Body") or (call.args[1] if len(call.args) > 1 else None)
    return given is None or not isinstance(given, ir.Lit)


def _taken_away(func: ir.Func | None) -> bool:
    """Whether the function deletes files again: a file for the time of one run."""
    return func is not None and any(last_name(each.func) in _AWAY for each in ir.find(func, ir.Call))
