"""Files of others that a signed-in visitor is given: stored objects by a key of the request. Part of `idor`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.db_common import from_call
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import last_name, unasked
from portraitist.audit.rules.open_ways import open_deeds
from portraitist.audit.rules.open_ways.open_files import DELETES, GIVES, MOVES
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.others.checks import SETS_OFF
from portraitist.audit.rules.requests import Given, below, is_given

_KEEPS = {"upload", "createSignedUploadUrl", "createSignedUrl", "createSignedUrls", "download", "remove"}
_WHO = re.compile(r"user|member|owner|account|session|profile|uid", re.I)
_DOES = {GIVES: "gives out", DELETES: "deletes", MOVES: "moves or copies"}
_COMPARES = {"startsWith", "includes", "startswith", "split", "match"}


def handed_out(ctx: Context, route: Route, kept: dict[str, Place]) -> Iterator[Finding]:
    """A route that signs, reads or removes what the visitor names, with all rights, where members have folders.

    Not where the key is compared with who asks on the way. `kept` says which buckets have such folders.
    """
    if not kept or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return
    way = below(ctx, route)
    for here in way:
        if not are_known(ctx, route, here.way):
            continue
        above = [each for each in way if each.func in here.way]
        if any(ctx.once(_compares, each) for each in here.way):
            continue
        if any(_asks_owner(ctx, each) or _hands_both(ctx, each) for each in above):
            continue
        for deed in ctx.once(open_deeds.deeds).get(here.func, ()):
            does = _DOES.get(deed.does)
            if does and deed.what in kept and any(chosen(here, each) for each in deed.keys):
                message = (
                    f"{route.key} {does} files of {deed.what} by a key of the request, whoever's they are"
                )
                yield unasked("idor", route, (here.module, deed.call), message, key=f"{deed.what} files {route.key}",
                              weight=63, evidence=[kept[deed.what]])  # fmt: skip


def _hands_both(ctx: Context, here: Given) -> bool:
    """`deleteUserFile(session.user.id, key)`: a helper of the repository that is told who asks beside the key."""
    for call in ir.find(here.func, ir.Call):
        given = [is_given(here, each) for each in call.args]
        names = (
            each
            for each, told in zip(call.args, given, strict=True)
            if not told and any(_WHO.search(one) for one in _names(each))
        )
        if any(given) and next(names, None) is not None and ctx.program.functions_called(call):
            return not SETS_OFF.match(last_name(call.func))
    return False


def _asks_owner(ctx: Context, here: Given) -> bool:
    """Whether what the request names is looked for as somebody's: it may be the file's row."""
    for each in ctx.statements_under.get(here.func, ()):
        named = any(is_given(here, node) for _, node in each.where_values)
        if named and {snake(one) for one in each.where} & ctx.words.owner_columns:
            return True
    return False


def chosen(here: Given, key: ir.Node) -> bool:
    """Whether the whole key is the request's, but for fixed text; none of a member's own folder."""
    if not is_given(here, key) or any(_WHO.search(each) for each in _names(key)):
        return False
    for part in (key, *_written(here.module, key)):
        if any(not is_given(here, each) for each in _holes(part)) or holds_who(part):
            return False
    return True


def _holes(node: ir.Node) -> list[ir.Node]:
    """What is filled into a text."""
    return [each for each in node.parts if not isinstance(each, ir.Lit)] if isinstance(node, ir.Tmpl) else []


def _names(node: ir.Node) -> list[str]:
    return [
        each.id if isinstance(each, ir.Name) else each.name
        for each in ir.walk(node)
        if isinstance(each, ir.Name | ir.Attr)
    ]


def _compares(ctx: Context, func: ir.Func) -> bool:
    """`key.startsWith(user.id)` and the like, and `key.startsWith(prefix)` where that was made of who asks."""
    module = ctx.program.module_of[func]
    return any(
        isinstance(call.func, ir.Attr)
        and call.func.name in _COMPARES
        and any(
            _WHO.search(name)
            for arg in call.args
            for each in (arg, *_written(module, arg))
            for name in _names(each)
        )
        for call in ir.find(func, ir.Call)
    )


def members_buckets(ctx: Context) -> dict[str, Place]:
    """The buckets in which some path begins with a member's id, or a key of another storage names one."""
    found: dict[str, Place] = {}
    for module in ctx.live:
        for call in module.calls(_KEEPS) if module.language == "javascript" else ():
            bucket = _bucket(call)
            if bucket and any(_begins_with_who(each) for each in _written(module, call.args[0])):
                found.setdefault(bucket, Place(module.path, call.line))
    for each in (one for made in ctx.once(open_deeds.deeds).values() for one in made):
        if any(holds_who(part) for key in each.keys for part in _written(each.module, key)):
            found.setdefault(each.what, Place(each.module.path, each.call.line))
    return found


def holds_who(node: ir.Node) -> bool:
    """`photos/${user.id}/a.png`."""
    return any(_WHO.search(each) for hole in _holes(node) for each in _names(hole))


def _written(module: Module, node: ir.Node) -> list[ir.Node]:
    found = module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    return [each.value for each in found[1] if each.value is not None] if found else [node]


def _begins_with_who(node: ir.Node) -> bool:
    first = node.parts[0] if isinstance(node, ir.Tmpl) and node.parts else None
    return (
        first is not None
        and not isinstance(first, ir.Lit)
        and any(_WHO.search(each) for each in _names(first))
    )


def _bucket(call: ir.Call) -> str:
    """The bucket of `storage.from("bucket").download(key)`, "" for any other call."""
    if not call.args:
        return ""
    source = from_call(call)
    stored = source is not None and "storage" in ir.dotted(source.func)
    return (ir.text_of(source.args[0]) or ir.dotted(source.args[0])) if source is not None and stored else ""
