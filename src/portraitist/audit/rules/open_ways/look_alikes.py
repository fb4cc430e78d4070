"""What only sounds like who asks: headers that are written, sessions of a database or a client. Of `open_data`."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.rules.base import last_name

_WORD_FOR_WHO = re.compile(
    r"auth|cookie|user|session|token|key|secret|sign|device|client|guest|visitor|member", re.I
)


def is_read_for_more(ctx: Context, node: ir.Node) -> bool:
    """Whether headers are only handed to a helper of the repository that reads nothing of who asks."""
    call = node.parent
    if not isinstance(call, ir.Call) or node not in call.args or not isinstance(node, ir.Attr):
        return False
    helpers = [each.node for each in ctx.program.functions_called(call) if isinstance(each.node, ir.Func)]
    return (
        bool(helpers)
        and not any(
            _WORD_FOR_WHO.search(each.value)
            for func in helpers
            for each in ir.find(func, ir.Lit)
            if isinstance(each.value, str)
        )
        and not any(
            _WORD_FOR_WHO.search(ir.dotted(each.func)) for func in helpers for each in ir.find(func, ir.Call)
        )
    )


_MAKES_STORE = re.compile(
    r"session_?(local|maker|scope|factory)|(client|get_?(db_?)?|async_?|db_?)session|requests\.session|^session$|begin$|inferencesession$",
    re.I,
)
_OPENS = re.compile(r"session_?(local|maker|factory|scope)?$|^(create|open|make|new)_?session$", re.I)
_OF_DATABASES = re.compile(r"^(sqlalchemy|sqlmodel|databases|gino|ormar)\b")


def opens_database(ctx: Context, call: ir.Call) -> bool:
    """Whether `get_session()` is a helper of the repository that opens a database and is told nothing of the request.

    Its file imports a database's library, and what it gives back or yields comes of a call that makes a session.
    """
    made = [each for each in ctx.program.functions_called(call) if isinstance(each.node, ir.Func)]
    return bool(made) and all(
        each.module is not None
        and each.module.language == "python"
        and isinstance(each.node, ir.Func)
        and not each.node.params
        and any(_OF_DATABASES.match(one.module) for one in each.module.all(ir.Import))
        and any(_OPENS.search(last_name(one.func)) for one in ir.find(each.node, ir.Call))
        for each in made
    )


_PAYMENT = re.compile(
    r"(^|\.)(data\.object|(checkout|billing_?[pP]ortal)\.sessions?\.(async_)?(retrieve|create))$"
)
"""A session of a payment's service says nothing of who asks, where nothing in it is tested either."""


def _is_tested(func: ir.Func, name: str) -> bool:
    """Whether a function tests a variable, or something in it: what was paid for may be what is changed."""
    return any(one.id == name for each in ir.find(func, ir.If) for one in ir.find(each.test, ir.Name))


def own_things(func: ir.Func) -> set[str]:
    """Names that only sound like who asks: headers written here, sessions of a database, a client or a checkout."""
    found: dict[str, bool] = {}
    for each in ir.find(func, ir.Assign):
        if isinstance(each.target, ir.Name) and each.target.id in {"headers", "session"}:
            made = each.value
            store = isinstance(made, ir.Call) and _MAKES_STORE.search(ir.dotted(made.func)) is not None
            paid = made is not None and _PAYMENT.search(ir.dotted(made)) is not None
            own = isinstance(made, ir.Obj) or store or (paid and not _is_tested(func, each.target.id))
            found[each.target.id] = found.get(each.target.id, True) and own
    return {name for name, own in found.items() if own}
