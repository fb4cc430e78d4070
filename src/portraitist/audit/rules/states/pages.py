"""Part of the rule on states that stay open: what a page, or a client, asks again and again, and what ends that.

Only the asking function is read; a page that is left asks nobody, which is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import DONE, LOST
from portraitist.audit.rules.syntax import tests_of

_CLIENTS = re.compile(r"^(axios|ky|got)\b|\.functions\.invoke$")
_STOPS = re.compile(r"^clear(Interval|Timeout)$|^(stop|end|clear|cancel)\w*(poll|interval|timer|watch)", re.I)
_LIMIT = re.compile(
    r"attempt|tries|retr|elapsed|deadline|time_?out|max|count|started|now$|errors|fail(ed)?s$|rounds|iter"
)
_REFUSED = re.compile(r"^(ok|error|err|errors|errorMessage|error_message|success|statusCode|isError)$")
_ANY_RESULT = "a result"
_RESULT = re.compile(r"output|result|image|url|video|photo|picture|ready|done|complete", re.I)


@dataclass(frozen=True, slots=True, eq=False)
class _Poll:
    """What is asked again: where that stands, the function that is run each time, and what in it is the last round."""

    node: ir.Node
    tick: ir.Func
    ends: tuple[ir.Node, ...]
    again: ir.Call | None = None


def polls_of_pages(ctx: Context) -> Iterator[Finding]:
    """Polls that a word of success, or of failure, ends and nothing else: no limit, no refusal, no failing question.

    A poll that counts or looks at a clock, that asks whether it was refused, or whose end is unconditional is left
    alone.
    """
    for module in (each for each in ctx.live if each.language == "javascript"):
        yield from _asked_by_hooks(ctx, module)
        for poll in _polls(ctx, module):
            told = _told(poll)
            if told and ctx.role_at(module, poll.tick) in LIVE_ROLES:
                message = f"only {told} ends this poll: an answer that is an error, or another end, is asked for again"
                yield finding("stuck-status", module, poll.node, message, key=f"poll {poll.tick.name} {told}",
                              weight=BARELY, end=poll.node.end)  # fmt: skip


def _polls(ctx: Context, module: Module) -> Iterator[_Poll]:
    later = module.calls({"setTimeout"})
    for timer in module.calls({"setInterval"}):
        tick = _run_by(ctx, module, timer.args[0] if timer.args else None)
        if (
            tick is not None
            and (_fetches(tick) or _throws(tick))
            and not any(_ends_later(each, timer) for each in later)
        ):
            ends = [each for each in ir.find(tick, ir.Call) if _STOPS.search(last_name(each.func))]
            yield _Poll(timer if tick in timer.args else tick, tick, tuple(ends))
    for call in later:
        tick = _asking_again(call)
        if tick is not None and _fetches(tick):
            leaves = (
                each for each in ir.find(tick, ir.Return) if each.within is tick and each.line < call.line
            )
            yield _Poll(tick, tick, tuple(leaves), call)


def _asked_by_hooks(ctx: Context, module: Module) -> Iterator[Finding]:
    """`refetchInterval: (query) => (done(query.state.data?.status) ? false : 2000)` that knows some ends only."""
    for call in module.calls({"useQuery", "useSWR", "useInfiniteQuery"}):
        given = ir.keyword(call, "refetchInterval", "refreshInterval")
        tests = [*ir.find(given, ir.Bin), *ir.find(given, ir.Arr)] if isinstance(given, ir.Func) else []
        words = {word for each in tests for word in _words(each)}
        provider = "succeeded" in words and not words & {"canceled", "cancelled"}
        if (provider or (words & DONE and not words & LOST)) and ctx.role_at(module, call) in LIVE_ROLES:
            told = " or ".join(repr(each) for each in sorted(words & (DONE | LOST)))
            message = f"only {told} ends this poll: another end is asked for again"
            yield finding("stuck-status", module, call, message, key=f"query {told}", weight=BARELY,
                          line=given.line if given is not None else call.line, end=call.end)  # fmt: skip


def _run_by(ctx: Context, module: Module, given: ir.Node | None) -> ir.Func | None:
    """The function that a timer runs: `async () => …`, `check`, `() => check(id)`."""
    if isinstance(given, ir.Func):
        only = given.body[0] if len(given.body) == 1 else None
        call = only.value if isinstance(only, ir.Return) else only
        given = call.func if isinstance(call, ir.Call) and isinstance(call.func, ir.Name) else given
    if isinstance(given, ir.Name):
        found = (each.node for each in ctx.program.resolve(module, given) if each.module is module)
        return next((each for each in found if isinstance(each, ir.Func)), None)
    return given if isinstance(given, ir.Func) else None


def _asking_again(later: ir.Call) -> ir.Func | None:
    """The function that puts itself off: `setTimeout(poll, 2000)` in `poll`, under no test of its own."""
    given = later.args[0] if later.args else None
    names = {given.id} if isinstance(given, ir.Name) else set()
    if isinstance(given, ir.Func):
        names = {last_name(each.func) for each in ir.find(given, ir.Call)}
    tick = later.within
    if tick is None or not tick.name or tick.name not in names:
        return None
    above = [each for each in ir.ancestors(later) if each.within is tick]
    tested = any(isinstance(each, ir.If) and not _in_other(each, later) for each in above)
    return None if tested or any(isinstance(each, ir.Handler | ir.Loop) for each in above) else tick


def _in_other(branch: ir.If, node: ir.Node) -> bool:
    return any(node in set(ir.walk(each)) for each in branch.other)


def _ends_later(later: ir.Call, timer: ir.Call) -> bool:
    """`setTimeout(() => clearInterval(id), 300000)` beside the timer."""
    ends = any(_STOPS.search(last_name(each.func)) for part in later.args for each in ir.find(part, ir.Call))
    return ends and later.within is timer.within


def _told(poll: _Poll) -> str:
    """The words of the tests that end a poll, "" where something else may end it."""
    every = {name for each in tests_of(poll.tick) for name in names_in(each.test)}
    refusals = any(_REFUSED.match(each) for each in every)
    if not poll.ends or refusals or any(_LIMIT.search(each.lower()) for each in every):
        return ""
    words: set[str] = set()
    for end in poll.ends:
        above = _above(poll.tick, end)
        if any(isinstance(each, ir.Handler) for each in above) and _fetches(poll.tick):
            continue  # a refusal of the server does not make `fetch` throw
        tests = [each for each in above if isinstance(each, ir.If)]
        if len(tests) < len(above) or not tests or any(_in_other(each, end) for each in tests):
            return ""
        words |= _words(tests[0].test)
    known = words & (DONE | LOST | {_ANY_RESULT})
    done = sorted(known - LOST)
    return " or ".join(
        each if each == _ANY_RESULT else repr(each) for each in [*done, *sorted(known & LOST)] if done
    )


def _above(tick: ir.Func, node: ir.Node) -> list[ir.Node]:
    """The tests, handlers and `a ? b : c` between a function and what stands in it."""
    found: list[ir.Node] = []
    for each in ir.ancestors(node):
        if each is tick:
            break
        if isinstance(each, ir.If | ir.Handler | ir.Cond):
            found.append(each)
    return found


def _fetches(tick: ir.Func) -> bool:
    return any(last_name(each.func) == "fetch" for each in ir.find(tick, ir.Call))


def _throws(tick: ir.Func) -> bool:
    """Whether the question is asked by what throws where it is refused: that ends no timer either."""
    return any(_CLIENTS.search(ir.dotted(each.func)) for each in ir.find(tick, ir.Call))


def _words(test: ir.Node) -> set[str]:
    """The states that a test names, and whether it asks for a result."""
    words = {str(text).lower() for each in ir.find(test, ir.Lit) if (text := ir.text_of(each))}
    if not words and any(_RESULT.search(each) for each in names_in(test)):
        words.add(_ANY_RESULT)
    return words
