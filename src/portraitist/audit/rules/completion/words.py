"""Columns and words that say that work is done, and columns that hold what a training made.

Where a done-word is spelled is found here; what it means is for the other parts of `no-retry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.rules.base import last_name, module_of, trace
from portraitist.audit.rules.state_words import DONE, STATE, word_of

_DONE_FLAG = re.compile(r"(^|_)(trained|ready|completed?|done|finished)$")
_MODEL_COLUMN = re.compile(
    r"(^|_)(lora|weights?|tensor|safetensors|model)(_\w+)?_(url|path|file|uri)$|(^|_)version(_id)?$|(^|_)lora_weights$"
    r"|(^|_)(lora|trained|finetuned?|custom)_(model_)?(id|ref)$"
)


def says_done(column: str) -> bool:
    """Whether a column tells a state, or whether something is done: `training_status`, `is_trained`."""
    return bool(STATE.search(snake(column)) or _DONE_FLAG.search(snake(column)))


def is_done(use: ColumnUse) -> bool:
    """Whether a column is set to a word for done, or a flag to true."""
    if isinstance(use.value, Known) and use.value.value is True:
        return _DONE_FLAG.search(snake(use.column)) is not None
    return is_word(word_of(use.value, use.node))


def is_word(value: object) -> bool:
    """Whether something is a word for done."""
    return str(value).lower() in DONE


def holds_model(ctx: Context, use: ColumnUse) -> bool:
    """Whether a column is one for what a training made."""
    return names_model(ctx, use.column)


def names_model(ctx: Context, column: str) -> bool:
    """The same by a column's name."""
    name = snake(column)
    return name in ctx.words.model_columns or _MODEL_COLUMN.search(name) is not None


def gets_model(ctx: Context, use: ColumnUse) -> bool:
    """Whether a column gets what a training made, by its own name, or by that of what is put into it."""
    if holds_model(ctx, use):
        return True
    if use.node is None or not _ABOUT_MODEL.search(snake(use.column)):
        return False
    parts = trace(ctx, module_of(ctx, use), use.node)
    return any(_MADE.search(last_name(part)) for _, part in parts if isinstance(part, ir.Attr | ir.Index))


_ABOUT_MODEL = re.compile(r"model|lora|weights|version|tensor")
_MADE = re.compile(r"^(version|weights|lora_?weights|lora)$", re.I)


def done_at(ctx: Context, use: ColumnUse) -> Iterator[tuple[Module, ir.Node]]:
    """Where the word for done that a column may get is spelled: a branch, an assignment, an entry of a map."""
    for module, node in trace(ctx, module_of(ctx, use), use.node):
        if isinstance(node, ir.Obj):
            named = (each.value for each in node.props if each.key == "succeeded")
            yield from ((module, each) for each in named if is_word(_word(ctx, module, each)))
        elif (
            isinstance(node, ir.Lit | ir.Attr)
            and not _is_compared(node)
            and is_word(_word(ctx, module, node))
        ):
            yield module, node


def _word(ctx: Context, module: Module, node: ir.Node) -> str:
    return word_of(ctx.ev.eval(module, node) if isinstance(node, ir.Lit | ir.Attr) else None, node)


def _is_compared(node: ir.Node) -> bool:
    up = node.parent
    return isinstance(up, ir.Bin) and up.op not in {"or", "and"}
