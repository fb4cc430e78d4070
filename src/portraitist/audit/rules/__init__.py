"""Judgement: one function for each risk, over the facts, and the fingerprints. The ranking is in `gravity`.

A rule's docstring says what it checks and what it cannot know. Rules add no facts.
"""

from __future__ import annotations

import difflib
import hashlib
import traceback
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding
from portraitist.audit.rules import (
    code,
    gravity,
    owners,
    product,
    provider,
    repeats,
    shared_models,
    version_parts,
    versions,
)
from portraitist.audit.rules.addresses import stored
from portraitist.audit.rules.base import Rule
from portraitist.audit.rules.columns import drift, models
from portraitist.audit.rules.completion import done
from portraitist.audit.rules.credits import charges
from portraitist.audit.rules.mocks import named
from portraitist.audit.rules.names import undefined
from portraitist.audit.rules.open_ways import access
from portraitist.audit.rules.others import ownership
from portraitist.audit.rules.secrets import exposed
from portraitist.audit.rules.senders import handlers, webhooks
from portraitist.audit.rules.states import progress, stuck

RULES: dict[str, Rule] = {
    "clears-working-model": models.clears_working_model,
    "id-overloaded": models.id_overloaded,
    "column-mismatch": models.column_mismatch,
    "missing-auth": access.missing_auth,
    "webhook-unverified": webhooks.webhook_unverified,
    "webhook-missing-handler": handlers.webhook_missing_handler,
    "idor": ownership.idor,
    "shared-destination": provider.shared_destination,
    "shared-model-fallback": shared_models.shared_model_fallback,
    "hardcoded-owner": owners.hardcoded_owner,
    "client-exposed-token": exposed.client_exposed_token,
    "secret-in-repo": exposed.secret_in_repo,
    "weights-url-guess": provider.weights_url_guess,
    "packaged-extraction": provider.packaged_extraction,
    "no-retry": done.no_retry,
    "stuck-status": stuck.stuck_status,
    "version-unnormalised": versions.version_unnormalised,
    "version-parse-fragile": version_parts.version_parse_fragile,
    "null-composite": versions.null_composite,
    "payload-conflict": provider.payload_conflict,
    "arch-mismatch": provider.arch_mismatch,
    "time-progress": progress.time_progress,
    "temporary-url-persisted": stored.temporary_url_persisted,
    "blind-post-retry": repeats.blind_post_retry,
    "shared-mutable-default": models.shared_mutable_default,
    "schema-drift": drift.schema_drift,
    "undefined-name": undefined.undefined_name,
    "mock-data": named.mock_data,
    "credit-before-check": charges.credit_before_check,
    "env-undeclared": code.env_undeclared,
    "env-unused": code.env_unused,
    "broken-import": code.broken_import,
    "fallback-swallow": product.fallback_swallow,
}


def judge(ctx: Context, names: Collection[str] = RULES) -> list[Finding]:
    """Every finding of these rules, gravest first, those that the report prints with their ranks."""
    asked = [each for each in RULES if each in names]
    ctx.judged = asked if len(asked) < len(RULES) else None
    found: dict[tuple[str, str, str, str], list[Finding]] = {}
    for name in asked:
        for each in _told(ctx, name, RULES[name]):
            same = found.setdefault((each.rule, each.path, each.scope, each.key), [])
            if not any(each.line <= one.end_line and one.line <= each.end_line for one in same):
                same.append(_stamped(each if not same else _once_more(each, len(same) + 1)))
    return gravity.ranked(ctx, [each for same in found.values() for each in same])


class UnknownRuleError(ValueError):
    """A name that no rule has; its text says which name is meant, or where all of them stand."""


def chosen(select: str | None, ignore: str | None) -> list[str]:
    """The rules named in `select`, or all, without those in `ignore`; both are lists with commas.

    Raises `UnknownRuleError` for a name that no rule has, and where nothing is left.
    """
    wanted, unwanted = (_names(each) for each in (select, ignore))
    left = [each for each in RULES if (select is None or each in wanted) and each not in unwanted]
    if not left:
        raise UnknownRuleError("no rule is left to judge by")
    return left


def _names(listed: str | None) -> set[str]:
    names = {each.strip() for each in (listed or "").split(",")} - {""}
    for name in sorted(names - RULES.keys()):
        meant = difflib.get_close_matches(name, RULES, 1)
        hint = f"did you mean {meant[0]}?" if meant else f"rules are {', '.join(RULES)}"
        raise UnknownRuleError(f"{name} is no rule; {hint}")
    return names


def _told(ctx: Context, name: str, rule: Rule) -> Iterator[Finding]:
    """The findings of a rule. One that breaks on what it never met costs its own judgement, not everybody's."""
    try:
        yield from rule(ctx)
    except Exception as error:  # noqa: BLE001 - sources are anybody's, and the other rules have something to say
        where = traceback.extract_tb(error.__traceback__)[-1]
        ctx.unjudged.append((name, f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"))


def _once_more(finding: Finding, number: int) -> Finding:
    """The same thing at another place of its function: for whoever reads all there is, never printed."""
    return replace(finding, key=f"{finding.key} #{number}", weight=gravity.BARELY)


def _stamped(finding: Finding) -> Finding:
    """The finding with its fingerprint: rule, path, enclosing function and key, never the line."""
    text = "\0".join((finding.rule, finding.path, finding.scope, finding.key))
    return replace(finding, fingerprint=hashlib.sha256(text.encode()).hexdigest()[:20])
