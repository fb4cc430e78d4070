"""Tests that ask who calls: branches that turn callers away by what the request carries.

Which functions and routes such a branch protects is decided in `auth`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import denial
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of, visible
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import OneOf, Outside

_CARRIERS = {"req", "request", "ctx", "session", "g", "context", "c", "locals"}
"""What a framework hangs the one who asks on."""


EQUALITY = {"==", "===", "!=", "!=="}
"""The operators that ask whether two things are the same."""
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
    said = next(
        (name for part in ir.walk(node.test) if (name := _says_who(part)) and not _of_body(module, part)), ""
    )
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
        or _proven_before(ctx, module, node)
    )


def for_few(ctx: Context, func: ir.Func) -> bool:
    """Whether a function turns away whoever is on no list of people or roles, and has no secret of the server."""
    module = ctx.program.module_of[func]
    return any(
        all(_is_listed(each) or _holds_secret(ctx, module, each) for each in ways)
        for test in ir.find(func, ir.If)
        if denial.refuses_in(ctx, test.then)
        for ways in _ways_past(module, test.test)
        if not _is_optional(test, ways)
    )


_CHECKS = re.compile(r"check|verif|ensure|require|valid|guard|identif|access|credential", re.I)


def wants_proof(ctx: Context, name: str, func: ir.Func) -> bool:
    """Whether a function that is named like a check answers 401 where something is missing.

    `if (!sent) return deny(401)`: 401 says that it is who calls that is missing; a setting of the server is none.
    """
    if not _CHECKS.search(name):
        return False
    module = ctx.program.module_of[func]
    for branch in ir.find(func, ir.If):
        test = branch.test
        missing = isinstance(test, ir.Bin) and test.op in {"not", "!"} and not _is_set_up(module, test)
        codes = (one.value for part in branch.then for one in ir.find(part, ir.Lit))
        if missing and any(each in (401, "401") for each in codes) and denial.refuses_in(ctx, branch.then):
            return True
    return False


def _is_set_up(module: Module, test: ir.Node) -> bool:
    """Whether a test asks for what the environment has, at once or through a variable."""
    held = (one.value for each in ir.find(test, ir.Name) for one in bindings_of(module, each))
    parts = (each for whole in (test, *held) if whole is not None for each in ir.walk(whole))
    return any(_CONFIGURED.search(ir.dotted(each)) for each in parts if isinstance(each, ir.Attr | ir.Name))


def is_presence(test: ir.Node) -> bool:
    """Whether a test only asks that a header was sent, or begins as it should: `!header?.startsWith("Bearer ")`."""
    parts = list(ir.walk(test))
    names = [ir.dotted(each) for each in parts if isinstance(each, ir.Name | ir.Attr)]
    calls = [ir.dotted(each.func) for each in parts if isinstance(each, ir.Call)]
    sides = [each for each in parts if isinstance(each, ir.Bin) and each.op in EQUALITY]
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
        for binding in bindings_of(module, name):
            plain = binding.kind == "assign" and not binding.keys and binding.node.line <= name.line
            for part in ir.walk(binding.value) if plain and binding.value is not None else ():
                if (said := _says_who(part)) and not _of_body(module, part):
                    return said
    return ""


_RAW = {"Request", "HttpRequest", "WebSocket", "WSGIRequest", "HTTPConnection"}


def _of_body(module: Module, part: ir.Node) -> bool:
    """Whether `req.user_id` is what the caller wrote: Python's `req` of a type of its own is the parsed body."""
    carrier = ir.root_of(part)
    if (
        module.language != "python"
        or not isinstance(carrier, ir.Name)
        or carrier.id not in {"req", "request"}
    ):
        return False
    types = (each.node.annotation for each in bindings_of(module, carrier) if isinstance(each.node, ir.Param))
    return any(isinstance(each, ir.Name) and each.id not in _RAW for each in types)


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
    return own_secret(ctx, module, node)


_CONFIGURED = re.compile(
    r"process\.env|environ|settings\.|config\.|^env\.|^(process|env|settings|config|os)$"
)
_SECRET = re.compile(r"auth|secret|api_?key|token|bearer|signature", re.I)
_PASSWORD = re.compile(r"secret|passw|passphrase|passcode|token|(^|_)(key|pin)$", re.I)


def own_secret(ctx: Context, module: Module, node: ir.If | ir.Return) -> str:
    """`sent !== process.env.ADMIN_PASSWORD`: the setting's own name, also through a variable that holds it.

    In a test, or in what a helper answers, whatever the other side is called. Not where it is compared only if it is
    set: that lets everybody in where it is not.
    """
    for each in ir.find(_said(node), ir.Bin):
        sides = [one for one in (each.left, each.right) if one is not None and not _is_nothing(one)]
        for side in sides if each.op in EQUALITY and len(sides) == 2 else ():
            value = ctx.ev.eval(module, side)
            options = value.options if isinstance(value, OneOf) else (value,)
            named = [one.name for one in options if isinstance(one, Outside) and one.kind == "env"]
            held = (
                each.value for each in bindings_of(module, side) if each.value is not None and not each.keys
            )
            for one in (side, *held):
                if _CONFIGURED.search(ir.dotted(one)):
                    named.append(ir.dotted(one).rpartition(".")[2])
            found = next((one for one in named if _PASSWORD.search(one) and "PUBLIC" not in one), "")
            if found and not _only_where_set(node, ir.dotted(side)):
                return found
    return ""


def _said(node: ir.If | ir.Return) -> ir.Node:
    """The expression that decides: a branch's test, or what a helper answers."""
    return node.test if isinstance(node, ir.If) else node.value or node


def answers_secret(ctx: Context, func: ir.Func) -> bool:
    """Whether a helper answers if what was sent is a secret of the server."""
    module = ctx.program.module_of[func]
    return any(_holds_secret(ctx, module, each) for each in returns(func))


def _only_where_set(node: ir.If | ir.Return, name: str) -> bool:
    """`if (secret) { … }` around, or `secret && …` in the test itself.

    What a helper answers holds the other way round: `secret && sent === secret` lets nobody in where it is not set.
    """
    around = [each.test for each in ir.ancestors(node) if isinstance(each, ir.If)]
    joint = (
        (each for each in ir.find(node.test, ir.Bin) if each.op == "and") if isinstance(node, ir.If) else ()
    )
    parts = [one for each in joint for one in each.children()]
    return any(isinstance(each, ir.Name | ir.Attr) and ir.dotted(each) == name for each in (*around, *parts))


def _is_nothing(node: ir.Node) -> bool:
    """A literal, `undefined` or `None`: comparing a setting with it asks whether it is set."""
    return isinstance(node, ir.Lit) or (isinstance(node, ir.Name) and node.id in {"undefined", "None"})


def _is_optional(test: ir.If, ways: list[ir.Node]) -> bool:
    """Whether what is compared is compared only where it is set: `secret && header !== secret`."""
    named = (each for way in ways for each in ir.walk(way) if isinstance(each, ir.Name | ir.Attr))
    return any(_only_where_set(test, ir.dotted(each)) for each in named)


def _proven_before(ctx: Context, module: Module, node: ir.If) -> str:
    """`isAdmin = header === secret`, `isUser = verifyToken(…)`, and then `!isAdmin && !isUser`: the first such name."""
    own = {each for each in ir.find(node.test, ir.Bin) if each.op in EQUALITY}
    for ways in _ways_past(module, node.test):
        if own.isdisjoint(ways) and all(
            _holds_secret(ctx, module, each) or _is_verified(ctx, each) for each in ways
        ):
            calls = [each for each in ir.find(node.test, ir.Call) if _is_verified(ctx, each)]
            named = [*(each.func for each in calls), *ir.find(node.test, ir.Name)]
            return next((ir.dotted(each) for each in named), "")
    return ""


def of_servers_alone(ctx: Context, func: ir.Func) -> frozenset[ir.Node]:
    """What a function takes on only from who sends a secret of the server: assignments there, arms of a choice.

    `if (token === SERVICE_KEY && body.user_id) userId = body.user_id`: another program says for whom it acts.
    """
    module, found = ctx.program.module_of[func], set[ir.Node]()
    for branch in ir.find(func, ir.If):
        if _proves_server(ctx, module, branch.test):
            found.update(one for each in branch.then for one in ir.find(each, ir.Assign))
    for choice in ir.find(func, ir.Cond):
        if _proves_server(ctx, module, choice.test):
            found.add(choice.then)
    return frozenset(found)


def _proves_server(ctx: Context, module: Module, test: ir.Node) -> bool:
    """Whether a test holds only where what was sent is a secret of the server."""
    for part in joined(test, AND):
        ways = list(_alternatives(module, part))
        equal = all(any(one.op in {"==", "==="} for one in ir.find(each, ir.Bin)) for each in ways)
        if equal and all(_holds_secret(ctx, module, each) for each in ways):
            return True
    return False


def _ways_past(module: Module, test: ir.Node) -> Iterator[list[ir.Node]]:
    """What lets a caller past a test that refuses, for each of the reasons to refuse: all ways round that reason.

    A variable stands for what it was set to; a part that is no denial says nothing.
    """
    for reason in joined(test, _OR):
        ways: list[ir.Node] = []
        for part in joined(reason, AND):
            if isinstance(part, ir.Bin) and part.op in {"!=", "!==", "not in"}:
                ways.append(part)
            elif isinstance(part, ir.Bin) and part.op in {"not", "!"}:
                ways.extend(_alternatives(module, part.left))
        if ways:
            yield ways


_OR, AND = {"or", "||"}, {"and", "&&"}


def joined(node: ir.Node, ops: set[str]) -> Iterator[ir.Node]:
    """What some operators join: `a`, `b` and `c` of `a && b && c`; else the expression itself."""
    if isinstance(node, ir.Bin) and node.op in ops and node.right is not None:
        yield from joined(node.left, ops)
        yield from joined(node.right, ops)
    else:
        yield node


def _alternatives(module: Module, node: ir.Node, depth: int = 0) -> Iterator[ir.Node]:
    for each in joined(node, _OR):
        found = module.lookup(each.id, each) if isinstance(each, ir.Name) and depth < 2 else None
        plain = [one for one in visible(found[1], each) if one.kind == "assign"] if found else []
        values = [one.value for one in plain if one.value is not None and not one.keys]
        for value in values:
            yield from _alternatives(module, value, depth + 1)
        if not values:
            yield each


def _is_listed(way: ir.Node) -> bool:
    """`ALLOWED.has(email)`, `role not in STAFF`, `user.email !== "me@example.org"`."""
    if isinstance(way, ir.Call) and isinstance(way.func, ir.Attr) and way.func.name in {"has", "includes"}:
        return bool(way.args) and _names_person(way.args[0]) and _names_list(way.func.obj)
    if isinstance(way, ir.Bin) and way.op in {"in", "not in"} and way.right is not None:
        return _names_person(way.left) and _names_list(way.right)
    if isinstance(way, ir.Bin) and way.op in EQUALITY and _names_person(way.left):
        return "@" in (ir.text_of(way.right) or "")
    return False


_PERSON = re.compile(
    r"e?mail(address)?$|^role$|user_?(id|name)$|^uid$|_uid$|(chat|telegram)_?id$|^phone", re.I
)
_FEW = re.compile(
    r"allow|admin|staff|white_?list|owner|permitted|authori[sz]ed|internal|operator|moderator", re.I
)


def _names_person(node: ir.Node) -> bool:
    """`email`, `user.role`, `email.toLowerCase()`."""
    return any(
        _PERSON.search(each.id if isinstance(each, ir.Name) else each.name)
        for each in ir.walk(node)
        if isinstance(each, ir.Name | ir.Attr)
    )


def _names_list(node: ir.Node) -> bool:
    texts = [each.value for each in ir.find(node, ir.Lit) if isinstance(each.value, str)]
    return any(_FEW.search(each) for each in (ir.dotted(node), *texts))


def _holds_secret(ctx: Context, module: Module, way: ir.Node) -> bool:
    """``header === `Bearer ${process.env.ADMIN_KEY}` ``: what was sent is compared with a secret of the server."""
    for test in ir.find(way, ir.Bin):
        if test.op not in EQUALITY or test.right is None or _is_nothing(test.left) or _is_nothing(test.right):
            continue
        named = [ir.dotted(each) for each in ir.walk(test) if isinstance(each, ir.Attr | ir.Name)]
        kept = [each.rpartition(".")[2] for each in named if _CONFIGURED.search(each)]
        for each in (*ir.find(test, ir.Name), *ir.find(test, ir.Index)):
            value = ctx.ev.eval(module, each)
            options = value.options if isinstance(value, OneOf) else (value,)
            kept += [one.name for one in options if isinstance(one, Outside) and one.kind == "env"]
        if any(_PASSWORD.search(each) and "PUBLIC" not in each for each in kept):
            return True
    return False


_VERIFIES = re.compile(r"verif|valid|check|authenti|matches", re.I)
_COMPUTES = re.compile(r"hmac|sha(1|256|512)|createhash|timingsafe|compare_?digest|jwt", re.I)
_OF_SENDERS = re.compile(r"webhook|signature|svix", re.I)


def _is_verified(ctx: Context, way: ir.Node, depth: int = 0) -> bool:
    """`verifyToken(id, token)`: a function of the repository that computes what should have been sent.

    Or one that answers what such a function says, `isOffice = () => verifyCookie(…)`. Checks of another service's
    signature are in `signed`.
    """
    for call in ir.find(way, ir.Call):
        name = ir.dotted(call.func)
        if _OF_SENDERS.search(name):
            continue
        if _COMPUTES.search(name):
            return True
        for target in ctx.program.functions_called(call) if _VERIFIES.search(name) else ():
            inner = ir.find(target.node, ir.Call) if isinstance(target.node, ir.Func) else ()
            if any(_COMPUTES.search(ir.dotted(each.func)) for each in inner):
                return True
        for target in ctx.program.functions_called(call) if depth < 2 else ():
            answers = returns(target.node) if isinstance(target.node, ir.Func) else []
            if len(answers) == 1 and _is_verified(ctx, answers[0], depth + 1):
                return True
    return False
