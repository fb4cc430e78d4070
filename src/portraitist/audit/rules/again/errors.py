"""Which errors make a paid call again: those that a decorator names, and those that a loop's handlers take.

Reads Python's handlers in the function of the call. A handler's type is compared by its name: of other classes than
those of the repository it is not known what they are derived from.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.states.marks import WAITED_FOR

_ANY = {"Exception", "BaseException"}
_EXITS = {"exit", "quit", "_exit", "abort"}


def never_leave(ctx: Context, decorator: ir.Node, call: ProviderCall) -> bool:
    """Whether a decorator repeats for errors none of which the function lets out.

    `@retry(retry=retry_if_exception_type(httpx.RequestError))` above `except httpx.RequestError: raise ApiError(…)`;
    any decorator above `except Exception: return None`.
    """
    wanted = _repeated_for(decorator)
    if _keeps_all(call) and not _asks_for_results(decorator):
        return True
    return bool(wanted) and all(_is_turned(ctx, call, each, wanted) for each in wanted)


def _keeps_all(call: ProviderCall) -> bool:
    """Whether a handler around a call takes every error, and neither it nor those beside it throw or call anything
    that might."""
    return any(
        any(not types or {last_name(one) for one in types} & _ANY for types in taken)
        and not any(_lets_out(each) for each in attempt.handlers)
        for attempt in _attempts(call)
        for taken in [[_types(each.catches) for each in attempt.handlers]]
    )


def _lets_out(handler: ir.Handler) -> bool:
    """Whether a handler throws, or tries again by a call: `raise self.retry()`."""
    throws = any(each.throws for each in ir.find(handler, ir.Return))
    return throws or any("retry" in last_name(each.func).lower() for each in ir.find(handler, ir.Call))


def _asks_for_results(decorator: ir.Node) -> bool:
    """Whether a decorator repeats by what was given back, too: `retry_if_result(lambda made: made is None)`."""
    named = {last_name(each.func) for each in ir.find(decorator, ir.Call)}
    return bool(named & {"retry_if_result", "retry_if_not_result", "on_predicate", "retry_on_result"})


def _repeated_for(decorator: ir.Node) -> set[str]:
    """The names of the errors for which a decorator repeats; none where it repeats for others as well."""
    given: list[ir.Node] = []
    for each in ir.find(decorator, ir.Call):
        name = last_name(each.func)
        if name == "retry_if_exception_type":
            given += each.args
        elif name.startswith("retry_"):
            return set()
        elif name == "on_exception":
            given += each.args[1:2]
    found = {last_name(one) for each in given for one in _types(each)}
    return set() if found & _ANY or "" in found else found


def _types(caught: ir.Node | None) -> list[ir.Node]:
    """The types of a handler, or of a decorator's argument, one by one."""
    if isinstance(caught, ir.Arr):
        return [one for each in caught.items for one in _types(each)]
    if isinstance(caught, ir.Name | ir.Attr):
        return [caught]
    parts = caught.children() if caught is not None else ()
    named = (each for each in parts if not (isinstance(each, ir.Other) and each.kind == "as_pattern_target"))
    return [one for each in named for one in _types(each)]


def _is_turned(ctx: Context, call: ProviderCall, error: str, wanted: set[str]) -> bool:
    """Whether a handler around the call takes an error, and none of those beside it lets any of the wanted ones out."""
    for attempt in _attempts(call):
        taken = [{last_name(one) for one in _types(each.catches)} for each in attempt.handlers]
        if any(not names or names & {error, *_ANY} for names in taken):
            thrown = [one for each in attempt.handlers for one in ir.find(each, ir.Return) if one.throws]
            return all(_is_other(ctx, call, each.value, wanted) for each in thrown)
    return False


def _is_other(ctx: Context, call: ProviderCall, thrown: ir.Node | None, wanted: set[str]) -> bool:
    """Whether a new error is raised that is none of these, nor of a class here that is derived from one."""
    if not isinstance(thrown, ir.Call) or last_name(thrown.func) in wanted:
        return False
    classes = (each.node for each in ctx.program.resolve(call.module, thrown.func))
    return not any(
        last_name(base) in wanted for each in classes if isinstance(each, ir.Class) for base in each.bases
    )


def only_answered(loop: ir.Node, call: ProviderCall) -> bool:
    """Whether a loop makes a call of the provider's client again only where the provider answered with an error.

    `except ReplicateError` in a loop, every other error being final. What is raised by `requests`, the client never
    raises. Calls that wait for the work raise such errors for work that failed, too: those are not meant.
    """
    attempt = next((each for each in _attempts(call) if loop in set(ir.ancestors(each))), None)
    if attempt is None or not call.sdk or call.module.language != "python" or call.api in WAITED_FOR:
        return False
    again = [_types(each.catches) for each in attempt.handlers if not _is_final(each)]
    names = {"requests" if _is_foreign(one) else last_name(one) for types in again for one in types}
    return all(again) and "ReplicateError" in names and names <= {"ReplicateError", "requests"}


def _is_foreign(error: ir.Node) -> bool:
    root = ir.root_of(error)
    return isinstance(root, ir.Name) and root.id == "requests"


def _is_final(handler: ir.Handler) -> bool:
    """Whether a handler leaves at its end: it returns, throws, or ends the process."""
    last = handler.body[-1] if handler.body else None
    while isinstance(last, ir.Other) and len(last.parts) == 1:
        last = last.parts[0]
    return isinstance(last, ir.Return) or (isinstance(last, ir.Call) and last_name(last.func) in _EXITS)


def _attempts(call: ProviderCall) -> Iterator[ir.Try]:
    """The attempts around a call in its own function, the innermost first, that it is tried in."""
    below: ir.Node = call.call
    for each in ir.ancestors(call.call):
        if each is call.func:
            return
        if isinstance(each, ir.Try) and each.handlers and below in each.body:
            yield each
        below = each
