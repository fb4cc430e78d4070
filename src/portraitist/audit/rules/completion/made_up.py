"""Part of the rule `no-retry`: work that counts as done with a made-up value, or because its failed parts count too.

A text in the place of a version that was not there, and a whole that is done once each of its parts has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, line_of, live_statements, module_of, names_in
from portraitist.audit.rules.completion.words import done_at, holds_model, is_done, is_word, says_done
from portraitist.audit.rules.state_words import DONE, LOST, RESTING, RUNNING, STATE
from portraitist.audit.rules.states.marks import Mark, spelled, states_of

_OF_MODEL = re.compile(r"(^|_)version(_id)?$|weights|lora|(^|_)model_(id|ref|version|url|path)$|tensor", re.I)
_OF_VERSION = re.compile(r"(^|_)version(_id)?$|weights|lora|tensor", re.I)
"""Variables of a version; one of a model may hold its name."""
_MAY_BE = re.compile(r"version|weights|lora|tensor", re.I)
"""One of these is in all that it finds; it is looked for first because that is quicker."""
_LOOKS = re.compile(r"fail|succe|error_?count|completed_?(count|jobs)|done_?count", re.I)


def made_up(ctx: Context) -> Iterator[Finding]:
    """Done with a made-up version, and done with all parts failed."""
    yield from _columns(ctx)
    yield from _variables(ctx)
    yield from _parts(ctx)


def _columns(ctx: Context) -> Iterator[Finding]:
    """`version: training.version || "simulated"` beside a done-state."""
    for statement in live_statements(ctx, "write"):
        states = [each for each in statement.columns if says_done(each.column)]
        for use in statement.columns if states else ():
            text = (
                _instead(use.node.right)
                if isinstance(use.node, ir.Bin) and use.node.op in {"or", "??"}
                else ""
            )
            if not text or not (holds_model(ctx, use) or _OF_MODEL.search(snake(use.column))):
                continue
            done = [each for each in states if is_done(each) or any(True for _ in done_at(ctx, each))]
            if done:
                yield _finding(ctx, use, done[0], f"{statement.table}.{use.column}", text)


def _finding(ctx: Context, use: ColumnUse, done: ColumnUse, key: str, text: str) -> Finding:
    first, last = sorted((done.line, use.line)) if done.path == use.path else (use.line, use.line)
    message = f"without a version {key} gets the text {text!r} and the state becomes done all the same"
    node = line_of(use)
    return finding(
        "no-retry", module_of(ctx, use), node, message, key=f"text {key}", weight=64, line=first, end=last
    )


def _instead(node: ir.Node | None) -> str:
    """The words of a made-up value: a text, or one that begins with words and goes on with a time or a random part."""
    text = ir.text_of(node.parts[0] if isinstance(node, ir.Tmpl) and node.parts else node)
    if not text or not re.match(r"[A-Za-z]", text) or re.search(r"[/:.]", text):
        return ""
    if isinstance(node, ir.Tmpl):
        made = " ".join(one for part in node.parts[1:] for one in names_in(part))
        return text if re.search(r"uuid|now|random|time|date", made, re.I) else ""
    return text


def _variables(ctx: Context) -> Iterator[Finding]:
    """`if not version: version = f"temp-{uuid4().hex}"`, and further down what stores it beside a done-state."""
    for module in ctx.live:
        for assign in module.all(ir.Assign):
            name = assign.target.id if isinstance(assign.target, ir.Name) else ""
            value = assign.value
            if not name or assign.within is None or not isinstance(value, ir.Bin | ir.Lit | ir.Tmpl):
                continue
            if not _MAY_BE.search(name) or not _OF_VERSION.search(snake(name)):
                continue
            text = _instead(value.right if isinstance(value, ir.Bin) and value.op in {"or", "??"} else value)
            lacks = isinstance(value, ir.Bin) or _where_lacking(assign, name)
            if not text or not lacks or ctx.role_at(module, assign) not in LIVE_ROLES:
                continue
            stored = next(
                (each for each in ir.find(assign.within, ir.Call) if _stores(each, name, assign)), None
            )
            if stored is not None:
                message = (
                    f"without a version {name} becomes {text!r}…, and line {stored.line} stores that as done"
                )
                yield finding("no-retry", module, assign, message, key=f"text {name}", weight=64, end=assign.end,
                              evidence=[Place(module.path, stored.line)])  # fmt: skip


def _where_lacking(assign: ir.Assign, name: str) -> bool:
    """Whether an assignment stands where a test says that the variable is empty."""
    tests = [
        each for each in ir.ancestors(assign) if isinstance(each, ir.If) and assign in set(_below(each.then))
    ]
    return any(name in names_in(each.test) and _denies(each.test) for each in tests)


def _denies(test: ir.Node) -> bool:
    return any(
        isinstance(each, ir.Bin) and each.op in {"not", "!", "==", "===", "is"} for each in ir.walk(test)
    )


def _below(body: list[ir.Node]) -> Iterator[ir.Node]:
    for part in body:
        yield from ir.walk(part)


def _stores(call: ir.Call, name: str, after: ir.Assign) -> bool:
    """Whether a call below is handed the variable and a word for done."""
    if call.line <= after.line:
        return False
    given = [*call.args, *([call.kw] if call.kw is not None else [])]
    parts = [each for one in given for each in ir.walk(one)]
    named = any(isinstance(each, ir.Name) and each.id == name for each in parts)
    return named and any(is_word(ir.text_of(each)) for each in parts if not isinstance(each.parent, ir.Bin))


def _parts(ctx: Context) -> Iterator[Finding]:
    """`if (jobs.every((j) => j.status === "completed" || j.status === "failed")) order.status = "completed"`."""
    tests = list(_endings(ctx))
    if not tests:
        return
    told: dict[ir.Func, list[Mark]] = {}
    for statement in live_statements(ctx, "write"):
        for use in states_of(statement):
            for mark in spelled(ctx, statement, use):
                told.setdefault(mark.func, []).append(mark)
    for module, func, test in tests:
        marks = told.get(func, [])
        for mark in marks:
            inside = mark.node in set(_below(test.then))
            behind = exits(test.then) and mark.line > test.end
            others = {each.word for each in marks if each.key == mark.key} & (LOST | {"partial", ""})
            if mark.word not in DONE or not (inside or behind) or others or _looked(func, test, mark):
                continue
            message = (
                f"{mark.key} becomes {mark.word!r} once every part has ended: all of them may have failed"
            )
            yield finding("no-retry", mark.module, mark.node, message, key=f"parts {mark.key}", weight=58, end=mark.end,
                          evidence=[Place(module.path, test.line)])  # fmt: skip
            break


def _looked(func: ir.Func, test: ir.If, mark: Mark) -> bool:
    """Whether another test on the way asks how many failed or succeeded."""
    above = set(ir.ancestors(mark.node))
    ways_out = [
        each for each in ir.find(func, ir.If) if exits(each.then) and test.line - 30 < each.line <= mark.line
    ]
    branches: list[ir.If | ir.Cond] = [each for each in above if isinstance(each, ir.If | ir.Cond)]
    asked = [each.test for each in (*branches, *ways_out) if each is not test]
    return any(_LOOKS.search(one) for each in asked for one in _asked_of_parts(each))


def _asked_of_parts(test: ir.Node) -> Iterator[str]:
    """What a test names, and the words that a callback in it compares: no words of the whole's own state."""
    for each in ir.walk(test):
        text = ir.text_of(each)
        if isinstance(each, ir.Name | ir.Attr):
            yield last_name(each)
        elif text and each.within is not test.within:
            yield text


def _endings(ctx: Context) -> Iterator[tuple[Module, ir.Func, ir.If]]:
    """The tests that ask whether all parts have ended, each with the function around it."""
    for module in ctx.live:
        for call in module.calls({"every", "all", "filter"}):
            kind = _ended(call)
            if not kind or call.within is None or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            yield from _tests_of(module, call, kind)
            leave = next((each for each in ir.ancestors(call) if isinstance(each, ir.Return | ir.Func)), None)
            for site in ctx.program.callers.get(call.within, []) if isinstance(leave, ir.Return) else ():
                yield from _tests_of(site.module, site.call, kind)


def _ended(call: ir.Call) -> str:
    """`ended` where a callback asks for states that are done or failed, `open` for states that are neither."""
    words: set[str] = set()
    names: set[str] = set()
    for each in call.args:
        names |= names_in(each)
        words |= {text.lower() for one in ir.find(each, ir.Lit) if (text := ir.text_of(one))}
    words = {each for each in words if not STATE.search(each)}
    if not any(STATE.search(snake(each)) for each in names) or not words:
        return ""
    if last_name(call.func) == "filter" and words <= (RUNNING | RESTING):
        return "open"
    return "ended" if words & DONE and words & LOST and words <= (DONE | LOST) else ""


def _tests_of(module: Module, node: ir.Call, kind: str) -> Iterator[tuple[Module, ir.Func, ir.If]]:
    func = node.within
    assign = next(
        (each for each in ir.ancestors(node) if isinstance(each, ir.Assign | ir.Func | ir.If)), None
    )
    name = assign.target.id if isinstance(assign, ir.Assign) and isinstance(assign.target, ir.Name) else ""
    for test in ir.find(func, ir.If) if func is not None else ():
        here = set(ir.walk(test.test))
        if node not in here and not (name and test.line >= node.line and name in names_in(test.test)):
            continue
        denied = any(isinstance(each, ir.Bin) and each.op in {"not", "!", "<", "!==", "!="} for each in here)
        some = any(isinstance(each, ir.Bin) and each.op in {">", "!==", "!="} for each in here)
        leaves = exits(test.then)
        fits = (some == leaves) if kind == "open" else (denied == leaves)
        if func is not None and fits:
            yield module, func, test
