"""Which words a column admits by a model in code: enums of Prisma, Drizzle, SQLAlchemy. Part of `admitted`.

So do types that Supabase writes. Django's `choices` are asked by its forms alone, and are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Place
from portraitist.audit.rules.base import last_name

Bound = tuple[tuple[str, str], frozenset[str], str, Place]
_PRISMA = re.compile(r"^enum\s+(?P<name>\w+)\s*\{(?P<body>[^}]*)\}", re.M)
_MAKERS = {"pgEnum", "mysqlEnum"}
_COLUMNS = {"Column", "mapped_column"}


def of_models(ctx: Context) -> Iterator[Bound]:
    """Each bound column by table and name in lower case, with its words, what says so, and where."""
    yield from _prisma(ctx)
    yield from _drizzle(ctx)
    yield from _sqlalchemy(ctx)
    yield from _typed(ctx)


def _typed(ctx: Context) -> Iterator[Bound]:
    """The enums in the types that Supabase writes: `status: Database["public"]["Enums"]["state"]`."""
    texts = {each.path: each.text for each in ctx.tree.files if "Enums: {" in each.text}
    for table, made in ctx.tables.items() if texts else ():
        for each in made:
            typed = each.source == "generated types" and each.path in texts
            for column, (kind, place) in each.columns.items() if typed else ():
                named = _ENUM_TYPE.search(kind)
                listed = (
                    re.search(rf"\b{named[1]}:((?:\s*\|?\s*\"[^\"]+\")+)", texts[each.path])
                    if named
                    else None
                )
                if named and listed:
                    words = frozenset(re.findall(r"\"([^\"]+)\"", listed[1]))
                    yield (table.lower(), column.lower()), words, f"its type {named[1]}", place


_ENUM_TYPE = re.compile(r"\[\"Enums\"\]\[\"(\w+)\"\]")


def _prisma(ctx: Context) -> Iterator[Bound]:
    files = {each.path: each for each in ctx.tree.files if each.language == "prisma"}
    enums: dict[str, frozenset[str]] = {}
    for file in files.values():
        for match in _PRISMA.finditer(file.text):
            lines = (line.split("//")[0].split() for line in match["body"].split("\n"))
            listed = {each[0] for each in lines if each and not each[0].startswith("@")}
            enums[match["name"]] = enums.get(match["name"], frozenset()) | listed
    for table, made in ctx.tables.items() if enums else ():
        own = [each for each in made if each.source == "prisma" and each.path in files]
        for column in {name for each in own for name in each.columns}:
            kinds = [each.columns[column] for each in own if column in each.columns]
            if kinds and all(kind in enums for kind, _ in kinds):
                words = frozenset(word for kind, _ in kinds for word in enums[kind])
                yield (table.lower(), column.lower()), words, f"its enum {kinds[0][0]}", kinds[0][1]


def _drizzle(ctx: Context) -> Iterator[Bound]:
    enums: dict[str, set[str]] = {}
    for module in ctx.live:
        for call in module.calls(_MAKERS) if "Enum(" in module.file.text else ():
            listed = call.args[1] if len(call.args) > 1 else None
            if isinstance(listed, ir.Arr) and isinstance(call.parent, ir.Assign):
                words = [ir.text_of(each) for each in listed.items]
                if None not in words:
                    enums.setdefault(last_name(call.parent.target), set()).update(map(str, words))
    for table, made in ctx.tables.items() if enums else ():
        for each in made:
            for column, (kind, place) in each.columns.items() if each.source == "drizzle" else ():
                if kind in enums:
                    yield (table.lower(), column.lower()), frozenset(enums[kind]), f"its enum {kind}", place


def _sqlalchemy(ctx: Context) -> Iterator[Bound]:
    """`status = Column(Enum(JobStatus))`, `Column(Enum("a", "b"))`: names and values of the class count alike."""
    tables = {
        (each.path, each.line): name
        for name, made in ctx.tables.items()
        for each in made
        if each.source == "class"
    }
    for module in ctx.modules if tables else ():
        asks = module.language == "python" and module.role in LIVE_ROLES and "Enum(" in module.file.text
        for call in module.calls(_COLUMNS) if asks else ():
            cls = ir.enclosing(call, ir.Class)
            table = tables.get((module.path, cls.line)) if cls is not None else None
            kind = next((each for each in call.args if _is_enum(each)), None)
            if table is None or not isinstance(kind, ir.Call) or not isinstance(call.parent, ir.Assign):
                continue
            words = _of_args(ctx, module, kind)
            if words:
                column = ir.text_of(call.args[0]) or last_name(call.parent.target)
                yield (table.lower(), column.lower()), words, "its enum", Place(module.path, call.line)


def _is_enum(node: ir.Node) -> bool:
    return isinstance(node, ir.Call) and last_name(node.func) in {
        "Enum",
        "SQLEnum",
        "SAEnum",
        "SqlEnum",
        "ENUM",
    }


def _of_args(ctx: Context, module: Module, kind: ir.Call) -> frozenset[str]:
    plain = [text for each in kind.args if (text := ir.text_of(each)) is not None]
    if len(plain) == len(kind.args):
        return frozenset(plain)
    found = [each for one in kind.args[:1] for each in ctx.program.resolve(module, one)]
    cls = found[0].node if len(found) == 1 else None
    if not isinstance(cls, ir.Class):
        return frozenset()
    words: set[str] = set()
    for each in cls.body:
        if isinstance(each, ir.Assign) and isinstance(each.target, ir.Name):
            value = ir.text_of(each.value)
            if value is None:
                return frozenset()
            words |= {each.target.id, value}
    return frozenset(words)
