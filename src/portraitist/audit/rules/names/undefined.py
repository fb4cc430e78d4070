"""Names that are used and bound nowhere. The rule `undefined-name`; its parts are beside it."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.names.after_failure import read_after_failure
from portraitist.audit.rules.names.ambient import is_declared
from portraitist.audit.rules.names.missing_fields import missing_fields
from portraitist.audit.rules.names.missing_members import missing_methods
from portraitist.audit.rules.names.unbound import read_too_early

_PY_GLOBALS = frozenset(dir(builtins)) | {
    "__file__",
    "__name__",
    "__doc__",
    "__package__",
    "__path__",
    "__all__",
    "__class__",
    "self",
    "cls",
    "display",
    "get_ipython",
    "reveal_type",
    "_",
}


_TYPEOF = re.compile(r"\btypeof\s+(\w+)")
"""What JavaScript asks for by its name may be loaded while it runs."""
_GLOBAL = re.compile(r"^\s*global\s+([\w, ]+)", re.M)
"""Python's way to set a module's name in a function."""


def undefined_name(ctx: Context) -> Iterator[Finding]:
    """A name that is called or read, in a file that touches the provider or serves routes, and bound nowhere.

    It is told once for each function that uses it. A name that is used only where the names that there are hold it
    (`"cover" in dir()`) is left alone. Names that a template, a bundler, automatic imports, a star
    import or ambient declarations (`ambient`) may provide are not judged. In Python also a local name that is read
    before it can have a value, in every file (`unbound`), one that a failure leaves without (`after_failure`), and
    methods and fields that a class of the repository does not have (`missing_members`, `missing_fields`).
    """
    yield from read_too_early(ctx)
    yield from read_after_failure(ctx)
    yield from missing_methods(ctx)
    yield from missing_fields(ctx)
    touching = {each.path for each in ctx.of("file.touches_replicate")}
    touching |= {each.module.path for each in ctx.routes if each.is_http}
    provided = any(
        re.match(r"(.*/)?nuxt\.config\.\w+$", each.path) or "unplugin-auto-import" in each.text
        for each in ctx.tree.files
        if each.language in {"javascript", "config"}
    )
    for module in ctx.live:
        known = _PY_GLOBALS if module.language == "python" else ctx.words.javascript_globals
        if module.path not in touching or module.stars or module.errors or has_dynamic_names(module):
            continue
        if provided and module.language == "javascript":
            continue
        types = set(re.findall(r"(?:interface|type|namespace|declare\s+\w+)\s+(\w+)", module.file.text))
        types.update(_TYPEOF.findall(module.file.text))
        types.update(name.strip() for line in _GLOBAL.findall(module.file.text) for name in line.split(","))
        if module.language == "javascript":
            types |= ctx.once(_on_windows) if _is_plain_script(module) else set()
        seen: set[tuple[ir.Func | None, str]] = set()
        for name in module.all(ir.Name):
            used = isinstance(name.parent, ir.Call | ir.Attr) and (
                not isinstance(name.parent, ir.Call)
                or name.parent.func is name
                or name in name.parent.args
                or module.language == "python"
            )
            used = used or (module.language == "python" and _is_argument(name))
            if (
                not used
                or name.id in known
                or (name.within, name.id) in seen
                or name.id in types
                or not re.match(r"^[A-Za-z_$][\w$]*$", name.id)
            ):
                continue
            if (
                module.lookup(name.id, name) is not None
                or _named_in_class(name)
                or ctx.role_at(module, name) not in LIVE_ROLES
                or _in_annotation(name)
                or _is_asked_for(name)
                or is_declared(ctx, module, name.id)
            ):
                continue
            seen.add((name.within, name.id))
            yield finding(
                "undefined-name",
                module,
                name,
                f"{name.id} is used and defined {_elsewhere(module, name.id) or 'nowhere'}",
                key=name.id,
                weight=64,
            )


def _elsewhere(module: Module, name: str) -> str:
    """Where a file has a name for one of its functions alone, which is out of reach for the others; "" for nowhere."""
    for func, scope in module.scopes.items():
        if any(each.kind not in {"param", "unset"} for each in scope.names.get(name, ())):
            return f"only within {func.name or f'the function of line {func.line}'}, out of reach here"
    return ""


def _is_plain_script(module: Module) -> bool:
    """Whether a page loads a file as it is: it neither imports nor exports, and shares its names with the others."""
    return next(iter(module.all(ir.Import)), None) is None and next(iter(module.all(ir.Export)), None) is None


def _on_windows(ctx: Context) -> set[str]:
    """The names of all plain scripts, and those that any file puts on `window`."""
    plain = (each for each in ctx.live if each.language == "javascript" and _is_plain_script(each))
    names = {name for each in plain for name in each.top.names}
    texts = (
        each.file.text for each in ctx.live if each.language == "javascript" and "window" in each.file.text
    )
    return names | {name for text in texts for name in _ON_WINDOW.findall(text)}


_ON_WINDOW = re.compile(r"\b(?:window|globalThis|self)\.(\w+)\s*=(?!=)")


def _is_asked_for(name: ir.Name) -> bool:
    """Whether a name is used only where it is among the names that there are: `cover if "cover" in dir() else ""`."""
    inner: ir.Node = name
    for each in ir.ancestors(name):
        if isinstance(each, ir.If | ir.Cond):
            then = each.then if isinstance(each.then, list) else [each.then]
            if inner in then and _asks_for(each.test, name.id, "in"):
                return True
            if inner is not each.test and inner not in then and _asks_for(each.test, name.id, "not in"):
                return True
        elif isinstance(each, ir.Bin) and inner is each.right:
            op = {"and": "in", "or": "not in"}.get(each.op, "")
            if op and _asks_for(each.left, name.id, op):
                return True
        inner = each
    return False


def _asks_for(test: ir.Node, name: str, op: str) -> bool:
    """Whether a test holds, or fails for `not in`, only where a table of names has this one."""
    if not isinstance(test, ir.Bin) or test.right is None:
        return False
    if test.op == ("and" if op == "in" else "or"):
        return _asks_for(test.left, name, op) or _asks_for(test.right, name, op)
    tables = isinstance(test.right, ir.Call) and ir.plain_dotted(test.right.func) in _TABLES
    return test.op == op and tables and ir.text_of(test.left) == name


_TABLES = {"dir", "locals", "globals", "vars"}


def _in_annotation(name: ir.Name) -> bool:
    """Whether a name says of which type a parameter is."""
    around = (each for each in ir.ancestors(name) if not isinstance(each, ir.Func))
    return any(isinstance(each, ir.Param) and name is not each.default for each in around)


def _is_argument(name: ir.Name) -> bool:
    """Whether a name is the value of a keyword argument: `create(owner=OWNER)`."""
    entry, given = name.parent, name.parent.parent if name.parent is not None else None
    return (
        isinstance(entry, ir.Prop)
        and entry.value is name
        and given is not None
        and isinstance(given.parent, ir.Call)
    )


def _named_in_class(name: ir.Name) -> bool:
    """Whether a name beside a class's methods is one of that class: `@size.setter` after `def size`."""
    member: ir.Node = name
    passed: list[ir.Node] = [name]
    for each in ir.ancestors(name):
        if isinstance(each, ir.Class):
            if isinstance(member, ir.Func) and any(part in passed for part in member.body):
                return False
            methods = {part.name for part in each.body if isinstance(part, ir.Func | ir.Class)}
            fields = [part.target for part in each.body if isinstance(part, ir.Assign)]
            return name.id in methods | {found.id for one in fields for found in ir.find(one, ir.Name)}
        member = each
        passed.append(each)
    return False


def has_dynamic_names(module: Module) -> bool:
    """Whether a file makes or looks up names by their text."""
    return any(isinstance(each.func, ir.Name) for each in module.calls(_DYNAMIC))


_DYNAMIC = {"globals", "exec", "eval", "locals"}
