"""Which arm of a choice by the surroundings serves developers' machines alone. Part of `secret-in-repo`.

Branches with a body are looked at in `signing`; what a deployment sets is not known.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name

_LIVE = re.compile(r"^(is_?)?(prod|production|live)$", re.I)
_MACHINE = re.compile(r"^(is_?)?(dev|development|debug|local|local_?dev|test|testing)(_?(mode|env))?$", re.I)
MAX_BELOW = 4
"""So many lines below the setting's name its fallback may stand."""


def on_machines_alone(module: Module, line: int, text: str) -> bool:
    """Whether a text near a line is an arm of `production ? … : …` that production never takes."""
    near = (each for each in module.all(ir.Cond) if line <= each.end and each.line <= line + MAX_BELOW)
    for each in near:
        live = _is_live(module, each.test)
        arms = (each.other, each.then) if live else (each.then, each.other)
        if live is not None and _holds(arms[0], text) and not _holds(arms[1], text):
            return True
    return False


def _holds(arm: ir.Node, text: str) -> bool:
    return any(each.value == text for each in ir.find(arm, ir.Lit))


def _is_live(module: Module, test: ir.Node) -> bool | None:
    """Whether a test holds in production: `NODE_ENV === "production"`, `!isDev`, a variable that was set to such.

    None where it says nothing of it.
    """
    if isinstance(test, ir.Bin):
        if test.op in {"not", "!"}:
            inner = _is_live(module, test.left)
            return None if inner is None else not inner
        word = ir.text_of(test.right) if test.op in EQUALITY and test.right is not None else None
        said = _said(word) if word is not None else None
        return said if said is None or not test.op.startswith("!") else not said
    if isinstance(test, ir.Name):
        values = [each.value for each in reaching(module, test) if not each.keys]
        if len(values) == 1 and isinstance(values[0], ir.Bin):
            return _is_live(module, values[0])
    return _said(last_name(test))


def _said(word: str) -> bool | None:
    return True if _LIVE.match(word) else False if _MACHINE.match(word) else None
