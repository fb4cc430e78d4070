"""Part of the rule on drifting schemas: tables that are asked for by name and that no definition has.

Only where the definitions seem whole: types that Supabase generates or that its client is given, SQL for most tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.db_chain import SOURCES
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, live_statements

_VIEW = re.compile(
    r"\b(?:create|rename)\b[^;]{0,40}?\b(?:view|table|to)\s+(?:if\s+not\s+exists\s+)?(?:[\w\"]+\s*\.\s*)?\"?(\w+)",
    re.I,
)
_NAMED = re.compile(r"\b(?:alter\s+table|insert\s+into|references|\bon)\s+(?:[\w\"]+\s*\.\s*)?\"?(\w+)", re.I)
"""What policies, indexes and statements of SQL files name: such a table is known there."""
_ROW = re.compile(r"^[ \t]+[\"']?(\w+)[\"']?: \{\s*\n\s+Row: ", re.M)
_WHOLE = {"create table", "generated types"}
_LEAST = 3
"""So many tables must be defined before SQL files are believed to define all."""
_SHARE = 0.7


def missing_tables(ctx: Context) -> Iterator[Finding]:
    """`from("x")` of Supabase's client for a table that neither types nor SQL define, and `rpc("x")` likewise.

    Tables made by hand on the platform, or by another repository, are not known; the message says what was looked at.
    """
    used: dict[str, list[Statement]] = {}
    for each in live_statements(ctx, "write", "read", "delete"):
        if _by_name(each):
            used.setdefault(each.table, []).append(each)
    defined = {name for name, made in ctx.tables.items() if any(each.source in _WHOLE for each in made)}
    by_hand = ctx.once(_typed_by_hand)
    defined |= by_hand
    known = used.keys() & defined
    generated = (each.source == "generated types" for made in ctx.tables.values() for each in made)
    typed = bool(by_hand) or any(generated)
    if not known or not (typed or (len(known) >= _LEAST and len(known) >= _SHARE * len(used))):
        return
    unknown = used.keys() - defined
    others = _otherwise(ctx, unknown)
    what = "type or migration" if typed else "migration"
    for table in sorted(unknown - others):
        first = min(used[table], key=lambda each: (each.kind == "read", each.module.path, each.line))
        message = f"no {what} in the repository has a table {table}"
        rest = [Place(each.module.path, each.line) for each in used[table] if each is not first]
        weight = 48 if typed else 34
        yield finding("schema-drift", first.module, first.node, message, key=table, weight=weight, line=first.line,
                      end=first.end, evidence=rest[:5])  # fmt: skip
    yield from _missing_functions(ctx, what, 48 if typed else 34)


def _missing_functions(ctx: Context, what: str, weight: int) -> Iterator[Finding]:
    """`rpc("x")` of a function that no SQL, document or type of the repository names."""
    texts = [each.text for each in ctx.tree.files if each.language in {"sql", "doc"}]
    texts += [
        each.text for each in ctx.tree.files if each.language == "javascript" and " Row: {" in each.text
    ]
    seen: set[str] = set()
    for module, call, name in database_calls(ctx):
        known = name in seen or any(name in each and re.search(rf"\b{name}\b", each) for each in texts)
        seen.add(name)
        if not known:
            message = f"no {what} in the repository has the function {name} that is called here"
            yield finding(
                "schema-drift", module, call, message, key=f"rpc {name}", weight=weight, end=call.line
            )


def database_calls(ctx: Context) -> list[tuple[Module, ir.Call, str]]:
    """The calls of functions of the database by Supabase's client, in live code."""
    return [
        (module, call, name)
        for module in ctx.live
        if "supabase" in module.file.lowered_words
        for call in module.calls({"rpc"})
        if (name := ir.text_of(call.args[0]) if call.args else None) and re.fullmatch(r"\w+", name)
        if ctx.role_at(module, call) in LIVE_ROLES
    ]


def _by_name(statement: Statement) -> bool:
    """Whether a client is given the table's name in the public schema: `supabase.from("x")`, none of its storage."""
    calls = chain_calls(statement.node)
    source = next((each for each in calls if call_name(each) in SOURCES), None)
    if source is None or not source.args or not isinstance(source.func, ir.Attr):
        return False
    named = ir.text_of(source.args[0]) == statement.table and re.fullmatch(r"\w+", statement.table)
    other = any(call_name(each) == "schema" for each in calls)
    return bool(named) and not other and "supabase" in statement.module.file.lowered_words


def _typed_by_hand(ctx: Context) -> set[str]:
    """The tables of types in Supabase's form that somebody wrote, where its client is made with them: `<Database>`."""
    files = [each for each in ctx.tree.files if each.language == "javascript"]
    if not any("<Database>" in each.text for each in files):
        return set()
    return {name for each in files if " Row: {" in each.text for name in _ROW.findall(each.text)}


def _otherwise(ctx: Context, unknown: set[str]) -> set[str]:
    """Views, tables that SQL files with an `unknown` one only name, and names with a definition of another kind."""
    found = set(ctx.tables)
    for file in ctx.tree.files:
        if file.language == "sql" and any(each in file.text for each in unknown):
            found |= {*_VIEW.findall(file.text), *_NAMED.findall(file.text)}
    return found
