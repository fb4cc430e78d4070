"""Tests that ask who calls: branches that turn callers away by what the request carries.

Which functions and routes such a branch protects is decided in `auth`.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts import denial
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import OneOf, Outside

_CARRIERS = {"req", "request", "ctx", "session", "g", "context", "c", "locals"}
"""What a framework hangs the one who asks on."""


_WHO = {"user", "session", "userid", "user_id", "auth", "token"}


def _kept_under(node: ir.Node) -> str:
    """The name under which something is asked for directly on the request: `request["user"]`, `c.get("user")`."""
    if isinstance(node, ir.Index):
        carrier, key = node.obj, ir.text_of(node.key)
    elif (
        isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name == "get" and node.args
    ):
        carrier, key = node.func.obj, ir.text_of(node.args[0])
    else:
        return ""
    return (key or "") if isinstance(carrier, ir.Name) and carrier.id in _CARRIERS else ""


def tested(ctx: Context, module: Module, node: ir.If) -> str:
    """A test of `req.user`, `request.user.is_authenticated`, `session["user_id"]` that turns callers away."""
    if not denial.refuses_in(ctx, node.then):
        return ""
    said = next((name for part in ir.walk(node.test) if (name := _says_who(part))), "")
    named = (each for each in ir.find(node.test, ir.Name))
    return (
        said
        or next(
            (
                each.id
                for each in named
                if each.id in {"session", "current_user"} and not denial.is_always(module, each)
            ),
            "",
        )
        or _held_before(module, node)
        or _secret_compared(ctx, module, node)
    )


def is_presence(test: ir.Node) -> bool:
    """Whether a test only asks that a header was sent, or begins as it should: `!header?.startsWith("Bearer ")`."""
    parts = list(ir.walk(test))
    names = [ir.dotted(each) for each in parts if isinstance(each, ir.Name | ir.Attr)]
    calls = [ir.dotted(each.func) for each in parts if isinstance(each, ir.Call)]
    sides = [each for each in parts if isinstance(each, ir.Bin) and each.op in {"==", "===", "!=", "!=="}]
    return (
        any(_SECRET.search(each) for each in names)
        and not any(_says_who(each) for each in parts)
        and all(re.search(r"startswith|get$|header$|includes$", each, re.I) for each in calls)
        and all(
            _is_nothing(each.left) or (each.right is not None and _is_nothing(each.right)) for each in sides
        )
    )


def _held_before(module: Module, node: ir.If) -> str:
    """`who = session.get("user_id")` and then a test of `who`."""
    for name in ir.find(node.test, ir.Name):
        found = module.lookup(name.id, name)
        for binding in found[1] if found else ():
            plain = binding.kind == "assign" and not binding.keys and binding.node.line <= name.line
            for part in ir.walk(binding.value) if plain and binding.value is not None else ():
                if said := _says_who(part):
                    return said
    return ""


def _says_who(part: ir.Node) -> str:
    """`req.user`, `request.user.is_authenticated`, `session["user_id"]`: its name, "" for anything else."""
    if isinstance(part, ir.Attr) and part.name.replace("_", "").lower() in {"isauthenticated", "isanonymous"}:
        return ir.plain_dotted(part)
    if (
        isinstance(part, ir.Attr)
        and (
            (isinstance(part.obj, ir.Name) and part.obj.id in _CARRIERS)
            or (isinstance(part.obj, ir.Attr) and part.obj.name in {"locals", "context"})
        )
    ) and part.name.lower() in _WHO:
        return ir.plain_dotted(part)
    if (kept := _kept_under(part)) and kept.lower() in _WHO:
        return kept
    own = {"req.session.userId", "req.session.user", "req.user.id", "req.session.user.id"}
    return ir.plain_dotted(part) if isinstance(part, ir.Attr) and ir.plain_dotted(part) in own else ""


def _secret_compared(ctx: Context, module: Module, node: ir.If) -> str:
    """A comparison of the authorization header, or of whatever was sent, with a secret of the environment."""
    names = [ir.dotted(each) for each in ir.walk(node.test) if isinstance(each, ir.Attr | ir.Name)]
    given = [each for each in names if not _CONFIGURED.search(each)]
    texts = [each.value for each in ir.find(node.test, ir.Lit) if isinstance(each.value, str)]
    named = next((each for each in given if _SECRET.search(each)), "")
    compares = len(given) < len(names) or any(re.search(r"auth", each, re.I) for each in given)
    if compares and (named or any(_SECRET.search(each) for each in texts)):
        return named or "authorization"
    return _own_secret(ctx, module, node)


_CONFIGURED = re.compile(r"process\.env|environ|settings\.|config\.|^(process|env|settings|config|os)$")
_SECRET = re.compile(r"auth|secret|api_?key|token|bearer|signature", re.I)
_PASSWORD = re.compile(r"secret|passw|passphrase|passcode|token|(^|_)(key|pin)$", re.I)


def _own_secret(ctx: Context, module: Module, node: ir.If) -> str:
    """`sent !== process.env.ADMIN_PASSWORD`: the setting's own name, whatever the other side is called.

    Not where it is compared only if it is set: that lets everybody in where it is not.
    """
    for each in ir.find(node.test, ir.Bin):
        sides = [one for one in (each.left, each.right) if one is not None and not _is_nothing(one)]
        for side in sides if each.op in {"!=", "!==", "==", "==="} and len(sides) == 2 else ():
            value = ctx.ev.eval(module, side)
            options = value.options if isinstance(value, OneOf) else (value,)
            named = [one.name for one in options if isinstance(one, Outside) and one.kind == "env"]
            if _CONFIGURED.search(ir.dotted(side)):
                named.append(ir.dotted(side).rpartition(".")[2])
            found = next((one for one in named if _PASSWORD.search(one) and "PUBLIC" not in one), "")
            if found and not _only_where_set(node, ir.dotted(side)):
                return found
    return ""


def _only_where_set(node: ir.If, name: str) -> bool:
    """`if (secret) { … }` around, or `secret && …` in the test itself."""
    around = [each.test for each in ir.ancestors(node) if isinstance(each, ir.If)]
    parts = [one for each in ir.find(node.test, ir.Bin) if each.op == "and" for one in each.children()]
    return any(isinstance(each, ir.Name | ir.Attr) and ir.dotted(each) == name for each in (*around, *parts))


def _is_nothing(node: ir.Node) -> bool:
    """A literal, `undefined` or `None`: comparing a setting with it asks whether it is set."""
    return isinstance(node, ir.Lit) or (isinstance(node, ir.Name) and node.id in {"undefined", "None"})
