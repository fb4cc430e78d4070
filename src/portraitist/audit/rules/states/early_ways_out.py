"""Part of the rule on states that stay open: a row is made for work, and the way ends with an error before it begins.

What a watchdog outside the repository puts right is not seen; one inside it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, names_in, on_requests
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.state_words import RUNNING
from portraitist.audit.rules.states.marks import Mark, marks, may_be_undone, settles
from portraitist.audit.rules.states.picked import put_right
from portraitist.audit.rules.states.unfinished import follows
from portraitist.audit.rules.syntax import fails


def left_before_work(ctx: Context) -> Iterator[Finding]:
    """Rows made as waiting or running, and an error answered or thrown before the paid call that leaves them so.

    Whatever stands on the way to the error and changes the row, or deletes it, settles it; so does a handler around.
    """
    ways = working(ctx)
    asked = on_requests(ctx)
    paid = {func: line for func, line in ways.paid.items() if func in asked}
    seen: set[ir.Func] = set()
    for mark in marks(ctx):
        until = paid.get(mark.func, 0)
        handed = mark.word in RUNNING and mark.statement.func is not mark.func
        known = mark.statement.insert or handed
        if not known or mark.func in seen or not until or put_right(ctx, mark):
            continue
        for leave in ir.find(mark.func, ir.Return):
            inside = leave.within is mark.func and mark.end < leave.line < until
            if inside and fails(leave) and _leaves_open(ctx, mark, leave):
                seen.add(mark.func)
                how = "made" if mark.statement.insert else "marked"
                what = f"the row of {mark.statement.table} {how} at line {mark.line}"
                message = f"{what} stays {mark.word!r} when this leaves"
                yield finding("stuck-status", mark.module, leave, message, key=f"{mark.key} early", weight=46,
                              evidence=[Place(mark.module.path, mark.line)])  # fmt: skip
                break


def _leaves_open(ctx: Context, mark: Mark, leave: ir.Return) -> bool:
    """Whether the row is there at a way out, is not what the way out asks about, and nothing on the way changes it."""
    if not follows(ctx, mark, leave):
        return False
    names = answers(mark)
    before = [each for each in ir.find(mark.func, ir.If) if each.end < mark.line and exits(each.then)]
    asked = [names_in(each.test) for each in before]
    above = list(ir.ancestors(leave))
    below: ir.Node = leave
    for each in above:
        if isinstance(each, ir.If) and (names & names_in(each.test) or names_in(each.test) in asked):
            return False
        if isinstance(each, ir.Try):
            around = below in each.body
            ends = [*each.handlers, *each.final] if around and leave.throws else each.final
            tried = not around and any(mark.node in set(ir.walk(part)) for part in each.body)
            tried = tried or (not around and may_be_undone(mark, each))
            if tried or any(settles(ctx, mark.statement.table, ir.walk(one)) for one in ends):
                return False
        if each is mark.func:
            break
        below = each
    on_the_way = (
        each for each in ir.walk(mark.func) if mark.end < each.line <= leave.end and _branch_of(each) in above
    )
    return _branch_of(leave) is not mark.func and not settles(ctx, mark.statement.table, on_the_way)


def answers(mark: Mark) -> set[str]:
    """The names of what the statement that makes the row gives back, and of parts of it."""
    made = next((each for each in ir.ancestors(mark.node) if isinstance(each, ir.Assign | ir.Func)), None)
    names = variables_in(made.target) if isinstance(made, ir.Assign) else set()
    for each in ir.find(mark.func, ir.Assign):
        root = ir.root_of(each.value) if isinstance(each.value, ir.Attr | ir.Index | ir.Name) else None
        if isinstance(root, ir.Name) and root.id in names and each.line > mark.end:
            names |= variables_in(each.target)
    return names


def _branch_of(node: ir.Node) -> ir.Node | None:
    """The innermost branch, handler or function around a node."""
    return next((each for each in ir.ancestors(node) if isinstance(each, ir.If | ir.Handler | ir.Func)), None)
