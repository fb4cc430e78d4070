"""Which fix of the plan a finding asks for, where its rule tells of several defects. The texts are in the vocabulary.

Told by the finding's message, which says what was found; a rule's own text fits all that are not listed here.
"""

from __future__ import annotations

import re

from portraitist.audit.model import Finding

VARIANTS: tuple[tuple[str, str, str], ...] = (
    ("missing-auth", r"^the policy .* lets members set", "column"),
    ("missing-auth", r"^the policy ", "policy"),
    ("missing-auth", r"^anybody may call", "function"),
    ("missing-auth", r"believes what a token says", "token"),
    ("webhook-unverified", r" only (where|logs) ", "open"),
    ("webhook-missing-handler", r"turns away whoever", "shut"),
    ("idor", r"gives out files", "files"),
    ("idor", r"for the \w+ that the request names", "named"),
    ("idor", r"runs whichever model", "model"),
    ("idor", r" reads ", "read"),
    ("credit-before-check", r"looks at a payment|no proof", "gift"),
    ("credit-before-check", r"lets in whoever", "office"),
    ("credit-before-check", r"delivered again|confirmed again|giving back twice", "again"),
    ("credit-before-check", r"not given back|keeps it when|stays? taken", "back"),
    ("stuck-status", r"of the provider is|the provider never (says|sends)", "ends"),
    ("schema-drift", r"^the class ", "class"),
    ("secret-in-repo", r"^where \w+ is not set", "fallback"),
    ("secret-in-repo", r"everybody who reads this code knows", "spelled"),
    ("client-exposed-token", r"answers with|is given", "answered"),
    ("client-exposed-token", r"runs in the browser", "browser"),
    ("blind-post-retry", r"delivered again", "event"),
    ("undefined-name", r"has no value here|only further down", "early"),
    ("mock-data", r"drawn by lot", "drawn"),
)
"""Rule, what its message says, and the fix: the first that fits."""


def fix_of(finding: Finding) -> str:
    """The name of a finding's fix: its own, that of its words, or its rule's."""
    if finding.fix:
        return finding.fix
    fitting = (
        name for rule, says, name in VARIANTS if rule == finding.rule and re.search(says, finding.message)
    )
    name = next(fitting, "")
    return f"{finding.rule}.{name}" if name else finding.rule
