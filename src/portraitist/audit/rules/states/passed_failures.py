"""Part of the rule on states that stay open: branches of a webhook's handler for failures, which store nothing.

What an event bus or a queue outside the repository stores is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import (
    askers,
    finding,
    hears_provider,
    helpers_behind,
    helpers_of,
    leads_to,
    live_statements,
    names_in,
)
from portraitist.audit.rules.failures.quiet import only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import DONE
from portraitist.audit.rules.states.detached import below_of
from portraitist.audit.rules.states.open_ends import hooks_of, states_or_phases
from portraitist.audit.rules.syntax import branches_around, calls_in, fails

_FAILURES = {"failed", "canceled", "cancelled"}


def failures_passed_over(ctx: Context) -> Iterator[Finding]:
    """A branch of a webhook's handler for work that did not succeed, which stores nothing of it."""
    writes = list(live_statements(ctx, "write", "delete"))
    writers = {each.func for each in writes}
    nodes = {each.node for each in writes}
    asked = ctx.once(_answers_pages)
    handlers = {each for each, _ in hooks_of(ctx)}
    for func, module in _hearing(ctx):
        tests = [each for each in ir.find(func, ir.If) if _is_for_failures(each)]
        if func not in handlers:
            tests = [each for each in tests if _asks_given(func, each)]
        stored = [each for each in tests if _stores(ctx, each.then, nodes, writers)]
        if not tests or stored or not _stores(ctx, func.body, nodes, writers):
            continue
        leaves = any(isinstance(each, ir.Return) for test in tests for each in test.then)
        other = [each for each in writes if each.func is func and states_or_phases(each)]
        other = [each for each in other if not _for_success(module, each.node)]
        told = any(each.line < tests[0].line or (each.line > tests[-1].end and not leaves) for each in other)
        passed = all(_passes(each) for each in tests)
        if told or not (passed or all(_only_tells(ctx, each, writers) for each in tests)):
            continue
        message = "work that failed is passed over here: nothing is stored"
        if not passed:
            message = "work that failed is told of here, and nothing of it is stored"
        elif not asked:
            message += ", and it stays open for whoever waits"
        yield finding("stuck-status", module, tests[-1], message, key="failed",
                      weight=BARELY if asked or not passed else 54, end=tests[-1].test.end)  # fmt: skip


def _hearing(ctx: Context) -> list[tuple[ir.Func, Module]]:
    """The handlers of the provider's webhooks, and the functions that they call themselves, with their files."""
    handlers = [func for func, _ in hooks_of(ctx)]
    found = dict.fromkeys([*handlers, *(one for each in handlers for one in helpers_of(ctx, each))])
    return [(each, ctx.program.module_of[each]) for each in found]


def _asks_given(func: ir.Func, test: ir.If) -> bool:
    """Whether a helper that knows the provider's word asks what it is given for the state, and not a row of its own."""
    params = {each.name for each in func.params}
    params |= {one.id for each in func.params if each.pattern for one in ir.find(each.pattern, ir.Name)}
    taken = (each for each in ir.find(func, ir.Assign) if _root(each.value) in params)
    params |= {one for each in taken for one in variables_in(each.target)}
    roots = {each.id for each in ir.find(test.test, ir.Name)}
    return (
        "succeeded" in names_in(func) and not DONE - {"succeeded"} & names_in(test.test) and roots <= params
    )


def _root(value: ir.Node | None) -> str:
    """The variable that a value is a part of: `req` of `(await req.json()).data`."""
    parts = [value] if value is None or not isinstance(value, ir.Other) else value.parts
    root = ir.root_of(parts[0]) if parts and parts[0] is not None else None
    return root.id if isinstance(root, ir.Name) else ""


def _for_success(module: Module, node: ir.Node) -> bool:
    """Whether a statement stands under a test for success alone: `=== "succeeded"`, a list of nothing else."""
    for branch in branches_around(node):
        words = {text for each in ir.find(branch.test, ir.Lit) if (text := ir.text_of(each))}
        for name in ir.find(branch.test, ir.Name):
            made = [each.value for each in bindings_of(module, name) if isinstance(each.value, ir.Arr)]
            words |= {text for arr in made for each in arr.items if (text := ir.text_of(each))}
        if words == {"succeeded"}:
            return True
    return False


def _only_tells(ctx: Context, test: ir.If, writers: set[ir.Func | None]) -> bool:
    """Whether a branch calls functions of the repository, none of which writes, and no others that may do so."""
    for call in calls_in(test.then):
        below = [one for each in helpers_behind(ctx, call) for one in below_of(ctx, each)]
        if not writers.isdisjoint(below) or _MAY_WRITE.search(ir.dotted(call.func).rpartition(".")[2]):
            return False
    if any(isinstance(each, ir.Assign) and not each.decl for part in test.then for each in ir.walk(part)):
        return False
    return not any(isinstance(each, ir.Return) and fails(each) for each in test.then)


_MAY_WRITE = re.compile(
    r"fail|mark|state|update|set_?[A-Z]|save|insert|delete|refund|store|patch|commit|execute|rpc|query|handle|process"
)


def _answers_pages(ctx: Context) -> bool:
    """Whether a route that is no webhook's asks the provider how work stands, for whoever waits for it."""
    asking = askers(ctx) - {None}
    return any(
        not hears_provider(ctx, route) and leads_to(ctx, func, asking)
        for route in ctx.routes
        for func in route.funcs
        if route.is_http and ctx.role_at(route.module, func) in LIVE_ROLES
    )


def _passes(test: ir.If) -> bool:
    """Whether a branch only logs and answers that all is well."""
    leaves = [each for each in test.then if isinstance(each, ir.Return)]
    rest = [each for each in test.then if not isinstance(each, ir.Return)]
    return only_logs(rest) and not any(map(fails, leaves))


def _is_for_failures(test: ir.If) -> bool:
    """`status === "failed"`, `status !== "succeeded"`, `["failed", "canceled"].includes(status)`."""
    for call in ir.find(test.test, ir.Call):
        listed = call.func.obj if isinstance(call.func, ir.Attr) and call.func.name == "includes" else None
        words = {ir.text_of(each) for each in listed.items} if isinstance(listed, ir.Arr) else set()
        if words and words <= _FAILURES:
            return True
    for each in ir.find(test.test, ir.Bin):
        word = ir.text_of(each.right)
        state = re.search(r"status|state", " ".join(names_in(each.left)), re.I)
        if state and (
            (each.op in {"==", "==="} and word in _FAILURES)
            or (each.op in {"!=", "!=="} and word == "succeeded")
        ):
            return True
    return False


def _stores(ctx: Context, body: list[ir.Node], nodes: set[ir.Node], writers: set[ir.Func | None]) -> bool:
    inside = [each for part in body for each in ir.walk(part)]
    return any(
        each in nodes
        or (
            isinstance(each, ir.Call)
            and any(leads_to(ctx, target.node, writers) for target in ctx.program.functions_called(each))
        )
        for each in inside
    )
