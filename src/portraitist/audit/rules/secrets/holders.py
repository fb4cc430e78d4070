"""By which names a setting is taken: a variable, an entry of an object, a function that gives it, its own name.

Used by what asks where a known fallback ends up. A name that is held twice in one file is taken for one thing.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name, names_in


def holders(ctx: Context, module: Module, line: int, key: str) -> Iterator[tuple[Module, str]]:
    """The modules and names by which a setting is taken: a variable on its line, the setting's own name elsewhere."""
    for each in module.all(ir.Assign):
        held = isinstance(each.target, ir.Name) and each.line <= line <= each.end and each.value is not None
        if not held or not isinstance(each.target, ir.Name) or key not in names_in(each):
            continue
        entry = _entry(each, key)
        name = f"{each.target.id}.{entry}" if entry else each.target.id
        yield module, name
        for other in ctx.live if each.within is None else ():
            if other is not module and (entry or name) in other.file.text:
                yield other, name
    for func in module.all(ir.Func):
        gives = (
            func.line <= line <= func.end
            and func.name
            and any(one.line <= line <= one.end for one in _answers(func))
        )
        if gives:
            yield from ((other, func.name) for other in ctx.live if func.name in other.file.text)
    for other in ctx.live:
        if key.lower() in other.lowered:
            yield other, key


def _answers(func: ir.Func) -> list[ir.Return]:
    """What a function gives back, by its own lines."""
    return [each for each in ir.find(func, ir.Return) if each.within is func and not each.throws]


def _entry(assign: ir.Assign, key: str) -> str:
    """The entry under which an object holds a setting: `officeKey` of `{ officeKey: env.OFFICE_KEY || "…" }`."""
    for prop in ir.find(assign, ir.Prop):
        if (
            prop.key
            and not isinstance(prop.value, ir.Obj)
            and (prop.key == key or key in names_in(prop.value))
        ):
            return prop.key
    return ""


def mentions(module: Module, node: ir.Node, name: str) -> bool:
    """Whether a name is read somewhere below a node; `config.key` is any `config.….key`, also of one of its entries."""
    holder, _, entry = name.rpartition(".")
    if not holder:
        return any(
            last_name(each).lower() == name.lower()
            for each in ir.walk(node)
            if isinstance(each, ir.Name | ir.Attr)
        )
    for each in ir.walk(node):
        if isinstance(each, ir.Attr) and each.name == entry:
            base = ir.plain_dotted(each).partition(".")[0]
        elif isinstance(each, ir.Index) and ir.text_of(each.key) == entry:
            base = ir.plain_dotted(each.obj).partition(".")[0]
        else:
            continue
        if base == holder or base in _entries_of(module, holder):
            return True
    return False


def _entries_of(module: Module, holder: str) -> set[str]:
    """The variables that hold something out of an object: `user = USERS.get(name)`, `for (const user of USERS)`."""
    found: set[str] = set()
    taken: list[tuple[ir.Node | None, ir.Node | None]] = [
        *((each.target, each.value) for each in module.all(ir.Assign)),
        *((each.target, each.source) for each in module.all(ir.Loop)),
    ]
    for target, value in taken:
        asked = value.func.obj if isinstance(value, ir.Call) and isinstance(value.func, ir.Attr) else value
        base = asked.obj if isinstance(asked, ir.Index) else asked
        if isinstance(base, ir.Name) and base.id == holder and target is not None:
            found |= variables_in(target)
    return found
