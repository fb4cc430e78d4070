"""Whether a paid request is made again for the state of its answer, whatever it was that failed: nothing is thrown.

What is made again by a handler of what was thrown is in `repeats`.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import ProviderCall
from portraitist.audit.rules.again.refused import speaks_of_refusal
from portraitist.audit.rules.base import last_name, names_in
from portraitist.audit.rules.syntax import calls_in, is_way_out

STATES = {"ok", "status", "status_code", "is_success"}


def asked_again(loop: ir.Node, call: ProviderCall) -> bool:
    """`for attempt in range(3): answer = post(…); if answer.ok: break`, whatever made the answer a failure."""
    if not isinstance(loop, ir.Loop) or call.sdk or loop.within is not call.func or not names_attempts(loop):
        return False
    up = call.call.parent
    name = last_name(up.target) if isinstance(up, ir.Assign) else ""
    if not name or any(
        isinstance(each, ir.Try) for each in ir.ancestors(call.call) if each in set(ir.walk(loop))
    ):
        return False
    tests = [
        each for each in ir.find(loop, ir.If) if each.line > call.call.line and name in names_in(each.test)
    ]
    done = any(names_in(each.test) & STATES and any(map(is_way_out, each.then)) for each in tests)
    fails = any(isinstance(one, ir.Return) and one.throws for each in tests for one in ir.walk(each))
    return done and not fails and not any(speaks_of_refusal(each) for each in ir.walk(loop))


def begun_again(func: ir.Node, call: ProviderCall) -> bool:
    """`if (!answer.ok && tries < 3) return post(body, tries + 1)` in the function that posts."""
    up = call.call.parent
    name = last_name(up.target) if isinstance(up, ir.Assign) else ""
    if not isinstance(func, ir.Func) or call.sdk or not name or not func.name:
        return False
    for test in ir.find(func, ir.If):
        asked = names_in(test.test)
        again = [each for each in calls_in(test.then) if last_name(each.func) == func.name]
        if again and name in asked and asked & STATES:
            return not any(speaks_of_refusal(each) for each in ir.walk(test.test))
    return False


def names_attempts(loop: ir.Loop) -> bool:
    """Whether a loop counts attempts, by the names in its head."""
    names = " ".join(names_in(loop.target) | names_in(loop.source) | names_in(loop.test))
    return re.search(r"attempt|retr(y|ies)|(?<![a-z])tries|(?-i:Tries)", names, re.I) is not None
