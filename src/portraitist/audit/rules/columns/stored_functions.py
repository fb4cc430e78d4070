"""Part of the rule on drifting schemas: functions of the database that are called otherwise than they are defined.

Reads definitions and drops in the order of the SQL files, migrations last. What was run by hand is not known; a call
that any definition which still stands takes is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.columns.admitted import definitions
from portraitist.audit.rules.columns.missing_tables import database_calls
from portraitist.audit.rules.gravity import BARELY

_NAME = r"(?:\"?(?P<schema>\w+)\"?\s*\.\s*)?\"?(?P<name>\w+)\"?"
_DEFINED = re.compile(rf"{sql.first('create')}\s+(?:or\s+replace\s+)?function\s+{_NAME}\s*(?=\()", re.I)
_DROPPED = re.compile(
    rf"{sql.first('drop')}\s+function\s+(?:if\s+exists\s+)?{_NAME}\s*(?P<types>\([^()]*(?:\([^()]*\)[^()]*)*\))?",
    re.I,
)
_MODES = {"in", "inout", "variadic"}
_TYPES = {"int": "integer", "int4": "integer", "int8": "bigint", "bool": "boolean", "timestamptz": "timestamp",
          "varchar": "character", "decimal": "numeric", "float8": "double", "float": "double"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Defined:
    """One definition: its parameters, those that need a value, and their types."""

    names: tuple[str, ...]
    needed: frozenset[str]
    types: tuple[str, ...]
    place: Place


@dataclass(slots=True)
class _Standing:
    """The definitions of one name that stand behind all files, and those that were dropped."""

    now: list[_Defined]
    gone: list[_Defined]


def called_otherwise(ctx: Context) -> Iterator[Finding]:
    """`rpc("add_credits", { user_uuid })` where the function takes `user_id`, or was dropped: the call fails."""
    calls = database_calls(ctx)
    known = ctx.once(_functions) if calls else {}
    for module, call, name in calls:
        standing = known.get(name.lower())
        given = _given(module, call)
        if standing is None or given is None or any(_takes(each, given) for each in standing.now):
            continue
        if any(_typed(each, name, given) for each in ctx.once(_types)):
            continue
        last = standing.now[-1] if standing.now else None
        if last is not None:
            strange = sorted(given - set(last.names))
            what = (
                f"takes no {', '.join(strange)}"
                if strange
                else f"needs {', '.join(sorted(last.needed - given))}"
            )
            told = f"the function {name} {what} by its last definition in SQL: the call fails"
        else:
            told = f"the function {name} was dropped by the last SQL file that names it: the call fails"
        seen = last or standing.gone[-1]
        yield finding("schema-drift", module, call, told, key=f"rpc {name} otherwise", weight=BARELY,
                      end=max(call.line, call.end), evidence=[seen.place])  # fmt: skip


def _takes(each: _Defined, given: frozenset[str]) -> bool:
    names = {one.lower() for one in each.names}
    told = {one.lower() for one in given}
    unnamed = any(not one for one in each.names)
    return unnamed or (told <= names and {one.lower() for one in each.needed} <= told)


def _given(module: Module, call: ir.Call) -> frozenset[str] | None:
    """The parameters that a call names; None where they are not all known."""
    if len(call.args) < 2:
        return frozenset() if call.kw is None else None
    told: ir.Node | None = call.args[1]
    if isinstance(told, ir.Name):
        values = [each.value for each in bindings_of(module, told)]
        told = values[0] if len(values) == 1 else None
    if not isinstance(told, ir.Obj) or any(each.key is None for each in told.props):
        return None
    return frozenset(each.key for each in told.props if each.key)


def _functions(ctx: Context) -> dict[str, _Standing]:
    found: dict[str, _Standing] = {}
    for path, text in ctx.once(definitions):
        if "function" not in text.lower():
            continue
        events = [*_DEFINED.finditer(text), *_DROPPED.finditer(text)]
        for match in sorted(events, key=lambda each: each.start()):
            own = found.get(match["name"].lower())
            if match.re is _DROPPED and own is not None:
                types = _types_of(match["types"]) if match["types"] else None
                kept = [each for each in own.now if types is not None and each.types != types]
                own.gone += [each for each in own.now if each not in kept]
                own.now = kept
            elif match.re is _DEFINED and (match["schema"] or "public").lower() == "public":
                at = Place(path, text.count("\n", 0, match.start()) + 1)
                made = _defined(sql._parenthesised(text, match.end())[0], at)
                found.setdefault(match["name"].lower(), _Standing([], [])).now.append(made)
    return found


def _defined(params: list[tuple[str, int]], place: Place) -> _Defined:
    names, types, needed = [], [], set()
    for text, _ in params:
        words = text.split()
        if words and words[0].lower() == "out":
            continue
        words = words[1:] if words and words[0].lower() in _MODES else words
        name = sql.bare(words[0]) if len(words) > 1 and words[1].lower() not in {"default", "="} else ""
        names.append(name)
        types.append(_type_of(" ".join(words[1:] if name else words)))
        if not re.search(r"\bdefault\b|(?<![<>!:])=", text, re.I):
            needed.add(name)
    return _Defined(tuple(names), frozenset(needed), tuple(types), place)


def _types_of(listed: str) -> tuple[str, ...]:
    """The types that a drop names, with or without the parameters' names."""
    inner = listed[1:-1].strip()
    pieces = [each.strip() for each in re.sub(r"\([^)]*\)", "", inner).split(",")] if inner else []
    return tuple(_type_of(each.split()[-1] if len(each.split()) == 2 else each) for each in pieces)


def _type_of(text: str) -> str:
    first = re.match(r"(?:\w+\s*\.\s*)?\"?(\w+)", text.strip().lower())
    word = first.group(1) if first else ""
    return _TYPES.get(word, word) + ("[]" if "[" in text else "")


def _types(ctx: Context) -> list[str]:
    """The files of generated types that name functions."""
    return [
        each.text for each in ctx.tree.files if each.language == "javascript" and "Functions: {" in each.text
    ]


def _typed(text: str, name: str, given: frozenset[str]) -> bool:
    """Whether generated types give a function these parameters."""
    found = re.search(rf"\b{re.escape(name)}: \{{\s*Args:(?P<args>[^}}]*)", text)
    return found is not None and all(re.search(rf"\b{re.escape(each)}\b", found["args"]) for each in given)
