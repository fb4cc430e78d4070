"""Guards that ask for a role or a permission, and answer 403 to members without it. Part of `idor`.

Whoever has it may be meant to work on rows of others: that such a row is asked for without its owner is then told in
the JSON only. Guards for staff by their names are in `ownership` and `rows`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.denial import refuses_in
from portraitist.audit.rules.base import names_in
from portraitist.audit.rules.gravity import BARELY

_GIVEN_TO_FEW = re.compile(
    r"^((user|member|account|profile|my|required|min)_?)?roles?$|^permissions?$|^(has|check)_?(permission|role)"
    r"|^(can|may)_?(write|edit|manage|delete|admin|moderate|publish|update|modify|review|maintain)|^scopes?$|privilege"
    r"|^is_?(admin|staff|manager|editor|moderator|curator|reviewer)",
    re.I,
)
"""Names of what an account has by somebody's grant, not by its plan or its credits."""
_FORBIDDEN = re.compile(r"403|forbidden", re.I)


def weighed(ctx: Context, route: Route, weight: int) -> int:
    """The weight of a missing owner: BARELY where a guard has asked for a role or a permission."""
    return BARELY if ctx.once(_asks_permission, route) else weight


def _asks_permission(ctx: Context, route: Route) -> bool:
    return any(ctx.once(_turns_away, each) for each in _guarding(ctx, route))


def _guarding(ctx: Context, route: Route) -> Iterator[ir.Func]:
    """What stands in front of a handler, the handler itself, and the helpers that either calls."""
    own = [*route.funcs]
    for module, node in route.guards:
        called = ctx.program.resolve(module, node.func if isinstance(node, ir.Call) else node)
        own.extend(each.node for each in called if isinstance(each.node, ir.Func))
    yield from own
    for func in own:
        for call in ir.find(func, ir.Call):
            yield from (
                each.node for each in ctx.program.functions_called(call) if isinstance(each.node, ir.Func)
            )


def _turns_away(ctx: Context, func: ir.Func) -> bool:
    """Whether a function answers 403 by a test of a role or a permission."""
    return any(
        any(_GIVEN_TO_FEW.search(name) for name in names_in(test.test))
        and refuses_in(ctx, test.then)
        and any(_says_forbidden(each) for part in test.then for each in ir.walk(part))
        for test in ir.find(func, ir.If)
    )


def _says_forbidden(node: ir.Node) -> bool:
    said = (
        node.value
        if isinstance(node, ir.Lit)
        else ir.dotted(node)
        if isinstance(node, ir.Name | ir.Attr)
        else ""
    )
    return not isinstance(said, bool) and _FORBIDDEN.search(str(said)) is not None
