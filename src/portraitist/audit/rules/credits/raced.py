"""Part of the rule on credits: a balance that is read, lowered or raised in memory and written back.

Judges differences and sums that the code computes; those that the database computes (`credits = credits - 1`, `F`,
`decrement`) are whole, and so is every mutation of Convex. A lock by a name that is not known is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements
from portraitist.audit.rules.credits.changes import CREDIT, all_changes, balance, is_balance, meaning
from portraitist.audit.rules.credits.handed import handed_in
from portraitist.audit.rules.credits.unmatched import unmatched
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import outermost

_LOCKED = re.compile(
    r"transaction|atomic|(^|_)(un)?lock(s|ed|ing)?(_|$)|mutex|semaphore|for_update|serializable|(^|_)watch$"
)
_LOCK = re.compile(r"(^|_)(lock|mutex|semaphore)$|[a-z](Lock|Mutex|Semaphore)$")
_READS = re.compile(r"^(get|fetch|find|load|read|select|query|check|ensure|lookup|require)", re.I)


def raced(ctx: Context) -> Iterator[Finding]:
    """A write of a balance whose new value is what was read before less a number, with no lock and no condition.

    Also a document that is lowered and saved (`user.credits -= 1`, `user.save()`), and a condition whose outcome nobody
    reads (`unmatched`).
    """
    yield from unmatched(ctx)
    yield from _saved(ctx)
    for statement in live_statements(ctx, "write"):
        whole = any(each.source == "convex" for each in ctx.tables.get(statement.table, ()))
        for each in statement.columns if not whole else ():
            name = balance(each.column)
            use = each if not statement.insert else _replaced(statement, each) if name else None
            if not name or use is None:
                continue
            yield from _written_back(ctx, statement, name, use, statement.node)
            for call, handed in handed_in(ctx, statement, use):
                yield from _written_back(ctx, statement, name, handed, call)


def _written_back(
    ctx: Context, statement: Statement, name: str, use: ColumnUse, node: ir.Node
) -> Iterator[Finding]:
    """A balance that is set to what was read less or more a number: by a statement, or by what a helper is handed."""
    module = ctx.program.modules[use.path]
    less = _difference(module, use.node)
    more = _difference(module, use.node, op="+") if less is None else None
    if more is not None and _is_raised(statement, use, name):
        yield from _raised(ctx, statement, use, more, node)
    if less is None or meaning(name, "take") != "take" or not is_balance(name, "take", less):
        return
    read = _read_apart(ctx, statement, use, less)
    if read is not None:
        yield _found(module, node, f"{statement.table}.{use.column}", use.line, read)


def _replaced(statement: Statement, use: ColumnUse) -> ColumnUse | None:
    """What an insert writes to a row that is there already: `.onConflictDoUpdate({ set: { balance } })`."""
    for call in chain_calls(statement.node):
        given = call.args[0] if call_name(call) in _ON_CONFLICT and call.args else None
        changed = given.get("set") if isinstance(given, ir.Obj) else None
        value = changed.get(use.column) if isinstance(changed, ir.Obj) else None
        if value is not None:
            return replace(use, node=value, line=value.line)
    return None


_ON_CONFLICT = {"onDuplicateKeyUpdate", "onConflictDoUpdate"}


def _found(module: Module, node: ir.Node, name: str, line: int, read: ir.Node) -> Finding:
    message = f"{name} is read and written back as a difference: of requests side by side only one is counted"
    return finding("credit-before-check", module, node, message, key=f"raced {name}", weight=44, line=line,
                   evidence=[Place(module.path, read.line)])  # fmt: skip


def _read_apart(ctx: Context, statement: Statement, use: ColumnUse, less: ir.Node) -> ir.Node | None:
    """Where the number that a write changes was read before, where no condition, lock or transaction ties the two."""
    read = _read_before(ctx, ctx.program.modules[use.path], less)
    if read is None or conditioned(statement, snake(use.column)) or is_locked(use.node) or _adjusts(use.node):
        return None
    return read


def _is_raised(statement: Statement, use: ColumnUse, name: str) -> bool:
    """Whether a sum is one of a balance, and not the work of the staff."""
    return (
        bool(CREDIT.search(name))
        and meaning(name, "give") == "give"
        and "admin" not in f"{use.path}{statement.module.path}"
    )


def _raised(
    ctx: Context, statement: Statement, use: ColumnUse, more: ir.Node, node: ir.Node
) -> Iterator[Finding]:
    """A balance that is read and written back as a sum."""
    read = _read_apart(ctx, statement, use, more)
    if read is None:
        return
    module, name = ctx.program.modules[use.path], f"{statement.table}.{use.column}"
    message = f"{name} is read and written back as a sum: what is taken or given in between is undone"
    own = module is statement.module or node is not statement.node
    yield finding("credit-before-check", module, node, message, key=f"raised {name}", weight=BARELY,
                  line=node.line if own else use.line, end=node.end if own else use.line,
                  evidence=[Place(module.path, read.line)])  # fmt: skip


def _saved(ctx: Context) -> Iterator[Finding]:
    for module, kind, _, node in ctx.once(all_changes):
        target = node.target if isinstance(node, ir.Assign) else None
        root = ir.root_of(target) if target is not None else None
        if kind != "take" or not isinstance(root, ir.Name) or node.within is None or target is None:
            continue
        saves = (each.func for each in ir.find(node.within, ir.Call) if each.line >= node.line)
        saved = any(ir.plain_dotted(each) == f"{root.id}.save" for each in saves)
        read = _read_before(ctx, module, target) if saved else None
        if read is not None and ctx.role_at(module, node) in LIVE_ROLES and not is_locked(node):
            yield _found(module, node, ir.plain_dotted(target) or last_name(target), node.line, read)


def _difference(module: Module, node: ir.Node | None, depth: int = 0, op: str = "-") -> ir.Node | None:
    """What a value is lowered (or raised) from: `user.credits` of `user.credits - 1`, also by a variable or `max`."""
    if node is None or depth > 2:
        return None
    if isinstance(node.parent, ir.Assign) and node.parent.value is node and node.parent.op == f"{op}=":
        return node.parent.target
    if isinstance(node, ir.Name):
        made = [each.value for each in reaching(module, node) if not each.keys]
        if any(each is not None and _steps(each, op) for each in made):
            return next((each for each in made if each is not None and not _steps(each, op)), None)
        return next(
            (less for each in made if (less := _difference(module, each, depth + 1, op)) is not None), None
        )
    if isinstance(node, ir.Call) and last_name(node.func) == "max":
        return next(
            (less for each in node.args if (less := _difference(module, each, depth + 1, op)) is not None),
            None,
        )
    return node.left if isinstance(node, ir.Bin) and node.op == op and node.right is not None else None


def _steps(value: ir.Node, op: str) -> bool:
    """Whether a value is what a variable is lowered or raised by: `left -= cost`."""
    return isinstance(value.parent, ir.Assign) and value.parent.op == f"{op}="


def _read_before(ctx: Context, module: Module, less: ir.Node, depth: int = 0) -> ir.Node | None:
    """Where the number that is lowered was read into a variable: by a statement, or a helper that asks for it."""
    plain = isinstance(less, ir.Call) and less.args and isinstance(less.func, ir.Name)
    asked = less.args[0] if isinstance(less, ir.Call) and plain else less
    inner = next(ir.find(asked, ir.Name), None) if isinstance(less, ir.Bin | ir.Call) else None
    root = inner or ir.root_of(less)
    if not isinstance(root, ir.Name) or root.within is None:
        return None
    for binding in reaching(module, root):
        value = binding.value if binding.kind == "assign" else None
        for call in ir.find(value, ir.Call) if value is not None else ():
            if call.within is root.within and (call in ctx.once(_reads) or _is_reader(ctx, call)):
                return call
        bare = value is not None and not any(ir.find(value, ir.Call)) and depth < MAX_STEPS
        for name in ir.find(value, ir.Name) if value is not None and bare else ():
            read = _read_before(ctx, module, name, depth + 1) if name.id != root.id else None
            if read is not None:
                return read
    return None


MAX_STEPS = 3
"""So many variables may lie between what was read and what is lowered: `const have = profile.credits`."""


def _reads(ctx: Context) -> set[ir.Node]:
    return {each.node for each in live_statements(ctx, "read")}


def _is_reader(ctx: Context, call: ir.Call) -> bool:
    """Whether a call runs a function of the repository that reads the database, and is named for that."""
    funcs = (each.node for each in ctx.program.functions_called(call))
    return bool(_READS.search(last_name(call.func))) and any(
        each.kind == "read"
        for func in funcs
        if isinstance(func, ir.Func)
        for each in ctx.statements_under.get(func, ())
    )


def conditioned(statement: Statement, name: str) -> bool:
    """Whether the row is only written where the balance is still what it was, or enough."""
    return any(snake(each) == name or CREDIT.search(snake(each)) for each in statement.where)


def _adjusts(node: ir.Node | None) -> bool:
    """Whether a function lowers, raises or sets as it is told: a form of the staff, one at a time."""
    func = ir.enclosing(node, ir.Func) if node is not None else None
    told = (text for each in ir.find(func, ir.Lit) if (text := ir.text_of(each))) if func is not None else ()
    return bool({"subtract", "deduct", "remove", "add", "set"} & {each.lower() for each in told}) or (
        func is not None and "admin" in snake(func.name)
    )


def is_locked(node: ir.Node | None) -> bool:
    """Whether a transaction or a lock is named around the write, or in its function."""
    inner = ir.enclosing(node, ir.Func) if node is not None else None
    if inner is None:
        return False
    func = outermost(inner)
    names = {last_name(each.func) for each in ir.find(func, ir.Call)} | {
        each.name for each in ir.find(func, ir.Attr)
    }
    entries = {each.key or "" for each in ir.find(func, ir.Prop)}
    entries |= {each.id for each in ir.find(func, ir.Name) if _LOCK.search(each.id)}
    return any(_LOCKED.search(snake(each)) for each in names | entries)
