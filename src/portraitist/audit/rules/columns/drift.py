"""The rule on drifting schemas: what code asks of tables, against their definitions.

Its parts stand in files of their own; here are columns that no definition has, and types that differ.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Fact, Finding
from portraitist.audit.rules.columns.class_members import lacking_attributes
from portraitist.audit.rules.columns.conflict_targets import without_constraint
from portraitist.audit.rules.columns.keyless_upserts import keyless_upserts
from portraitist.audit.rules.columns.missing_tables import missing_tables
from portraitist.audit.rules.columns.refused_values import refused_values
from portraitist.audit.rules.columns.stored_functions import called_otherwise
from portraitist.audit.rules.columns.told_elsewhere import told_elsewhere
from portraitist.audit.rules.columns.unmade_tables import unmade_tables, unmodelled
from portraitist.audit.rules.columns.unmigrated import unmigrated
from portraitist.audit.rules.columns.wrong_kinds import uuids_as_numbers, words_of_another_kind
from portraitist.audit.rules.gravity import BARELY


def _may_be_one(path: str, fact: Fact) -> bool:
    """Whether a definition is that of the database that is asked: no model of another language beside the product."""
    return not fact.evidence or path.endswith(".py") or not fact.evidence[0].path.endswith(".py")


def _missing_again(facts: list[Fact]) -> Iterator[Finding]:
    """The further lines of a file that name columns which a table does not have, those of the first left out."""
    seen = {facts[0].line}
    for each in facts[1:]:
        if each.line not in seen:
            seen.add(each.line)
            table, _, column = each.key.partition(".")
            message = f"{table} has no column {column} in any definition"
            yield Finding("schema-drift", each.path, each.line, each.end_line, message, f"{each.key} {len(seen)}",
                          each.scope, each.evidence, BARELY, fix="schema-drift.missing")  # fmt: skip


def schema_drift(ctx: Context) -> Iterator[Finding]:
    """A written column that no definition has, or two definitions of one column with different types.

    Also tables and functions that no definition has, where nearly all others are defined (`missing_tables`), and UUIDs
    that are put into numbers (`wrong_kinds`), tables that nothing makes (`unmade_tables`), attributes that a mapped
    class does not have (`class_members`), columns of models that no SQL file names (`unmigrated`), words that a column
    does not admit (`refused_values`) or that are not of its kind (`wrong_kinds`), functions of the database that are
    called otherwise than they are defined (`stored_functions`), upserts on columns that nothing keeps unique
    (`conflict_targets`).
    """
    yield from missing_tables(ctx)
    yield from unmade_tables(ctx)
    yield from unmodelled(ctx)
    yield from lacking_attributes(ctx)
    yield from uuids_as_numbers(ctx)
    yield from words_of_another_kind(ctx)
    yield from unmigrated(ctx)
    yield from refused_values(ctx)
    yield from called_otherwise(ctx)
    yield from without_constraint(ctx)
    yield from keyless_upserts(ctx)
    missing: dict[tuple[str, str], list[Fact]] = {}
    for fact in ctx.of("table.missing_column"):
        if fact.role in {"src", "script"}:
            missing.setdefault((fact.path, fact.key.partition(".")[0]), []).append(fact)
    for (path, table), facts in sorted(missing.items()):
        told = told_elsewhere(ctx, table)
        asked = list(dict.fromkeys(each.key.partition(".")[2] for each in facts))
        names = [each for each in asked if each.lower() not in told] or asked
        message = (
            f"{table} has no column {', '.join(names[:4])}{'…' if len(names) > 4 else ''} in any definition"
        )
        first = next(each for each in facts if each.key == f"{table}.{names[0]}")
        grave = names[0].lower() not in told and _may_be_one(path, first)
        others = dict.fromkeys(each.place for each in facts[:6] if each.place != first.place)
        evidence = (*first.evidence, *others)
        yield Finding(
            "schema-drift",
            path,
            first.line,
            first.end_line,
            message,
            first.key,
            first.scope,
            evidence,
            50 if grave else BARELY,
            fix="schema-drift.missing",
        )
        yield from _missing_again(facts)
    for fact in ctx.of("table.type_conflict"):
        if fact.role in {"src", "script"}:
            yield Finding(
                "schema-drift",
                fact.path,
                fact.line,
                fact.end_line,
                f"{fact.key} is defined with two types",
                fact.key,
                "",
                fact.evidence,
                BARELY,
            )
