"""Part of the rule `no-retry`: a run that succeeded and brought nothing, or another form of it, makes the row done.

The function that hears or asks, and its helpers, are followed for such an answer (`answers`).
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.answers.calls import Effect
from portraitist.audit.rules.answers.ends import STATE_COLUMN, SUCCESS, Root, roots, words_of
from portraitist.audit.rules.answers.values import of_output
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.completion.words import done_at
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import DONE

_SAID = {"empty": "without an output", "other": "and whose output has another form"}


def done_with_nothing(ctx: Context) -> Iterator[Finding]:
    """Done-states that are written although nothing of what a run made is there to be stored, or is not stored."""
    seen: set[tuple[str, int]] = set()
    for root in roots(ctx):
        kept = [(each.statement.table, use) for each in root.walks[SUCCESS].effects for use, value in each.columns
                if of_output(value)]  # fmt: skip
        for answer, said in _SAID.items() if kept else ():
            if answer == "other" and not root.walks["empty"].broke:
                continue  # somebody asks whether there is an output at all
            for effect in (each for each in root.walks[answer].effects if _says_done(each)):
                lacking = _lacking(root, answer, {(table, use.column) for table, use in kept})
                module, first, last = _where(ctx, effect, [use for _, use in kept])
                if (module.path, first) in seen or not lacking:
                    continue
                seen.add((module.path, first))
                message = f"a run that succeeded {said} is stored as done: {', '.join(lacking)} stays empty"
                yield finding("no-retry", module, _at(module, first), message, key=f"{effect.statement.table} {answer}",
                              line=first, end=last, weight=BARELY)  # fmt: skip


def _at(module: Module, line: int) -> ir.Node:
    return module.function_at(line) or ir.Other(line, line, [])


def _where(ctx: Context, effect: Effect, kept: list[ColumnUse]) -> tuple[Module, int, int]:
    """The statement where it spells the state, else from the word for done to the column that stays empty near it."""
    statement = effect.statement
    use = [use for use, _ in effect.columns if STATE_COLUMN.search(snake(use.column))][-1]
    spelled = list(done_at(ctx, use))
    module, node = spelled[0] if spelled else (statement.module, statement.node)
    if module is statement.module and statement.line <= node.line <= statement.end:
        return module, statement.line, statement.end
    near = [each.line for each in kept if each.path == module.path and abs(each.line - node.line) <= _BESIDE]
    return module, min([node.line, *near]), max([node.end, *near])


_BESIDE = 15


def _says_done(effect: Effect) -> bool:
    word = words_of(effect)[-1:]
    return not effect.hazy and any(isinstance(each, str) and each.lower() in DONE for each in word)


def _lacking(root: Root, answer: str, kept: set[tuple[str, str]]) -> list[str]:
    """The columns that get what a run made, and nothing after this answer; none where one of them gets something."""
    found = [value for each in root.walks[answer].effects for use, value in each.columns
             if (each.statement.table, use.column) in kept]  # fmt: skip
    if any(value is not None for value in found):
        return []
    return sorted(f"{table}.{name}" for table, name in kept)
