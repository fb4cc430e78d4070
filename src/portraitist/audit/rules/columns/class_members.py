"""Part of the rule on drifting schemas: attributes of SQLAlchemy's rows that their class does not have.

Judges classes whose bases are all known: the mapper's own base, or classes of the repository. What is set on a class
or a row elsewhere is taken to be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import reaching, variables_in
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name
from portraitist.audit.rules.syntax import is_set

_OWN = frozenset(dir(type)) | {
    "metadata", "registry", "query", "dict", "json", "copy", "parse_obj", "from_orm", "model_dump", "model_validate",
    "model_fields", "construct", "objects", "c",
}  # fmt: skip
_BASES = {
    "Base",
    "DeclarativeBase",
    "Model",
    "MappedAsDataclass",
    "AsyncAttrs",
    "object",
    "DeclarativeMeta",
    "BaseModel",
}
_MAKES = re.compile(r"__getattr__|__getattribute__|automap_base|\bsetattr\(")
_ONE = {
    "first",
    "one",
    "one_or_none",
    "scalar",
    "scalar_one",
    "scalar_one_or_none",
    "get",
    "get_or_404",
    "first_or_404",
}
_MANY = {"all", "scalars", "unique", "fetchall"}
_ASKS = {"query", "select", "get"}
_COMPREHENSION = ("_comprehension", "generator_expression")
_MAPPED = re.compile(r"__tablename__|\bdb\.Model\b")
Known = dict[ir.Class, tuple[Module, frozenset[str]]]


def lacking_attributes(ctx: Context) -> Iterator[Finding]:
    """`User.clerk_id`, `job.result_url` of what a query gave or a parameter is said to be, where the class has none."""
    known = ctx.once(_mapped_classes)
    elsewhere = ctx.once(_set_elsewhere) if known else frozenset()
    names = {each.name for each in known}
    for module in ctx.live if known else ():
        if module.language != "python" or not any(each in module.file.text for each in names):
            continue
        lacking: dict[tuple[ir.Class, ir.Func | None], list[ir.Attr]] = {}
        for attr in module.all(ir.Attr):
            if not isinstance(attr.obj, ir.Name) or attr.name in _OWN or attr.name.startswith("__"):
                continue
            if (attr.obj.id, attr.name) in elsewhere:
                continue
            cls = _class_of(ctx, module, attr.obj, known)
            if cls is not None and attr.name not in known[cls][1] and not _asked_for(attr):
                lacking.setdefault((cls, attr.within), []).append(attr)
        for (cls, _), attrs in lacking.items():
            if ctx.role_at(module, attrs[0]) not in LIVE_ROLES:
                continue
            missing = list(dict.fromkeys(each.name for each in attrs))
            message = (
                f"the class {cls.name} defines no {', '.join(missing[:4])}{'…' if len(missing) > 4 else ''}"
            )
            last = max(each.line for each in attrs if each.line <= attrs[0].line + 6)
            rest = [Place(module.path, each.line) for each in attrs[1:4]]
            key = f"{cls.name}.{missing[0]}"
            yield finding("schema-drift", module, attrs[0], message, key=key, weight=52, end=last,
                          evidence=[Place(known[cls][0].path, cls.line), *rest])  # fmt: skip


def _mapped_classes(ctx: Context) -> Known:
    """The classes for rows whose members are all known, with them."""
    found: Known = {}
    python = [each for each in ctx.modules if each.language == "python" and _MAPPED.search(each.file.text)]
    for module in python:
        for cls in module.all(ir.Class):
            whole = any(
                isinstance(each, ir.Assign) and last_name(each.target) == "__tablename__" for each in cls.body
            )
            whole = whole or any(ir.dotted(each) == "db.Model" for each in cls.bases)
            members = _members(ctx, module, cls, 0) if whole and module.role == "src" else None
            if members is not None and not _MAKES.search("\n".join(module.lines[cls.line - 1 : cls.end])):
                found[cls] = (module, frozenset(members | ctx.once(_backrefs)))
    return found


def _members(ctx: Context, module: Module, cls: ir.Class, depth: int) -> set[str] | None:
    """What a class and its bases define; None where a base is not known."""
    found: set[str] = set()
    for each in cls.body:
        for part in ir.walk(each):
            if isinstance(part, ir.Assign):
                found.add(last_name(part.target))
        found |= {each.name} if isinstance(each, ir.Func | ir.Class) else set()
    for base in cls.bases if depth < 4 else ():
        targets = [each for each in ctx.program.resolve(module, base) if isinstance(each.node, ir.Class)]
        inner = targets[0] if len(targets) == 1 else None
        if inner is not None and inner.module is not None and isinstance(inner.node, ir.Class):
            more = _members(ctx, inner.module, inner.node, depth + 1)
            if more is None:
                return None
            found |= more
        elif ir.dotted(base).rpartition(".")[2] not in _BASES:
            return None
    return found


def _backrefs(ctx: Context) -> set[str]:
    """Names that relations put on the other side: `backref="jobs"`, `backref("jobs")`."""
    found: set[str] = set()
    for module in ctx.modules:
        if module.language == "python" and "backref" in module.file.text:
            found |= set(re.findall(r"backref\s*[=(]\s*(?:\w*backref\()?\s*[\"'](\w+)", module.file.text))
    return found


def _set_elsewhere(ctx: Context) -> frozenset[tuple[str, str]]:
    """The attributes that code sets, each with the variable it is set on: such a row may carry it for a while."""
    found: set[tuple[str, str]] = set()
    for module in ctx.modules:
        for each in module.all(ir.Assign) if module.language == "python" else ():
            if isinstance(each.target, ir.Attr):
                found.add((last_name(each.target.obj), each.target.name))
    return frozenset(found)


def _asked_for(attr: ir.Attr) -> bool:
    """Whether a member is only set, or stands behind a question whether it is there."""
    func = attr.within
    asked = func is not None and any(
        last_name(each.func) in {"hasattr", "getattr"}
        and any(ir.text_of(arg) == attr.name for arg in each.args)
        for each in ir.find(func, ir.Call)
    )
    return asked or is_set(attr)


def _class_of(ctx: Context, module: Module, name: ir.Name, known: Known) -> ir.Class | None:
    """The class that a name is, or of which a variable holds a row."""
    if name.id[:1].isupper():
        return _resolved(ctx, module, name, known)
    if name.within is None or name.id in {"self", "cls", "db", "session", "settings"}:
        return None
    for each in ir.ancestors(name):
        loops = each.parts if isinstance(each, ir.Other) and each.kind.endswith(_COMPREHENSION) else ()
        own = [one for one in loops if isinstance(one, ir.Loop) and one.target is not None]
        named = [one for one in own if one.target is not None and name.id in variables_in(one.target)]
        if named:
            source = named[0].source
            plain = isinstance(named[0].target, ir.Name) and source is not None
            return _queried(ctx, module, source, _MANY, 0) if plain and source is not None else None
    found = {_by_binding(ctx, module, each, known) for each in reaching(module, name)}
    return found.pop() if len(found) == 1 else None


def _by_binding(ctx: Context, module: Module, binding: Binding, known: Known) -> ir.Class | None:
    """The class of what a variable was set to: by a parameter's annotation, one row of a query, each of many."""
    if isinstance(binding.node, ir.Param):
        annotation = binding.node.annotation
        plain = annotation is not None and isinstance(annotation, ir.Name | ir.Attr)
        return _resolved(ctx, module, annotation, known) if plain and annotation is not None else None
    many = binding.kind == "loop"
    if binding.value is None or (binding.keys and not many) or (many and isinstance(binding.node, ir.Arr)):
        return None
    return _queried(ctx, module, binding.value, _MANY if many else _ONE, 0)


def _queried(ctx: Context, module: Module, value: ir.Node, ends: set[str], depth: int) -> ir.Class | None:
    """The class whose rows a chain of calls ends in: `db.query(User).filter(…).first()`, also in two steps."""
    if isinstance(value, ir.Name) and ends is _MANY and depth < 2:
        made = [each.value for each in reaching(module, value) if each.kind == "assign" and not each.keys]
        return _queried(ctx, module, made[0], ends, depth + 1) if len(made) == 1 and made[0] else None
    if not isinstance(value, ir.Call) or last_name(value.func) not in ends:
        return None
    asked = _asking(module, value, 0)
    most = 2 if asked and last_name(asked[0].func) == "get" else 1
    if len(asked) != 1 or not 0 < len(asked[0].args) <= most:
        return None
    return _resolved(ctx, module, asked[0].args[0], ctx.once(_mapped_classes))


def _asking(module: Module, value: ir.Node, depth: int) -> list[ir.Call]:
    """The `query(X)` or `select(X)` that a chain begins with, by one variable or as an argument of `execute`."""
    found = [each for each in ir.find(value, ir.Call) if last_name(each.func) in _ASKS]
    if found or depth > 1:
        return [
            each for each in found if not any(each is not one and each in ir.walk(one) for one in found)
        ] or found
    root = ir.root_of(value)
    made = [each.value for each in reaching(module, root) if each.kind == "assign" and not each.keys]
    if len(made) != 1 or made[0] is None:
        return []
    inner = _asking(module, made[0], depth + 1)
    given = made[0].args if isinstance(made[0], ir.Call) else []
    for each in given if not inner else ():
        inner = inner or _asking(module, each, depth + 1)
    return inner


def _resolved(ctx: Context, module: Module, node: ir.Node, known: Known) -> ir.Class | None:
    found = [each.node for each in ctx.program.resolve(module, node)]
    return found[0] if len(found) == 1 and isinstance(found[0], ir.Class) and found[0] in known else None
