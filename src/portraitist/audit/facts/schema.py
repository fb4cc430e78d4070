"""Table definitions: DDL in .sql files and in code, Drizzle, Prisma, SQLAlchemy, Django, TypeORM, Mongoose.

Adds `table` and `table.column` facts. Where two definitions differ is in `schema_conflicts`, who uses the columns is in
`database`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts import db_convex, schema_conflicts, sql
from portraitist.audit.facts.base import Context, TableDef
from portraitist.audit.facts.schema_classes import (
    inherited,
    mapped,
    mapper_of,
    relations,
    renamed,
    table_named,
)
from portraitist.audit.facts.schema_conflicts import family
from portraitist.audit.facts.schema_loops import added_in_loops
from portraitist.audit.facts.schema_text import DOCUMENT, documented_sql, generated_types
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Place
from portraitist.audit.source import SourceFile

CREATED = re.compile(
    sql.first("create") + r"\s+(?:temp(?:orary)?\s+|unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?"
    r"(?:[\w\"`]+\s*\.\s*)?(?P<table>[\w\"`\[\]]+)\s*\(",
    re.I,
)
ALTERED = re.compile(
    sql.first("alter") + r"\s+table\s+(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?"
    r"(?:[\w\"`]+\s*\.\s*)?(?P<table>[\w\"`\[\]]+)(?P<rest>[^;]*)",
    re.I,
)
_ADD = re.compile(
    r"\badd\s+(?!generated\s+(?:by|always)\b)(?:column\s+)?(?:if\s+not\s+exists\s+)?(?P<name>[\w\"`]+)\s+(?P<type>[\w]+(?:\s*\([^)]*\))?)",
    re.I,
)
_RENAME = re.compile(
    r"\brename\s+(?!to\b|constraint\b)(?:column\s+)?[\w\"`]+\s+to\s+(?P<name>[\w\"`]+)", re.I
)
_NOT_COLUMNS = {
    "primary", "foreign", "unique", "check", "constraint", "exclude", "key", "index", "like", "fulltext", "partition",
}  # fmt: skip
_PRISMA_MODEL = re.compile(r"^model\s+(\w+)\s*\{", re.M)


def collect(ctx: Context) -> None:
    """Collects every definition into `ctx.tables` and adds the facts about them."""
    found: list[TableDef] = []
    for file in ctx.tree.files:
        if file.language == "sql" and file.role == "doc":
            found.extend(_by_hand(file))
        elif file.language == "sql":  # migrations are what the database is made of, whoever wrote them
            found.extend(_ddl(file.path, file.text, 1, "src" if file.role == "generated" else file.role))
        elif file.language == "prisma":
            found.extend(_prisma(file))
        elif file.language == "javascript" and file.role in LIVE_ROLES | {"generated"}:
            found.extend(generated_types(file))
    for module in ctx.modules:
        found.extend(_in_code(ctx, module))
    found.extend(_documented(ctx, {each.name for each in found}))
    roles = {each.path: each.role for each in ctx.tree.files}
    for each in found:
        ctx.tables.setdefault(each.name, []).append(each)
        _facts(ctx, each, roles.get(each.path, "src"))
    schema_conflicts.collect(ctx)


def _documented(ctx: Context, known: set[str]) -> Iterator[TableDef]:
    """Tables that only documents define, the first definition of each."""
    for file in ctx.tree.files:
        for text, line in documented_sql(file):
            for each in _ddl(file.path, text, line, "src"):
                if each.name not in known and each.source == "create table":
                    known.add(each.name)
                    yield replace(each, source=DOCUMENT)


def _by_hand(file: SourceFile) -> Iterator[TableDef]:
    """The columns that SQL files among the documents name, to be run by hand: known, and no table by themselves."""
    for each in _ddl(file.path, file.text, 1, "src"):
        columns = {name: ("", place) for name, (_, place) in each.columns.items()}
        yield replace(each, columns=columns, source="alter table")


def _facts(ctx: Context, table: TableDef, role: str) -> None:
    if not table.source.startswith("alter"):
        ctx.add_at("table", table.name, table.path, table.line, role=role, value=table.source, end=table.end)
    for name, (kind, place) in table.columns.items():
        ctx.add_at(
            "table.column", f"{table.name}.{name}", place.path, place.line, role=role, value=kind, shows=name
        )


def _ddl(path: str, text: str, first_line: int, role: str) -> Iterator[TableDef]:
    if role not in LIVE_ROLES | {"test"}:
        return
    clean = sql.strip_comments(text)

    def place(offset: int) -> Place:
        return Place(path, first_line + clean.count("\n", 0, offset))

    for match in CREATED.finditer(clean):
        columns: dict[str, tuple[str, Place]] = {}
        for piece, offset in sql._parenthesised(clean, match.end() - 1)[0]:
            words = piece.split()
            name = sql.bare(words[0]) if words else ""
            typed = len(words) > 1 and bool(family(words[1]))
            if typed or (len(words) > 1 and name.lower() not in _NOT_COLUMNS):
                columns[name] = (words[1].rstrip(","), place(offset))
        yield TableDef(
            sql.bare(match.group("table")), path, place(match.start("table")).line, columns, "create table"
        )
    for match in ALTERED.finditer(clean):
        added = {
            sql.bare(each.group("name")): (
                each.group("type"),
                place(match.start("rest") + each.start("name")),
            )
            for each in _ADD.finditer(match.group("rest"))
            if sql.bare(each.group("name")).lower() not in _NOT_COLUMNS or family(each.group("type"))
        }
        for each in _RENAME.finditer(match.group("rest")):
            added[sql.bare(each.group("name"))] = ("", place(match.start("rest") + each.start("name")))
        if added:
            yield TableDef(
                sql.bare(match.group("table")), path, place(match.start("table")).line, added, "alter table"
            )


def _prisma(file: SourceFile) -> Iterator[TableDef]:
    models = {each.group(1) for each in _PRISMA_MODEL.finditer(file.text)}
    for match in _PRISMA_MODEL.finditer(file.text):
        end = file.text.find("\n}", match.end())
        body = file.text[match.end() : end if end >= 0 else len(file.text)]
        line = file.text.count("\n", 0, match.start()) + 1
        name = match.group(1)
        mapped = re.search(r'@@map\("([^"]+)"\)', body)
        columns: dict[str, tuple[str, Place]] = {}
        relations: dict[str, str] = {}
        for number, text in enumerate(body.split("\n")):
            words = re.match(r"\s+(\w+)\s+([A-Za-z]\w*)(\[\])?", text)
            relation = "@relation" in text or (words and words.group(2) in models)
            if words and relation:
                relations[words.group(1)] = "@relation"
            elif words:
                columns[words.group(1)] = (words.group(2), Place(file.path, line + number))
        made = TableDef(name, file.path, line, columns, "prisma", relations)
        if mapped:
            made.property_names["@@map"] = mapped.group(1)
        yield made


def _in_code(ctx: Context, module: Module) -> Iterator[TableDef]:
    if module.role in {"generated", "doc"}:
        return
    for call in module.calls(ctx.words.drizzle_tables | {"Schema", "model", "defineTable"}):
        name = ir.plain_dotted(call.func).rpartition(".")[2]
        if name in ctx.words.drizzle_tables and len(call.args) > 1:
            yield from _drizzle(ctx, module, call)
        elif name in {"Schema", "model"} and call.args:
            yield from _mongoose(ctx, module, call)
        elif name == "defineTable":
            yield from db_convex.definition(module, call)
    for cls in module.all(ir.Class):
        yield from _class_table(ctx, module, cls)
    yield from added_in_loops(module)
    texts = (*module.all(ir.Lit), *module.all(ir.Tmpl)) if "table" in module.file.lowered_words else ()
    for lit in texts:
        text = _plain_text(lit)
        if (
            "table" in text.lower()
            and re.search(r"\b(create|alter)\s+table\b", text, re.I)
            and not isinstance(lit.parent, ir.Tmpl)
        ):
            first = lit.parts[0].line if isinstance(lit, ir.Tmpl) and lit.parts else lit.line
            if sql.looks_like_sql(text):
                yield from _ddl(module.path, text, first, module.role)


def _plain_text(node: ir.Node) -> str:
    if isinstance(node, ir.Lit):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ir.Tmpl):
        return "".join(_plain_text(each) if isinstance(each, ir.Lit) else "{}" for each in node.parts)
    return ""


def _drizzle(ctx: Context, module: Module, call: ir.Call) -> Iterator[TableDef]:
    name, shape = ir.text_of(call.args[0]), call.args[1]
    if name is None or not isinstance(shape, ir.Obj):
        return
    columns: dict[str, tuple[str, Place]] = {}
    properties: dict[str, str] = {}
    for prop in shape.props:
        root = ir.root_of(prop.value)
        if prop.key is None or not isinstance(root, ir.Name):
            continue
        first = _innermost_call(prop.value)
        column = (ir.text_of(first.args[0]) if first and first.args else None) or prop.key
        columns[column] = (root.id, Place(module.path, prop.line))
        properties[prop.key] = column
    if isinstance(call.parent, ir.Assign):
        properties["@variable"] = ir.dotted(call.parent.target)
    yield TableDef(name, module.path, call.line, columns, "drizzle", properties)


def _innermost_call(node: ir.Node) -> ir.Call | None:
    found = None
    while isinstance(node, ir.Call | ir.Attr):
        if isinstance(node, ir.Call):
            found, node = node, node.func
        else:
            node = node.obj
    return found


def _mongoose(ctx: Context, module: Module, call: ir.Call) -> Iterator[TableDef]:
    """`mongoose.model("User", schema)`: the columns are the keys of the schema's first object."""
    if not ir.plain_dotted(call.func).endswith("model") or len(call.args) < 2:
        return
    name = ir.text_of(call.args[0])
    schema: ir.Node | None = call.args[1]
    if isinstance(schema, ir.Name):
        schema = next((each.value for each in bindings_of(module, schema) if each.value is not None), None)
    if name is None or not (
        isinstance(schema, ir.Call) and schema.args and isinstance(schema.args[0], ir.Obj)
    ):
        return
    columns: dict[str, tuple[str, Place]] = {}
    for prop in schema.args[0].props:
        if prop.key is not None:
            kind = prop.value.get("type") if isinstance(prop.value, ir.Obj) else prop.value
            columns[prop.key] = (ir.dotted(kind) if kind is not None else "", Place(module.path, prop.line))
    yield TableDef(name, module.path, call.line, columns, "mongoose")


def _class_table(ctx: Context, module: Module, cls: ir.Class) -> Iterator[TableDef]:
    fields = [each for each in cls.body if isinstance(each, ir.Assign) and isinstance(each.target, ir.Name)]
    names = {each.target.id: each for each in fields if isinstance(each.target, ir.Name)}
    bases = [ir.dotted(each) for each in cls.bases]
    explicit = names.get("__tablename__")
    entity = next((each for each in cls.decorators if ir.dotted(each).endswith("Entity")), None)
    table = ""
    if _is_sqlmodel(module, cls):
        yield _sqlmodel(module, cls, ir.text_of(explicit.value) if explicit is not None else None)
    elif explicit is not None:
        table = ir.text_of(explicit.value or cls) or cls.name
    elif any(each.endswith("models.Model") or each == "db.Model" for each in bases):
        table = table_named(cls) or cls.name
    elif entity is not None:
        table = (
            ir.text_of(entity.args[0]) if isinstance(entity, ir.Call) and entity.args else None
        ) or cls.name
    elif bases and (mapper := mapper_of(ctx, module, cls)):
        yield mapped(module, cls, mapper)
    if table:
        columns = dict(_class_columns(module, fields, entity is not None))
        line = entity.line if entity is not None else cls.line
        above = inherited(ctx, module, cls) if bases else {}
        named = {**above, "@class": cls.name, **renamed(fields), **relations(fields)}
        yield TableDef(table, module.path, line, columns, "class", named, cls.end)


def _is_sqlmodel(module: Module, cls: ir.Class) -> bool:
    """`class Job(JobBase, table=True)`."""
    if not cls.bases or module.language != "python":
        return False
    head = " ".join(module.text(each) for each in range(cls.line, min(cls.end, cls.line + 4) + 1)).partition(
        "):"
    )[0]
    return re.search(r"\btable\s*=\s*True\b", head) is not None and "sqlmodel" in module.lowered


def _sqlmodel(module: Module, cls: ir.Class, named: str | None) -> TableDef:
    """The table of an SQLModel: its own fields and those of its bases; no columns where a base stands elsewhere."""
    made = {each.name: each for each in module.all(ir.Class)}
    chain, whole = [cls], True
    for each in chain:
        for base in each.bases:
            name = base.id if isinstance(base, ir.Name) else ""
            if name in made and made[name] not in chain:
                chain.append(made[name])
            elif name and name != "SQLModel":
                whole = False
    fields = [
        field
        for each in reversed(chain)
        for field in each.body
        if isinstance(field, ir.Assign) and isinstance(field.target, ir.Name) and field.annotation is not None
    ]
    columns = {
        field.target.id: ("", Place(module.path, field.line))
        for field in fields
        if isinstance(field.target, ir.Name) and "Relationship" not in ir.dotted(field.value or field.target)
    }
    return TableDef(
        named or cls.name.lower(),
        module.path,
        cls.line,
        columns if whole else {},
        "class",
        {"@class": cls.name, **relations(fields)},
        cls.end,
    )


def _class_columns(
    module: Module, fields: list[ir.Assign], decorated: bool
) -> Iterator[tuple[str, tuple[str, Place]]]:
    for each in fields:
        assert isinstance(each.target, ir.Name)
        if decorated:
            if isinstance(each.annotation, ir.Other) and each.annotation.kind == "decorated":
                yield each.target.id, (_first_name(each.annotation), Place(module.path, each.line))
            continue
        typed = next(ir.find(each.annotation, ir.Name), None) if each.annotation is not None else None
        if each.value is None and typed is not None and typed.id == "Mapped":
            yield each.target.id, ("", Place(module.path, each.line))
        if not isinstance(each.value, ir.Call):
            continue
        made = ir.dotted(each.value.func).rpartition(".")[2]
        if made in {
            "relationship",
            "Index",
            "synonym",
            "backref",
            "hybrid_property",
        } or each.target.id.startswith("__"):
            continue
        is_column = (
            made in {"Column", "mapped_column", "Field"} or made.endswith("Field") or made == "ForeignKey"
        )
        if is_column:
            kind = (
                ir.dotted(each.value.args[0]).rpartition(".")[2]
                if each.value.args and made != "ForeignKey"
                else made
            )
            name = (
                ir.text_of(each.value.args[0])
                if each.value.args and made in {"Column", "mapped_column"}
                else None
            )
            yield name or each.target.id, (kind or made, Place(module.path, each.line))


def _first_name(node: ir.Node) -> str:
    return next((each.id for each in ir.find(node, ir.Name)), "")
