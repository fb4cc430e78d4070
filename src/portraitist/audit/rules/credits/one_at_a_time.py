"""Whether a function lets a member in only when nothing of his is under way: a set that he is in meanwhile. Part of the
rule on credits.

Holds within one process; what a second one does at the same time is not asked here.
"""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.rules.syntax import is_way_out


def lets_one_in(_ctx: Context, func: ir.Func) -> bool:
    """`if user in busy: return` and `busy.add(user)`: who is in it already is turned away."""
    added = {
        ir.dotted(each.func.obj)
        for each in ir.find(func, ir.Call)
        if isinstance(each.func, ir.Attr) and each.func.name in {"add", "set"} and each.args
    }
    added |= {
        ir.dotted(each.target.obj) for each in ir.find(func, ir.Assign) if isinstance(each.target, ir.Index)
    }
    tests = (each for each in ir.find(func, ir.If) if exits(each.then) or any(map(is_way_out, each.then)))
    return any(_held(test.test) & (added - {""}) for test in tests) if added else False


def _held(test: ir.Node) -> set[str]:
    """What a test asks for a member in: `x in busy`, `busy.has(x)`."""
    found = {
        ir.dotted(each.right) for each in ir.find(test, ir.Bin) if each.op == "in" and each.right is not None
    }
    found |= {
        ir.dotted(each.func.obj)
        for each in ir.find(test, ir.Call)
        if isinstance(each.func, ir.Attr) and each.func.name == "has"
    }
    return found
