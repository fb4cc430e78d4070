"""Part of the rule on states that stay open: a webhook's handler that demands what the provider never sends.

What stands in the webhook's address is asked in `open_ends`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.weights import same_path
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import render
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, of_body
from portraitist.audit.rules.states.open_ends import hooks_of, path_of
from portraitist.audit.rules.syntax import fails

_SENT = {
    "id", "status", "output", "error", "input", "logs", "metrics", "urls", "version", "model", "created_at",
    "started_at", "completed_at", "source", "data_removed", "webhook", "webhook_events_filter", "webhook_completed",
    "deployment", "deadline", "destination", "trainer", "run_task", "prediction", "training",
}  # fmt: skip
"""The members of what the provider tells of a prediction or a training."""


def demands_others(ctx: Context) -> Iterator[Finding]:
    """`const { jobId } = await req.json(); if (!jobId) return 400` in the handler of the provider's webhooks.

    A member that another may stand in for is none of these, nor one that is taken of the address.
    """
    sent = [path_of(render(each.value) or "") for call in ctx.creates() for each in call.fields("webhook")]
    told = {
        func
        for route in ctx.routes
        for func in route.funcs
        if any(same_path(route.path, each) for each in sent)
    }
    for func, path in hooks_of(ctx) if told else ():
        module = ctx.program.modules[path]
        if func not in told:
            continue
        for test in ir.find(func, ir.If):
            refuses = any(isinstance(each, ir.Return) and fails(each) for each in test.then)
            name = _lacking(module, test.test) if refuses and test.within is func else ""
            if name:
                message = f"{name} is demanded of a webhook, and the provider's have no such member: each is refused"
                yield finding("stuck-status", module, test, message, key=f"demands {name}", weight=56,
                              end=test.end)  # fmt: skip
                break


def _lacking(module: Module, test: ir.Node) -> str:
    """The member of the body without which a test is true, of those that the provider does not send."""
    parts = [test]
    while parts:
        each = parts.pop(0)
        if isinstance(each, ir.Bin) and each.op in {"or", "||"} and each.right is not None:
            parts += [each.left, each.right]
        elif isinstance(each, ir.Bin) and each.op in {"not", "!"}:
            name = _of_body(module, each.left)
            if name and name not in _SENT:
                return name
    return ""


def _of_body(module: Module, node: ir.Node) -> str:
    """The member of the request's body that a variable, or an attribute, is: `jobId` of `const { jobId } = body`."""
    if isinstance(node, ir.Attr):
        return node.name if of_body(module, node) else ""
    made = bindings_of(module, node) if isinstance(node, ir.Name) else []
    if len(made) != 1 or len(made[0].keys) != 1 or made[0].value is None:
        return ""
    source = ir.Attr(node.line, node.end, made[0].value, str(made[0].keys[0]), node.line)
    parsed = any(each.name == "json" for each in ir.find(made[0].value, ir.Attr))
    return source.name if parsed or of_body(module, source) else ""
