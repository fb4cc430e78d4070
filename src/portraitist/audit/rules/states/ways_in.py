"""The ways in that lead to a function: what the rules on states ask of who sets one and who ends it.

A way in is the handler of a route, of a timer or a queue, what a library calls back, or what nothing in the repository
calls. A call by a name that is computed is not seen.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.rules.base import last_name

MOST = 300
"""How many functions are looked at upwards from one that writes."""
_CALLED_BACK = re.compile(
    r"^(on[A-Z]?\w*|once|command|action|hears|process|subscribe|addEventListener|setInterval|schedule|every|cron|use"
    r"|handle\w*|createFunction|task|add_handler|Worker|register\w*)$"
)


def tops(ctx: Context, func: ir.Func | None) -> frozenset[ir.Func] | None:
    """The ways in by which a function is reached; None where they are not known, or too many to follow."""
    return ctx.once(_tops, func) if func is not None else None


def _tops(ctx: Context, func: ir.Func) -> frozenset[ir.Func] | None:
    found: set[ir.Func] = set()
    seen, pending = {func}, [func]
    while pending:
        each = pending.pop()
        above: set[ir.Func | None] = {one.call.within for one in ctx.program.callers.get(each, ())}
        entry = each in ctx.handled_by or _is_called_back(each)
        if not entry:
            above |= {node.within for _, node in ctx.reached.references.get(each, ())}
            above |= {each.within} - {None}
        above.discard(each)
        if entry or not above or None in above:
            found.add(each)
        new = {one for one in above if one is not None} - seen
        seen |= new
        pending.extend(new)
        if len(seen) > MOST:
            return None
    return frozenset(found)


def _is_called_back(func: ir.Func) -> bool:
    """Whether a library is handed a function to call when something happens."""
    around = func.parent
    if isinstance(around, ir.Call) and func in around.args:
        return _CALLED_BACK.match(last_name(around.func)) is not None
    return bool(func.decorators)
