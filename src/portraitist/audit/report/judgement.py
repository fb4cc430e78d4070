"""Sections 7 to 9: environment, the ranked risks and the plan that follows from them."""

from __future__ import annotations

import re
from collections import Counter

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Fact, Finding, Place
from portraitist.audit.report.claims import Block, Citations, Row, Section, at, cite, code, several
from portraitist.audit.report.fixes import fix_of

_SUBJECT = re.compile(
    r"replicate|flux|lora|model|train|aws|s3|bucket|r2|storage|supabase|database|webhook|openai|cloudinary|appwrite|version",
    re.I,
)


def environment(ctx: Context, cites: Citations) -> Section:
    """Section 7: variables read, with defaults and declarations; then what does not fit."""
    reads: dict[str, list[Fact]] = {}
    for each in ctx.of("env.read"):
        if each.role in {"src", "script"}:
            reads.setdefault(each.key, []).append(each)
    touching = {each.path for each in ctx.of("file.touches_replicate")}
    names = sorted(reads, key=lambda name: (-_weight(name, reads[name], touching), name))
    defaults = {each.key: each for each in ctx.of("env.default")}
    undeclared = {each.key for each in ctx.of("env.undeclared")}
    rows = [_read_row(name, reads[name], defaults.get(name), undeclared, cites) for name in names]
    return Section(
        "7) ENV & CONFIG",
        160,
        [
            Block(["Read:"], rows, 3.0, "No environment variable is read."),
            Block(
                ["Read, never declared:"], [_fact_row(each, cites) for each in ctx.of("env.undeclared")], 1.0
            ),
            Block(
                ["Inconsistent:"],
                [_fact_row(each, cites) for each in ctx.of("env.inconsistent")],
                1.0,
            ),
            Block(["Computed names:"], [_fact_row(each, cites) for each in ctx.of("env.dynamic")], 0.6),
            Block(
                ["Pinned versions:"],
                [_const_row(each, cites) for each in ctx.of("const") if each.role in {"src", "script"}],
                1.0,
            ),
            Block(["Declared, never read:"], [_fact_row(each, cites) for each in ctx.of("env.unused")], 0.6),
        ],
    )


def _weight(name: str, facts: list[Fact], touching: set[str]) -> int:
    return (
        10 * ("REPLICATE" in name)
        + 4 * bool(_SUBJECT.search(name))
        + 2 * any(each.path in touching for each in facts)
    )


def _read_row(
    name: str, facts: list[Fact], default: Fact | None, undeclared: set[str], cites: Citations
) -> Row:
    places = [cite(each, cites) for each in facts[:3]]
    given = (
        f", default {code(default.value, 30)}"
        if default is not None and default.value is not None and len(str(default.value)) < 60
        else ""
    )
    if default is not None and not given:
        given = ", has a default"
    known = ", undeclared" if name in undeclared else ""
    return Row(
        f"- {code(name)} {several([place for place, _ in places], 2)}{given}{known}", tuple(places[:2])
    )


def _fact_row(fact: Fact, cites: Citations) -> Row:
    place, token = cite(fact, cites)
    other = f" vs {several(fact.evidence, 1)}" if fact.kind == "env.inconsistent" else ""
    return Row(
        f"- {code(fact.key)} {at(place)}{other}", ((place, token if fact.kind != "env.dynamic" else ""),)
    )


def _const_row(fact: Fact, cites: Citations) -> Row:
    place, token = cite(fact, cites)
    return Row(f"- {code(fact.key, 50)} {at(place)}", ((place, token),))


_RULES_NAMED = 8
"""So many rules are named at most: those judged by, and those with findings that are not printed."""


def risks(findings: list[Finding], judged: list[str] | None = None) -> Section:
    """Section 8: the ranked findings with their line ranges, and how many others there are.

    `judged` are the rules asked for where that were not all: what others would have said is not said to be absent.
    """
    rows = [_risk_row(each) for each in findings if each.rank is not None]
    more = len(findings) - len(rows)
    none = (
        "None of what was found is certain enough to stand here."
        if more
        else "No risk was found by the rules."
    )
    told = Counter(each.rule for each in findings if each.rank is None)
    most = sorted(told.items(), key=lambda each: (-each[1], each[0]))[:_RULES_NAMED]
    named = ", ".join(f"{rule} {number}" for rule, number in most) + (", …" if len(told) > len(most) else "")
    others = f"+{more} lighter, less certain or told above ({named}): see `--json`." if more else ""
    asked = (
        f"Judged by {', '.join(judged[:_RULES_NAMED])}{', …' * (len(judged) > _RULES_NAMED)} only."
        if judged
        else ""
    )
    blocks = [Block([], [], 0.0, asked), Block([], rows, 1.0, none), Block([], [], 0.0, others)]
    return Section("8) RISK LIST (TOP 10)", 260, blocks if judged else blocks[1:])


def _risk_row(finding: Finding) -> Row:
    span = f"{finding.path}:{finding.line}" + (
        f"-{finding.end_line}" if finding.end_line > finding.line else ""
    )
    seen = f"; see {several(finding.evidence, 2)}" if finding.evidence else ""
    cited: tuple[tuple[Place, str], ...] = (
        (finding.place, ""),
        *((each, "") for each in finding.evidence[:2]),
    )
    return Row(f"{finding.rank}. **{finding.rule}** {finding.message} {code(span, 200)}{seen}", cited)


BULLETS = 8
"""How many bullets the plan has at most, that on hyperparameters included."""
FEW = 5
"""With fewer bullets than these a further risk of the same fix has one of its own."""


def plan(ctx: Context, findings: list[Finding]) -> Section:
    """Section 9: the fix of each ranked risk, one bullet for each fix, gravest first."""
    first: dict[str, Row] = {}
    again: list[Row] = []
    for each in findings:
        name = fix_of(each)
        fix = ctx.words.fixes.get(name)
        if each.rank is None or not fix:
            continue
        row = Row(
            f"- {fix.format(key=code(each.key or each.path, 60))} {at(each.place)}", ((each.place, ""),)
        )
        if name in first:
            again.append(row)
        else:
            first[name] = row
    chosen = [Row("- Training hyperparameters stay unchanged."), *list(first.values())[: BULLETS - 1]]
    chosen += again[: max(0, FEW - len(chosen))]
    return Section("9) MINIMAL FIX PLAN", 120, [Block([], chosen, 1.0)])
