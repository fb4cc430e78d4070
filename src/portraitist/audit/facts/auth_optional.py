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
