"""Limits of how often anybody may call, which stand before paid work in place of a check. Part of `missing-auth`.

Seen where code itself answers 429; what a library or a proxy limits is not.
"""

from __future__ import annotations

import itertools
import re

from portraitist.audit import ir
from portraitist.audit.facts.auth_optional import only_limits
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.rules.base import last_name

FORWARDED = "x-forwarded-for"
_STEPS = 3
"""Through how many variables the key of a limit is followed."""

_LIBRARIES = re.compile(
    r"(express-rate-limit|rate-limiter-flexible|express-brute|(@fastify/|fastify-)rate-limit|hono-rate-limiter"
    r"|koa-ratelimit|@nestjs/throttler|slowapi|flask_limiter|fastapi_limiter|django_ratelimit)\b"
)
"""What turns callers away for calling too often, whoever they are."""


def limit_before(ctx: Context, flow: Flow) -> str:
    """What stands before paid work that turns callers away for calling too often, for a message; "" without one."""
    guards = flow.route.guards if flow.route is not None else ()
    if any(_LIBRARIES.match(ctx.program.origin(*each)) for each in guards):
        return "a limit of calls"
    handlers = flow.route.funcs if flow.route is not None else []
    for func in handlers:
        path = ctx.program.module_of[func].path
        lines = [each.line for each in flow.steps if each.path == path and func.line < each.line <= func.end]
        for branch in ir.find(func, ir.If) if lines else ():
            if branch.line < max(lines) and _asks_for_session(branch) and only_limits(branch):
                return "a share for whoever is not signed in"
            if branch.line < max(lines) and _turns_away(branch):
                keyed = _reads_forwarded(ctx, func, branch.test)
                return "a limit of calls by X-Forwarded-For" if keyed else "a limit of calls"
    return ""


def _asks_for_session(branch: ir.If) -> bool:
    test = branch.test
    named = last_name(test.left) if isinstance(test, ir.Bin) and test.op in {"not", "!"} else ""
    return re.search(r"user|session|uid|member", named, re.I) is not None


def _turns_away(branch: ir.If) -> bool:
    """`if (!allowed) return …, 429`: for everybody, and not where an answer of 429 is what is asked for."""
    told = any(
        each.value in (429, "429") and ir.enclosing(each, ir.If) is branch
        for part in branch.then
        for each in ir.find(part, ir.Lit)
    )
    asked = any(each.value in (429, "429") for each in ir.find(branch.test, ir.Lit))
    spared = any(each.op in {"and", "&&"} for each in ir.find(branch.test, ir.Bin))
    around = itertools.takewhile(lambda each: not isinstance(each, ir.Func), ir.ancestors(branch))
    within = any(isinstance(each, ir.If | ir.Handler) for each in around)
    return told and not (asked or spared or within) and exits(branch.then)


def _reads_forwarded(ctx: Context, func: ir.Func, test: ir.Node) -> bool:
    """Whether what is tested comes of the header, here or in a function that is called for it."""
    names, values = variables_in(test), [test]
    for _ in range(_STEPS):
        found = [each for each in ir.find(func, ir.Assign) if variables_in(each.target) & names]
        values += [each.value for each in found if each.value is not None]
        names = names.union(*(variables_in(each) for each in values))
    called = (
        one.node
        for each in values
        for call in ir.find(each, ir.Call)
        for one in ctx.program.functions_called(call)
        if one.node is not None
    )
    return any(
        isinstance(each.value, str) and each.value.lower() == FORWARDED
        for part in (*values, *called)
        for each in ir.find(part, ir.Lit)
    )
