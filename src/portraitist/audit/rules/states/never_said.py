"""Part of the rule on states that stay open: words for success that the provider does not use.

Ends that a poll or a handler does not know are in `outcomes`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, last_name, names_in, of_body
from portraitist.audit.rules.states.outcomes import status_words

_NEVER_SAID = {"completed", "complete", "success", "finished", "done", "ready"}


def never_said(ctx: Context) -> Iterator[Finding]:
    """Handlers of webhooks that wait for a word for success which the provider does not use."""
    handlers = {(each.path, each.line) for each in ctx.of("webhook") if " /" in str(each.value)}
    for route in ctx.routes:
        if (route.module.path, route.node.line) not in handlers:
            continue
        for func in route.funcs:
            words = {
                lit.value: lit
                for test in ir.find(func, ir.Bin)
                if test.op in {"==", "==="} and _is_body_status(route.module, test.left)
                for lit in [test.right]
                if isinstance(lit, ir.Lit)
            }
            wrong = [each for each in words if each in _NEVER_SAID]
            if wrong and "succeeded" not in status_words(func):
                message = (
                    f"waits for the status {wrong[0]!r}, which the provider never sends: it says 'succeeded'"
                )
                yield finding(
                    "stuck-status", route.module, words[wrong[0]], message, key=route.key, weight=74
                )


def _is_body_status(module: Module, node: ir.Node) -> bool:
    """`payload.status`, where `payload` is the request's body, or `status` that is taken out of it beside its `id`.

    What sends no `id` is not the provider.
    """
    if isinstance(node, ir.Attr):
        return node.name == "status" and of_body(module, node)
    taken = (each for each in bindings_of(module, node) if each.keys == ("status",))
    return any(
        each.value is not None
        and isinstance(each.node, ir.Assign)
        and "id" in names_in(each.node.target)
        and _is_body(module, each.value)
        for each in taken
    )


def _is_body(module: Module, node: ir.Node) -> bool:
    """Whether an expression is a request's body, or a variable that was set to it whole."""
    whole = (each.value for each in bindings_of(module, node) if not each.keys)
    parts = [node] if not isinstance(node, ir.Name) else [each for each in whole if each is not None]
    return any(last_name(one) in {"json", "body"} for each in parts for one in ir.find(each, ir.Attr))
