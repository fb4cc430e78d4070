"""Risk of a training that is marked done by a webhook which takes nothing of what the training made.

Part of the rule `no-retry`, whose other parts are in `done`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.values import literals
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, live_statements, names_in, place
from portraitist.audit.rules.state_words import STATE

DONE = {"completed", "succeeded", "ready", "trained", "done", "success", "complete", "finished"}
"""States that say that a training is over and its model can be used."""
_RESULT = re.compile(r"output|version|weights|lora|result|tensor|(^|_)urls?$|^body$|^payload$|\.\.\.")


def nothing_taken(ctx: Context) -> Iterator[Finding]:
    """A done-state stored by the handler of a training's webhook that reads nothing of the output.

    Where the start of the training stores its destination, the model can be found by that, and nothing is said.
    """
    handlers = _hooks_of_trainings(ctx)
    for statement in live_statements(ctx, "write") if handlers else ():
        call = handlers.get(statement.func) if statement.func is not None else None
        if call is None or statement.func is None or not _says_done(statement):
            continue
        funcs = (statement.func, *_told(ctx, statement.func))
        if any(_RESULT.search(snake(name)) for func in funcs for name in _used(func)) or _keeps_target(
            ctx, call
        ):
            continue
        told = next((each for each in ir.find(statement.func, ir.Lit) if _is_done(each)), None)
        message = "the training is marked done here and nothing of its output is read: no model is stored"
        yield finding("no-retry", statement.module, told or statement.node, message, key=statement.table, weight=62,
                      end=statement.end, evidence=[place(call)])  # fmt: skip


def _told(ctx: Context, func: ir.Func) -> Iterator[ir.Func]:
    """The functions of the repository that a handler hands something to."""
    for call in ir.find(func, ir.Call):
        for target in ctx.program.functions_called(call) if call.args or call.kw else ():
            if isinstance(target.node, ir.Func):
                yield target.node


def _hooks_of_trainings(ctx: Context) -> dict[ir.Func, ProviderCall]:
    """The handlers of the webhooks that calls which start a training name."""
    found: dict[ir.Func, ProviderCall] = {}
    trainings = [each for each in ctx.creates() if each.purpose == "training"]
    for hook in ctx.of("webhook") if trainings else ():
        for call in trainings:
            named = any(
                each.path == call.module.path and call.call.line <= each.line <= call.call.end
                for each in hook.evidence
            )
            for func, routes in ctx.handled_by.items() if named else ():
                if any((each.module.path, each.node.line) == (hook.path, hook.line) for each in routes):
                    found[func] = call
    return found


def _says_done(statement: Statement) -> bool:
    states = [each for each in statement.columns if STATE.search(snake(each.column))]
    return any(
        str(value).lower() in DONE
        for each in states
        if each.value is not None
        for value in literals(each.value)
    )


def _is_done(node: ir.Lit) -> bool:
    """Whether a literal is a done-state that is given, not compared with."""
    return str(node.value).lower() in DONE and not isinstance(node.parent, ir.Bin)


def _used(func: ir.Func) -> set[str]:
    """The members that a function reads, and what it hands on as a whole."""
    handed = {each.id for call in ir.find(func, ir.Call) for each in call.args if isinstance(each, ir.Name)}
    members = {each.name for each in ir.find(func, ir.Attr)} | {
        each.key or "..." for each in ir.find(func, ir.Prop)
    }
    return handed | members


def _keeps_target(ctx: Context, call: ProviderCall) -> bool:
    """Whether a function on the way to the training stores something that its destination is made of."""
    given = [each.node for each in call.fields("destination")]
    names = {name for each in given for name in names_in(each)}
    funcs = {func for flow in ctx.flows if flow.call is call for func in flow.funcs} | {call.func}
    stored = {
        name
        for func in funcs
        for each in (ctx.statements_under.get(func, ()) if func is not None else ())
        for use in each.columns
        for name in names_in(use.node)
    }
    return not names or bool(
        {each for each in names & stored if not re.search(r"user|id$|session", each, re.I)}
    )
