"""The sentences that the report prints: those that judges, who read the source, have hardly ever called wrong.

A sentence that was judged too seldom or called wrong too often stays in the JSON, however grave it is. Which findings
are grave is in `gravity`; what may make one of a kind that is printed debatable in its place is in `doubts`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple


class Kind(NamedTuple):
    """Sentences of a rule that tell of one kind of defect: what they say, what they must not, in which files."""

    rule: str
    says: str
    unless: str = r"(?!)"
    path: str = r""

    def fits(self, rule: str, message: str, path: str) -> bool:
        """Whether a finding with this message, in this file, is of the kind."""
        return (
            rule == self.rule
            and re.search(self.says, message) is not None
            and re.search(self.unless, message) is None
            and re.search(self.path, path) is not None
        )


LEAST = 4
"""So many verdicts make a record; a kind at the product's heart with fewer is printed until two were wrong."""
NOT_WRONG, RIGHT = 7 / 8, 1 / 2
"""What share of a kind's verdicts must not be "wrong", and what share "right" beyond dispute, for it to be printed."""

_NO_PROSE = r"^(?!.*(\.(md|mdx|rst|txt|ya?ml)|/RECORD)$)"
"""Keys in guides and in templates of settings are mostly examples."""
_SCRIPTED = r"\.[cm]?[jt]sx?$"
"""In Python a class may get its columns, and a name its module, from where no rule looks: a mixin, a package."""

PRINTED = (
    Kind("missing-auth", r" reaches .* without a check that denies", unless=r"^ANY / "),
    Kind("missing-auth", r"^the policy .* lets members set"),
    Kind("missing-auth", r"^the policy .* lets (everybody|visitors) "),
    Kind("missing-auth", r"^anybody may call"),
    Kind("missing-auth", r" (changes|deletes from) \S+ by the \S+ of the request and asks nobody"),
    Kind("missing-auth", r"^ACTION \S+ (changes|deletes from) \S+ and asks nobody"),
    Kind("missing-auth", r" lets files into"),
    Kind("missing-auth", r" spends at \S+ and turns nobody away", unless=r"^(GET|ANY) "),
    Kind("webhook-unverified", r"believes whoever"),
    Kind("webhook-unverified", r" only (where|logs) "),
    Kind("webhook-missing-handler", r"is never reached"),
    Kind("secret-in-repo", r"^a (database's address|service-role)"),
    Kind("secret-in-repo", r"^a (secret|service's key)\b.* committed", unless=r"(?i)local", path=_NO_PROSE),
    Kind("secret-in-repo", r"^where .* is not set, what it signs", path=r"\.py$"),
    Kind("idor", r" (reads|deletes from|changes) \S+ by an? \S* ?id of the request, without"),
    Kind("blind-post-retry", r"is sent (again|a second time)"),
    Kind("blind-post-retry", r"delivered again"),
    Kind(
        "fallback-swallow",
        r"^the error in the answer|^whether this upload failed",
        unless=r"this write to (temp|tmp|cached?)_",
    ),
    Kind("credit-before-check", r"taken only after the paid"),
    Kind("credit-before-check", r"as a difference"),
    Kind("credit-before-check", r"delivered again|confirmed again|once more"),
    Kind("credit-before-check", r"is paid here and nothing on the way asks"),
    Kind("credit-before-check", r"adds as many credits .* and lets in"),
    Kind("schema-drift", r"has no column", path=_SCRIPTED),
    Kind("schema-drift", r"has no table|has a (model|table) "),
    Kind(
        "temporary-url-persisted",
        r"keeps the provider's temporary address",
        unless=r"address($|, (and )?(nothing|which))",
    ),
    Kind("temporary-url-persisted", r"^when the copy fails"),
    Kind("stuck-status", r"stays as it is here when"),
    Kind("stuck-status", r"^only the (webhook|task)\b"),
    Kind("undefined-name", r"used and defined nowhere"),
    Kind("broken-import", r"does not exist", path=_SCRIPTED),
    Kind("broken-import", r"is not exported by"),
    Kind("clears-working-model", r""),
    Kind("client-exposed-token", r"answers with a part of"),
    Kind("client-exposed-token", r"answers with", unless=r"a part of"),
    Kind(
        "client-exposed-token",
        r"(REPLICATE|OPENAI|GEMINI|SERVICE_?ROLE|SECRET)\w* is put into the browser's bundle",
    ),
    Kind(
        "client-exposed-token", r"(REPLICATE|SERVICE_?ROLE|STRIPE_SECRET)\w* is a secret in a public variable"
    ),
    Kind("hardcoded-owner", r""),
    Kind("mock-data", r"drawn by lot|placeholder"),
    Kind("null-composite", r""),
    Kind("payload-conflict", r""),
    Kind("shared-destination", r"^every training goes to", unless=r"one configured name"),
    Kind("shared-model-fallback", r""),
    Kind("version-unnormalised", r""),
)
"""`bench/audit_precision.py --kinds` prints the record of each, `tests/audit/test_judged.py` asks that it is kept."""


def keeps(record: Counter[str]) -> bool:
    """Whether a kind with this record (how many verdicts of each sort) may be printed."""
    judged = record.total()
    if judged < LEAST:
        return record["wrong"] < 2
    return judged - record["wrong"] >= NOT_WRONG * judged and record["right"] >= RIGHT * judged


def is_printed(rule: str, message: str, path: str) -> bool:
    """Whether what a finding says may be printed by what judges have said of its like."""
    return any(each.fits(rule, message, path) for each in PRINTED)
