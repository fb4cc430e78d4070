"""What is kept under an id outside the database: maps of a module, jobs of a queue. Of `missing-auth` and `idor`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name, names_in
from portraitist.audit.rules.requests import Given, is_given
from portraitist.audit.rules.syntax import COMPARISONS

_WHO = re.compile(r"user|owner|member|account|profile|uid", re.I)
_READS = {"get", "pop"}


def kept(here: Given) -> Iterator[tuple[str, ir.Node]]:
    """`jobs.get(job_id)`, `jobs[job_id]` of a dictionary of the module in which nothing says whose its entries are.

    Also a job of a queue that is read by its id where nothing on the way compares an owner.
    """
    nodes: list[ir.Call | ir.Index] = [*ir.find(here.func, ir.Call), *ir.find(here.func, ir.Index)]
    for node in nodes:
        holder, key = _asked(node)
        held = isinstance(holder, ir.Name) and key is not None and is_given(here, key)
        if held and isinstance(holder, ir.Name) and _is_store(here.module, holder):
            if not _says_whose(here.module, holder.id):
                yield holder.id, node
            return
    for call in ir.find(here.func, ir.Call):
        name = last_name(call.func)
        told = call.args[-1:] if name == "fromId" else call.args[:1]
        if name in _QUEUES and told and is_given(here, told[0]) and not compares_who(here.way):
            yield "the queue", call
            return


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


def _is_store(module: Module, name: ir.Name) -> bool:
    """Whether a name is a dictionary or map of the module that begins empty: `jobs = {}`, `new Map()`."""
    found = module.lookup(name.id, name)
    if found is None or found[0].func is not None:
        return False
    values = [each.value for each in found[1] if each.value is not None]
    return any(
        (isinstance(each, ir.Obj) and not each.props)
        or (isinstance(each, ir.Call) and not each.args and ir.dotted(each.func) in {"Map", "dict"})
        for each in values
    )


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
