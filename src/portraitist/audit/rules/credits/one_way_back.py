"""Part of the rule on credits: work that fails in one way gets its credits back, and in another it does not.

Judged within one function, where no way to a paid call is seen: the work is done by a queue or a service. That the two
amounts are one is told by how they are spelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in
from portraitist.audit.rules.credits.effects import Effect, done_in
from portraitist.audit.rules.credits.ledger import named_kinds
from portraitist.audit.rules.syntax import in_handler

_GIVES = re.compile(r"refund|restore|release|give_?back|undo|compensat|revert|rollback|return_")
_BROAD = {"Exception", "BaseException"}


def one_way_back(ctx: Context) -> Iterator[Finding]:
    """A `try` behind a take in which a test gives the same back, while its handler for any error keeps it.

    Not where the handler throws on, nor where what follows it may give back.
    """
    paid = {func for flow in ctx.flows for func in flow.funcs}
    for module in ctx.live:
        names = {each for each in module.callees if _GIVES.search(snake(each)) or _may_give(each)}
        calls = module.calls(names) if names else []
        funcs = [each.within for each in calls if "give" in named_kinds(each) and not in_handler(each)]
        for func in dict.fromkeys(funcs):
            if func is not None and func not in paid and ctx.role_at(module, func) in LIVE_ROLES:
                yield from _of_function(ctx, module, func)


def _may_give(name: str) -> bool:
    return re.match(r"(add|credit|increment|increase|top_?up|grant)", snake(name)) is not None


def _of_function(ctx: Context, module: Module, func: ir.Func) -> Iterator[Finding]:
    takes, gives = list(done_in(ctx, func, "take")), list(done_in(ctx, func, "give"))
    for attempt in ir.find(func, ir.Try) if takes else ():
        handler = attempt.handlers[-1] if attempt.handlers and attempt.within is func else None
        give = next((each for each in gives if _under_test(attempt, each.node)), None)
        if handler is None or give is None or not _is_broad(module, handler) or in_handler(attempt):
            continue
        take = next((each for each in takes if each.node.end < attempt.line and _alike(each, give)), None)
        last = handler.end
        later = any(each.node.line >= handler.line for each in gives) or _gives_by_name(attempt, func)
        throws = any(each.throws for part in handler.body for each in ir.find(part, ir.Return))
        if take is None or later or throws or not _is_kept(module, func, take.node, attempt):
            continue
        message = (
            f"an error ends here and keeps the credits that line {take.node.line} took; line {give.node.line} gives "
            "them back where the work fails otherwise"
        )
        proof = [Place(module.path, take.node.line), Place(module.path, give.node.line)]
        yield finding("credit-before-check", module, handler, message, key=f"one way {take.name}", weight=48,
                      end=last, evidence=proof)  # fmt: skip


def _under_test(attempt: ir.Try, node: ir.Node) -> bool:
    """Whether something stands in an attempt's own body, under a test."""
    tested = False
    below = node
    for each in ir.ancestors(node):
        if each is attempt:
            return tested and below in attempt.body
        if isinstance(each, ir.Func | ir.Handler):
            return False
        tested = tested or isinstance(each, ir.If)
        below = each
    return False


def _alike(take: Effect, give: Effect) -> bool:
    """Whether both name one amount by the same words: `settings.image_cost`."""
    said = {text for each in take.amounts if (text := _spelled(each))}
    return bool(said & {_spelled(each) for each in give.amounts})


def _spelled(node: ir.Node) -> str:
    if isinstance(node, ir.Lit):
        return str(node.value) if isinstance(node.value, int) and node.value > 0 else ""
    return ir.plain_dotted(node)


def _is_broad(module: Module, handler: ir.Handler) -> bool:
    if handler.catches is None or module.language == "javascript":
        return True
    return bool(names_in(handler.catches) & _BROAD)


def _gives_by_name(attempt: ir.Try, func: ir.Func) -> bool:
    """Whether anything in an attempt's handlers, in what follows in any case, or behind it is named for a refund."""
    after = [each for each in ir.find(func, ir.Call) if each.line > attempt.end]
    parts = [*attempt.handlers, *attempt.final]
    inside = [each for part in parts for each in ir.find(part, ir.Call)]
    return any(_GIVES.search(snake(ir.dotted(each.func))) for each in (*inside, *after))


_SESSION = re.compile(r"\bsession\b|\bdb\b")


def _is_kept(module: Module, func: ir.Func, take: ir.Node, attempt: ir.Try) -> bool:
    """Whether a take is stored before the attempt; a session of a Python mapper forgets what nothing commits."""
    text = "\n".join(module.lines[take.line - 1 : attempt.line])
    mapped = module.language == "python" and _SESSION.search(
        "\n".join(module.lines[func.line - 1 : take.end])
    )
    return not mapped or re.search(r"\bcommit\s*\(", text) is not None
