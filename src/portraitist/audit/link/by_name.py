"""Functions that a platform runs by their name: Convex's, and AWS Lambda's in Python.

Convex: `ctx.runMutation(internal.images.save, …)`, `ctx.scheduler.runAfter(0, internal.images.make, …)`: a reference is
the path of a file below the folder of `_generated`, and a name there. Lambda: `client.invoke(FunctionName=…)`, where
the name, or that of the setting that holds it, ends in the name of a file beside it. What pages call is not followed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from portraitist.audit import ir
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target

_RUNS = {
    "runMutation": 0, "runAction": 0, "runQuery": 0, "runAfter": 1, "runAt": 1, "mutation": 0, "action": 0, "query": 0,
    "fetchMutation": 0, "fetchAction": 0, "fetchQuery": 0,
}  # fmt: skip
"""What runs a function, by the position of its reference; the function gets the context in its place."""

_SUFFIXES = (".ts", ".js", ".tsx", ".mjs")


def runs(modules: Mapping[str, Module], module: Module) -> list[tuple[ir.Call, Target]]:
    """The calls that such calls of a module make, as the functions get them, and the functions that are known."""
    python = module.language == "python"
    found = [
        (_invoked if python else _ran)(modules, module, each)
        for each in module.calls({"invoke"} if python else _RUNS.keys())
    ]
    return [each for each in found if each is not None]


def _ran(modules: Mapping[str, Module], module: Module, call: ir.Call) -> tuple[ir.Call, Target] | None:
    position = _RUNS[call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)]
    if len(call.args) <= position:
        return None
    root, _, rest = ir.plain_dotted(call.args[position]).partition(".")
    if "." not in rest:
        return None
    folders = [each.module.rpartition("_generated/api")[0] for each in module.all(ir.Import)
               if "_generated/api" in each.module and any(local == root for _, local in each.names)]  # fmt: skip
    path, _, name = rest.replace(".", "/").rpartition("/")
    if not folders:
        return None
    roots = [posixpath.dirname(module.path)] if folders[0].startswith(".") else ["", "src"]
    bases = [
        posixpath.normpath(posixpath.join(each, re.sub(r"^[@~#]/", "", folders[0]), path)) for each in roots
    ]
    other = next((modules[one + each] for one in bases for each in _SUFFIXES if one + each in modules), None)
    func = _handler(other, name) if other is not None else None
    if other is None or func is None:
        return None
    if not position:
        return call, Target(other, func)
    given = ir.Call(call.line, call.end, call.args[position], call.args[position:])
    given.parent, given.within, given.order, given.first = call, call.within, call.order, call.first
    return given, Target(other, func)


def lambda_handlers(module: Module) -> list[ir.Func]:
    """The functions that AWS Lambda calls: `lambda_handler(event, context)` at the top of a Python file."""
    if module.language != "python" or module.role != "src" or "handler" not in module.file.text:
        return []
    return [
        each
        for each in module.body.parts
        if isinstance(each, ir.Func)
        and each.name in {"lambda_handler", "handler"}
        and [one.name.strip("_") for one in each.params] == ["event", "context"]
    ]


_NO_NAME = re.compile(r"-(function|lambda)(-(name|arn))?$")


def _invoked(modules: Mapping[str, Module], module: Module, call: ir.Call) -> tuple[ir.Call, Target] | None:
    named, payload = ir.keyword(call, "FunctionName"), ir.keyword(call, "Payload")
    if named is None or payload is None:
        return None
    found = module.lookup(named.id, named) if isinstance(named, ir.Name) else None
    values = [each.value for each in found[1] if each.value is not None] if found is not None else [named]
    texts = [str(one.value) for each in values for one in ir.find(each, ir.Lit)]
    names = [_NO_NAME.sub("", each.lower().replace("_", "-")) for each in texts]
    folder = posixpath.dirname(module.path)
    for path, other in modules.items():
        stem = posixpath.basename(path).partition(".")[0].replace("_", "-")
        beside = posixpath.dirname(path) == folder and "-" in stem
        own = lambda_handlers(other) if beside else []
        if own and any(f"-{each}".endswith(f"-{stem}") for each in names):
            whole = any(each.id == "event" for each in ir.find(payload, ir.Name))
            return (call, Target(other, own[0])) if whole or not _chooses(own[0]) else None
    return None


def _chooses(func: ir.Func) -> bool:
    """Whether a function does one thing or another by a word that it is sent: which one, is not followed."""
    return any(
        each.op == "==" and each.right is not None and (ir.text_of(each.right) or ir.text_of(each.left))
        for branch in ir.find(func, ir.If)
        for each in ir.find(branch.test, ir.Bin)
    )


def _handler(module: Module, name: str) -> ir.Func | None:
    """The function in `export const name = mutation({ args, handler })`, or `mutation(async (ctx) => …)`."""
    made = next((each.value for each in module.top.names.get(name, ()) if each.value is not None), None)
    if not isinstance(made, ir.Call) or not made.args:
        return None
    first = made.args[0]
    found = first.get("handler") if isinstance(first, ir.Obj) else first
    return found if isinstance(found, ir.Func) else None
