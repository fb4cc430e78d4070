"""Part of the rule on mock data: versions of models that are plainly made up, in code and in the rows of seeds.

A hash of 32 or more hex digits that repeats itself or counts up was typed, not computed; whether another one exists
is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, sent_fields
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, place

_HASH = re.compile(r"(?P<model>[\w.-]+/[\w.-]+:)?(?P<hash>[0-9a-f]{32,64})$")
_TYPED = re.compile(
    r"([0-9a-f])\1{7,}|([0-9a-f]{2,4})\2{3,}|0123456789|1234567890|a1b2c3d4|abcdef[0-9a-f]*abcdef|deadbeef"
)
_PLACEHOLDER = re.compile(
    r"placeholder|change[-_ ]?me|replace[-_ ]?(me|with)|version[-_]?hash"
    r"|(your|some|example|dummy|fake)[-_ ](\w+[-_ ])?(model|version|hash|id)\b|x{6,}|^<[^>]+>$|^todo",
    re.I,
)
_MODELS = re.compile(r"version|model", re.I)
_INSERT = re.compile(r"\binsert\s+into\s+[\"\w.]+\s*\((?P<columns>[^)]*)\)\s*values(?P<rows>[^;]*)", re.I)
_VALUE = re.compile(r"'(?P<value>[^'\n]+)'")


def made_up_versions(ctx: Context) -> Iterator[Finding]:
    """Versions in live code that repeat themselves, placeholders sent as versions, and placeholders in seeds."""
    if not ctx.calls:
        return
    for module in ctx.live:
        if (
            module.role != "src"
            or module.path in ctx.dead_modules
            or "version" not in module.file.lowered_words
        ):
            continue
        seen: set[ir.Func | None] = set()
        for lit in module.all(ir.Lit):
            if (
                isinstance(lit.value, str)
                and len(lit.value) >= 32
                and _is_typed(lit)
                and lit.within not in seen
            ):
                seen.add(lit.within)
                message = "a version of a model that is plainly made up: its hash repeats itself or counts up"
                yield finding("mock-data", module, lit, message, key="version", weight=52)
    for paid in ctx.creates():
        for field in sent_fields(paid.options):
            value = field.value.value if isinstance(field.value, Known) else None
            if field.key in {"version", "model"} and isinstance(value, str) and _PLACEHOLDER.search(value):
                node = ir.Other(field.line, field.end, [])
                message = f"{field.key} is sent to the provider as the placeholder {value!r}"
                yield finding("mock-data", ctx.program.modules[field.path], node, message,
                              key=f"{field.key} {field.line}", weight=54, evidence=[place(paid)])  # fmt: skip
    yield from _seeds(ctx)


def _is_typed(lit: ir.Lit) -> bool:
    """Whether a literal is a version by its form or its name, and its hash was typed by hand."""
    found = _HASH.match(str(lit.value))
    if found is None or not _TYPED.search(found["hash"]):
        return False
    if found["model"]:
        return True
    up = lit.parent
    named = (
        (up.key or "")
        if isinstance(up, ir.Prop)
        else last_name(up.target)
        if isinstance(up, ir.Assign)
        else ""
    )
    return "/" in named or _MODELS.search(named) is not None


def _seeds(ctx: Context) -> Iterator[Finding]:
    """Rows with a placeholder for a model's version, put in by a migration or a seed."""
    for file in ctx.tree.files:
        if file.language != "sql" or file.role not in LIVE_ROLES or "insert" not in file.text.lower():
            continue
        for insert in _INSERT.finditer(file.text):
            if not _MODELS.search(insert["columns"]):
                continue
            for value in _VALUE.finditer(insert["rows"]):
                text = value["value"]
                if _MODELS.search(text) and _PLACEHOLDER.search(text):
                    first = file.text.count("\n", 0, insert.start()) + 1
                    last = file.text.count("\n", 0, insert.end()) + 1
                    message = f"rows are put in with the placeholder {text!r} for a model's version"
                    yield Finding("mock-data", file.path, first, last, message, text, "", (), 48)
                    break
