"""The auditor's results: facts, findings and what could not be decided.

Plain data with the closed sets of kinds, roles and rules; no analysis and no output format.
"""

from __future__ import annotations

from dataclasses import field

from portraitist.audit.frozen import dataclass

ROLES = ("src", "test", "script", "backup", "removed", "generated", "vendored", "dead", "doc")
LIVE_ROLES = frozenset({"src", "script"})

KINDS = frozenset(
    [
        "replicate.call",
        "http",
        "payload",
        "route",
        "auth",
        "db.write",
        "db.delete",
        "db.read",
        "db.null",
        "table",
        "table.column",
        "table.missing_column",
        "table.type_conflict",
        "env.read",
        "env.default",
        "env.set",
        "env.declared",
        "env.undeclared",
        "env.unused",
        "env.inconsistent",
        "env.dynamic",
        "weights.source",
        "weights.url",
        "weights.consumer",
        "poll",
        "webhook",
        "const",
        "flow",
        "persist",
        "dup.function",
        "dup.route",
        "dup.block",
        "dup.field_writers",
        "file.role",
        "file.dead",
        "file.touches_replicate",
        "export",
    ]
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file: `path` relative to the root, `line` 1-based."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the source says, at a place. `value` is JSON: a literal, a list for one-of, None when unknown.

    `also` marks what is told a second time under another name.
    """

    kind: str
    key: str
    path: str
    line: int
    end_line: int
    role: str
    value: object = None
    scope: str = ""
    evidence: tuple[Place, ...] = ()
    shows: str = field(default="", compare=False)
    also: bool = field(default=False, compare=False)

    @property
    def place(self) -> Place:
        """Where it is anchored."""
        return Place(self.path, self.line)

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A judged risk. `key` and `scope` make its fingerprint, so that a moved line is the same finding.

    `fix` names the fix in the plan where the rule has several.
    """

    rule: str
    path: str
    line: int
    end_line: int
    message: str
    key: str = ""
    scope: str = ""
    evidence: tuple[Place, ...] = ()
    weight: int = 0
    rank: int | None = None
    fingerprint: str = ""
    fix: str = ""

    @property
    def place(self) -> Place:
        """Where it is anchored."""
        return Place(self.path, self.line)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A question that a rule or a collector asked and could not decide."""

    subject: str
    path: str
    line: int
    reason: str
