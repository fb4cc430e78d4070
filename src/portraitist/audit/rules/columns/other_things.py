"""Part of the rule on columns that do not fit: rows and files that are looked for by what they were not stored as.

A payment's object by another one's id, one value in two columns, a bucket that is spelled in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements

_OBJECTS = ("customer", "subscription", "payment_intent", "invoice", "charge", "session")
_ALIKE = 0.85
_PUTS = {
    "upload",
    "uploadToSignedUrl",
    "createSignedUploadUrl",
    "create_signed_upload_url",
    "update",
    "move",
    "copy",
}
_TAKES = {
    "remove",
    "download",
    "list",
    "createSignedUrl",
    "create_signed_url",
    "getPublicUrl",
    "get_public_url",
}


def other_things(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    yield from _other_ids(ctx)
    yield from _other_columns(ctx)
    yield from _other_buckets(ctx)


def _object_of(node: ir.Node | None) -> str:
    """Which of a payment's objects an id is of: `session.id`, `subscription.customer`, `customerId`; "" if unknown."""
    name = snake(last_name(node))
    if name == "id" and isinstance(node, ir.Attr):
        name = snake(last_name(node.obj))
    name = re.sub(r"^(stripe_)?(checkout_)?|(_id)$", "", name)
    return name if name in _OBJECTS else ""


def _other_ids(ctx: Context) -> Iterator[Finding]:
    """Rows looked for by a customer's id in a column that every write fills with a session's."""
    kept: dict[str, list[tuple[str, Place]]] = {}
    for each in live_statements(ctx, "write"):
        for use in each.columns if "stripe" in each.module.lowered else ():
            if re.search(r"stripe|charge|payment|customer|subscription", use.column):
                kept.setdefault(f"{each.table}.{snake(use.column)}", []).append(
                    (_object_of(use.node), Place(use.path, use.line))
                )
    for each in live_statements(ctx, "read", "write", "delete") if kept else ():
        for name, value in () if each.insert else each.where_values:
            key, asked = f"{each.table}.{snake(name)}", _object_of(value)
            stored = kept.get(key, [])
            if asked and stored and all(one and one != asked for one, _ in stored):
                message = (
                    f"{key} is compared with the id of a {asked} here and holds that of a {stored[0][0]}"
                )
                yield finding("column-mismatch", each.module, value, message, key=f"{key} {asked}", weight=74,
                              evidence=[stored[0][1]])  # fmt: skip


def _other_columns(ctx: Context) -> Iterator[Finding]:
    """One function that looks for a row by a value in the column of its name, and changes one by it in another."""
    for func, statements in ctx.statements_under.items():
        own = [each for each in statements if each.func is func and not each.insert]
        for each in own:
            wrong = _compared(ctx, each) if each.kind == "write" else None
            if wrong is None or ctx.role_at(each.module, each.node) not in LIVE_ROLES:
                continue
            column, name, node = wrong
            right = next(
                (one for one in own if one.table == each.table and (name, name) in _pairs(one)), None
            )
            if right is not None and right.line != each.line and (column, name) not in _pairs(right):
                key = f"{each.table}.{column}"
                message = f"{key} is compared with {last_name(node)} here, which line {right.line} looks for in {name}"
                yield finding("column-mismatch", each.module, node, message, key=key, weight=66,
                              evidence=[Place(right.module.path, right.line)])  # fmt: skip


def _pairs(statement: Statement) -> set[tuple[str, str]]:
    return {(snake(name), snake(last_name(value))) for name, value in statement.where_values}


def _compared(ctx: Context, statement: Statement) -> tuple[str, str, ir.Node] | None:
    """The only column by which an update selects, where that is one for an id and the value is called a name."""
    asked = [
        (name, node) for name, node in statement.where_values if snake(name) not in ctx.words.owner_columns
    ]
    if len(asked) != 1:
        return None
    name, value = asked[0]
    column, given = snake(name), snake(last_name(value))
    return (column, given, value) if column.endswith("id") and given.endswith("name") else None


def _other_buckets(ctx: Context) -> Iterator[Finding]:
    """`storage.from("generate-images").remove(…)`, where everything is put into `generated-images`."""
    used: dict[str, dict[str, tuple[Module, ir.Call]]] = {"put": {}, "take": {}}
    for module in (each for each in ctx.live if "storage" in each.lowered):
        for call in module.calls({"from", "from_"}):
            holder = call.func.obj if isinstance(call.func, ir.Attr) else None
            deed = call.parent.name if isinstance(call.parent, ir.Attr) else ""
            if last_name(holder) != "storage" or not call.args or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            value = ctx.ev.eval(module, call.args[0])
            name = value.value if isinstance(value, Known) else None
            if not isinstance(name, str):
                return  # some bucket is not known: it may be any
            if deed in _PUTS | _TAKES:
                used["put" if deed in _PUTS else "take"].setdefault(name, (module, call))
    made = "\n".join(each.text for each in ctx.tree.files if each.language == "sql")
    for name, (module, call) in sorted(used["take"].items()):
        like = next(
            (each for each in sorted(used["put"]) if SequenceMatcher(None, name, each).ratio() > _ALIKE), None
        )
        if name not in used["put"] and like is not None and not re.search(rf"'{re.escape(name)}'", made):
            message = f"the bucket {name} is asked here, and everything is put into {like}"
            where, put = used["put"][like]
            yield finding("column-mismatch", module, call, message, key=f"bucket {name}", weight=66,
                          evidence=[Place(where.path, put.line)])  # fmt: skip
