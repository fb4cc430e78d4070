"""What one request changes for all: the environment of the process, a folder that is made and emptied again.

Part of the rule on shared defaults. Locks and servers that take one request at a time are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import dependencies
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in, on_requests
from portraitist.audit.rules.requests import Given, is_given

_MAKES = {"makedirs", "mkdir", "mkdirSync", "ensureDir", "ensureDirSync"}
_EMPTIES = re.compile(
    r"^(rm|rmtree|rmSync|rmdir|rmdirSync|removeSync|rimraf|emptyDir\w*)$"
    r"|(delete|remove|clean|empty)_?\w*(dir|folder|temp|tmp)",
    re.I,
)
_TOKEN = re.compile(r"^(api_?)?(key|token)$", re.I)
_FIXED = {
    "path", "os", "join", "resolve", "process", "cwd", "__dirname", "__file__", "dirname", "tmpdir", "gettempdir",
    "tempfile", "Path", "abspath", "getcwd",
}  # fmt: skip


def shared_state(ctx: Context) -> Iterator[Finding]:
    """A function on the way of a request that sets the process's environment to what the request brings, or that
    makes and empties a folder of one fixed name."""
    for func in ctx.in_order(_serving(ctx)):
        module = ctx.program.module_of[func]
        if ctx.role_at(module, func) in LIVE_ROLES:
            yield from _environment(ctx, module, func)
            yield from _folder(module, func)


def _serving(ctx: Context) -> set[ir.Func]:
    """Handlers of HTTP routes, and the functions between them and paid calls."""
    found = {each.node for route in ctx.routes if route.is_http for each in route.handlers}
    return {
        each
        for each in found | on_requests(ctx)
        if isinstance(each, ir.Func) and each in ctx.program.module_of
    }


def _environment(ctx: Context, module: Module, func: ir.Func) -> Iterator[Finding]:
    for assign in ir.find(func, ir.Assign):
        key = _variable(module, assign.target)
        if key and assign.within is func and _is_requests(ctx, module, func, assign.value):
            message = f"{key} of the whole process is set to what one request brings: others work with it too"
            yield finding("shared-mutable-default", module, assign, message, key=key, weight=58)


def _variable(module: Module, target: ir.Node) -> str:
    """`X` of `os.environ["X"]`, `process.env.X`, `library.api_key` of an imported library; else ""."""
    if isinstance(target, ir.Index) and ir.plain_dotted(target.obj) in {
        "os.environ",
        "environ",
        "process.env",
    }:
        return ir.text_of(target.key) or "a variable"
    if isinstance(target, ir.Attr) and ir.plain_dotted(target.obj) == "process.env":
        return target.name
    if isinstance(target, ir.Attr) and isinstance(target.obj, ir.Name) and _TOKEN.search(target.name):
        found = module.lookup(target.obj.id, target.obj)
        whole = found is not None and all(
            each.kind == "import" and str(each.keys[0]) == "*" for each in found[1]
        )
        return ir.plain_dotted(target) if whole else ""
    return ""


def _is_requests(ctx: Context, module: Module, func: ir.Func, value: ir.Node | None) -> bool:
    """Whether a value is the request's: by the handler's parameters, or handed on by a caller out of a local name."""
    if value is None or isinstance(value, ir.Lit):
        return False
    handles = func in ctx.handled_by
    injected = {param for param, _, _ in dependencies(ctx, module, func)}
    params = frozenset(each.name for each in func.params if each not in injected)
    if handles and is_given(Given(module, func, params | {"request"}, (func,)), value):
        return True
    root = ir.root_of(value)
    param = next((each for each in func.params if isinstance(root, ir.Name) and each.name == root.id), None)
    if param is None or handles or param.name in {"self", "cls"}:
        return False
    return any(
        _is_local(site.module, argument_for(site.call, func, param))
        for site in ctx.program.callers.get(func, [])
    )


def _is_local(module: Module, node: ir.Node | None) -> bool:
    """Whether an argument begins with a name that the calling function itself made."""
    root = ir.root_of(node) if node is not None else None
    found = module.lookup(root.id, root) if isinstance(root, ir.Name) else None
    return found is not None and all(each.node.within is not None for each in found[1])


def _folder(module: Module, func: ir.Func) -> Iterator[Finding]:
    made: dict[tuple[str, ...], tuple[ir.Node, ir.Call]] = {}
    for call in ir.find(func, ir.Call):
        name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
        makes = name in _MAKES
        if not call.args or not (makes or (made and _EMPTIES.search(name))):
            continue
        node, said = _fixed(module, call.args[0])
        if said and makes:
            made.setdefault(said, (node, call))
        elif said in made:
            first, making = made[said]
            message = (
                "every request works in the same folder and empties it: two at once mix or lose their files"
            )
            yield finding("shared-mutable-default", module, making, message, key=said[0], weight=48,
                          line=min(first.line, making.line), end=making.end,
                          evidence=[Place(module.path, call.line)])  # fmt: skip
            return


def _fixed(module: Module, node: ir.Node) -> tuple[ir.Node, tuple[str, ...]]:
    """What a path is written as, and its words where it is the same for every request, else none."""
    value: ir.Node = node
    if isinstance(node, ir.Name):
        values = [each.value for each in bindings_of(module, node) if each.value is not None]
        value = values[0] if len(values) == 1 and values[0] is not None else node
    names = {
        each.id if isinstance(each, ir.Name) else each.name
        for each in ir.walk(value)
        if isinstance(each, ir.Name | ir.Attr)
    }
    texts = names_in(value) - names
    return value, tuple(sorted(texts)) if texts and names <= _FIXED else ()
