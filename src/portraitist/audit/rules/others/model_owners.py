"""Whose the rows of a Django model are: by a key to a user, or to a row that has such a key. Part of `idor`."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import Place
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.open_ways.open_data import PEOPLE

_KEYS = {"ForeignKey", "OneToOneField"}
_USERS = re.compile(r"(^|\.)(\w*User|AUTH_USER_MODEL|get_user_model)$|^auth\.User$")
_NAMES = {"author", "creator", "profile", "customer", "member", "account", "client"}
"""Names of keys, besides those of the vocabulary, that say whose a row is; a reviewer or an approver owns nothing."""
_SHARED = re.compile(
    r"compan|organi|team|workspace|categor|plan|product|template|style|group|room|event|course", re.I
)
MAX_STEPS = 2


def is_user(node: ir.Node | None) -> bool:
    """Whether an expression names the model of users."""
    return node is not None and _USERS.search(ir.text_of(node) or ir.dotted(node)) is not None


def owner_of(ctx: Context, model: ir.Class, steps: int = 0) -> tuple[str, Place] | None:
    """The field that says whose a row is, `input.user` where it is part of another's, and where that stands."""
    module = ctx.once(_homes).get(model)
    if module is None:
        return None
    fields = [each for each in model.body if isinstance(each, ir.Assign) and isinstance(each.value, ir.Call)]
    keys = [
        (each, each.value)
        for each in fields
        if isinstance(each.value, ir.Call) and last_name(each.value.func) in _KEYS
    ]
    known = ctx.words.owner_columns | _NAMES
    for field, call in keys:
        to = ir.keyword(call, "to") or (call.args[0] if call.args else None)
        name = ir.text_of(to) or (ir.dotted(to) if to is not None else "")
        of_people = _USERS.search(name) or PEOPLE.search(snake(name.rpartition(".")[2]))
        if of_people and snake(last_name(field.target)) in known:
            return last_name(field.target), Place(module.path, field.line)
    for field, call in keys if steps < MAX_STEPS else ():
        to = ir.keyword(call, "to") or (call.args[0] if call.args else None)
        whole = _class_of(ctx, model, to)
        if whole is None or whole is model or _SHARED.search(whole.name):
            continue
        above = owner_of(ctx, whole, steps + 1)
        if above is not None:
            return f"{last_name(field.target)}.{above[0]}", above[1]
    return None


def _class_of(ctx: Context, model: ir.Class, to: ir.Node | None) -> ir.Class | None:
    """The model that a key leads to, by its class or by its name in quotes."""
    module = ctx.once(_homes).get(model)
    named = ir.text_of(to)
    if named is not None:
        own = [each for each in ctx.once(_homes) if each.name == named.rpartition(".")[2]]
        return own[0] if len(own) == 1 else None
    for target in ctx.program.resolve(module, to) if module is not None and to is not None else ():
        if isinstance(target.node, ir.Class):
            return target.node
    return None


def _homes(ctx: Context) -> dict[ir.Class, Module]:
    """The classes of files that define models, with their modules."""
    return {
        cls: module
        for module in ctx.modules
        if module.language == "python" and "models.Model" in module.file.text
        for cls in module.all(ir.Class)
    }
