"""Part of the rule on credits: what is counted, given or taken for what a row said when it was read.

How such tests and writes are found is in `races`; balances that are written back are in `raced`. A helper that is told
for which event or work it gives may keep itself to once, and is passed over where its code cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.calls import arguments, returns
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.again.asked import may_collide
from portraitist.audit.rules.base import finding, helpers_behind, helpers_of, names_in
from portraitist.audit.rules.credits.changes import sign, signs_of
from portraitist.audit.rules.credits.ledger import Event, Ledger
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.races.outcomes import meets, outcome
from portraitist.audit.rules.races.rows import asks_itself, column_in, is_alone, origin
from portraitist.audit.rules.races.snapshots import Snapshot, firsts, snapshots

_DEEDS = {"give": "gives credits", "take": "takes credits"}
_FOR = re.compile(
    r"(job|generation|prediction|training|order|task|image|video|reference|request|row|record|event|session|payment"
    r"|transaction|invoice|charge|purchase)_?(id|ref|key)$|idempot"
)
_LOGS = re.compile(r"console\.|log(ger|ging)?\b|print|warn|invariant|assert|Error$")
_TRIES = re.compile(r"retr|attempt")
MAX_STRETCH = 40
"""So many lines may lie between a test and what it decides that are told as one."""


def decided(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """Limits, marks and refunds that two requests at once both pass: a test of a row, then a blind write."""
    found = ctx.once(snapshots)
    if not found:
        return
    paid = {func for flow in flows for func in flow.funcs}
    counting = {*paid, *(one for func in paid for one in helpers_of(ctx, func))}
    told: set[ir.Node] = set()
    for each in firsts([one for one in found if not one.asked]):
        column = snake(each.point.use.column)
        event = _event(ctx, ledger, each)
        if event is not None:
            if event.node not in told:
                yield _found(each, f"each {_deed(ctx, event)}", event.node)
            told.add(event.node)
        elif (gift := _said_yes(ctx, ledger, each)) is not None:
            yield _found(
                each, f"each is told yes, and line {gift.line} gives credits for that", each.point.node
            )
        elif (
            each.moves
            and each.point.func in counting
            and not (_TRIES.search(column) or _is_asked_again(each, column))
        ):
            yield _found(each, "each is let through for what is left to one", each.point.node)


def _is_asked_again(each: Snapshot, column: str) -> bool:
    """Whether the number is tested once more behind the write, by what that answered: too much is put back then."""
    tests = (one for one in ir.find(each.point.func, ir.If) if one.line > each.point.node.end)
    return any(column == snake(name) for one in tests for name in names_in(one.test))


def _deed(ctx: Context, event: Event) -> str:
    """What an event does, in words; of a statement the columns say enough."""
    for each in ctx.statements_at.get(event.node, ()):
        moved = next((use.column for use in each.columns if signs_of(ctx, each, use)), "")
        return f"changes {each.table}.{moved}"
    return _DEEDS[event.kind]


def _found(each: Snapshot, deed: str, effect: ir.Node) -> Finding:
    below = effect.within is not each.point.func and effect.within is each.point.write.func
    module, node = (
        (each.point.write.module, each.point.write.node) if below else (each.point.module, each.point.node)
    )
    first, last = min(effect.line, node.line), max(effect.end, node.end)
    if last - first > MAX_STRETCH:
        first, last = effect.line, effect.end
    elif last - each.test.line <= MAX_STRETCH and not below:
        first = each.test.line
    message = (
        f"{each.name} is tested as it was read (line {each.read}) and then written on no condition: of requests side by"
        f" side that read it first {deed}"
    )
    tested = Place(each.point.module.path, each.test.line)
    return finding("credit-before-check", module, effect if below else each.test, message,
                   key=f"decided {each.name}", weight=BARELY, line=first, end=last, evidence=[tested])  # fmt: skip


def _event(ctx: Context, ledger: Ledger, each: Snapshot) -> Event | None:
    """What is given or taken as the test allows, by nothing that may ask by itself."""
    point = each.point
    for event in _below(ctx, ledger, each) if point.node is not point.write.node else ():
        return event
    for event in ledger.events(point.func):
        if event.kind not in _DEEDS or not each.guards(event.node) or _overlaps(event, each):
            continue
        if not meets(event.node, each.point.node) or _is_numbered(ctx, each, event):
            continue
        statements = ctx.statements_at.get(event.node, ())
        if statements:
            own = (each.point.write.table, each.point.use.column)
            uses = [(one, use) for one in statements if not one.insert for use in one.columns]
            uses = [(one, use) for one, use in uses if (one.table, use.column) != own]
            if not any(signs_of(ctx, one, use) for one, use in uses):
                continue  # what is set to a value of its own stays the same when it is set twice
        elif isinstance(event.node, ir.Call) and may_ask(ctx, event.node):
            continue
        return event
    return None


def _below(ctx: Context, ledger: Ledger, each: Snapshot) -> Iterator[Event]:
    """What the helper that holds the write gives or takes beside it, where it tests the column by itself nowhere."""
    write = each.point.write
    if write.func is None or any(_asks_for(each, test) for test in ir.find(write.func, ir.If)):
        return
    for event in ledger.events(write.func):
        call = event.node
        if event.kind not in _DEEDS or not isinstance(call, ir.Call) or ctx.statements_at.get(call):
            continue
        if meets(call, write.node) and not may_ask(ctx, call):
            yield event


def _asks_for(each: Snapshot, test: ir.If) -> bool:
    """Whether a helper tests the column of the row that it writes."""
    write = each.point.write
    keys = [value for _, value in write.where_values]
    roots = [origin(write.module, one) for one in keys or ir.find(write.node, ir.Name)]
    names = {one.id for one in roots if isinstance(one, ir.Name)}
    asked = (found for part in ir.walk(test.test) if (found := column_in(write.module, part)) is not None)
    name = snake(each.point.use.column)
    return any(
        isinstance(row, ir.Name) and row.id in names and snake(column) == name for row, column in asked
    )


def _is_numbered(ctx: Context, each: Snapshot, event: Event) -> bool:
    """Whether a row that names the work is put in before, of which the database may allow one only."""
    for one in ctx.statements_under.get(each.point.func, ()):
        keyed = one.insert and any(_FOR.search(snake(use.column)) for use in one.columns)
        if keyed and each.guards(one.node) and one.end < event.line and may_collide(ctx, one):
            return True
    return False


def _overlaps(event: Event, each: Snapshot) -> bool:
    """Whether an event is the write itself, unless that moves a balance by what the database holds."""
    write = each.point.write
    if event.node is not each.point.node and event.line != each.point.node.line:
        return False
    return not any(
        isinstance(use.node, ir.Obj) and sign(use.node) for use in write.columns if use is not each.point.use
    )


def may_ask(ctx: Context, call: ir.Call) -> bool:
    """Whether what a call runs may keep itself to once: it locks, or is told for which work and hands that on."""
    helpers = helpers_behind(ctx, call)
    if any(asks_itself(ctx, each) for each in helpers):
        return True
    return _is_told(call) and (not helpers or any(_uses(ctx, each) for each in helpers))


def _is_told(node: ir.Node) -> bool:
    """Whether a call names the work or the event that it is for."""
    keys = (each.key for each in ir.find(node, ir.Prop) if each.key)
    ids = (ir.plain_dotted(each).replace(".", "_") for each in ir.find(node, ir.Attr) if each.name == "id")
    return any(_FOR.search(snake(each)) for each in (*names_in(node), *keys, *ids) if " " not in each)


def _uses(ctx: Context, func: ir.Func) -> bool:
    """Whether a helper asks by the work's id, keeps it, or hands it to something else than a log."""
    for each in ctx.statements_under.get(func, ()):
        if any(_FOR.search(snake(one)) for one in (*each.where, *(use.column for use in each.columns))):
            return True
    calls = (each for each in ir.find(func, ir.Call) if not _LOGS.search(ir.dotted(each.func)))
    return any(_is_told(one) for each in calls for one in arguments(each))


def _said_yes(ctx: Context, ledger: Ledger, each: Snapshot) -> Event | None:
    """What a caller gives where a helper has set its mark: `if (row.done) return false; row.done = true`."""
    func = each.point.func
    answers = [one for one in returns(func) if isinstance(one, ir.Lit) and isinstance(one.value, bool)]
    yes = [one for one in answers if one.value and each.guards(one) and one.line >= each.point.node.line]
    if not yes or each.moves or not any(not one.value for one in answers):
        return None
    for site in ctx.program.callers.get(func, ()):
        caller = site.call.within
        test = ir.enclosing(site.call, ir.If)
        if (
            caller is None
            or test is None
            or site.call not in set(ir.walk(test.test))
            or is_alone(ctx, caller)
        ):
            continue
        for event in ledger.events(caller):
            if event.kind == "give" and outcome(test, event.node) is not None:
                return event
    return None
