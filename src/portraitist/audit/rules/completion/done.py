"""Risk of a training that counts as done although what it made was not stored.

Where other columns are cleared or mixed up is in `models`, states that stay open are in `states`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import block_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, literals
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    finding,
    hears_provider,
    last_name,
    line_of,
    live_statements,
    module_of,
    names_in,
)
from portraitist.audit.rules.completion.early import taken_early
from portraitist.audit.rules.completion.emptiness import PART, leaves_without, may_be_empty, taken_unasked
from portraitist.audit.rules.completion.made_up import made_up
from portraitist.audit.rules.completion.plainly import taken_plainly
from portraitist.audit.rules.completion.polled import waited_in_vain
from portraitist.audit.rules.completion.results import done_without_result, of_both
from portraitist.audit.rules.completion.told_empty import done_with_nothing
from portraitist.audit.rules.completion.untaken import nothing_taken
from portraitist.audit.rules.completion.words import done_at, gets_model, holds_model, is_done, says_done
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.proven import is_proven
from portraitist.audit.rules.state_words import DONE, LOST


def no_retry(ctx: Context) -> Iterator[Finding]:
    """Work that is marked done although nothing of it may have been stored.

    What a run without an output does is followed way by way (`told_empty`); it is told where nothing else tells it.
    """
    known = list(_by_columns(ctx))
    yield from known
    places = {(each.path, line) for each in known for line in range(each.line, each.end_line + 1)}
    for each in done_with_nothing(ctx):
        if places.isdisjoint((each.path, line) for line in range(each.line, each.end_line + 1)):
            yield each


def _by_columns(ctx: Context) -> Iterator[Finding]:
    """A training is marked completed although no version may have been stored.

    Checks literals of done-states, and states tested to be one, next to model columns whose value may be null, or
    that are only set inside a test of the provider's output that the status does not depend on. Of a helper it asks
    whether one of its calls tells it a done-state. A webhook's handler that asks for no state calls failures done too.
    A webhook's handler, or a poll, that takes nothing of the output is in `untaken`; states that become done in one of
    several cases, pictures, and answers are in `results`, made-up versions and parts of which each may have failed in
    `made_up`, waits that end in any state in `polled`, what goes into the row as it comes in `plainly`, and
    what is taken before it is there in `early`.
    """
    yield from nothing_taken(ctx)
    yield from done_without_result(ctx)
    yield from made_up(ctx)
    yield from waited_in_vain(ctx)
    yield from _stored_under_a_test(ctx)
    yield from _done_untold(ctx)
    yield from taken_plainly(ctx)
    yield from taken_early(ctx)
    for statement in live_statements(ctx, "write"):
        states = [each for each in statement.columns if says_done(each.column)]
        for use in statement.columns:
            empty = isinstance(use.value, OneOf) and None in literals(use.value) and not is_proven(use.node)
            if not gets_model(ctx, use):
                continue
            if not (empty or may_be_empty(ctx, module_of(ctx, use), use.node)):
                yield from _unasked(ctx, statement, use, states)
                continue
            key = f"{statement.table}.{use.column}"
            done = [each for each in states if is_done(each) or _tested_done(each)]
            done = done or _told_done(ctx, statement, use, states)
            kept = (
                [] if done else [each for each in states if _may_say_done(ctx, each) and not _compared(each)]
            )
            if done or kept:
                told = "status becomes done" if done else _told_of(kept[0])
                message = f"{told} even when {key} could not be extracted"
                weight = 65 if done and holds_model(ctx, use) else 44 if done else BARELY
                yield of_both(ctx, (*done, *kept)[0], use, message, key=key, weight=weight)
                break


def _unasked(
    ctx: Context, statement: Statement, use: ColumnUse, states: list[ColumnUse]
) -> Iterator[Finding]:
    """A member of the output that is stored beside a state for done, and no test asks whether it is there."""
    done = [each for each in states if is_done(each) or _tested_done(each)]
    if done and taken_unasked(use.node):
        key = f"{statement.table}.{use.column}"
        message = f"status becomes done and nobody asks whether the output holds {key}"
        yield of_both(ctx, done[0], use, message, key=f"{key} unasked", weight=BARELY)


def _done_untold(ctx: Context) -> Iterator[Finding]:
    """A handler of the provider's webhooks that calls the training done without a look at the state it is told."""
    told = {each: route for route in ctx.routes for each in _handlers_of(ctx, route)}
    for statement in live_statements(ctx, "write"):
        for mark, use in _marks_and_models(ctx, statement):
            func = next((each for each in ir.ancestors(mark) if each in told), None)
            if isinstance(func, ir.Func) and not any(
                _names_state(each.test) for each in ir.find(func, ir.If)
            ):
                key = f"{statement.table}.{use.column}"
                message = f"{key} and its done-mark are set whatever state the webhook tells"
                node = line_of(use)
                yield finding("no-retry", module_of(ctx, use), node, message, key=key, weight=65)
                break


def _handlers_of(ctx: Context, route: Route) -> list[ir.Node]:
    heard = hears_provider(ctx, route)
    return [each.node for each in route.handlers if each.node is not None] if heard else []


def _marks_and_models(ctx: Context, statement: Statement) -> Iterator[tuple[ir.Node, ColumnUse]]:
    """Each done-mark of a statement, with the model that is stored beside it: by the same caller of a helper."""
    models = [each for each in statement.columns if each.node is not None and holds_model(ctx, each)]
    for mark in statement.columns if models else ():
        if mark.node is not None and says_done(mark.column) and is_done(mark):
            func = ir.enclosing(mark.node, ir.Func)
            beside = (each for each in models if each.node and ir.enclosing(each.node, ir.Func) is func)
            yield from ((mark.node, each) for each in list(beside)[:1])


def _names_state(test: ir.Node) -> bool:
    return any(re.search(r"status|state|succe", each, re.I) for each in names_in(test))


def _tested_done(use: ColumnUse) -> bool:
    """`status: body.status` under `if (body.status === "succeeded")`."""
    name = ir.plain_dotted(use.node) if use.node is not None else ""
    tests = (
        [each.test for each in ir.ancestors(use.node) if isinstance(each, ir.If)] if name and use.node else []
    )
    return any(
        each.op in {"==", "==="}
        and ir.plain_dotted(each.left) == name
        and (ir.text_of(each.right) or "").lower() in DONE
        for test in tests
        for each in ir.find(test, ir.Bin)
    )


def _compared(use: ColumnUse) -> bool:
    """Whether a test around a column asks for a done-word: in which branch it stands says what it may be."""
    tests = [each.test for each in ir.ancestors(use.node) if isinstance(each, ir.If)] if use.node else []
    return any((ir.text_of(each) or "").lower() in DONE for test in tests for each in ir.find(test, ir.Lit))


def _told_done(
    ctx: Context, statement: Statement, use: ColumnUse, states: list[ColumnUse]
) -> list[ColumnUse]:
    """The status columns of a helper where the call that hands it this column tells it a done-state.

    A column that the helper itself makes null for want of a parameter is handed by every call that may leave it out.
    """
    sites = ctx.program.callers.get(statement.func, []) if statement.func is not None else []
    for site in sites:
        within = site.module.path == use.path and site.call.line <= use.line <= site.call.end
        told = [*site.call.args, *(each.value for arg in site.call.args for each in _entries(arg))]
        if any((ir.text_of(each) or "").lower() in DONE for each in told) and (
            within or _may_lack(site.call, use)
        ):
            return states
    return []


def _entries(arg: ir.Node) -> list[ir.Prop]:
    return arg.props if isinstance(arg, ir.Obj) else []


def _may_lack(call: ir.Call, use: ColumnUse) -> bool:
    """Whether a helper's `param ?? null` gets nothing from this call, or a part: `a?.b.split(":")[1]`."""
    param = last_name(use.node.left) if isinstance(use.node, ir.Bin) else ""
    given = [each.value for arg in call.args for each in _entries(arg) if each.key == param]
    return bool(param) and all(isinstance(each, ir.Index) for each in given)


def _stored_under_a_test(ctx: Context) -> Iterator[Finding]:
    """`row.status = done` beside `if output: row.version = …`, with no way out for the other case.

    Where the state is set first, the finding goes from there to the column. Pictures weigh little.
    """
    done: dict[tuple[ir.Func | None, str], list[ColumnUse]] = {}
    writes = list(live_statements(ctx, "write"))
    for statement in writes:
        marks = [each for each in statement.columns if says_done(each.column) and _may_say_done(ctx, each)]
        done.setdefault((statement.func, statement.table), []).extend(marks)
    for statement in writes:
        for use in statement.columns:
            model = holds_model(ctx, use)
            if use.node is None or not (model or _holds_picture(ctx, use)):
                continue
            for mark in done.get((statement.func, statement.table), []):
                kept = _kept_at(ctx, statement, use.node, mark)
                apart = model and mark not in statement.columns and is_done(mark) and mark.node is not None
                if kept is None and apart and mark.node is not None:
                    beside = _beside(ctx, module_of(ctx, use), use.node, mark.node)
                    kept = (1, mark.node) if beside else None
                if kept is not None:
                    yield _kept_anyway(ctx, statement, use, mark, kept, model=model)
                    break


def _holds_picture(ctx: Context, use: ColumnUse) -> bool:
    name = snake(use.column)
    return name in ctx.words.picture_columns or _PICTURE.search(name) is not None


_PICTURE = re.compile(r"(^|_)(image|photo|picture|video|output|result)_urls?$")


def _kept_at(
    ctx: Context, statement: Statement, node: ir.Node, mark: ColumnUse
) -> tuple[int, ir.Node] | None:
    """Where the state is set beside the test of the output, and how many tests the column stands under."""
    found = [(_only_if_output(statement, node, each), each) for each in _spelled(ctx, mark)]
    deepest = max(found, key=lambda each: each[0], default=None)
    return deepest if deepest is not None and deepest[0] else None


def _kept_anyway(
    ctx: Context,
    statement: Statement,
    use: ColumnUse,
    mark: ColumnUse,
    kept: tuple[int, ir.Node],
    *,
    model: bool,
) -> Finding:
    deep, site = kept
    key = f"{statement.table}.{use.column}"
    spelled = site is not mark.node
    done = is_done(mark) or spelled
    told = "status becomes done" if done else _told_of(mark)
    message = f"{told} whether or not the output holds {key}"
    before = mark.path == use.path and site.line < use.line and (spelled or deep > 1)
    first = site.line if before else use.line
    weight = (65 if done else 44) if model else BARELY
    return finding("no-retry", module_of(ctx, use), line_of(use), message, key=key, weight=weight, line=first,
                   end=use.line, evidence=[Place(mark.path, mark.line)])  # fmt: skip


def _spelled(ctx: Context, mark: ColumnUse) -> list[ir.Node]:
    """Where a state is set, or its word for done spelled: `state = "completed"` of `{ status: state }`."""
    if mark.node is None or is_done(mark):
        return [mark.node] if mark.node is not None else []
    return [mark.node, *(node for _, node in done_at(ctx, mark) if isinstance(node.parent, ir.Assign))]


def _told_of(state: ColumnUse) -> str:
    return (
        "the provider's state is kept, done too,"
        if _is_providers(state.node)
        else "the state is kept, be it done,"
    )


def _is_providers(node: ir.Node | None) -> bool:
    """`training.status`, as the provider says it, also by a variable of its name."""
    if isinstance(node, ir.Name) and node.id == "status" and node.within is not None:
        sets = [each for each in ir.find(node.within, ir.Assign) if isinstance(each.target, ir.Name)]
        made = [each.value for each in sets if last_name(each.target) == "status"]
        node = made[0] if len(made) == 1 else None
    plain = isinstance(node, ir.Attr | ir.Index) and last_name(node) in {"status", "state"}
    return plain and node is not None and _ANSWER.search(ir.dotted(node)) is not None


_ANSWER = re.compile(r"body|payload|event|data|training|prediction|result", re.I)


def _may_say_done(ctx: Context, use: ColumnUse) -> bool:
    """A word for done, the provider's own word as it is, or what a map, or a branch, makes of it."""
    if is_done(use) or isinstance(use.value, Known) or use.node is None:
        return is_done(use)
    return _is_providers(use.node) or any(
        isinstance(each.parent, ir.Prop | ir.Assign) for _, each in done_at(ctx, use)
    )


def _only_if_output(statement: Statement, use: ir.Node, mark: ir.Node) -> int:
    """How many tests the write stands under, of which the outer one, beside the mark, asks for the output; else 0."""
    tests: list[ir.If] = []
    for each in ir.ancestors(use):
        if isinstance(each, ir.Func):
            return 0
        if isinstance(each, ir.If):
            tests.append(each)
            if block_of(each) is block_of(mark):
                break
    outer = tests[-1] if tests else None
    if outer is None or block_of(outer) is not block_of(mark) or outer in set(ir.ancestors(mark)):
        return 0
    own = {each for each in names_in(use) if PART.search(each)}
    asks = _asks_alone(outer, {"output", "weights"} | own)
    if not asks or leaves_without(outer) or _taken_back(statement, use.line):
        return 0
    return len(tests)


def _asks_alone(test: ir.If, wanted: set[str]) -> bool:
    """Whether a branch, and each `else if` of it, asks for the output, and nothing is done where there is none."""
    last = test
    while names_in(last.test) & wanted or any(_PLACE.search(each) for each in names_in(last.test)):
        if not last.other:
            return True
        if len(last.other) != 1 or not isinstance(last.other[0], ir.If):
            return False
        last = last.other[0]
    return _is_for_failures(last)


def _is_for_failures(test: ir.If) -> bool:
    """Whether a last `else if` asks for failed work alone: done work without an output goes by."""
    words = {(ir.text_of(each) or "").lower() for each in ir.find(test.test, ir.Lit)}
    return bool(words & LOST) and not words & DONE and not test.other


_PLACE = re.compile(r"^(output|result|image|video|photo|media)_?(url|urls|image|path)s?$", re.I)


def _taken_back(statement: Statement, after: int) -> bool:
    """Whether a state that is not done is written later, under a test of the output or of what was taken of it."""
    return any(
        each.line > after
        and each.node is not None
        and says_done(each.column)
        and not is_done(each)
        and not any(isinstance(test, ir.If) and _is_for_failures(test) for test in ir.ancestors(each.node))
        and any(
            PART.search(name) or name == "output"
            for test in ir.ancestors(each.node)
            if isinstance(test, ir.If)
            for name in names_in(test.test)
        )
        for each in statement.columns
    )


def _beside(ctx: Context, module: Module, use: ir.Node, mark: ir.Node) -> bool:
    """Whether two columns are set one after the other in the same block, the first to what may be nothing."""
    return block_of(use) is block_of(mark) and may_be_empty(ctx, module, use)
