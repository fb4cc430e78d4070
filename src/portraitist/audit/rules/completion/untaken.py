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
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements, names_in, place
from portraitist.audit.rules.completion.words import done_at, holds_model, is_word
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import STATE

_RESULT = re.compile(r"output|version|weights|lora|result|tensor|(^|_)urls?$|^body$|^payload$|\.\.\.")


def nothing_taken(ctx: Context) -> Iterator[Finding]:
    """A done-state stored by the handler of a training's webhook that reads nothing of the output.

    Where the start of the training stores its destination, the model can be found by that, and nothing is said.
    """
    yield from _nothing_asked(ctx)
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
        told = next((each for each in ir.find(statement.func, ir.Lit) if _is_given(each)), None)
        message = "the training is marked done here and nothing of its output is read: no model is stored"
        yield finding("no-retry", statement.module, told or statement.node, message, key=statement.table, weight=62,
                      end=statement.end, evidence=[place(call)])  # fmt: skip


def _nothing_asked(ctx: Context) -> Iterator[Finding]:
    """A done-state stored by a function that asks how a training went and takes nothing of its output.

    Where a start keeps the training's destination the model can be found by that; where another writer of the rows
    stores a model the row may have none all the same.
    """
    asked = (each for each in ctx.calls if each.purpose == "status" and "training" in each.api.lower())
    asking = {each.func: each for each in asked if not _taken_of(each)}
    starts = [each for each in ctx.creates() if each.purpose == "training"] if asking else []
    kept = any(_keeps_target(ctx, each) for each in starts if each.fields("destination") or not each.options)
    for statement in live_statements(ctx, "write") if starts else ():
        call = asking.get(statement.func)
        if call is None or statement.insert or any(holds_model(ctx, each) for each in statement.columns):
            continue
        states = (each for each in statement.columns if STATE.search(snake(each.column)))
        sites = (found for each in states for found in done_at(ctx, each))
        site = next((each for each in sites if each[1].within is statement.func), None)
        if site is not None:
            elsewhere = _finds_model(ctx, statement.table)
            rest = [elsewhere] if elsewhere is not None else []
            what = "as the other writers of the row do" if rest else "of its output: no model is stored"
            what = "of its output, no version either" if kept else what
            weight = BARELY if kept else 46 if rest else 60
            message = f"the training counts as done here and nothing is taken {what}"
            yield finding("no-retry", *site, message, key=f"{statement.table} asked", weight=weight,
                          evidence=[place(call), Place(statement.module.path, statement.line), *rest])  # fmt: skip


_ASKED = {
    "status",
    "error",
    "logs",
    "id",
    "metrics",
    "created_at",
    "completed_at",
    "started_at",
    "createdAt",
    "progress",
    "ok",
    "percent",
    "percentage",
    "urls",
    "cancel",
}
"""What says how a run went, and nothing of what it made."""


def _taken_of(call: ProviderCall) -> bool:
    """Whether anything but its state is taken of the answer, or the answer is handed on."""
    made = call.call.parent
    while isinstance(made, ir.Other):
        made = made.parent
    if not isinstance(made, ir.Assign) or not isinstance(made.target, ir.Name) or call.func is None:
        return True
    for each in ir.find(call.func, ir.Name):
        up = each.parent
        if each.id != made.target.id or each is made.target:
            continue
        if (not isinstance(up, ir.Attr) or up.name not in _ASKED) and not _is_logged(each):
            return True
    return False


def _is_logged(name: ir.Name) -> bool:
    """Whether a variable as a whole is only written to the log."""
    around = next(
        (each for each in ir.ancestors(name) if isinstance(each, ir.Call | ir.Assign | ir.Return)), None
    )
    if isinstance(around, ir.Call) and ir.dotted(around.func) == "JSON.stringify":
        around = next((each for each in ir.ancestors(around) if isinstance(each, ir.Call)), None)
    return isinstance(around, ir.Call) and ir.dotted(around.func).startswith(
        ("console.", "logger.", "log.", "print")
    )


def _finds_model(ctx: Context, table: str) -> Place | None:
    """Where live code puts a model into rows of a table that are there."""
    for each in live_statements(ctx, "write"):
        if each.table == table and not each.insert and any(holds_model(ctx, use) for use in each.columns):
            return Place(each.module.path, each.line)
    return None


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
    return any(is_word(value) for each in states if each.value is not None for value in literals(each.value))


def _is_given(node: ir.Lit) -> bool:
    """Whether a literal is a done-state that is given, not compared with."""
    return is_word(node.value) and not isinstance(node.parent, ir.Bin)


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
