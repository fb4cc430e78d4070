"""Paid work that is handed to a helper which calls it again when it fails: `withRetry(() => paint(prompt))`.

By the helper's name, or by what a helper of the repository does with the function that it is handed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.again.loops import repeats
from portraitist.audit.rules.again.refused import asks_helper_first, only_when_refused, when_refused
from portraitist.audit.rules.again.second import paid_sites
from portraitist.audit.rules.base import finding, last_name, place
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import calls_in, is_next_round, is_way_out

_RETRIES = re.compile(r"(^|\.)(p?_?retry|with_?retry|retry_?with\w*|back_?off|fetch_?with_?retry)$", re.I)


def wrapped(ctx: Context) -> Iterator[Finding]:
    """Calls of helpers on the way to a paid call, and functions that make one, inside of what repeats them."""
    around: list[tuple[ir.Call, Module, ProviderCall, Iterable[ir.Call]]] = [
        (call, module, paid, handed_to(ctx, call))
        for call, (module, paid) in ctx.once(paid_sites).items()
        if paid.call not in set(ir.walk(call)) and not _keeps_failures(ctx, call)
    ]
    around += [(each.call, each.module, each, by_name(ctx, each.call)) for each in ctx.creates()]
    for call, module, paid, others in around:
        for each in others:
            if names_retry(each) or own_retry(ctx, each) is not None:
                name, end = last_name(each.func), call.end if each.line <= call.line else each.end
                message = f"{paid.api} is started again by {name} when it fails, each time paid"
                yield finding("blind-post-retry", module, call, message, key=f"wrapped {last_name(call.func)}",
                              weight=57, line=each.line, end=max(each.line, end),
                              evidence=[Place(module.path, each.line), place(paid)])  # fmt: skip
                break


def handed_to(ctx: Context, call: ir.Call) -> Iterator[ir.Call]:
    """The calls that are handed a function with a call in it: `retry(() => paint())`; by its name, `retry(paint)`."""
    for each in ir.ancestors(call):
        if isinstance(each, ir.Call):
            yield each
        elif isinstance(each, ir.Func) and each.name:
            break
    yield from by_name(ctx, call)


def by_name(ctx: Context, call: ir.Call) -> list[ir.Call]:
    """The calls that are handed the function around a call by its name: `retry(paint)`."""
    around = (each for each in ir.ancestors(call) if isinstance(each, ir.Func) and each.name)
    func = next(around, None)
    return ctx.once(_by_name, ctx.program.module_of[func]).get(func, []) if func is not None else []


def _by_name(ctx: Context, module: Module) -> dict[ir.Func, list[ir.Call]]:
    """The functions of a file that calls in it are handed by their names, with these calls."""
    names = {each.name for each in module.all(ir.Func) if each.name}
    found: dict[ir.Func, list[ir.Call]] = {}
    for call in module.all(ir.Call):
        for given in (*call.args, *(each.value for each in (call.kw.props if call.kw else ()))):
            func = _function(ctx, given) if isinstance(given, ir.Name) and given.id in names else None
            if func is not None:
                found.setdefault(func, []).append(call)
    return found


def _function(ctx: Context, given: ir.Node | None) -> ir.Func | None:
    """The function that is handed over: written out, or by its name."""
    module = (
        ctx.program.module_of.get(given.within) if given is not None and given.within is not None else None
    )
    if isinstance(given, ir.Name) and module is not None:
        found = [each.node for each in ctx.program.resolve(module, given)]
        return found[0] if len(found) == 1 and isinstance(found[0], ir.Func) else None
    return given if isinstance(given, ir.Func) else None


def _keeps_failures(ctx: Context, call: ir.Call) -> bool:
    """Whether what is called has a handler of its own that throws nothing: no failure comes out of it."""
    for target in ctx.program.functions_called(call):
        for attempt in ir.find(target.node, ir.Try) if isinstance(target.node, ir.Func) else ():
            throws = any(one.throws for each in attempt.handlers for one in ir.find(each, ir.Return))
            if attempt.within is target.node and attempt.handlers and not throws:
                return True
    return False


def names_retry(call: ir.Call) -> bool:
    """Whether a function is called that names itself one that tries again."""
    return _RETRIES.search(ir.dotted(call.func)) is not None


def own_retry(ctx: Context, call: ir.Call) -> ir.Call | None:
    """Where a function that is handed to a helper of the repository is called there again when it fails."""
    for func in (each.node for each in ctx.program.functions_called(call)):
        if not isinstance(func, ir.Func):
            continue
        handed = {
            each.name for each in func.params if _function(ctx, argument_for(call, func, each)) is not None
        }
        calls = (
            one for one in ir.find(func, ir.Call) if isinstance(one.func, ir.Name) and one.func.id in handed
        )
        for one in calls:
            attempt = ir.enclosing(one, ir.Try)
            ends = attempt is not None and attempt.within is func and all(map(_ends_it, attempt.handlers))
            if any(
                (is_repeated(ctx, each, one) and not ends) or _begins_anew(each, func)
                for each in ir.ancestors(one)
            ):
                return one
    return None


def _ends_it(handler: ir.Handler) -> bool:
    """Whether a failure ends all rounds: a handler that breaks, returns or throws at its end."""
    last = handler.body[-1] if handler.body else None
    again = any(is_next_round(each) for part in handler.body for each in ir.walk(part))
    return last is not None and is_way_out(last) and not again


def told_at_helpers(ctx: Context) -> Iterator[Finding]:
    """The helpers themselves that call again whatever they are handed, where paid work is handed to them."""
    told: set[ir.Call] = set()
    sites = [(each.call, each) for each in ctx.creates()]
    sites += [
        (call, paid) for call, (_, paid) in ctx.once(paid_sites).items() if not _keeps_failures(ctx, call)
    ]
    for call, paid in sites:
        for each in handed_to(ctx, call):
            again = own_retry(ctx, each)
            attempt = ir.enclosing(again, ir.Try) if again is not None else None
            if again is None or attempt is None or again.within is None or again in told:
                continue
            told.add(again)
            name = again.within.name or "this"
            message = f"{name} calls again what failed here, {paid.api} as well, each time paid"
            yield finding("blind-post-retry", ctx.program.module_of[again.within], again, message,
                          key=f"helper {name}", weight=BARELY, line=attempt.line, end=attempt.handlers[-1].end,
                          evidence=[place(paid)])  # fmt: skip


def _begins_anew(attempt: ir.Node, func: ir.Func) -> bool:
    """Whether the handlers of an attempt call the function around it, not for a refusal alone."""
    if not isinstance(attempt, ir.Try) or attempt.within is not func or only_when_refused(attempt):
        return False
    again = [each for each in calls_in(attempt.handlers) if last_name(each.func) == func.name]
    return bool(again) and not all(map(when_refused, again))


def is_repeated(ctx: Context, loop: ir.Node, call: ir.Node) -> bool:
    """Whether a loop asks again when the call fails, and no helper lets it only where the call was turned away."""
    return repeats(loop, call) and not ctx.once(asks_helper_first, call)
