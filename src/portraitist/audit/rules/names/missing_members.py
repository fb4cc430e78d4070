"""Part of the rule on undefined names: methods that the repository's own class does not have, called in live Python.

Classes with a base or a decorator from elsewhere, or that make their members when asked, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding

OF_ANY = frozenset(dir(type)) | frozenset(dir(object))
_PLAIN = {"object", "ABC", "abc.ABC", "Protocol"}
_MAKES = re.compile(r"__getattr__|__getattribute__|\bsetattr\(|__dict__|\bhasattr\(")


def missing_methods(ctx: Context) -> Iterator[Finding]:
    """`service.fetch_token()` where the class of `service`, whole in this repository, has no such member.

    One finding for each class in a file; in the report's list one for each class.
    """
    firsts: dict[ir.Class, Place] = {}
    for module in ctx.live:
        lacking: dict[ir.Class, list[ir.Call]] = {}
        for call in module.all(ir.Call) if module.language == "python" else ():
            owner = _class_of(ctx, module, call)
            if owner is not None and lacks(ctx, *owner, _asked(call)):
                lacking.setdefault(owner[1], []).append(call)
        for cls, calls in lacking.items():
            names = list(dict.fromkeys(_asked(each) for each in calls))
            shown = f"{', '.join(names[:3])}{'…' if len(names) > 3 else ''}"
            message = f"the class {cls.name} has no {shown}: the call ends in an AttributeError"
            earlier = [firsts[cls]] if cls in firsts else []
            firsts.setdefault(cls, Place(module.path, calls[0].line))
            places = [*earlier, *(Place(module.path, each.line) for each in calls[1:4])]
            yield finding("undefined-name", module, calls[0], message, key=f"{cls.name}.{names[0]}", weight=64,
                          line=calls[0].line, end=calls[0].line, evidence=places)  # fmt: skip


def _asked(call: ir.Call) -> str:
    return call.func.name if isinstance(call.func, ir.Attr) else ""


def _class_of(ctx: Context, module: Module, call: ir.Call) -> tuple[Module, ir.Class] | None:
    """The class of this repository of which, or of whose instance, a call asks what nothing here defines."""
    func = call.func
    if not isinstance(func, ir.Attr) or not isinstance(func.obj, ir.Name) or func.name in OF_ANY:
        return None
    if func.obj.id in {"self", "cls"} or ctx.program.functions_called(call):
        return None
    found = ctx.program.resolve(module, func.obj)
    owner = found[0] if len(found) == 1 else None
    if owner is None or owner.module is None or not isinstance(owner.node, ir.Class):
        return None
    return (owner.module, owner.node) if ctx.role_at(module, call) in LIVE_ROLES else None


def lacks(ctx: Context, module: Module, cls: ir.Class, name: str, *, models: bool = False) -> bool:
    """Whether a class that nothing extends and its bases, all of this repository, have no member of a name."""
    pending, seen = [(module, cls)], {cls}
    while pending:
        where, each = pending.pop()
        if (
            _hands_over_another(each)
            or (each.decorators and not (models and _keeps_fields(each)))
            or _MAKES.search(where.file.text)
            or where.errors
            or _has(where, each, name)
        ):
            return False
        for base in each.bases:
            if ir.dotted(base) in _PLAIN or (models and _is_model(where, each, base)):
                continue
            found = ctx.program.resolve(where, base)
            known = [(one.module, one.node) for one in found if isinstance(one.node, ir.Class)]
            if len(known) != 1 or known[0][0] is None:
                return False
            if known[0][1] not in seen:
                seen.add(known[0][1])
                pending.append((known[0][0], known[0][1]))
    return not ctx.program.subclasses.get(cls.name) and not any(
        _set_from_outside(each, name) for each in ctx.modules
    )


def _keeps_fields(cls: ir.Class) -> bool:
    """Whether a class's decorators leave its members as they stand."""
    return all(
        _DATA.match(ir.dotted(each.func if isinstance(each, ir.Call) else each)) for each in cls.decorators
    )


_DATA = re.compile(r"^(dataclasses\.)?dataclass$")


def _is_model(module: Module, cls: ir.Class, base: ir.Node) -> bool:
    """Whether a base is pydantic's, and the class takes no fields that it does not name."""
    if (
        ir.dotted(base).rpartition(".")[2] not in {"BaseModel", "BaseSettings"}
        or "pydantic" not in module.file.text
    ):
        return False
    return _TAKES_MORE.search(module.file.text) is None


_TAKES_MORE = re.compile(r"""extra["']?\s*[:=]\s*(["']allow|\w*\.?Extra\.allow|Extra\.allow)""")


def _hands_over_another(cls: ir.Class) -> bool:
    """Whether `with` gives something else than the instance itself."""
    enters = (each for each in ir.find(cls, ir.Func) if each.name in {"__enter__", "__aenter__"})
    given = (each.value for func in enters for each in ir.find(func, ir.Return) if each.within is func)
    return any(ir.dotted(each) != "self" for each in given if each is not None)


def _has(module: Module, cls: ir.Class, name: str) -> bool:
    """Whether a class itself has a member: a method, a field, what its methods set."""
    for each in ir.walk(cls):
        if isinstance(each, ir.Func | ir.Class) and each.name == name:
            return True
        if isinstance(each, ir.Assign) and any(
            (isinstance(one, ir.Name) and one.id == name) or (isinstance(one, ir.Attr) and one.name == name)
            for one in ir.walk(each.target)
        ):
            return True
    head = "\n".join(module.text(line) for line in range(cls.line, cls.end + 1))
    return re.search(rf"\b{re.escape(name)}\s*[:=]", head) is not None


def _set_from_outside(module: Module, name: str) -> bool:
    """Whether any file sets a member of that name on something."""
    return (
        module.language == "python"
        and re.search(rf"\.{re.escape(name)}\s*=[^=]", module.file.text) is not None
    )
