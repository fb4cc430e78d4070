"""Part of the rule on temporary addresses: one that is kept where its copy fails, with no line that says so.

A variable holds the provider's address, a `try` puts the copy's in its place, and whatever goes wrong is only logged;
or the copy is answered inside the `try`, and the address itself below it. Lines that put it back are in `fallbacks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.addresses.fallbacks import may_be_made
from portraitist.audit.rules.addresses.loose import ANSWERS, COPIES, PICTURE, calls_like
from portraitist.audit.rules.base import askers, callers_of, finding, last_name, names_in
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler

_OUTPUT = re.compile(r"outputs?|images?|urls?|results?|pictures?|photos?|videos?", re.I)


def kept_unless_copied(ctx: Context, known: list[Finding]) -> Iterator[Finding]:
    """The entries of rows and answers that hold the address itself once the copy was not made.

    `known` are findings on such addresses: their lines are not told again. What callers then do is not followed.
    """
    told = {Place(each.path, line) for each in known for line in (each.line, each.end_line)}
    asking = {each for each in askers(ctx) if each is not None}
    near = {*working(ctx).paid, *working(ctx).hooks, *asking}
    above = {one for each in asking for one in callers_of(ctx, each) if one is not None}
    for func in ctx.in_order(near | above):
        module = ctx.program.module_of[func]
        if ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        own = [each for each in known if each.path == module.path]
        for attempt in (*(ir.find(func, ir.Try) if func in near else ()), *_where_stored(func)):
            body, handlers = _parts_of(attempt)
            copies = isinstance(attempt, ir.If) or any(calls_like(each, COPIES) for each in body)
            if not copies or any(exits(each.body) for each in handlers):
                continue
            if isinstance(attempt, ir.Try) and not handlers:
                continue
            inner = attempt.within or func  # a callback's own, where the copy is made in one
            for node in (
                *_not_replaced(ctx, module, inner, attempt),
                *(_answered_below(ctx, module, inner, attempt) if isinstance(attempt, ir.Try) else ()),
            ):
                if Place(module.path, node.line) not in told:
                    told.add(Place(module.path, node.line))
                    message = (
                        "where the copy is not made, the provider's temporary address is kept in its place"
                    )
                    weight = BARELY if _is_kept_too(inner, node, own) else 58
                    yield finding("temporary-url-persisted", module, node, message,
                                  key=f"{last_name(node.value) or node.key} uncopied", weight=weight,
                                  line=copied_from(inner, node.line), end=node.end,
                                  evidence=[Place(module.path, attempt.line)])  # fmt: skip


def _where_stored(func: ir.Func) -> Iterator[ir.If]:
    """`if (!uploadError) { url = storage.getPublicUrl(path) }` with no other arm.

    Whether a copy was made is told by its error there.
    """
    for each in ir.find(func, ir.If):
        if each.other or not any(re.search(r"err", name, re.I) for name in names_in(each.test)):
            continue
        calls = (last_name(one.func) for part in each.then for one in ir.find(part, ir.Call))
        if any(name in _STORED for name in calls) and not exits(each.then):
            yield each


_STORED = {"getPublicUrl", "get_public_url", "createSignedUrl", "create_signed_url", "getDownloadURL"}


def _parts_of(block: ir.Try | ir.If) -> tuple[list[ir.Node], list[ir.Handler]]:
    """What is done where the copy is made, and the handlers for where it is not."""
    return (block.then, []) if isinstance(block, ir.If) else (block.body, block.handlers)


def _is_kept_too(func: ir.Func, prop: ir.Prop, known: list[Finding]) -> bool:
    """Whether a row that is told of gets the same variable in the same function: one copy mends both."""
    name = ir.plain_dotted(prop.value) if isinstance(prop.value, ir.Name) else ""
    again = [each for each in ir.find(func, ir.Prop) if each is not prop and name != ""]
    ends = {each.end for each in again if ir.plain_dotted(each.value) == name and each.line != prop.line}
    return any(func.line <= each.end_line <= func.end and each.end_line in ends for each in known)


MAX_WAY = 80
"""A copy that stands more lines above than these is another one's."""


def copied_from(func: ir.Func | None, line: int) -> int:
    """The line of the last copy that a function tries above `line`, where what is kept below depends on it."""
    calls = ir.find(func, ir.Call) if func is not None else ()
    above = (
        each.line
        for each in calls
        if line - MAX_WAY < each.line < line and COPIES.search(ir.dotted(each.func))
    )
    return max(above, default=line)


def _not_replaced(ctx: Context, module: Module, func: ir.Func, attempt: ir.Try | ir.If) -> Iterator[ir.Prop]:
    """The first entry with a variable that the `try` sets anew, and that held the provider's address before it."""
    body, handlers = _parts_of(attempt)
    inside = (each for part in body for each in ir.find(part, ir.Assign))
    names = dict.fromkeys(
        each.target.id for each in inside if isinstance(each.target, ir.Name) and not each.decl
    )
    again = {last_name(one.target) for each in handlers for one in ir.find(each, ir.Assign)}
    used = [
        each for each in ir.find(func, ir.Prop) if each.line > attempt.end and isinstance(each.value, ir.Name)
    ]
    for name in (each for each in names if each not in again):
        kept = next((each for each in used if last_name(each.value) == name and _holds(ctx, each)), None)
        if kept is None:
            continue
        before = (
            each.value
            for each in ir.find(func, ir.Assign)
            if last_name(each.target) == name
            and each.end < attempt.line
            and not isinstance(each.value, ir.Lit)
            if not _in_another_case(each, attempt)
        )
        if any(may_be_made(ctx, module, each) for each in before if each is not None):
            yield kept


def _in_another_case(node: ir.Node, attempt: ir.Try | ir.If) -> bool:
    """Whether a branch around both takes either the one or the other."""
    above = {node, *ir.ancestors(node)}
    way = (attempt, *ir.ancestors(attempt))
    for each in ir.ancestors(attempt):
        if isinstance(each, ir.If) and each in above:
            return not above.isdisjoint(each.then) and any(one in each.other for one in way)
    return False


def _holds(ctx: Context, prop: ir.Prop) -> bool:
    """Whether an entry may keep a picture, and is none of what is only logged or given to a helper to work on."""
    around = [each for each in ir.ancestors(prop) if isinstance(each, ir.Call)]
    logs = any(re.match(r"console|log", ir.dotted(each.func)) for each in around)
    worked = (
        around and ctx.program.functions_called(around[0]) and not _STORES.search(last_name(around[0].func))
    )
    return bool(prop.key) and PICTURE.search(snake(prop.key or "")) is not None and not logs and not worked


_STORES = re.compile(
    r"save|store|insert|create|update|add|persist|record|set|upsert|complete|finish|mark|put", re.I
)


def _answered_below(ctx: Context, module: Module, func: ir.Func, attempt: ir.Try) -> Iterator[ir.Prop]:
    """The entry with the provider's output that is answered below a `try` which answers with the copy."""
    answers = [
        one for part in attempt.body for one in ir.find(part, ir.Return) if not one.throws and one.value
    ]
    if not any(_is_answer(each) for each in answers):
        return
    for leave in ir.find(func, ir.Return):
        if leave.line <= attempt.end or leave.throws or not _is_answer(leave) or in_handler(leave):
            continue
        for prop in ir.find(leave, ir.Prop):
            if _OUTPUT.fullmatch(prop.key or "") and may_be_made(ctx, module, prop.value):
                yield prop
                return


def _is_answer(leave: ir.Return) -> bool:
    value = leave.value
    return isinstance(value, ir.Call) and last_name(value.func) in ANSWERS
