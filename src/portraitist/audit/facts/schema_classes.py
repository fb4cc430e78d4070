"""Tables that small object mappers of Python make of classes: Tortoise, Peewee, MongoEngine, Beanie, ODMantic.

Those of SQLAlchemy, SQLModel and Django are read in `schema`; how their attributes are called otherwise is said here.
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
    name = table_named(cls) or cls.name
    return TableDef(
        name, module.path, cls.line, columns if whole else {}, "class", {"@class": cls.name}, cls.end
    )


_NAMING: dict[str, set[str]] = {"Meta": {"table", "table_name", "db_table"}, "Settings": {"name"}}


def table_named(cls: ir.Class) -> str:
    """The table that a class names in one of its own: Tortoise's `table` in `Meta`, and what others call that."""
    for inner in cls.body:
        names = _NAMING.get(inner.name, set()) if isinstance(inner, ir.Class) else set()
        for each in inner.body if isinstance(inner, ir.Class) and names else ():
            if isinstance(each, ir.Assign) and ir.dotted(each.target) in names:
                return ir.text_of(each.value) or ""
    return ""


def renamed(fields: list[ir.Assign]) -> dict[str, str]:
    """The attributes whose column has another name: `meta = Column("metadata", JSON)`."""
    found: dict[str, str] = {}
    for each in fields:
        made = each.value if isinstance(each.value, ir.Call) and each.value.args else None
        if made is not None and ir.dotted(made.func).rpartition(".")[2] in {"Column", "mapped_column"}:
            name = ir.text_of(made.args[0])
            if name and isinstance(each.target, ir.Name):
                found[each.target.id] = name
    return found


def relations(fields: list[ir.Assign]) -> dict[str, str]:
    """The attributes that lead to other rows, `tags = relationship(…)`: no columns, and names of the model too."""
    made = ((each, ir.dotted(each.value.func)) for each in fields if isinstance(each.value, ir.Call))
    return {
        each.target.id: "@relation"
        for each, name in made
        if isinstance(each.target, ir.Name)
        and name.rpartition(".")[2].lower() in {"relationship", "relation"}
    }


OPEN = "@open"
"""Marks a table that has columns from a library's class: nobody here knows all of them."""
_LIBRARIES = ("fastapi_users", "advanced_alchemy", "sqlalchemy_mixins", "flask_security", "authlib", "mptt")
_DEEPEST = 5


def inherited(ctx: Context, module: Module, cls: ir.Class, depth: int = 0) -> dict[str, str]:
    """The columns that a mapped class has from its bases and mixins, by their own names, in whatever file."""
    found: dict[str, str] = {}
    for base in cls.bases if depth < _DEEPEST else ():
        for target in ctx.program.resolve(module, base):
            if target.origin.startswith(_LIBRARIES):
                found[OPEN] = OPEN
            if isinstance(target.node, ir.Class) and target.module is not None and target.node is not cls:
                found |= inherited(ctx, target.module, target.node, depth + 1)
                found |= {name: name for each in target.node.body for name in _column_of(each)}
    return found


def _column_of(node: ir.Node) -> list[str]:
    """`id = Column(…)`, `id: Mapped[int]`, and `@declared_attr def id(cls)` of a mixin."""
    if isinstance(node, ir.Func):
        return (
            [node.name] if any(ir.dotted(each).endswith("declared_attr") for each in node.decorators) else []
        )
    if not isinstance(node, ir.Assign) or not isinstance(node.target, ir.Name):
        return []
    made = ir.dotted(node.value.func).rpartition(".")[2] if isinstance(node.value, ir.Call) else ""
    typed = node.annotation is not None and "Mapped" in {
        each.id for each in ir.find(node.annotation, ir.Name)
    }
    is_column = typed or made in {"Column", "mapped_column", "ForeignKey"} or made.endswith("Field")
    return [node.target.id] if is_column and not node.target.id.startswith("__") else []
