"""Rules of Firestore and Firebase storage that let everybody, or whoever is signed in, have all. Of `missing-auth`.

Reads the rules as text: a condition counts as open where it is none, `true`, or a date that ends a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding

_PART = re.compile(
    r"match\s+(?P<path>/[^\s{]*(?:\{[^}\s]*\}[^\s{]*)*)\s*\{|allow\s+(?P<does>[\w,\s]+?)\s*(?::\s*if\s+(?P<test>[^;]*))?;|[{}]",
    re.I,
)
_OPEN = re.compile(r"^(true|request\.time\s*<\s*timestamp\.date\([^)]*\))$", re.I)
_SIGNED_IN = re.compile(r"^request\.auth(\.uid)?\s*!=\s*null$", re.I)
_CHANGES = re.compile(r"\b(write|create|update|delete)\b")
_KEPT = re.compile(
    r"user|profile|order|payment|credit|message|train|model|upload|generat|image|photo|\*\*", re.I
)


def rules_left_open(ctx: Context) -> Iterator[Finding]:
    """`allow write: if true` for what belongs to members, and `if request.auth != null` where a path names a member."""
    for file in (each for each in ctx.tree.others if each.path.endswith(".rules")):
        text = re.sub(
            r"//[^\n]*|/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found.group()), file.text, flags=re.S
        )
        above: list[str] = []
        for part in _PART.finditer(text):
            if part.group("path"):
                above.append(part.group("path"))
            elif part.group("does") is None:
                if part.group() == "{":
                    above.append("")
                elif above:
                    above.pop()
            else:
                told = _told("".join(above), part.group("does"), (part.group("test") or "true").strip())
                if told is not None:
                    message, weight = told
                    line = text.count("\n", 0, part.start()) + 1
                    yield Finding("missing-auth", file.path, line, line, message, f"{line}", "", (), weight)


def _told(path: str, does: str, test: str) -> tuple[str, int] | None:
    """What is said of a permission, and its weight; None where it asks for more, or is for all by its place."""
    path = path.replace("/databases/{database}/documents", "").replace("/b/{bucket}/o", "") or "/"
    changes = _CHANGES.search(does) is not None
    if _OPEN.match(test) and (changes or _KEPT.search(path)):
        return f"the rules let everybody {'change' if changes else 'read'} {path}", 80 if changes else 58
    if (
        _SIGNED_IN.match(test)
        and re.search(r"\{\w*(user|uid|owner)\w*\}|\*\*", path, re.I)
        and (changes or "{" in path)
    ):
        return f"the rules let every member {'change' if changes else 'read'} {path}, whoever's it is", 62
    return None
