"""A row's owner that is compared with whom the request names, which whoever asks may choose. Part of `idor`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name
from portraitist.audit.rules.requests import Given, below, is_given

_OWNER = re.compile(
    r"(user|owner|author|creator|clerk|customer|account|member)(_clerk)?(_user)?_id|created_by|owner"
)
"""What a row calls a person; a session or a device may be a secret of its own."""
_PROVES = re.compile(r"verif|auth|check|ensure|require|valid|assert|session|token|current|decode|own", re.I)
"""Helpers that may look whether whoever asks is the one who is named."""


def compared_with_request(ctx: Context, route: Route) -> Iterator[Finding]:
    """`if (post.user_id !== searchParams.get("userId")) return …` before the post is changed or deleted.

    Not where anything else is compared with the name, or a helper that may know who asks is given it. Told at the
    first such test of a handler; a check by a proxy that puts the name into the request is not seen.
    """
    if route.method == "GET" or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return
    for here in below(ctx, route):
        changes = [
            each
            for each in ctx.statements_under.get(here.func, ())
            if each.kind != "read" and not each.insert
        ]
        tests = (each for each in ir.find(here.func, ir.If) if changes and exits(each.then))
        for test in tests:
            told = _named(here, test)
            after = next((each for each in changes if each.line > test.line), None)
            if told is None or after is None or _is_proven(here, told, test):
                continue
            yield _found(route, here, test, told, after)
            return


def _found(route: Route, here: Given, test: ir.If, told: ir.Node, change: Statement) -> Finding:
    does = "deletes from" if change.kind == "delete" else "changes"
    message = (
        f"{route.key} {does} {change.table} where its owner is the {last_name(told) or 'one'} that the request names: "
        "who asks is not compared"
    )
    evidence = [Place(here.module.path, test.line), Place(change.module.path, change.line)]
    return finding("idor", *route.home, message, key=f"named owner {change.table}", weight=70, end=route.head,
                   evidence=evidence)  # fmt: skip


def _named(here: Given, test: ir.If) -> ir.Node | None:
    """The side of a test for the owner of a row that is what the request says; the row itself was read."""
    for each in ir.find(test.test, ir.Bin):
        if each.op not in {"!=", "!=="} or each.right is None:
            continue  # `==` lets whoever it belongs to go: his own doing is not counted
        for row, other in ((each.left, each.right), (each.right, each.left)):
            owned = isinstance(row, ir.Attr | ir.Index) and _OWNER.fullmatch(snake(last_name(row)))
            if owned and not is_given(here, row) and is_given(here, other):
                return other
    return None


def _is_proven(here: Given, told: ir.Node, test: ir.If) -> bool:
    """Whether something else in a function is compared with the name, or a helper that may know who asks has it."""
    names = variables_in(told)
    if not names:
        return True
    inside = set(ir.walk(test.test))
    for func in here.way:
        for each in ir.find(func, ir.Bin):
            sides = [each.left, *([each.right] if each.right is not None else [])]
            mine = [one for one in sides if isinstance(one, ir.Name) and one.id in names]
            others = [one for one in sides if one not in mine and not isinstance(one, ir.Lit)]
            if each.op in EQUALITY and each not in inside and mine and others:
                return True
        for call in ir.find(func, ir.Call):
            given = any(names & variables_in(arg) for arg in call.args)
            if given and _PROVES.search(last_name(call.func)):
                return True
    return False
