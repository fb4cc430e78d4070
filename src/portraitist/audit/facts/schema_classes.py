"""Tables that small object mappers of Python make of classes: Tortoise, Peewee, MongoEngine, Beanie, ODMantic.

Those of SQLAlchemy, SQLModel and Django are read in `schema`.
"""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, TableDef
from portraitist.audit.link.module import Module
from portraitist.audit.model import Place

_MAPPERS = ("tortoise", "peewee", "mongoengine", "beanie", "odmantic")
_ANNOTATED = {"beanie", "odmantic"}
_ROWS = {"Model", "Document", "DynamicDocument"}


def mapper_of(ctx: Context, module: Module, cls: ir.Class) -> str:
    """The mapper whose class for rows a class extends, itself or by a base of this repository; else ""."""
    return _mapper(ctx, module, cls, 0) if ctx.once(_used) else ""


def _used(ctx: Context) -> bool:
    """Whether any file imports one of the mappers."""
    return any(
        each.module.partition(".")[0] in _MAPPERS
        for module in ctx.modules
        if module.language == "python"
        for each in module.all(ir.Import)
    )


def _mapper(ctx: Context, module: Module, cls: ir.Class, depth: int) -> str:
    for base in cls.bases if depth < 3 else ():
        for target in ctx.program.resolve(module, base):
            package, _, name = target.origin.partition(".")
            if package in _MAPPERS and name.rpartition(".")[2] in _ROWS:
                return package
            if isinstance(target.node, ir.Class) and target.module is not None:
                return _mapper(ctx, target.module, target.node, depth + 1)
    return ""


def mapped(module: Module, cls: ir.Class, mapper: str) -> TableDef:
    """The table of such a class; one that extends a class of the repository has columns that are not all seen."""
    columns: dict[str, tuple[str, Place]] = {}
    for each in cls.body:
        if not isinstance(each, ir.Assign) or not isinstance(each.target, ir.Name):
            continue
        made = ir.dotted(each.value.func).rpartition(".")[2] if isinstance(each.value, ir.Call) else ""
        if made.endswith("Field") or (mapper in _ANNOTATED and each.annotation is not None):
            columns[each.target.id] = (made, Place(module.path, each.line))
    whole = all(ir.dotted(base).rpartition(".")[2] in _ROWS for base in cls.bases)
    return TableDef(
        cls.name, module.path, cls.line, columns if whole else {}, "class", {"@class": cls.name}, cls.end
    )
