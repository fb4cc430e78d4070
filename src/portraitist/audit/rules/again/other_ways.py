"""Helpers of paid requests that send what they were given once more by another helper: `requests`, then `curl`.

Reads functions of the repository that hand all they were given on to another one, in a handler or under a test.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import Finding
from portraitist.audit.rules.again.refused import speaks_of_refusal
from portraitist.audit.rules.again.second import tried_before
from portraitist.audit.rules.base import finding, helpers_of, last_name, names_in, place
from portraitist.audit.rules.gravity import BARELY

MAX_BELOW = 2
"""How many helpers below a paid call its request may be sent once more."""
_SHELLS = {"run", "check_output", "Popen", "execFile", "execSync", "execFileSync", "spawnSync"}


def sent_by_another(ctx: Context) -> Iterator[Finding]:
    """`try: return _by_urllib(method, url, body)`, `except Exception: return _by_curl(method, url, body)`."""
    told: set[ir.Call] = set()
    for call in (each for each in ctx.creates() if not each.sdk):
        below = [
            each.node for each in ctx.program.functions_called(call.call) if isinstance(each.node, ir.Func)
        ]
        for _ in range(MAX_BELOW):
            below += [one for each in below for one in helpers_of(ctx, each) if one not in below]
        for func in below:
            for again in _sent_again(ctx, func) if func in ctx.program.module_of else ():
                if again in told:
                    continue
                told.add(again)
                around = ir.enclosing(again, ir.Handler) or again
                name = last_name(again.func)
                message = (
                    f"{name} sends the same request once more when that fails: {call.api} may be paid twice"
                )
                yield finding("blind-post-retry", ctx.program.module_of[func], again, message, key=f"way {name}",
                              weight=BARELY, line=around.line, end=max(around.end, again.end),
                              evidence=[place(call)])  # fmt: skip


def _sent_again(ctx: Context, func: ir.Func) -> Iterator[ir.Call]:
    """The calls by which a function hands on all it was given, where it was sent before and that came to nothing."""
    given = [each.name for each in func.params]
    if len(given) < 2:
        return
    sends = [each for each in ir.find(func, ir.Call) if _sends(ctx, each, given)]
    for again in (each for each in sends if _hands_on(ctx, each, given)):
        block = next((each for each in ir.ancestors(again) if isinstance(each, ir.Handler | ir.If)), None)
        if block is None or block.within is not func:
            continue
        if isinstance(block, ir.Handler) and tried_before(again, func) is None:
            continue
        first = next((each for each in sends if each is not again and _failed(block, each)), None)
        if first is not None and not any(map(speaks_of_refusal, ir.walk(block))):
            yield again


def _failed(block: ir.Handler | ir.If, first: ir.Call) -> bool:
    """Whether a handler is for what a call threw, or a handler or a branch for what it gave and is of no use."""
    attempt = block.parent
    if isinstance(block, ir.Handler) and isinstance(attempt, ir.Try):
        tried = {each for part in attempt.body for each in ir.walk(part)}
        asked = {name for part in attempt.body for name in names_in(part)}
        return first in tried or bool(_made_of(first, attempt.line) & asked)
    if isinstance(block, ir.If) and isinstance(block.test, ir.Bin) and block.test.op in {"not", "!"}:
        return bool(_made_of(first, block.line) & names_in(block.test))
    return False


def _made_of(first: ir.Call, until: int) -> set[str]:
    """The variables that hold the answer of a call, or something of it, before a line."""
    names: set[str] = set()
    for each in ir.find(first.within, ir.Assign) if first.within is not None else ():
        held = each.value is not None and (
            first in set(ir.walk(each.value)) or not names.isdisjoint(names_in(each.value))
        )
        if held and each.end < until:
            names |= variables_in(each.target)
    return names


def _sends(ctx: Context, call: ir.Call, given: list[str]) -> bool:
    """Whether a call sends a request: by a client, by a program of the machine, or by a helper handed all of it."""
    name = last_name(call.func)
    return name.lower() in ctx.words.http_verbs or name in _SHELLS or _hands_on(ctx, call, given)


def _hands_on(ctx: Context, call: ir.Call, given: list[str]) -> bool:
    handed = [each.id for each in call.args if isinstance(each, ir.Name)]
    return handed == given and call.kw is None and bool(ctx.program.functions_called(call))
