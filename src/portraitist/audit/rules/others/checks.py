"""What counts as a look at whose a row is: comparisons with an owner, helpers told who asks. Part of `idor`."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.rules.base import last_name, names_in
from portraitist.audit.rules.syntax import COMPARISONS

_PAID_FOR = {"metadata", "client_reference_id", "clientReferenceId"}
"""Where a payment says what it was for."""


def names_of_ids(statement: Statement) -> set[str]:
    """The variables by which a statement selects."""
    return {each.id for _, node in statement.where_values for each in ir.find(node, ir.Name)}


def _names_of_rows(func: ir.Func, ids: set[str]) -> set[str]:
    """The variables of a function that are made by a call with one of these: `row = find({ id })`."""
    return {
        each.target.id
        for each in ir.find(func, ir.Assign)
        if isinstance(each.target, ir.Name)
        and each.value is not None
        and any(variables_in(one) & ids for one in ir.find(each.value, ir.Call))
    }


def _checks_row(ctx: Context, call: ir.Call, names: set[str]) -> bool:
    """`check(row, user_id)`: a function of the repository that is handed a row, and refuses by a look at its owner."""
    if len(call.args) < 2 or not any(isinstance(each, ir.Name) and each.id in names for each in call.args):
        return False
    return any(
        isinstance(each.node, ir.Func) and ctx.once(_refuses_by_owner, each.node)
        for each in ctx.program.functions_called(call)
    )


def _refuses_by_owner(ctx: Context, func: ir.Func) -> bool:
    """Whether a function leaves where an owner is another, or answers with that comparison."""
    tests = (each.test for each in ir.find(func, ir.If) if exits(each.then))
    answers = (each.value for each in ir.find(func, ir.Return) if each.value is not None)
    return any(tests_owner(ctx, one) for each in (*tests, *answers) for one in ir.find(each, ir.Bin))


def tests_payment(test: ir.Bin, ids: set[str]) -> bool:
    """`session.metadata?.projectId === projectId`: the id is the one that was paid for."""
    names = names_in(test) if test.op in EQUALITY else set()
    return bool(names & _PAID_FOR and names & ids)


def is_told_owner(ctx: Context, call: ir.Call) -> bool:
    """`ensure_own(row.user_id, current_user)`: a helper that is given the row's owner beside who is asking."""
    owners = ctx.words.owner_columns - {"user", "uid"}
    if SETS_OFF.match(last_name(call.func)):
        return False
    told = [isinstance(each, ir.Attr) and snake(each.name) in owners for each in call.args]
    return len(told) > 1 and any(told) and not all(told)


_ACCOUNT_ID = re.compile(r"\b(user|owner|author|customer|account|member|profile)\.(id|_id|uid|email)$")
_NAMES_OWNER = re.compile(r"own(s|er|ed|ership)|belongs|access|permission|member|authori[sz]", re.I)
_ASKER = re.compile(r"user|profile|session|member|owner|account|auth|\buid\b", re.I)
_LOOKS_AT_NOTHING = {"log", "error", "info", "warn", "json", "eq", "and", "where"}
"""Methods that are given an id beside other things, and ask nobody."""
WHO_ASKS = re.compile(r"user|owner|session|account|member|auth|profile|customer|(?<!u)uid", re.I)
"""Names for whoever asks; a UUID may be anything's."""
SETS_OFF = re.compile(
    r"(process|start|run|send|enqueue|queue|schedule|log|track|notify|emit|record|upload|generate|dispatch|trigger)"
    r"(?!(?-i:[a-z]))(?!\w*(owned|check|verif|access))",
    re.I,
)
"""Helpers that are told who asks to work for them, and look at nothing."""


_MAKES_NAMES = re.compile(
    r"paths?(\.|$)|(file|object|storage|cache|bucket|s3)_?(key|name|url)s?(\.|$)|_url$|Url$", re.I
)
"""Helpers that make the name of a place of somebody's, and look at nothing."""


def tests_owner(ctx: Context, test: ir.Bin) -> bool:
    """`row.user_id != user.id`: whether a comparison asks whose something is, by the names in it."""
    if test.op not in COMPARISONS:
        return False
    sides = [ir.dotted(each) for each in (test.left, test.right) if isinstance(each, ir.Attr)]
    if len(sides) == 2 and (all(_ACCOUNT_ID.search(each) for each in sides) or _is_of_asker(*sides)):
        return True
    return bool({snake(one) for one in names_in(test)} & (ctx.words.owner_columns - {"user", "uid"}))


def _is_of_asker(one: str, other: str) -> bool:
    """`task.workspace_id != membership.workspace_id`: the same of the row and of whoever asks."""
    (row, _, key), (asker, _, own) = one.rpartition("."), other.rpartition(".")
    return (
        key == own and key.lower().endswith("id") and row != asker and any(map(WHO_ASKS.search, (row, asker)))
    )


def asks_for_own(call: ir.Call, ids: set[str]) -> bool:
    """`getJobForUser(id, user.id)`: a helper that is given both the id and who is asking."""
    arguments = [*call.args, *([call.kw] if call.kw else [])]
    given = [variables_in(each) for each in arguments]
    name = last_name(call.func)
    if SETS_OFF.match(name) or _MAKES_NAMES.search(ir.dotted(call.func)):
        return False
    if isinstance(call.func, ir.Attr) and call.func.name in _LOOKS_AT_NOTHING:
        return False
    if _NAMES_OWNER.search(name) and any(each & ids for each in given):
        return True
    asked = any(_ASKER.search(" ".join(each)) and not each & ids for each in given)
    return len(given) > 1 and any(each & ids for each in given) and asked


def is_narrowed(ctx: Context, statement: Statement) -> bool:
    """`query = query.eq("user_id", who)` of a query that was begun without; where only sometimes, `loosely` tells."""
    held, func = ir.enclosing(statement.node, ir.Assign), statement.func
    names = variables_in(held.target) if held is not None and held.within is func else set()
    calls = ir.find(func, ir.Call) if func is not None and names else ()
    return any(
        isinstance(call.func, ir.Attr)
        and call.func.name in {"eq", "match", "filter"}
        and isinstance(call.func.obj, ir.Name)
        and call.func.obj.id in names
        and snake((ir.text_of(call.args[0]) or "") if call.args else "") in ctx.words.owner_columns
        for call in calls
    )


def is_checked(ctx: Context, func: ir.Func, ids: set[str], line: int = 0) -> bool:
    """Whether a function asks a helper whose something is, by an id, an owner or the row itself; before a line."""
    before = [call for call in ir.find(func, ir.Call) if not line or call.line < line]
    if any(asks_for_own(call, ids) or is_told_owner(ctx, call) for call in before):
        return True
    made = _names_of_rows(func, ids) if before else set()
    return bool(made) and any(_checks_row(ctx, call, made) for call in before)
