"""What the end of a way behind a failure says of it: told, dealt with, a success, paid or stored all the same.

Words decide only what tells of a failure, and err towards that. The ways themselves are followed in `walk`.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.values import Known
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.failures.quiet import BESIDE
from portraitist.audit.rules.failures.values import ERROR, Given, Sure, Values
from portraitist.audit.rules.failures.walk import End, is_log
from portraitist.audit.rules.state_words import DONE, FAILED
from portraitist.audit.rules.syntax import in_handler, is_express, names_error


def effect_of(ctx: Context, end: End, given: Given) -> tuple[ir.Node | None, str]:
    """What is paid, or stored of it, behind a failure; what is paid behind the provider's is a second start."""
    asks_provider = any(each in ctx.call_at for each in given)
    for each in end.way.done:
        if isinstance(each, ir.If | ir.Loop) or not given.keys().isdisjoint(ir.walk(each)):
            continue
        for call in () if asks_provider else ir.find(each, ir.Call):
            if call in ctx.call_at and ctx.call_at[call].creates:
                return call, f"pays for {ctx.call_at[call].api} all the same"
        for node in ir.walk(each):
            for one in ctx.statements_at.get(node, ()):
                if one.kind == "write" and not BESIDE.search(snake(one.table)):
                    return node, f"goes on to write to {one.table} as if it had not"
    return None, ""


def _stores(ctx: Context, node: ir.Node) -> bool:
    """Whether a statement of a handler writes rows, unless it sets a state of success: what failed is dealt with."""
    for each in ctx.statements_at.get(node, ()):
        if each.kind == "write" and not BESIDE.search(snake(each.table)):
            words = [use.value.value for use in each.columns if isinstance(use.value, Known)]
            if not any(str(word).lower() in DONE for word in words):
                return True
    return False


def answer_of(end: End) -> ir.Node | None:
    """The answer of a route at the end of a way."""
    sent = [each for each in end.way.done if isinstance(each, ir.Call) and is_express(each)]
    node = end.node if isinstance(end.node, ir.Return) and end.node.value is not None else None
    return sent[0] if sent else node


def passes_for_success(end: End, answer: ir.Node, given: Given) -> bool:
    """Whether an answer says nothing of a failure, and holds nothing of which that is not known."""
    if names_error(answer) or any(_says_failure(each) or _deals(each) for each in ir.walk(answer)):
        return False
    values = Values(given, python=False)
    parts = {each for each in ir.walk(answer) if each in given or each is getattr(answer, "value", None)}
    if any(holds_no(values.of(each, end.way.names)) for each in parts):
        return False
    held = variables_in(answer)
    if any(holds_no(value) for name, value in end.way.names.items() if name in held):
        return False
    return not any(each in held and each not in end.way.names for each in end.way.touched)


def holds_no(value: Sure | None) -> bool:
    """Whether a value tells of a failure: an error, a text, a no, or an object or a list with one of these."""
    what = value.value if value is not None else None
    if isinstance(what, dict):
        return any(map(holds_no, what.values())) or any(key in what for key in ("error", "errors"))
    if isinstance(what, tuple):
        return any(map(holds_no, what))
    return what is ERROR or what is False or (isinstance(what, str) and FAILED.match(what) is not None)


def is_told(ctx: Context, end: End) -> bool:
    """Whether something on a way tells of the failure, or deals with it."""
    if end.way.dealt:
        return True
    errors = {name for name, value in end.way.names.items() if value.value is ERROR}
    for each in end.way.done:
        if isinstance(each, ir.Return | ir.If | ir.Loop) or is_log(each):
            continue
        for node in ir.walk(each):
            if _deals(node) or _says_failure(node) or (_stores(ctx, node) and in_handler(node)):
                return True
            if isinstance(node, ir.Name) and node.id in errors and not _in_log(node) and not _is_set(node):
                return True
    return False


def _is_set(name: ir.Name) -> bool:
    """Whether a name is what an assignment sets."""
    up = ir.enclosing(name, ir.Assign)
    return up is not None and name in set(ir.walk(up.target))


_DEALS = re.compile(
    r"fail|error|refund|restore|abort|exit|alert|toast|notify|notification|send_?message|reply|answer|edit_text|warn"
    r"|retry|requeue|nack|reject|compensat|revert|cancel", re.I,
)  # fmt: skip
_COUNTS = re.compile(r"errors|fail|skipped|warnings|rejected", re.I)
_WORDS = re.compile(
    r"err|fail|unavailable|warning|could ?n.t|unable|not.?found|invalid|denied|rejected|missing|❌"
    r"|not (access|avail|ready|config)", re.I,
)  # fmt: skip


def _deals(node: ir.Node) -> bool:
    """A call that by its name deals with a failure, or a variable or a member that by its name counts them."""
    if isinstance(node, ir.Call):
        return not is_log(node) and not _in_log(node) and _DEALS.search(ir.dotted(node.func)) is not None
    return (
        isinstance(node, ir.Name | ir.Attr)
        and _COUNTS.search(last_name(node)) is not None
        and not _in_log(node)
    )


def _says_failure(node: ir.Node) -> bool:
    if isinstance(node, ir.Prop):
        key, value = node.key or "", node.value
        if re.search(r"err|fail|warn|detail", key, re.I) and not (
            isinstance(value, ir.Lit) and not value.value
        ):
            return True
        return key in {"success", "ok"} and isinstance(value, ir.Lit) and value.value is False
    if isinstance(node, ir.Lit) and isinstance(node.value, str):
        return not _in_log(node) and _WORDS.search(node.value) is not None
    return False


def _in_log(node: ir.Node) -> bool:
    return any(is_log(each) for each in ir.ancestors(node) if isinstance(each, ir.Call))
