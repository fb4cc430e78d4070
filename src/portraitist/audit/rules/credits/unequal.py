"""Part of the rule on credits: less asked for than is taken, and given back what was never taken.

Compares plain numbers only, and follows errors within one function.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.credits.changes import CREDIT
from portraitist.audit.rules.credits.effects import Effect, done_in

_TOLD = re.compile(r"err|charged|deducted|taken|refund|(^|_)paid|status|code|message|(^|_)e$|reserved|spent")


def unequal(ctx: Context, funcs: list[ir.Func]) -> Iterator[Finding]:
    """Both, in each of these functions, which lead to paid calls."""
    for func in funcs:
        module = ctx.program.module_of[func]
        takes = list(done_in(ctx, func, "take")) if ctx.role_at(module, func) in LIVE_ROLES else []
        if takes:
            yield from _too_little(ctx, module, func, takes)
            yield from _never_taken(ctx, module, func, takes)


def _too_little(ctx: Context, module: Module, func: ir.Func, takes: list[Effect]) -> Iterator[Finding]:
    """`if (credits < 1)` in front of a take of ten, where the write asks for nothing itself."""
    tests = [each for each in ir.find(func, ir.If) if exits(each.then)]
    for take in takes:
        cost = _number(ctx, module, take.amounts[0]) if len(take.amounts) == 1 else None
        asked = [
            (least, each)
            for each in tests
            if each.line < take.node.line and (least := _least(ctx, module, each.test)) is not None
        ]
        if (
            cost is None
            or not asked
            or max(asked, key=lambda each: each[0])[0] >= cost
            or _conditioned(take.node)
        ):
            continue
        least, test = max(asked, key=lambda each: each[0])
        message = f"{cost:g} credits are taken here where only {least:g} are asked for: the balance falls below zero"
        yield finding("credit-before-check", module, take.node, message, key=f"less {take.name}", weight=55,
                      end=take.node.end, evidence=[Place(module.path, test.line)])  # fmt: skip


def _number(ctx: Context, module: Module, node: ir.Node) -> float | None:
    value = node.value if isinstance(node, ir.Lit) else fold(ctx.ev.eval(module, node))
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and isinstance(value, int | float) else None


def _least(ctx: Context, module: Module, test: ir.Node) -> float | None:
    """The least balance with which a test that turns away lets pass: 1 for `credits < 1` and for `credits <= 0`."""
    for each in ir.find(test, ir.Bin):
        named = CREDIT.search(snake(last_name(each.left)))
        if each.op in {"<", "<="} and each.right is not None and named:
            number = _number(ctx, module, each.right)
            if number is not None:
                return number + (each.op == "<=")
            return float("inf")
    return (
        float("inf")
        if any(CREDIT.search(snake(each)) for each in names_in(test) if " " not in each)
        else None
    )


def _conditioned(node: ir.Node) -> bool:
    """Whether a write asks for a balance itself: `gte`, `where credits >= $1`."""
    keys = {each.key for each in ir.find(node, ir.Prop)}
    texts = " ".join(text for each in ir.find(node, ir.Lit) if (text := ir.text_of(each)) is not None)
    calls = {last_name(each.func) for each in ir.find(node, ir.Call)}
    return bool(keys & {"gte", "$gte", "gt", "$gt"}) or ">=" in texts or bool(calls & {"gte", "gt", "rpc"})


def _never_taken(ctx: Context, module: Module, func: ir.Func, takes: list[Effect]) -> Iterator[Finding]:
    """A refund for every error of a `try` in which something is thrown before the credits are taken."""
    for attempt in ir.find(func, ir.Try):
        inside = [each for each in takes if any(each.node in set(ir.walk(part)) for part in attempt.body)]
        handler = attempt.handlers[-1] if attempt.handlers and inside else None
        if handler is None or attempt.within is not func or len(attempt.handlers) > 1:
            continue
        first = min(inside, key=lambda each: each.node.line)
        thrown = next((each for part in attempt.body for each in _throws(part, func, first.node)), None)
        if thrown is None and not any(each.node.line < attempt.line for each in takes):
            thrown = next(
                (each for part in attempt.body for each in _pays(ctx, part, func, first.node)), None
            )
        gives = done_in(ctx, func, "give")
        back = next((each for each in gives if in_any_case(each.node, handler)), None)
        if thrown is None or back is None:
            continue
        message = (
            f"every error gives credits back here, also the one of line {thrown.line}, before any are taken"
        )
        proof = [Place(module.path, thrown.line), Place(module.path, first.node.line)]
        yield finding("credit-before-check", module, back.node, message, key=f"never {back.name}", weight=61,
                      end=back.node.end, evidence=proof)  # fmt: skip


def _throws(part: ir.Node, func: ir.Func, take: ir.Node) -> Iterator[ir.Node]:
    """What is thrown in front of a take, or because its answer says that nothing was taken; a schema's `parse` too."""
    for call in ir.find(part, ir.Call):
        schema = ir.plain_dotted(call.func).lower().endswith(("schema.parse", "schema.parseasync"))
        if schema and call.end < take.line and call.within is func:
            yield call
    made = ir.enclosing(take, ir.Assign)
    names = variables_in(made.target) if made is not None else set()
    for leave in ir.find(part, ir.Return):
        caught = next((each for each in ir.ancestors(leave) if isinstance(each, ir.Try | ir.Func)), None)
        own = (
            leave.throws
            and leave.within is func
            and not (isinstance(caught, ir.Try) and caught is not part.parent)
        )
        branch = next((each for each in ir.ancestors(leave) if isinstance(each, ir.If)), None)
        refused = branch is not None and bool(names & names_in(branch.test)) and leave.line > take.line
        if own and (leave.end < take.line or refused):
            yield leave


def _pays(ctx: Context, part: ir.Node, func: ir.Func, take: ir.Node) -> Iterator[ir.Node]:
    """The paid call that stands in front of a take: it may fail."""
    for call in ir.find(part, ir.Call):
        paid = call in ctx.call_at and ctx.call_at[call].creates
        if paid and call.end < take.line and call.within is func:
            yield call


def in_any_case(node: ir.Node, handler: ir.Handler) -> bool:
    """Whether something stands in a handler under no test of what happened, and behind none that leaves."""
    for each in ir.ancestors(node):
        if each is handler:
            return not any(
                isinstance(one, ir.If) and one.line < node.line and exits(one.then) for one in handler.body
            )
        if isinstance(each, ir.Cond | ir.Bin) or (isinstance(each, ir.If) and _tells(each.test, handler)):
            return False
    return False


def _tells(test: ir.Node, handler: ir.Handler) -> bool:
    """Whether a test asks for the error, or for something that the attempt has set."""
    attempt = handler.parent
    told = variables_in(handler.catches) if handler.catches is not None else set()
    for part in attempt.body if isinstance(attempt, ir.Try) else ():
        told |= {last_name(each.target) for each in ir.find(part, ir.Assign) if not each.decl}
    names = names_in(test)
    return bool(names & told) or any(_TOLD.search(snake(each)) for each in names if " " not in each)
