"""Whether a loop makes a call again when it fails: it counts attempts around a catch, or goes round until one comes.

What a loop asks of the answer's state is in `by_status`, which failures are final in `refused` and `errors`.
"""

from __future__ import annotations

import itertools

from portraitist.audit import ir
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.rules.again.by_status import names_attempts
from portraitist.audit.rules.again.refused import only_when_refused
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.failures.quiet import goes_round
from portraitist.audit.rules.syntax import is_next_round, is_way_out


def repeats(loop: ir.Node, call: ir.Node) -> bool:
    """Whether a loop asks again when the call fails: it counts, or has no end of its own, around a catch."""
    if not isinstance(loop, ir.Loop) or loop.target is not None:
        return _counts_attempts(loop, call)
    tries = [one for one in ir.find(loop, ir.Try) if stands_in_attempt(one, call)]
    again = goes_round(loop) or names_attempts(loop) or leaves(tries[0], call) if tries else False
    return again and not _ends_the_loop(tries[0], loop)


def _ends_the_loop(attempt: ir.Try, loop: ir.Loop) -> bool:
    """Whether whatever fails leaves the loop: each handler ends in a way out, and none goes on to another round."""
    inside = [one for each in attempt.handlers for part in each.body for one in ir.walk(part)]
    if any(map(is_next_round, inside)) or ir.enclosing(attempt, ir.Loop) is not loop:
        return False
    return all(each.body and is_way_out(each.body[-1]) for each in attempt.handlers)


def _counts_attempts(loop: ir.Node, call: ir.Node) -> bool:
    """`for attempt in range(n)` around a try around the call."""
    if not isinstance(loop, ir.Loop) or not isinstance(loop.source, ir.Call) or loop.target is None:
        return False
    tries = [one for one in ir.find(loop, ir.Try) if stands_in_attempt(one, call)]
    return bool(tries) and (
        names_attempts(loop) or (last_name(loop.source.func) == "range" and leaves(tries[0], call))
    )


def leaves(attempt: ir.Try, call: ir.Node) -> bool:
    """Whether what the call gives leaves the loop at once, and a failure goes on to the next round."""
    gives = any(
        is_way_out(each) and not _gives_nothing(each) and each.within is attempt.within
        for part in attempt.body
        for each in ir.walk(part)
        if each.line >= call.line
    )
    ends = [one for each in attempt.handlers for one in each.body if is_way_out(one)]
    return gives and all(map(is_next_round, ends))


def _gives_nothing(leave: ir.Node) -> bool:
    """Whether a way out throws, or only ends a round of a loop."""
    return leave.throws if isinstance(leave, ir.Return) else is_next_round(leave)


def stands_in_attempt(attempt: ir.Try, call: ir.Node) -> bool:
    """Whether a call stands in an attempt whose failure may go on to another round."""
    above = set(ir.ancestors(call))
    inside = bool(attempt.handlers) and attempt in above and not _is_last_resort(attempt, above)
    return inside and not only_when_refused(attempt) and not _always_throws(attempt)


def _is_last_resort(attempt: ir.Try, above: set[ir.Node]) -> bool:
    """Whether a call, by what is above it, is what a handler of the attempt gives back: nothing comes after it."""
    return any(
        each in above and one in above and not one.throws
        for each in attempt.handlers
        for one in ir.find(each, ir.Return)
    )


def _always_throws(attempt: ir.Try) -> bool:
    """Whether whatever fails leaves the function: `catch (error) { throw new Lost(error); }`."""
    inside = (each for handler in attempt.handlers for part in handler.body for each in ir.walk(part))
    if any(map(is_next_round, inside)):
        return False
    last = [handler.body[-1] if handler.body else None for handler in attempt.handlers]
    return all(isinstance(each, ir.Return) and each.throws for each in last)


def end_of(around: ir.Node, call: ir.Node) -> int:
    """The last line of what makes a call again: of the handlers between it and the loop around it, else its own."""
    if isinstance(around, ir.Func) and around.name:
        own = [each.line for each in ir.find(around, ir.Call) if last_name(each.func) == around.name]
        return max([call.end, *own])
    if not isinstance(around, ir.Loop):
        return call.end
    between = itertools.takewhile(lambda each: each is not around, ir.ancestors(call))
    return max(
        (one.end for each in between if isinstance(each, ir.Try) for one in each.handlers), default=call.end
    )


def after_what(call: ir.Node, *, loop: ir.Node) -> str:
    """After which failures a loop makes a call again: any in the attempt around it, or what a test of a handler leaves.

    `catch (error) { if (!isRetryable(error)) throw error; }` chooses, a test of the count of attempts doesn't.
    """
    between = itertools.takewhile(lambda each: each is not loop, ir.ancestors(call))
    handlers = [one for each in between if isinstance(each, ir.Try) for one in each.handlers]
    chosen = next((each for one in handlers if (each := _choice(one)) is not None), None)
    return (
        f"after each error that line {chosen.line} lets pass"
        if chosen
        else "when anything in this attempt fails"
    )


def _choice(handler: ir.Handler) -> ir.If | None:
    """The branch of a handler that leaves by what the error is."""
    told = variables_in(handler.catches) if handler.catches is not None else set()
    for each in handler.body:
        for made in ir.find(each, ir.Assign):
            if made.value is not None and told & variables_in(made.value):
                told |= variables_in(made.target)
        if isinstance(each, ir.If) and told & variables_in(each.test):
            ways = [*each.then, *each.other]
            if any(is_way_out(one) and not is_next_round(one) for one in ways):
                return each
    return None
