"""Checks of whose a row is, or who may do something, that are made of those who are signed in alone.

`if (userId) { if (row.userId !== userId) return 403 }`: a member is turned away, and whoever has no session is not.
Part of `missing-auth`. Whether that is meant (a guest's order) is not known; it is what the code does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import AND, joined
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import refuses_in
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import last_name, names_in, unasked
from portraitist.audit.rules.gravity import BARELY

_KNOWN = re.compile(
    r"^(session|auth|(current|session|auth)?_?user|(user|caller|viewer|member)_?id|uid|member|me|viewer)$",
    re.I,
)
_SESSION = re.compile(r"session|auth|\buser\b|token|clerk|jwt|identity", re.I)
_SENT = re.compile(r"\b(body|query|params?|searchParams|formData|form|args)\b")
_POWER = re.compile(r"^(is_?)?(super_?)?(admin|staff|moderator|owner)$|(^|_)roles?$", re.I)
_FOR_ALL = re.compile(r"public|publish|visib|share|anonym|guest_?token|access_?token", re.I)


def only_of_members(ctx: Context, route: Route) -> Iterator[Finding]:
    """An open route whose only refusal is for members: whoever is not signed in comes past it.

    Not where the handler asks whether something is public, nor where another branch leaves for want of a session.
    """
    for handler in route.handlers:
        func, module = handler.node, handler.module
        if not isinstance(func, ir.Func) or module is None or _FOR_ALL.search(_text(module, func)):
            continue
        for branch in ir.find(func, ir.If):
            known = _made_of_members(ctx, module, branch) if refuses_in(ctx, branch.then) else ""
            if known and branch.within is func:
                does = "whose this is" if _compares_owner(ctx, branch.test) else "who may do this"
                message = (
                    f"{route.key} asks {does} only where {known} is there: whoever is not signed in passes"
                )
                yield unasked(
                    "missing-auth", route, (module, branch), message, key=f"known {route.key}", weight=BARELY
                )
                return


def _text(module: Module, func: ir.Func) -> str:
    return "\n".join(module.text(line) for line in range(func.line, func.end + 1))


def _made_of_members(ctx: Context, module: Module, branch: ir.If) -> str:
    """What says that somebody is signed in, where a refusal for a wrong owner or rank depends on it; else ""."""
    parts = list(joined(branch.test, AND))
    asked = [each for each in parts if _compares_owner(ctx, each) or _lacks_rank(each)]
    if not asked:
        return ""
    tests = [each for each in parts if each not in asked]
    inner: ir.Node = branch
    for around in ir.ancestors(branch):
        if isinstance(around, ir.Func):
            break
        if isinstance(around, ir.If):
            if not any(each is inner for each in around.then) or around.other:
                return ""
            tests += joined(around.test, AND)
        elif isinstance(around, ir.Try) and not any(each is inner for each in around.body):
            return ""
        inner = around
    known = [each for each in tests if _is_known(module, each)]
    plain = len(known) == 1 and all(each in known or _of_row(ctx, each) for each in tests)
    return ir.dotted(known[0]) if plain else ""


def _is_known(module: Module, node: ir.Node) -> bool:
    """Whether a test asks for nothing but who is signed in, as the session says."""
    if isinstance(node, ir.Attr):
        return _KNOWN.match(ir.dotted(node).partition(".")[0]) is not None and node.name in {
            "user",
            "id",
            "userId",
            "uid",
        }
    if not isinstance(node, ir.Name) or not _KNOWN.match(node.id):
        return False
    made = [each.value for each in bindings_of(module, node) if each.value is not None]
    return bool(made) and all(_of_session(module, each) for each in made)


def _of_session(module: Module, value: ir.Node) -> bool:
    text = "\n".join(module.text(line) for line in range(value.line, value.end + 1)).partition("=")[2]
    return _SESSION.search(text) is not None and _SENT.search(text) is None


def _compares_owner(ctx: Context, node: ir.Node) -> bool:
    """`row.userId !== userId`, also beside others in an `&&`."""
    return any(
        isinstance(each, ir.Bin)
        and each.op in {"!=", "!=="}
        and any(_owner(ctx, side) for side in (each.left, each.right))
        and not any(isinstance(side, ir.Lit) for side in (each.left, each.right))
        for each in joined(node, AND)
    )


def _owner(ctx: Context, node: ir.Node | None) -> bool:
    return isinstance(node, ir.Attr) and snake(node.name) in ctx.words.owner_columns - {"user", "uid"}


def _lacks_rank(node: ir.Node) -> bool:
    """`!user.isAdmin`, `user.role !== "admin"`."""
    if not isinstance(node, ir.Bin):
        return False
    if node.op in {"!", "not"}:
        return isinstance(node.left, ir.Attr) and _POWER.search(last_name(node.left)) is not None
    return node.op in {"!=", "!=="} and any(
        isinstance(each, ir.Attr) and _POWER.search(each.name) for each in (node.left, node.right)
    )


def _of_row(ctx: Context, node: ir.Node) -> bool:
    """A test of the row besides: that it is there, that it has an owner."""
    return isinstance(node, ir.Name | ir.Attr | ir.Bin) and not names_in(node) & {"process", "env"}
