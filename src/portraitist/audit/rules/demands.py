"""What a comparison in a validator demands: that a value be a literal, because all others are refused.

Part of `arch-mismatch`. Which of several ways is gone by a value, in branches or a `switch`, is no demand.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.syntax import names_error

_COLLECTS = re.compile(r"err|issue|problem|violation|warn|fail|mismatch|invalid", re.I)
_REFUSES = re.compile(
    r"^(abort|reject|fail|invariant|exit|error|warn|throw\w*|raise\w*|add_?(error|issue))$", re.I
)
_ADDS = {"push", "append", "add"}
_NO = re.compile(r"^(error|errors|reason|message|detail)$")


def is_demand(module: Module, test: ir.Bin) -> bool:
    """Whether a comparison with a literal refuses every other value, as far as its own branch shows.

    One whose answer is returned, kept or asserted counts; one of several for the same key is a choice.
    """
    if any(_is_other(each, test) for each in ir.find(test.within or module.body, ir.Bin)):
        return False
    equal = test.op in {"==", "==="}
    inside: ir.Node = test
    for each in ir.ancestors(test):
        if isinstance(each, ir.If | ir.Cond):
            if inside is not each.test:
                return True
            ways = (each.then, each.other)
            denied = ways[1] if equal else ways[0]
            return _denies(
                denied if isinstance(denied, list) else [ir.Return(denied.line, denied.end, denied)]
            )
        if isinstance(each, ir.Bin):
            equal ^= each.op in {"!", "not"}
        elif not isinstance(each, ir.Other):
            return True
        inside = each
    return True


def _is_other(node: ir.Bin, test: ir.Bin) -> bool:
    """Whether a comparison asks for the same key and another literal."""
    literal = node.op in EQUALITY and isinstance(node.right, ir.Lit) and isinstance(test.right, ir.Lit)
    return (
        literal
        and last_name(node.left) == last_name(test.left)
        and isinstance(node.right, ir.Lit)
        and isinstance(test.right, ir.Lit)
        and node.right.value not in {None, "", test.right.value}
    )


def _denies(body: list[ir.Node]) -> bool:
    """Whether a branch throws, gives back a no or an error, or puts one to those that are collected."""
    for each in (one for part in body for one in ir.walk(part)):
        if isinstance(each, ir.Return) and (each.throws or _is_no(each.value)):
            return True
        if isinstance(each, ir.Call):
            name, on = last_name(each.func), ir.dotted(each.func).rpartition(".")[0]
            if _REFUSES.search(name) or (name in _ADDS and _COLLECTS.search(on)):
                return True
        if isinstance(each, ir.Assign) and (_is_no(each.value) or _COLLECTS.search(last_name(each.target))):
            return True
    return False


def _is_no(value: ir.Node | None) -> bool:
    """`false`, `null`, a text, `{ valid: false }`, `{ error: … }`, an answer with a status of 400 or more."""
    if isinstance(value, ir.Lit):
        return value.value is not True
    if isinstance(value, ir.Tmpl):
        return True
    parts = ir.find(value, ir.Prop) if value is not None else ()
    said = any(
        _NO.match(each.key or "") or (isinstance(each.value, ir.Lit) and each.value.value is False)
        for each in parts
    )
    return said or (isinstance(value, ir.Call | ir.Arr) and names_error(value))
