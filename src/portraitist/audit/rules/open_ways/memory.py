"""What is kept under an id outside the database: maps of a module, jobs of a queue. Of `missing-auth` and `idor`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name, names_in
from portraitist.audit.rules.requests import Given, is_given
from portraitist.audit.rules.syntax import COMPARISONS

_WHO = re.compile(r"user|owner|member|account|profile|uid", re.I)
_READS = {"get", "pop"}


def kept(here: Given, *, anyones: bool = False) -> Iterator[tuple[str, ir.Node]]:
    """`jobs.get(job_id)`, `jobs[job_id]` of a dictionary of the module in which nothing says whose its entries are.

    With `anyones` whosever they are, and also `self.jobs.get(job_id)` of an object. Also a job of a queue that is read
    by its id where nothing on the way compares an owner.
    """
    nodes: list[ir.Call | ir.Index] = [*ir.find(here.func, ir.Call), *ir.find(here.func, ir.Index)]
    for node in nodes:
        holder, key = _asked(node)
        if holder is None or key is None or not is_given(here, key):
            continue
        if name := _store(here.module, holder, anyones=anyones):
            if anyones or not _says_whose(here.module, name):
                yield name, node
            return
    for call in ir.find(here.func, ir.Call):
        name = last_name(call.func)
        told = call.args[-1:] if name == "fromId" else call.args[:1]
        if name in _QUEUES and told and is_given(here, told[0]) and not compares_who(here.way):
            yield "the queue", call
            return


def whole(module: Module, func: ir.Func) -> Iterator[tuple[str, ir.Node]]:
    """`jobs.values()`, `Object.values(jobs)` of such a dictionary or map: all that it keeps, whosever it is."""
    for call in ir.find(func, ir.Call):
        name = last_name(call.func)
        held = call.func.obj if isinstance(call.func, ir.Attr) else None
        if isinstance(held, ir.Name) and held.id == "Object" and call.args:
            held = call.args[0]
        asked = held is not None and name in {"values", "items", "entries"}
        kept_in = _store(module, held, anyones=True) if asked and held is not None else ""
        if kept_in:
            yield kept_in, call
            return


def emptied(module: Module, func: ir.Func) -> Iterator[tuple[str, ir.Node]]:
    """Each store of the module that a function empties at once: `jobs.clear()`, `queue.length = 0`, `jobs = {}`.

    Python's count where the function says `global`. Not where a test on a size or an age stands around it.
    """
    shared = {
        one.id
        for each in ir.find(func, ir.Other)
        if each.kind == "global_statement"
        for one in ir.find(each, ir.Name)
    }
    for node in ir.walk(func):
        held = _emptied(node)
        if held is None or _is_bounded(node, func):
            continue
        found = module.lookup(held.id, module.body if held.id in shared else held)
        values = [each.value for each in found[1]] if found is not None and found[0].func is None else []
        if any(each is not None and _begins_empty(each) for each in values):
            yield held.id, node


def _emptied(node: ir.Node) -> ir.Name | None:
    """The name of what is emptied here."""
    held: ir.Node | None = None
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr):
        held = node.func.obj if node.func.name == "clear" and not node.args else None
    elif isinstance(node, ir.Assign) and node.value is not None and not node.decl:
        cut = isinstance(node.target, ir.Attr) and node.target.name == "length"
        zero = isinstance(node.value, ir.Lit) and node.value.value == 0
        if isinstance(node.target, ir.Attr):
            held = node.target.obj if cut and zero else None
        elif _begins_empty(node.value):
            held = node.target
    return held if isinstance(held, ir.Name) else None


def _is_bounded(node: ir.Node, func: ir.Func) -> bool:
    """Whether something is emptied only where it grew too large or too old."""
    around = itertools.takewhile(lambda each: each is not func, ir.ancestors(node))
    tests = (each.test for each in around if isinstance(each, ir.If))
    return any(one.op in {">", ">=", "<", "<="} for each in tests for one in ir.find(each, ir.Bin))


_EMPTY_KINDS = {
    "Map",
    "Set",
    "WeakMap",
    "Array",
    "dict",
    "set",
    "list",
    "deque",
    "OrderedDict",
    "defaultdict",
}


def _begins_empty(value: ir.Node) -> bool:
    """Whether a value is a store with nothing in it, be it one that is made where there is none yet."""
    if isinstance(value, ir.Bin) and value.op in {"or", "??", "||"} and value.right is not None:
        return _begins_empty(value.right)
    if isinstance(value, ir.Call):
        name = last_name(value.func)
        return name in _EMPTY_KINDS and (name == "defaultdict" or not value.args)
    return (isinstance(value, ir.Obj) and not value.props) or (isinstance(value, ir.Arr) and not value.items)


_QUEUES = {"AsyncResult", "getJob", "fromId", "fetch_job"}
"""Reads of a job by its id: of Celery, BullMQ and RQ."""


def compares_who(funcs: Iterable[ir.Func]) -> bool:
    """Whether one of some functions compares an owner, by the names in a comparison."""
    tests = (each for func in funcs for each in ir.find(func, ir.Bin) if each.op in COMPARISONS)
    return any(_WHO.search(name) for each in tests for name in names_in(each))


def _asked(node: ir.Call | ir.Index) -> tuple[ir.Node | None, ir.Node | None]:
    if isinstance(node, ir.Index):
        return node.obj, node.key
    if isinstance(node.func, ir.Attr) and node.func.name in _READS and node.args:
        return node.func.obj, node.args[0]
    return None, None


def _store(module: Module, holder: ir.Node, *, anyones: bool) -> str:
    """The name of a dictionary or map that begins empty: the module's, with `anyones` also an object's; else ""."""
    if isinstance(holder, ir.Name):
        return holder.id if _is_store(module, holder) else ""
    name = ir.plain_dotted(holder) if anyones and isinstance(holder, ir.Attr) else ""
    if not name.startswith(("self.", "this.")):
        return ""
    for each in module.all(ir.Assign):
        own = ir.plain_dotted(each.target) in {name, name.partition(".")[2]} and each.value is not None
        if own and each.value is not None and _is_empty(each.value):
            return name
    return ""


def _is_empty(value: ir.Node) -> bool:
    made = isinstance(value, ir.Call) and not value.args and ir.dotted(value.func) in {"Map", "dict"}
    return made or (isinstance(value, ir.Obj) and not value.props)


def _is_store(module: Module, name: ir.Name) -> bool:
    """Whether a name is a dictionary or map of the module that begins empty: `jobs = {}`, `new Map()`."""
    found = module.lookup(name.id, name)
    if found is None or found[0].func is not None:
        return False
    values = [each.value for each in found[1] if each.value is not None]
    return any(map(_is_empty, values))


def _says_whose(module: Module, name: str) -> bool:
    """Whether an entry is put in with an owner, or as something whose parts are not seen."""
    put = [
        each.value
        for each in module.all(ir.Assign)
        if isinstance(each.target, ir.Index) and ir.dotted(each.target.obj) == name
    ]
    put += [
        each.args[1]
        for each in module.calls({"set"})
        if ir.dotted(each.func) == f"{name}.set" and each.args[1:]
    ]
    return any(
        not isinstance(each, ir.Obj) or any(_WHO.search(one) for one in names_in(each)) for each in put
    )
