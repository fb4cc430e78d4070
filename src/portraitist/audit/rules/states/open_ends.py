"""Part of the rule on states that stay open: what no failure, no lost webhook and no early way out ever changes.

What something outside the repository puts right (a job of the platform, a trigger of the database) is not seen.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.facts.weights import same_path
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.values import Known, render, structs
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    askers,
    callers_of,
    finding,
    hears_provider,
    last_name,
    leads_to,
    live_statements,
    module_of,
    names_in,
    place,
    provider_behind,
    way_out_of,
)
from portraitist.audit.rules.failures.quiet import Ways, working
from portraitist.audit.rules.mocks.pretended import says_so
from portraitist.audit.rules.state_words import DONE, RESTING, STATE_OR_PHASE
from portraitist.audit.rules.states.marks import WAITED_FOR
from portraitist.audit.rules.syntax import names_error

_OPEN = {
    "training", "processing", "generating", "running", "in_progress", "starting", "started", "pending", "queued",
    "created", "submitted", "waiting",
}  # fmt: skip
GIVEN_ID = re.compile(r"(prediction|training|replicate|job|external|request)_?\w*id$")
"""A column, in snake case, that keeps the provider's id of the work."""
MAX_STEPS = 3
"""How many callers up a route is looked for that asks the provider before it closes a row."""


def open_ends(ctx: Context) -> Iterator[Finding]:
    """Rows of started work that only a webhook, or nothing, closes; webhooks that are told or sent too little."""
    ways = working(ctx)
    yield from _only_told(ctx, ways)
    yield from _left_early(ctx, ways)
    yield from _unlisted_words(ctx)
    yield from _unsent_parameters(ctx)
    yield from _webhook_in_input(ctx)


def states_or_phases(statement: Statement) -> list[ColumnUse]:
    """The columns of a statement that tell a state, or how far work is."""
    return [each for each in statement.columns if STATE_OR_PHASE.search(snake(each.column))]


def _is_open(ctx: Context, use: ColumnUse) -> bool:
    """Whether a state is a word for work under way, or the provider's own word at the start."""
    if isinstance(use.value, Known):
        return str(use.value.value).lower().replace("-", "_") in _OPEN
    behind = provider_behind(ctx, module_of(ctx, use), use.node) if use.node is not None else None
    return behind is not None and behind.creates


def _only_told(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """A row of started work whose state only the provider's webhook changes, or nothing, and nobody asks for it."""
    asked = {_kind(each) for each in ctx.calls if each.purpose == "status" and _asks(ctx, ways, each)}
    waiting = {each.func for each in ctx.calls if each.api == "wait"}
    started = [
        each
        for each in ctx.creates()
        if each.api not in WAITED_FOR and _is_left(each) and each.func not in waiting
    ]
    left = {each for each in started if not {_kind(each), "any"} & asked}
    waited = {func for flow in ctx.flows if flow.call in left for func in flow.funcs} - ways.hooks
    begun = set(started)
    going = {func for flow in ctx.flows if flow.call in begun for func in flow.funcs} - ways.hooks
    told = {func for flow in ctx.flows if may_be_told(flow.call) for func in flow.funcs}
    writes = list(live_statements(ctx, "write"))
    found: dict[tuple[ir.Func | None, str], Finding] = {}
    for statement in (each for each in writes if each.func in going):
        marks = [each for each in states_or_phases(statement) if _is_open(ctx, each)]
        others = [
            each
            for each in writes
            if each.table == statement.table
            and states_or_phases(each)
            and each is not statement
            and not _pretends(each)
        ]
        chosen = any(STATE_OR_PHASE.search(snake(one)) for each in others for one in each.where)
        known = bool(marks) or _is_default(ctx, statement, bool(others))
        if not known or chosen or any(each.func not in ways for each in others):
            continue
        if any(_completes(each, statement) for each in others):
            continue
        ends = [each for each in others if each.func in ways.hooks and statement.func in told]
        if statement.func not in waited and not (ends and _by_hooks_alone(ctx, ways, others)):
            continue
        what = "only the webhook" if ends else "nothing"
        rest = ", and nobody asks the provider for it" if statement.func in waited else ""
        message = f"{what} ever changes the state of {statement.table} set here{rest}"
        line = marks[0].line if marks and marks[0].path == statement.module.path else statement.line
        place = statement.func if statement.func in waited else None
        if place is None and (None, statement.table) in found:
            continue
        found[place, statement.table] = finding(
            "stuck-status", statement.module, statement.node, message, key=f"{statement.table}.open",
            weight=42 if ends else 58, line=line, end=line if marks else statement.end,
            evidence=[Place(ends[0].module.path, ends[0].line)] if ends else [],
        )  # fmt: skip
    yield from found.values()


def _completes(end: Statement, begun: Statement) -> bool:
    """Whether the function that begins a row says further down that its work is done: it waits for it."""
    later = end.func is begun.func and end.line > begun.end and not end.insert
    return later and any(
        isinstance(each.value, Known) and str(each.value.value).lower() in DONE
        for each in states_or_phases(end)
    )


def _pretends(statement: Statement) -> bool:
    """Whether a statement stands in what is named a simulation: it ends no real work."""
    return any(says_so(each) for each in ir.ancestors(statement.node) if isinstance(each, ir.Func))


def _by_hooks_alone(ctx: Context, ways: Ways, others: list[Statement]) -> bool:
    """Whether no writer of the state is called from anywhere but a webhook, and none asks the provider itself."""
    asking = askers(ctx)
    starting = set(ways.paid) - ways.hooks
    for func in {each.func for each in others}:
        callers = callers_of(ctx, func) if func else set()
        if leads_to(ctx, func, asking) or not callers <= ways.hooks | starting:
            return False
        if any(leads_to(ctx, each, asking) for each in callers | _further(ctx, callers)):
            return False
    return True


def _further(ctx: Context, callers: set[ir.Func | None]) -> set[ir.Func | None]:
    """The functions that call these, so many steps up."""
    found: set[ir.Func | None] = set()
    for _ in range(MAX_STEPS):
        callers = set().union(*(callers_of(ctx, each) for each in callers)) - found
        found |= callers
    return found


def may_be_told(call: ProviderCall) -> bool:
    """Whether a call gives the address of a webhook, or sends something that is not known."""
    return bool(call.fields("webhook")) or not call.options or any(each.open for each in call.options)


def _kind(call: ProviderCall) -> str:
    """Trainings and predictions are asked for apart; an address out of an answer may be either's."""
    name = call.api.lower()
    return "training" if "training" in name else "prediction" if "prediction" in name else "any"


def _asks(ctx: Context, ways: Ways, call: ProviderCall) -> bool:
    """Whether a live request for a state stands anywhere but in the webhook's own handler."""
    return ctx.role_at(call.module, call.call) in LIVE_ROLES and call.func not in ways.hooks


def _is_left(call: ProviderCall) -> bool:
    """Whether work goes on after the call: nothing in its function waits for it."""
    return not any(
        isinstance(each, ir.Loop) and each.target is None for each in ir.find(call.func or call.call, ir.Loop)
    )


def _is_default(ctx: Context, statement: Statement, told: bool) -> bool:
    """Whether a row that keeps the provider's id begins with the default of a state that others write."""
    ids = any(GIVEN_ID.search(snake(each.column)) for each in statement.columns)
    known = any(STATE_OR_PHASE.search(snake(each)) for each in columns_of(ctx, statement.table))
    return statement.insert and ids and known and told and not states_or_phases(statement)


def _left_early(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """A row marked as running, and a way out behind it, before the paid call, that does not set it back."""
    writes = list(live_statements(ctx, "write", "delete"))
    for statement in (each for each in writes if each.kind == "write" and each.func in ways.paid):
        marks = [
            each
            for each in states_or_phases(statement)
            if isinstance(each.value, Known) and _is_open(ctx, each)
        ]
        func = statement.func
        marks = [each for each in marks if isinstance(each.value, Known) and each.value.value not in RESTING]
        if not marks or func is None or statement.insert:
            continue
        own = {each.node for each in writes if each.table == statement.table}
        for leave in ir.find(func, ir.Return):
            if leave.within is not func or not statement.end < leave.line < ways.paid[func]:
                continue
            branch = way_out_of(leave)
            settled = isinstance(branch, ir.If) and (
                own & set(ir.walk(branch)) or _asks_write(branch, statement)
            )
            if isinstance(branch, ir.If) and not settled and _refuses(leave):
                key = f"{statement.table}.{marks[0].column}"
                message = f"{key} is set here and stays so when line {leave.line} leaves with an error"
                yield finding("stuck-status", statement.module, statement.node, message, key=key, weight=52,
                              line=statement.line, end=statement.end,
                              evidence=[Place(statement.module.path, leave.line)])  # fmt: skip
                break


def _asks_write(branch: ir.If, statement: Statement) -> bool:
    """Whether a branch tests the answer of the write itself."""
    made = next(
        (each for each in ir.ancestors(statement.node) if isinstance(each, ir.Assign | ir.Func)), None
    )
    names = variables_in(made.target) if isinstance(made, ir.Assign) else set()
    return bool(names & names_in(branch.test))


def _refuses(leave: ir.Return) -> bool:
    """Whether an answer has a status of 400 or more."""
    return not leave.throws and names_error(leave)


def hooks_of(ctx: Context) -> list[tuple[ir.Func, str]]:
    """The handlers of the provider's webhooks, with their files."""
    return ctx.once(_hooks)


def _hooks(ctx: Context) -> list[tuple[ir.Func, str]]:
    return [
        (func, route.module.path)
        for route in ctx.routes
        if hears_provider(ctx, route)
        for func in route.funcs
        if ctx.role_at(route.module, func) in LIVE_ROLES
    ]


def _unlisted_words(ctx: Context) -> Iterator[Finding]:
    """A schema of a webhook's body that lists the provider's states, but not all of the last ones."""
    paths = {path for _, path in hooks_of(ctx)}
    for module in (ctx.program.modules[each] for each in sorted(paths)):
        for call in module.calls({"enum", "nativeEnum", "picklist", "oneOf", "enums"}):
            for listed in (each for each in call.args if isinstance(each, ir.Arr)):
                words = {ir.text_of(each) for each in listed.items}
                missing = [
                    each
                    for each in ("failed", "canceled")
                    if each not in words and each.replace("l", "ll", 1) not in words
                ]
                if "succeeded" in words and missing:
                    message = f"{' and '.join(missing)} of the provider does not pass this schema: such work stays open"
                    yield finding(
                        "stuck-status", module, call, message, key="schema", weight=56, line=listed.line
                    )


def _unsent_parameters(ctx: Context) -> Iterator[Finding]:
    """A parameter of its address that a webhook's handler reads and that no call ever puts into the address."""
    sent = [(each.value, call) for call in ctx.creates() for each in call.fields("webhook")]
    asked = [(render(value) or "{}", call) for value, call in sent]
    for route in ctx.routes:
        given = [(text, call) for text, call in asked if same_path(route.path, path_of(text))]
        names = [set(re.findall(r"[?&]([^=&?]+)=", text)) for text, _ in given]
        if not any(names) or any("{" in name for each in names for name in each) or len(given) < len(asked):
            continue
        for func in route.funcs:
            for name, node in _read_parameters(func):
                if not any(name in each for each in names):
                    told = ", ".join(sorted(set().union(*names)))
                    message = f"{name} is read from the webhook's address, which never has it: it has {told}"
                    yield finding("stuck-status", route.module, node, message, key=name, weight=73,
                                  evidence=[place(given[0][1])])  # fmt: skip


def _webhook_in_input(ctx: Context) -> Iterator[Finding]:
    """The address of a webhook that is sent where the provider does not look for it."""
    for call in ctx.creates():
        for body in call.options:
            inner = [
                each for part in structs(body.get("input")) for each in part.fields if each.key == "webhook"
            ]
            if inner and body.get("webhook", "webhook_completed") is None and not body.open:
                module = ctx.program.modules[inner[0].path]
                yield finding(
                    "stuck-status",
                    module,
                    ir.Other(inner[0].line, inner[0].end, []),
                    "the webhook is sent inside `input`, where the provider does not look for it",
                    key="webhook",
                    weight=71,
                    evidence=[place(call)],
                )


@functools.cache
def path_of(text: str) -> str:
    """The path of an address, without its host and its parameters."""
    return re.sub(r"^(https?://[^/]+|\{[^}]*\})", "", text).partition("?")[0].rstrip("/")


def _read_parameters(func: ir.Func) -> Iterator[tuple[str, ir.Node]]:
    for call in ir.find(func, ir.Call):
        holder = call.func.obj if isinstance(call.func, ir.Attr) and call.func.name == "get" else None
        name = ir.text_of(call.args[0]) if call.args else None
        if (
            name
            and holder is not None
            and last_name(holder) in {"searchParams", "args", "query_params", "GET"}
        ):
            yield name, call
    for attr in ir.find(func, ir.Attr):
        if last_name(attr.obj) == "query" and ir.plain_dotted(attr.obj).count(".") == 1:
            yield attr.name, attr
