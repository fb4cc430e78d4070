"""Part of the rule on states that stay open: answers of the provider after which a row is left as it is.

The function that hears or asks, and its helpers, are followed for each answer (`answers`); what another function that
hears or asks ends for the same table, or what sweeps old rows, is no concern of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.values import Known
from portraitist.audit.model import Finding
from portraitist.audit.rules.answers.ends import SUCCESS, Root, roots, swept_tables
from portraitist.audit.rules.base import finding, live_statements
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.marks import marks
from portraitist.audit.rules.syntax import fails

_SAID = {
    "failed": "a failed run",
    "canceled": "a canceled run",
    "empty": "a run that succeeded without an output",
    "other": "a run whose output has another form",
    "refused": "a refusal of the status call, an unknown id too,",
}


def ends_untold(ctx: Context) -> Iterator[Finding]:
    """Rows that success ends, and that a failure, a cancellation, an empty success or a refusal leaves as they are."""
    every = roots(ctx)
    open_ = {each.statement.table for each in marks(ctx)} if every else set()
    seen: set[tuple[str, int, int]] = set()
    for root in every:
        done = root.done() - swept_tables(ctx)
        for answer in _SAID if done else ():
            if answer == "refused" and not _is_taken_for_work(root):
                continue
            left = done - root.ends(answer)
            left = {each for each in left if "{" not in each}
            left -= {table for each in every if each is not root for table in each.ends(answer)}
            left -= _made_on_success(ctx, root, answer)
            others = root.ends(answer) - root.ends("running")
            if others:
                left &= open_
            left = left & open_ or left
            if not left or _goes_elsewhere(ctx, root, answer):
                continue
            node, line, end = _where(root, answer, left)
            func = node if isinstance(node, ir.Func) else node.within
            module = ctx.program.module_of[func or root.func]
            if (module.path, line, end) in seen:
                continue
            seen.add((module.path, line, end))
            tables = ", ".join(sorted(left))
            message = f"{_SAID[answer]} leaves the state in {tables} as it is"
            if _throws(root, answer):
                message = f"{_SAID[answer]} ends this webhook with an error, and the state in {tables} stays as it is"
            weight = 44 if answer == "failed" and not others else BARELY
            yield finding("stuck-status", module, node, message, key=f"{module.scope_name(root.func)} {answer}",
                          weight=weight, line=line, end=end)  # fmt: skip


def ends_without_trace(ctx: Context) -> Iterator[Finding]:
    """Rows without a state that wait for what a run makes, and an end that changes none of them."""
    every = roots(ctx)
    for root in (each for each in every if each.results() and not each.done()):
        for answer in ("failed", "canceled"):
            left = {each for each in root.results() - root.touched(answer) if "{" not in each}
            left -= {table for each in every if each is not root for table in each.touched(answer)}
            left -= _made_on_success(ctx, root, answer)
            if not left or _goes_elsewhere(ctx, root, answer):
                continue
            node, line, end = _where(root, answer, left)
            func = node if isinstance(node, ir.Func) else node.within
            module = ctx.program.module_of[func or root.func]
            how = "ends this webhook with an error, without a" if _throws(root, answer) else "leaves no"
            message = (
                f"{_SAID[answer]} {how} trace in {', '.join(sorted(left))}, whose row waits for the result"
            )
            yield finding("stuck-status", module, node, message, key=f"{module.scope_name(root.func)} traceless",
                          weight=BARELY, line=line, end=end)  # fmt: skip
            break


def _made_on_success(ctx: Context, root: Root, answer: str) -> set[str]:
    """The tables whose rows are made nowhere but on the way of success: another answer finds none to leave open.

    Rows of another kind (`type: "source"` beside `type: "render"`) are not those that success ends.
    """
    before = {each.statement for name in ("running", answer) for each in root.walks[name].effects}
    made = {each.statement for each in root.walks[SUCCESS].effects if each.statement.insert} - before
    tables = {each.table for each in made}
    for each in live_statements(ctx, "write") if tables else ():
        if each.insert and each not in made and each.table in tables:
            alike = (one for one in made if one.table == each.table)
            tables -= {one.table for one in alike if not _is_other_kind(each, one)}
    return tables


def _is_other_kind(first: Statement, second: Statement) -> bool:
    """Whether two rows of one table differ in a word that is no state: `type`, `role`."""
    said = {
        each.column: each.value.value
        for each in first.columns
        if isinstance(each.value, Known)
        and isinstance(each.value.value, str)
        and _KIND.search(snake(each.column))
    }
    return any(
        isinstance(each.value, Known) and said.get(each.column, each.value.value) != each.value.value
        for each in second.columns
    )


_KIND = re.compile(r"(^|_)(type|kind|category|purpose)$")


def _is_taken_for_work(root: Root) -> bool:
    """Whether a refused status call is no error to the function that asks: nobody hears of it."""
    walk = root.walks["refused"]
    left = [leave for each in walk.caught for part in each.body for leave in ir.find(part, ir.Return)]
    return walk.asks and not root.hears and bool(walk.caught or not walk.broke) and not any(map(fails, left))


def _goes_elsewhere(ctx: Context, root: Root, answer: str) -> bool:
    """Whether this answer leaves by an error of its own, or runs into what may end the row unseen."""
    own, good, still = (root.walks[each] for each in (answer, SUCCESS, "running"))
    if set(own.thrown) - set(good.thrown) and answer != "refused" and not _throws(root, answer):
        return True
    return any(not _of_statement(ctx, each) for each in own.guessed - still.guessed)


def _throws(root: Root, answer: str) -> bool:
    """Whether a webhook's handler ends with an error after this answer: told again, it ends so again."""
    told = root.hears and answer in {"failed", "canceled"}
    return told and bool(set(root.walks[answer].thrown) - set(root.walks[SUCCESS].thrown))


def _of_statement(ctx: Context, call: ir.Node) -> bool:
    """Whether a call is a link of a statement's chain."""
    node: ir.Node | None = call
    while isinstance(node, ir.Call | ir.Attr):
        if node in ctx.statements_at:
            return True
        node = node.parent
    return False


def _where(root: Root, answer: str, left: set[str]) -> tuple[ir.Node, int, int]:
    """The branch that this answer takes and success does not, else the branches that it passes by."""
    walk = root.walks[answer]
    if answer == "refused" and walk.caught:
        written = [each.statement.node for each in root.walks[SUCCESS].effects]
        around = {above for each in written for above in ir.ancestors(each) if isinstance(above, ir.Try)}
        handler = next((each for each in walk.caught if each.parent in around), walk.caught[-1])
        return handler, handler.line, handler.end
    fine = root.walks[SUCCESS]
    thrown = [each for each in walk.thrown if each not in fine.thrown and isinstance(each, ir.Return)]
    if thrown and _throws(root, answer):
        node = next((each for each in ir.ancestors(thrown[0]) if isinstance(each, ir.If)), thrown[0])
        return node, node.line, node.end
    good = {**dict.fromkeys(fine.forks), **_own(root, fine.tests)}
    broke = [each for each in walk.broke if each not in fine.broke]
    if broke:
        return broke[0], broke[0].line, broke[0].end
    own = _own(root, walk.tests)
    taken = [each for each, known in own.items() if known and good.get(each) is not True and each.then]
    if taken:
        return taken[-1], taken[-1].line, taken[-1].then[-1].end
    last = [each for each, known in own.items() if not known and good.get(each) is not False and each.other]
    if last and not isinstance(last[-1].other[0], ir.If):
        return last[-1], last[-1].other[0].line, last[-1].other[-1].end
    passed = [each for each, known in own.items() if not known and good.get(each, False) is not False]
    writing = [each.statement.node for each in fine.effects if each.statement.table in left]
    over = {above for each in writing for above in ir.ancestors(each)}
    if passed:
        by = next((each for each in passed if each in over), passed[0])
        return by, by.line, by.end
    written = [
        each.statement.node for each in root.walks[SUCCESS].effects if each.statement.func is root.func
    ]
    here = written[0] if written else root.func
    return here, here.line, here.end if written else here.line


def _own(root: Root, tests: dict[ir.If, bool]) -> dict[ir.If, bool]:
    """The tests that stand in the function itself, or all where it has none."""
    inside = {each: known for each, known in tests.items() if root.func in set(ir.ancestors(each))}
    return inside or tests
