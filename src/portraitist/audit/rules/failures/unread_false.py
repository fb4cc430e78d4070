"""Part of the rule on swallowed failures: helpers that store what was paid, say False when they could not, unheard.

Objects that tell of a failure are in `as_success`. Whether a caller learns it by reading the row again is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.calls import returns
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.credits.changes import CREDIT
from portraitist.audit.rules.failures.quiet import live_sites
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler, stands_alone

_PAID = re.compile(r"payment|subscri|purchase|invoice|(^|_)orders?(_|$)|premium")


def unread_false(ctx: Context) -> Iterator[Finding]:
    """`add_credits(user, 10)` whose handler answers False, called for its effect alone: the payment's credits are gone.

    Only writes of balances and of what was bought; a call in a handler or a branch for trouble is an attempt.
    """
    for func in ctx.statements_under:
        module = ctx.program.module_of.get(func)
        if module is None or func in ctx.handled_by or not _stores_paid(ctx, func) or not _says_false(func):
            continue
        for site, _ in live_sites(ctx, func):
            dropped = stands_alone(site.call) and not in_handler(site.call)
            if dropped and ctx.role_at(site.module, site.call) in LIVE_ROLES:
                message = f"{func.name} says by False that it stored nothing, and nothing here reads that"
                yield finding("fallback-swallow", site.module, site.call, message, key=f"false {func.name}",
                              weight=BARELY, end=site.call.end, evidence=[Place(module.path, func.line)])  # fmt: skip


def _stores_paid(ctx: Context, func: ir.Func) -> bool:
    """Whether a function itself writes a balance, or what somebody bought."""
    for each in ctx.statements_under.get(func, ()):
        if each.kind == "write" and each.func is func:
            names = [snake(each.table), *(snake(use.column) for use in each.columns)]
            if any(CREDIT.search(name) or _PAID.search(name) for name in names):
                return True
    return False


def _says_false(func: ir.Func) -> bool:
    """Whether a function answers False out of a handler and True elsewhere."""
    given = [each for each in returns(func) if isinstance(each, ir.Lit)]
    failed = any(each.value is False and in_handler(each) for each in given)
    return failed and any(each.value is True and not in_handler(each) for each in given)
