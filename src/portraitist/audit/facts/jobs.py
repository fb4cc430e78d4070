"""Ways in that nobody calls over HTTP: timers, queues, scheduled tasks and scripts."""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.routes_javascript import handler_targets
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target


def routes(ctx: Context) -> Iterator[Route]:
    """Jobs by call and by decorator."""
    ends = {each.rpartition(".")[2] for each in ctx.words.job_callers}
    for module in ctx.modules:
        for func in module.all(ir.Func):
            if any(_is_job_decorator(ctx, each) for each in func.decorators):
                yield Route("JOB", func.name, module, func, (Target(module, func),), (), "job")
        for call in module.calls(ends):
            yield from _scheduled(ctx, module, call, ends)


def _is_job_decorator(ctx: Context, decorator: ir.Node) -> bool:
    name = ir.dotted(decorator)
    return name in ctx.words.job_decorators or name.endswith((".task", ".scheduled_job", ".periodic_task"))


def _scheduled(ctx: Context, module: Module, call: ir.Call, ends: set[str]) -> Iterator[Route]:
    short = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    if short not in ends or (
        short not in ctx.words.job_callers and ir.dotted(call.func) not in ctx.words.job_callers
    ):
        return
    handlers: list[Target] = []
    for arg in call.args:
        handlers.extend(handler_targets(ctx, module, arg))
        if isinstance(arg, ir.Obj):
            run = arg.get("run", "handler", "onTick")
            handlers.extend(handler_targets(ctx, module, run) if run is not None else [])
    if short in {"task", "schemaTask"} and not any(isinstance(each, ir.Obj) for each in call.args):
        return
    if handlers:
        func = handlers[0].node
        label = func.name if isinstance(func, ir.Func) and func.name else short
        yield Route("JOB", label, module, call, tuple(handlers), (), "job")
