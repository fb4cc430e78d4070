"""Where a balance is lowered or raised in the code itself, whatever database or file keeps it.

Read from assignments to members (`user.credits -= 1`) and from what an update is handed (`{ $inc: { tokens: -1 } }`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name, trace

CREDIT = re.compile(
    r"credit(?!_?card)|balance|quota|(^|_)tokens_(left|balance|amount|count)|coins|(model|image)_tokens"
    r"|generations?_(left|remaining)|remaining_(generations?|images?|uses)"
    r"|(^|_)(photo|image|picture|avatar|training|model|shot|video)s?_(left|remaining)$",
)
"""Names of balances, in snake case."""
_LOOSE = re.compile(r"(^|_)(tokens?|points|generations|gems|diamonds|stars|crystals|shots|wallet)$")
"""Names that are a balance where something is subtracted from them and written back."""
_USED = re.compile(r"(^|_)(used|spent|consumed|usage)(_|$)")
"""What counts upwards: a sum takes, a difference gives back."""
_UPDATES = re.compile(
    r"^(update\w*|find\w*_?update|set|set_doc|values|upsert|save|merge|find_by_id_and_update|increment|decrement)$"
)
_FLOOR = r"(?:\s*(?i:greatest|least|max|min)\s*\(\s*\d+\s*,)?"
"""What keeps a sum in SQL above nothing: `GREATEST(0, used - 1)`."""
_NEW = re.compile(r"remaining|new|left|after|next|updated", re.I)
MOVED_IN_SQL = re.compile(
    r"\b(?P<column>\w+)\s*=(?:\s*(?:(?:coalesce|greatest|least)\s*)?\((?:\s*\d+\s*,)?)*\s*(?:\w+\.)?(?P=column)\b"
    r"[^;=<>]{0,20}?(?P<sign>[-+])\s*\(?\s*(?P<by>\w+)",
    re.I,
)
"""A column that a statement of SQL raises or lowers, and by what."""
_SIGNS = {"-": "take", "-=": "take", "+": "give", "+=": "give"}
TURNED = {"take": "give", "give": "take", "": ""}


def meaning(column: str, found: str) -> str:
    """What a difference (`take`) or a sum (`give`) of a column means: more used is less left."""
    return TURNED[found] if _USED.search(snake(column)) else found


def is_called_new(value: ir.Node, column: str) -> bool:
    """Whether a value is called what a balance becomes: `left`, `newBalance`; a column's own name says nothing."""
    name = ir.dotted(value)
    whose, _, last = name.rpartition(".")
    return _NEW.search(whose if snake(last) == snake(column) else name) is not None


def sign_of(moved: re.Match[str]) -> str:
    """`take` or `give` by the sign that `MOVED_IN_SQL` met."""
    return _SIGNS[moved["sign"]]


def sign(node: ir.Node) -> str:
    """`take` for a difference or a decrement, `give` for a sum or an increment."""
    if isinstance(node, ir.Bin) and node.right is not None:
        return _SIGNS.get(node.op, "")
    if isinstance(node, ir.Call) and last_name(node.func) == "increment" and len(node.args) == 1:
        return "take" if is_negative(node.args[0]) else "give"
    if isinstance(node, ir.Obj):
        keys = {each.key for each in node.props}
        return "take" if "decrement" in keys else "give" if "increment" in keys else ""
    if isinstance(node, ir.Tmpl | ir.Lit):
        parts = node.parts if isinstance(node, ir.Tmpl) else [node]
        text = "".join(str(each.value) if isinstance(each, ir.Lit) else "x" for each in parts)
        found = re.search(r"\w\W{0,3}\s([-+])\s*\w", text)
        return _SIGNS[found.group(1)] if found is not None else ""
    return ""


@functools.cache
def balance(name: str) -> str:
    """A name in snake case where it may be a balance's, else nothing."""
    plain = snake(name.rpartition(".")[2])
    return plain if CREDIT.search(plain) or _LOOSE.search(plain) else ""


def all_changes(ctx: Context) -> list[tuple[Module, str, str, ir.Node]]:
    """Every change of a balance in live code, asked once: `ctx.once(all_changes)`."""
    return [(module, *each) for module in ctx.live for each in changes(module)]


def changes(module: Module) -> Iterator[tuple[str, str, ir.Node]]:
    """The kind of each change of a balance, the balance's name in snake case, and the place."""
    for assign in module.all(ir.Assign):
        if isinstance(assign.target, ir.Attr | ir.Index) and assign.value is not None:
            name = balance(last_name(assign.target))
            if not name:
                continue
            kind = meaning(name, _SIGNS.get(assign.op, "") or _from_itself(name, assign.value))
            if kind and is_balance(name, kind, assign.target):
                yield kind, name, assign
    for entry in module.all(ir.Prop):
        name = balance(entry.key) if entry.key else ""
        if not name:
            continue
        kind = meaning(name, _entry(name, entry))
        if kind and is_balance(name, kind, entry) and _is_written(entry):
            yield kind, name, entry


def is_balance(name: str, kind: str, node: ir.Node) -> bool:
    """Whether a name is a balance's; a bucket that limits a rate keeps its tokens in itself."""
    own = isinstance(ir.root_of(node), ir.Name) and getattr(ir.root_of(node), "id", "") in {"this", "self"}
    return bool(CREDIT.search(name)) or (kind == "take" and not own and bool(_LOOSE.search(name)))


def _from_itself(name: str, value: ir.Node) -> str:
    """Whether a value is made of what the same name held: `user.credits - cost`."""
    for each in ir.find(value, ir.Bin):
        if each.right is not None and each.op in {"-", "+"} and snake(last_name(each.left)) == name:
            return _SIGNS[each.op]
    return ""


def _entry(name: str, entry: ir.Prop) -> str:
    """What an entry of an update does: `tokens: user.tokens - 1`, `credits: increment(-1)`, `$inc: { credits: -1 }`."""
    around = entry.parent.parent if entry.parent is not None else None
    if isinstance(around, ir.Prop) and around.key == "$inc":
        return "take" if is_negative(entry.value) else "give"
    return _from_itself(name, entry.value) or (
        sign(entry.value) if isinstance(entry.value, ir.Call | ir.Obj) else ""
    )


def is_negative(node: ir.Node) -> bool:
    """Whether a value is written with a minus in front."""
    minus = isinstance(node, ir.Bin) and node.op == "-" and node.right is None
    return minus or (isinstance(node, ir.Lit) and isinstance(node.value, int | float) and node.value < 0)


def _is_written(entry: ir.Prop) -> bool:
    call = ir.enclosing(entry, ir.Call)
    return call is not None and _updates(last_name(call.func))


@functools.cache
def _updates(name: str) -> bool:
    return _UPDATES.search(snake(name)) is not None


def is_one(value: ir.Node | None) -> bool:
    """Whether a value is the number one."""
    return isinstance(value, ir.Lit) and value.value == 1 and value.value is not True


def signs_of(ctx: Context, statement: Statement, use: ColumnUse) -> set[str]:
    """Whether a statement writes a difference of a column (`take`), a sum (`give`), both or neither."""
    module = statement.module
    where = ctx.program.modules.get(use.path, module)
    parts = list(trace(ctx, where, use.node)) if use.node is not None else []
    signs = {sign(inner) for _, part in parts for inner in ir.walk(part)} - {""}
    if isinstance(use.node, ir.Node) and isinstance(use.node.parent, ir.Assign):
        signs |= {_SIGNS.get(use.node.parent.op, "")} - {""}
    if not parts and statement.node is not None:
        text = "\n".join(module.lines[statement.line - 1 : max(statement.end, statement.line)])
        signs = {
            "take" if sign == "-" else "give"
            for sign in re.findall(rf"{re.escape(use.column)}\s*={_FLOOR}[^,;\n]*?([-+])\s*[\w$:%({{?]", text)
        }
    return signs
