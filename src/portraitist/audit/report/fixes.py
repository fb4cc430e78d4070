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
    ("missing-auth", r"has no row-level security", "rows"),
    ("missing-auth", r"^an upload route", "upload"),
    ("missing-auth", r"whoever writes to the bot", "bot"),
    ("webhook-unverified", r" only (where|logs) ", "open"),
    ("webhook-missing-handler", r"turns away whoever", "shut"),
    ("idor", r"gives out files", "files"),
    ("idor", r"for the \w+ that the request names|takes whichever", "named"),
    ("idor", r"runs whichever model", "model"),
    ("idor", r" reads ", "read"),
    ("credit-before-check", r"looks at a payment|no proof", "gift"),
    ("credit-before-check", r"lets in whoever", "office"),
    ("credit-before-check", r"delivered again|confirmed again|giving back twice", "again"),
    (
        "credit-before-check",
        r"not given back|keeps it when|stays? taken|keeps the credits|kept when|are kept",
        "back",
    ),
    ("credit-before-check", r"says itself", "claimed"),
    ("credit-before-check", r"in a request of its own", "apart"),
    ("credit-before-check", r"written back as a difference", "difference"),
    ("credit-before-check", r"nothing on the way asks for credits", "unpaid"),
    ("stuck-status", r"of the provider (is|does)|the provider never (says|sends)", "ends"),
    ("stuck-status", r"second reading", "body"),
    ("stuck-status", r"read from the webhook's address", "address"),
    ("stuck-status", r"must be decoded first", "signature"),
    ("stuck-status", r"a refusal of the provider", "refusal"),
    ("stuck-status", r"has no session", "rights"),
    ("stuck-status", r"is sent inside", "place"),
    ("schema-drift", r"^the class ", "class"),
    ("schema-drift", r"has a table ", "table"),
    ("schema-drift", r"no SQL file names", "unmigrated"),
    ("schema-drift", r"by its definition, and gets", "kind"),
    ("secret-in-repo", r"^where \w+ is not set", "fallback"),
    ("secret-in-repo", r"everybody who reads this code knows", "spelled"),
    ("secret-in-repo", r"^password hashes", "hashes"),
    ("client-exposed-token", r"answers with|is given", "answered"),
    ("client-exposed-token", r"runs in the browser", "browser"),
    ("client-exposed-token", r"in a folder that is served", "served"),
    ("client-exposed-token", r"whatever address the request names", "sent"),
    ("temporary-url-persisted", r"^when the copy fails", "copy"),
    ("temporary-url-persisted", r"is signed for", "signed"),
    ("blind-post-retry", r"delivered again", "event"),
    ("fallback-swallow", r"could not be asked", "unasked"),
    ("undefined-name", r"has no value here|only further down", "early"),
    ("mock-data", r"drawn by lot", "drawn"),
    ("mock-data", r"refuses a request by lot", "lot"),
    ("mock-data", r"refuses nobody", "passed"),
    ("mock-data", r"^every training gets the one", "same"),
    ("mock-data", r"placeholder", "placeholder"),
    ("mock-data", r"rows that are written in the source", "rows"),
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
