"""Part of the rule on credits: the ways out of a function behind a take (followed in `exits`).

Credits count as kept on a way out by which the work fails and before which nothing on that way gives them back. What
a wrapper or a framework does about an error is not seen; a helper that may give back is believed to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name
from portraitist.audit.rules.credits.changes import CREDIT, balance, sign
from portraitist.audit.rules.credits.given_back import given_back_later
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.credits.steps import Step, answers_of
from portraitist.audit.rules.exits import WaysOut
from portraitist.audit.rules.gravity import BARELY

_BACK = re.compile(
    r"refund|rollback|restore|release|give_?back|undo|unreserve|compensat|revert|cancel_\w*(hold|reserv)"
    r"|void_\w*(hold|reserv|charge)|settle|reconcile"
)
"""Names, in snake case, of what may give back."""
_NO_CREDIT = re.compile(
    r"insufficient|not_?enough|no_?(credit|token)|payment_?required|quota|limit|content_?policy|policy_?violation",
    re.I,
)
_REFUSES = {402, 429}


@dataclass(slots=True)
class _Takes(WaysOut):
    """One function behind one take: what gives back there is what undoes it."""

    def undoes(self, node: ir.Node) -> bool:
        """Whether something below a node gives credits back, or by its name may."""
        if WaysOut.undoes(self, node):
            return True
        calls = (snake(ir.dotted(each.func)) for each in ir.find(node, ir.Call))
        if any(_BACK.search(each) for each in calls):
            return True
        return any(
            balance(each.key or "") and sign(each.value) == "give" for each in ir.find(node, ir.Prop)
        ) or any(balance(last_name(each.target)) and each.op == "+=" for each in ir.find(node, ir.Assign))

    def asks_for_it(self, names: set[str]) -> bool:
        """Whether a test asks for credits: who had nothing to take is not robbed."""
        return bool(self.told & names) or any(CREDIT.search(snake(each)) for each in names if " " not in each)

    def is_excused(self, codes: set[int], said: str) -> bool:
        """Whether an answer says that there were not enough credits."""
        return bool(codes & _REFUSES) or _NO_CREDIT.search(said) is not None


MOST = 4
"""So many ways out of one function are told."""
FAR = 60
"""A stretch from a take to what may fail behind it is told up to so many lines."""


def kept(ctx: Context, ledger: Ledger, flow: Flow, steps: list[Step], take: Step) -> Iterator[Finding]:
    """The ways out of the function that takes credits before the paid call on which they are kept.

    Nothing is said where a caller on the way may give back. Where the way gives nothing back at all, that is told at
    the take, and its ways out in the JSON.
    """
    callers = flow.funcs[: flow.funcs.index(take.func)] if take.func in flow.funcs else ()
    if any(each.kind == "give" for func in callers for each in ledger.events(func)):
        return
    sure = any(each.event.kind == "give" for each in steps)
    if not sure and given_back_later(ctx, ledger, flow) is not None:
        return
    gives = {
        each.node
        for each in ledger.events(take.func)
        if each.kind == "give" and each.node is not take.event.node
    }
    told = answers_of(take)
    weight = 47 if sure else BARELY
    ways = _Takes(ctx, take.func, take.event.node, gives, told).run()
    if not _is_stored(ctx, take):
        ways = [each for each in ways if each.how in {"answered", "caught"}]
    for each in ways[:MOST]:
        line, end = each.node.line, each.end
        if each.how == "uncaught" and each.end - take.event.line <= FAR:
            line = take.event.line
        message = _SAID[each.how].format(line=each.cause.line, purpose=flow.call.purpose)
        taken = (Place(take.module.path, take.event.line), Place(take.module.path, each.cause.line))
        yield finding("credit-before-check", take.module, each.node, message, key=f"{each.how} {flow.call.api}",
                      weight=weight, line=line, end=end, evidence=taken)  # fmt: skip
        weight = BARELY


def _is_stored(ctx: Context, take: Step) -> bool:
    """Whether an error behind a take leaves it: a session of a Python mapper forgets what nothing has committed."""
    if take.module.language != "python":
        return True
    funcs = [take.func]
    if isinstance(take.event.node, ir.Call):
        funcs += helpers_behind(ctx, take.event.node)
    texts = ["\n".join(ctx.program.module_of[each].lines[each.line - 1 : each.end]) for each in funcs]
    return any(_COMMITS.search(each) for each in texts[1:]) or not any(
        _SESSIONS.search(each) for each in texts
    )


_COMMITS = re.compile(r"\bcommit\s*\(|\.execute\(\s*\)")
_SESSIONS = re.compile(r"\b(db|session|s|sess)\.(add|flush|commit|query|execute|get)\b|AsyncSession|get_db")
_SAID = {
    "answered": "the credits taken before the paid {purpose} are kept on this way out",
    "thrown": "the credits taken before the paid {purpose} are kept when this is thrown",
    "caught": "an error of line {line} ends here, and the credits taken before the paid {purpose} are kept",
    "uncaught": "the credits taken before the paid {purpose} are kept when line {line} throws: nothing around it gives"
    " them back",
}
