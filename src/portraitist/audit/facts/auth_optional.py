"""Checks that turn nobody away: schemes and dependencies that let strangers pass, guards of traffic. Used by `auth`."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts import denial
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.mounts import creations
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module

_TRAFFIC = re.compile(
    r"moderat|firewall|origin|\bcors|csrf|xsrf|rate_?limit|throttl|limiter|saniti[sz]|injection|pollution|maintenance|helmet"
    r"|content_?(filter|type)|body_?size|max_?size|validat(e|or)_?(body|schema|input|prompt)",
    re.I,
)
_PEOPLE = re.compile(r"auth|user|session|token|login|admin|member|api_?key|jwt|secret|owner", re.I)


def asks_nobody(name: str) -> bool:
    """Whether a guard's name says that it looks at what is sent, or how often, and not at who sends it."""
    return _TRAFFIC.search(name) is not None and not _PEOPLE.search(name)


def may_be_nobody(ctx: Context, module: Module, node: ir.Node, func: ir.Func, param: ir.Param) -> bool:
    """Whether what a function depends on is None for whoever is not signed in, and the function serves all the same."""
    made = [each.node for each in ctx.program.resolve(module, node) if isinstance(each.node, ir.Func)]
    given = [value for each in made for value in returns(each)]
    nothing = any(isinstance(each, ir.Lit) and each.value is None for each in given)
    return nothing and not denial.demands(ctx, func, param.name)


def lets_pass(ctx: Context, module: Module, node: ir.Node) -> bool:
    """`HTTPBearer(auto_error=False)`: a scheme that leaves it to others to refuse."""
    for made in creations(ctx, module, node):
        said = ir.keyword(made, "auto_error") if isinstance(made, ir.Call) else None
        if isinstance(said, ir.Lit) and said.value is False:
            return True
    return False


_LIMIT = re.compile(
    r"cookie|already|guest|free|limit|count|trial|remaining|usage|used|anon|quota|credit|(^|_)ip($|_|[A-Z])|attempt|demo",
    re.I,
)


_KNOWN = re.compile(r"^(session|user|current_?user|user_?id|uid|member|me|profile)$", re.I)


def lets_strangers(test: ir.If) -> bool:
    """Whether a branch that leaves turns no stranger away: it is for who is known, or limits those who are not."""
    if _is_known(test.test):
        return not isinstance(
            test.then[-1] if test.then else None, ir.Return
        )  # else all the work may be in there
    return _is_for_known(test.test) or only_limits(test) or _stands_with_known(test)


def _stands_with_known(test: ir.If) -> bool:
    """Whether a branch stands in one for those who are known: `if (session) { if (!allowed) return … }`."""
    inner: ir.Node = test
    for around in ir.ancestors(test):
        if isinstance(around, ir.Func):
            return False
        if (
            isinstance(around, ir.If)
            and any(each is inner for each in around.then)
            and _is_for_known(around.test)
        ):
            return True
        inner = around
    return False


def _is_for_known(node: ir.Node) -> bool:
    """`session`, `session && …`, `user.id && …`: what is asked besides is asked of those who are signed in alone."""
    if isinstance(node, ir.Bin) and node.op in {"and", "&&"} and node.right is not None:
        return _is_for_known(node.left) or _is_for_known(node.right)
    return _is_known(node)


def _is_known(node: ir.Node) -> bool:
    if isinstance(node, ir.Attr) and node.name in {"user", "id", "userId", "email"}:
        return _KNOWN.match(ir.dotted(node).partition(".")[0]) is not None
    return isinstance(node, ir.Name) and _KNOWN.match(node.id) is not None


def only_limits(test: ir.If) -> bool:
    """Whether a branch for visitors without a session turns away only those who have had their share.

    `if (!session) { if (cookies.get("guest")) return … }`: all ways out of it stand behind such a test of its own.
    """
    ways = [
        each
        for part in test.then
        for each in ir.find(part, ir.Return)
        if ir.enclosing(each, ir.Func) is test.within
    ]
    return bool(ways) and all(_is_limited(test, each) for each in ways)


def _is_limited(test: ir.If, way: ir.Return) -> bool:
    for each in ir.ancestors(way):
        if each is test:
            return False
        if isinstance(each, ir.If) and not each.other:
            names = (one.id if isinstance(one, ir.Name) else one.name for one in ir.walk(each.test)
                     if isinstance(one, ir.Name | ir.Attr))  # fmt: skip
            if any(_LIMIT.search(one) for one in names):
                return True
    return False
