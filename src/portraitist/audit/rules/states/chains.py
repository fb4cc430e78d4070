"""Chains of branches over the provider's state: where they stand, and what they leave as it is.

A part of what is asked in `outcomes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, last_name, names_in, runs_in_browser
from portraitist.audit.rules.failures.quiet import LOGS
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import fails

_HEARS = re.compile(r"webhook|callback|(^|[/_-])hooks?([/_.-]|$)", re.I)
_SPEAKS = re.compile(r"replicate|prediction", re.I)
_ENDS = {"succeeded", "failed", "canceled", "cancelled"}


def end_of_chain(word: ir.Node) -> int:
    """The last line of the branches that ask for an end of work, from the one on which this word stands."""
    return max((part.end for each in _chain(word) for part in each.then), default=word.end)


def _chain(word: ir.Node) -> list[ir.If]:
    """The branch in whose test a word stands, those of its `else if` that ask for an end, and two such behind it."""
    first = next((each for each in ir.ancestors(word) if isinstance(each, ir.If | ir.Func)), None)
    if not isinstance(first, ir.If) or word not in set(ir.walk(first.test)):
        return []
    found = [first]
    while len(last := found[-1].other) == 1 and isinstance(last[0], ir.If) and _asks_end(last[0]):
        found.append(last[0])
    for body in ir.bodies_of(first.parent) if first.parent is not None else ():
        if any(each is first for each in body):
            behind = body[body.index(first) + 1 :]
            found += [each for each in behind if isinstance(each, ir.If) and _asks_end(each)][:2]
    return found


def _asks_end(branch: ir.If) -> bool:
    return not _ENDS.isdisjoint(names_in(branch.test))


def goes_on(words: dict[str, ir.Node], rest: list[list[ir.Node]]) -> bool:
    """Whether what is no end that is named is answered, and left to the next question.

    Not where a loop asks, which such an answer ends, nor where states under way have a branch of their own.
    """
    named = not {"starting", "processing"}.isdisjoint(words)
    return not named and ir.enclosing(words["succeeded"], ir.Loop) is None and all(map(_only_answers, rest))


def _only_answers(branch: list[ir.Node]) -> bool:
    """Whether a branch does nothing but answer, and not with an error, whatever it logs before."""
    last = branch[-1] if branch else None
    if not isinstance(last, ir.Return) or last.value is None or fails(last):
        return False
    if isinstance(last.value, ir.Lit):
        return False
    return all(isinstance(each, ir.Call) and LOGS.match(ir.dotted(each.func)) for each in branch[:-1])


def hears_by_name(module: Module, func: ir.Func) -> bool:
    """Whether a function, or its file, is named as a webhook's and speaks of the provider."""
    named = _HEARS.search(module.path) or _HEARS.search(func.name)
    return named is not None and _SPEAKS.search(module.file.text) is not None


def asks_by_address(func: ir.Func) -> bool:
    """Whether a function takes the address at which the provider tells a state out of its answer: `made.urls.get`."""
    return any(each.name == "get" and last_name(each.obj) == "urls" for each in ir.find(func, ir.Attr))


def tells_of_work(ctx: Context, module: Module, func: ir.Func, word: ir.Node) -> bool:
    """Whether a word is asked of a run of the provider, by what the function calls it, and of no row of a table."""
    test = word.parent
    asked = test.left if isinstance(test, ir.Bin) else None
    root = ir.root_of(asked) if asked is not None else None
    if (
        root is None
        or runs_in_browser(module)
        or not _SPEAKS.search("\n".join(module.lines[func.line - 1 : func.end]))
    ):
        return False
    values = [each.value for each in bindings_of(module, root) if each.value is not None]
    return bool(values) and not any(
        ctx.statements_at.get(part) for value in values for part in ir.walk(value)
    )


_WRITES = re.compile(
    r"^(update|put|save|patch|upsert|mark|store|set)_?\w*(status|state|job|item|record|training|row)\w*$",
    re.I,
)


def writes_by_name(func: ir.Func) -> bool:
    """Whether a function calls what by its name stores a state."""
    return any(_WRITES.match(last_name(each.func)) for each in ir.find(func, ir.Call))


LONG = 60
"""A longer chain is told of from its branch for failures on."""


def unnamed(
    ctx: Context, module: Module, func: ir.Func, words: dict[str, ir.Node], *, stored: bool
) -> Iterator[Finding]:
    """Chains behind which a canceled run is answered like one under way, or stored under the provider's own word."""
    if stored and any("canceled" in each.file.words for each in ctx.live):
        return
    message = "no branch here is for canceled of the provider: it is answered like work under way"
    if stored:
        message = "canceled of the provider is stored as it is, and nothing in the repository knows this word"
    first = words["succeeded"]
    end = end_of_chain(first)
    line = first.line
    if end - line > LONG:
        line = next((each.line for each in _chain(first) if "failed" in names_in(each.test)), line)
    yield finding("stuck-status", module, first, message, key=module.scope_name(func), weight=BARELY,
                  line=line, end=end)  # fmt: skip
