"""Python routers that no application takes, though their file is loaded for something else: their routes aren't served.

A file that nothing loads at all is found in `link.reach`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module

ROUTERS = {"APIRouter", "Blueprint"}
"""What makes a router of FastAPI or Flask."""
_MOUNTS = {"include_router", "register_blueprint", "register_blueprints", "add_router"}
_LOADERS = {
    "import_module",
    "__import__",
    "walk_packages",
    "iter_modules",
    "spec_from_file_location",
    "import_string",
}


def unserved(ctx: Context) -> set[ir.Func]:
    """The handlers of routers whose variable nobody takes: neither its own file, beside the handlers, nor another one.

    Others are compared by the last part of the name that they import, so that a path set at run time is no way around.
    Nothing is said in a repository that mounts no router, or where what mounts them also loads files by computed names.
    """
    code = [each for each in ctx.modules if each.language == "python" and each.role != "test"]
    mounting = [each for each in code if each.calls(_MOUNTS)]
    if not mounting or any(each.calls(_LOADERS) for each in mounting):
        return set()
    found: set[ir.Func] = set()
    for module in code:
        for name in _routers(module) if module.role == "src" else ():
            handlers = _handlers(module, name)
            if handlers is not None and not any(
                _takes(each, module, name) for each in code if each is not module
            ):
                found |= handlers
    return found


def _routers(module: Module) -> Iterator[str]:
    """The variables of a file that hold a router which is made there."""
    for call in module.calls(ROUTERS):
        held = call.parent
        if isinstance(held, ir.Assign) and held.within is None and isinstance(held.target, ir.Name):
            yield held.target.id


def _handlers(module: Module, name: str) -> set[ir.Func] | None:
    """The functions that only a router's methods decorate; None where the router is used for anything else here."""
    found: set[ir.Func] = set()
    for each in module.all(ir.Name):
        if each.id != name or (isinstance(each.parent, ir.Assign) and each.parent.target is each):
            continue
        verb = each.parent
        made = verb.parent if isinstance(verb, ir.Attr) else None
        func = made.parent if isinstance(made, ir.Call) and made.func is verb else None
        if not isinstance(func, ir.Func) or made not in func.decorators:
            return None
        if all(isinstance(root := ir.root_of(one), ir.Name) and root.id == name for one in func.decorators):
            found.add(func)
    return found


def _takes(module: Module, other: Module, name: str) -> bool:
    """Whether a file imports a router from a file of that name, or asks the imported file for it."""
    parts = other.path.removesuffix(".py").removesuffix("/__init__").split("/")
    if parts[-1].lower() not in module.lowered or name.lower() not in module.lowered:
        return False
    asks = any(each.name == name for each in module.all(ir.Attr))
    for each in module.all(ir.Import):
        if each.module.rpartition(".")[2] == parts[-1]:
            taken = {given for given, _ in each.names}
            if name in taken or ("*", "*") in each.names or ("*" in taken and asks):
                return True
        if asks and any(given == parts[-1] for given, _ in each.names):
            return True
    return any(each.value == name for call in module.calls({"getattr"}) for each in ir.find(call, ir.Lit))
