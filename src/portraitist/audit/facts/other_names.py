"""The same facts under the other names a reader looks them up by: `getUser` for `supabase.auth.getUser`.

Added when all is judged, for the JSON alone: rules and report see each fact once, under its first name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit.facts.base import Context, TableDef
from portraitist.audit.facts.other_places import written
from portraitist.audit.facts.schema_conflicts import in_earnest
from portraitist.audit.model import Fact


def add(ctx: Context) -> None:
    """Adds what the facts are called otherwise, each once at a place, behind all others."""
    for apart in _made_apart(ctx):
        ctx.add_at("table.type_conflict", apart.name, apart.path, apart.line)
        ctx.facts[-1] = replace(ctx.facts[-1], also=True)
    known = {(each.kind, each.key, each.path, each.line, each.scope) for each in ctx.facts}
    tables = _code_names(ctx)
    holes = dict(_as_written(ctx))
    for fact in list(ctx.facts):
        for key in _names(fact, tables, holes):
            told = (fact.kind, key, fact.path, fact.line, fact.scope)
            if key and told not in known:
                known.add(told)
                ctx.facts.append(replace(fact, key=key, also=True))


def _made_apart(ctx: Context) -> Iterator[TableDef]:
    """The further definitions of a table each of which has columns that the first lacks, and the other way round."""
    for name in sorted(ctx.tables):
        made = [
            each for each in in_earnest(ctx, name) if each.source == "create table" and len(each.columns) > 1
        ]
        for each in made[1:]:
            if set(each.columns) - set(made[0].columns) and set(made[0].columns) - set(each.columns):
                yield each


_CREATES = re.compile(r"POST /v1/(?:.*/)?(predictions|trainings)")
"""The requests that the provider's client has a method for."""


def _names(
    fact: Fact, tables: dict[str, list[TableDef]], holes: dict[tuple[str, str, int], str]
) -> Iterator[str]:
    kind, key = fact.kind, fact.key
    if kind in {"db.write", "db.read", "db.delete", "db.null", "table", "table.column"}:
        yield from _of_table(key, tables, statement=kind in {"db.write", "db.read", "db.delete"})
    elif kind == "auth":
        yield key.rpartition(".")[2]
    elif kind in {"route", "webhook"}:
        yield from _spellings(key)
    elif kind in {"replicate.call", "flow", "http"}:
        yield key.replace("async_", "")
        if kind == "flow" and (made := _CREATES.fullmatch(key)):
            yield f"{made.group(1)}.create"
        places = [fact.place] if kind != "flow" else fact.evidence[-1:]
        yield from (holes.get((each.path, key, each.line), "") for each in places)
    elif kind in {"poll", "persist"}:
        yield from _functions(fact.scope)


def _functions(scope: str) -> Iterator[str]:
    """`Service.wait` and `wait` of a function's name."""
    if scope and not scope.startswith("<"):
        yield scope
        yield scope.rpartition(".")[2]


def _spellings(key: str) -> Iterator[str]:
    """A route with its holes written the other way, and without the slash at its end."""
    short = key.rstrip("/") if key.count("/") > 1 else key
    if short.startswith("ANY "):
        yield short[4:]
        yield f"POST {short[4:]}"
    yield short
    if "{" in short:
        yield re.sub(r"\{(\w+)\}", r"[\1]", short)
    if "[" in short:
        yield re.sub(r"\[(\w+)\]", r"{\1}", short)
    if "[" in short or "{" in short:
        yield re.sub(r"[\[{](\w+)[\]}]", r":\1", short)


def _code_names(ctx: Context) -> dict[str, list[TableDef]]:
    """The definitions by table of those whose code has other names than the database, or may have."""
    return {name: found for name, many in ctx.tables.items()
            if (found := [each for each in many if each.property_names or each.source == "prisma"])}  # fmt: skip


def _of_table(key: str, tables: dict[str, list[TableDef]], *, statement: bool) -> Iterator[str]:
    """The table alone for a statement's column, and both as the code or the database calls them."""
    table, _, column = key.partition(".")
    if statement and column:
        yield table
    for each in tables.get(table, ()):
        names = {each.property_names.get(kind, "") for kind in ("@class", "@variable", "@@map")}
        if each.source == "prisma":
            names.add(table[:1].lower() + table[1:])
        columns = [name for name, real in each.property_names.items() if real == column]
        for name in sorted(names - {""}):
            if statement or not column:
                yield name
            for one in (column, *columns) if column else ():
                yield f"{name}.{one}"


def _as_written(ctx: Context) -> Iterator[tuple[tuple[str, str, int], str]]:
    """The requests whose address names what stands in its holes otherwise than the value says: `{versionId}`."""
    for found in ctx.calls:
        if found.sdk or not found.call.args:
            continue
        method, _, path = found.api.partition(" ")
        address = written(found.call.args[0])
        tail = address[address.find("/v1/") :] if "/v1/" in address else ""
        if tail and tail != path:
            yield (found.module.path, found.api, found.call.line), f"{method} {tail.partition('?')[0]}"
