"""The audit for programs: one JSON object of facts and findings, and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Iterable
from json.encoder import encode_basestring as _quoted
from urllib.parse import quote

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Fact, Finding, Place
from portraitist.audit.rules import RULES

SCHEMA = "portraitist-audit/1"


def as_json(ctx: Context, findings: list[Finding], dropped: list[dict[str, object]]) -> str:
    """The object that a scorer reads; keys in a fixed order, no absolute path, no time."""
    unresolved = sorted(
        set(ctx.unresolved), key=lambda each: (each.path, each.line, each.subject, each.reason)
    )
    puzzles = (
        {"subject": each.subject, "path": each.path, "line": each.line, "reason": each.reason}
        for each in unresolved
    )
    lists = {
        "facts": map(_fact, sorted(ctx.facts, key=_in_order)),
        "findings": (_encode(_finding(each)) for each in findings),
        "dropped": map(_encode, dropped),
        "unresolved": map(_encode, puzzles),
    }
    narrowed = {"rules": ctx.judged} if ctx.judged is not None else {}
    head = json.dumps({"schema": SCHEMA, "root": None, "files_read": len(ctx.tree.files), **narrowed})[:-1]
    return head + "".join(f',\n"{name}": {_one_a_line(rows)}' for name, rows in lists.items()) + "}\n"


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _one_a_line(rows: Iterable[str]) -> str:
    """A JSON list with one entry a line: quick to write, and to compare with another run."""
    return "[\n" + ",\n".join(rows) + "\n]"


def _places(places: tuple[Place, ...]) -> list[dict[str, object]]:
    return [{"path": each.path, "line": each.line} for each in places]


def _in_order(fact: Fact) -> tuple[str, int, str, str, str]:
    return fact.path, fact.line, fact.kind, fact.key, fact.scope


def _fact(fact: Fact) -> str:
    """A fact as JSON. There are so many that it is put together here, which takes a third of an encoder's time."""
    value = "null" if fact.value is None else _encode(fact.value)
    places = ", ".join(f'{{"path": {_quoted(each.path)}, "line": {each.line}}}' for each in fact.evidence)
    return (
        f'{{"kind": {_quoted(fact.kind)}, "key": {_quoted(fact.key)}, "path": {_quoted(fact.path)}'
        f', "line": {fact.line}, "end_line": {fact.end_line}, "role": {_quoted(fact.role)}, "value": {value}'
        f', "scope": {_quoted(fact.scope)}, "evidence": [{places}]}}'
    )


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "rank": finding.rank,
        "path": finding.path,
        "line": finding.line,
        "end_line": finding.end_line,
        "message": finding.message,
        "evidence": _places(finding.evidence),
        "fingerprint": finding.fingerprint,
    }


def as_sarif(ctx: Context, findings: list[Finding]) -> str:
    """SARIF 2.1.0 with fingerprints, related locations and, where a flow reaches the place, a code flow."""
    rules = sorted({each.rule for each in findings})
    made = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "portraitist-audit", "rules": [_rule(each) for each in rules]}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(ctx, each, rules) for each in findings],
            }
        ],
    }
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _rule(code: str) -> dict[str, object]:
    """A rule with what it checks: the first paragraph of its docstring."""
    says = " ".join((RULES[code].__doc__ or code).partition("\n\n")[0].split())
    return {"id": code, "shortDescription": {"text": says}}


def _location(path: str, line: int, end: int) -> dict[str, object]:
    region = {"startLine": max(line, 1), "endLine": max(end, line, 1)}
    return {"physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": region}}


def _result(ctx: Context, finding: Finding, rules: list[str]) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": level(finding),
        "message": {"text": finding.message},
        "locations": [_location(finding.path, finding.line, finding.end_line)],
        "partialFingerprints": {"portraitistAudit/v1": finding.fingerprint},
    }
    if finding.evidence:
        result["relatedLocations"] = [_location(each.path, each.line, each.line) for each in finding.evidence]
    flow = next((each for each in ctx.flows if finding.place in each.steps), None)
    if flow is not None:
        steps = [{"location": _location(each.path, each.line, each.line)} for each in flow.steps]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return result


def level(finding: Finding) -> str:
    """error, warning or note, by weight."""
    return "error" if finding.weight >= 70 else "warning" if finding.weight >= 40 else "note"
