"""Judgement: one function for each risk, over the facts; ranking and fingerprints.

A rule's docstring says what it checks and what it cannot know. Rules add no facts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules import (
    code,
    owners,
    product,
    provider,
    repeats,
    versions,
)
from portraitist.audit.rules.addresses import stored
from portraitist.audit.rules.base import Rule
from portraitist.audit.rules.columns import models
from portraitist.audit.rules.completion import done
from portraitist.audit.rules.credits import charges
from portraitist.audit.rules.mocks import named
from portraitist.audit.rules.names import undefined
from portraitist.audit.rules.open_ways import access
from portraitist.audit.rules.others import ownership
from portraitist.audit.rules.secrets import exposed
from portraitist.audit.rules.senders import webhooks
from portraitist.audit.rules.states import outcomes, progress

RANKED = 10
"""How many findings the report prints."""
WORTH_PRINTING = 20
"""Findings lighter than this are in the JSON only."""

MOST = 3
"""How many findings of one rule the report prints."""
GRAVE = 60
"""Of one rule's findings that are lighter than this the report prints two."""
LIGHT = 42
"""Findings lighter than this stand for all of their rule: the report prints one."""
IN_SCRIPTS = {"secret-in-repo", "client-exposed-token"}

GENERAL = {
    "broken-import",
    "schema-drift",
    "mock-data",
    "fallback-swallow",
    "env-undeclared",
    "column-mismatch",
}
"""Rules that also judge code with nothing to do with the provider: there they come after the others."""
FAR_FROM_IT = 30

RULES: dict[str, Rule] = {
    "clears-working-model": models.clears_working_model,
    "id-overloaded": models.id_overloaded,
    "column-mismatch": models.column_mismatch,
    "missing-auth": access.missing_auth,
    "webhook-unverified": webhooks.webhook_unverified,
    "webhook-missing-handler": webhooks.webhook_missing_handler,
    "idor": ownership.idor,
    "shared-destination": provider.shared_destination,
    "shared-model-fallback": provider.shared_model_fallback,
    "hardcoded-owner": owners.hardcoded_owner,
    "client-exposed-token": exposed.client_exposed_token,
    "secret-in-repo": exposed.secret_in_repo,
    "weights-url-guess": provider.weights_url_guess,
    "packaged-extraction": provider.packaged_extraction,
    "no-retry": done.no_retry,
    "stuck-status": outcomes.stuck_status,
    "version-unnormalised": versions.version_unnormalised,
    "version-parse-fragile": versions.version_parse_fragile,
    "null-composite": versions.null_composite,
    "payload-conflict": provider.payload_conflict,
    "arch-mismatch": provider.arch_mismatch,
    "time-progress": progress.time_progress,
    "temporary-url-persisted": stored.temporary_url_persisted,
    "blind-post-retry": repeats.blind_post_retry,
    "shared-mutable-default": models.shared_mutable_default,
    "schema-drift": models.schema_drift,
    "undefined-name": undefined.undefined_name,
    "mock-data": named.mock_data,
    "credit-before-check": charges.credit_before_check,
    "env-undeclared": code.env_undeclared,
    "env-unused": code.env_unused,
    "broken-import": code.broken_import,
    "fallback-swallow": product.fallback_swallow,
}


def judge(ctx: Context) -> list[Finding]:
    """Every finding, most severe first, the first ten ranked.

    No rule has more than three of the ten, a lighter one no more than two or one; what stands in scripts beside a
    product is left to the JSON, but for secrets.
    """
    found: dict[tuple[str, str, str, str], Finding] = {}
    for rule in RULES.values():
        for each in rule(ctx):
            found.setdefault((each.rule, each.path, each.scope, each.key), _stamped(each))
    near = {each.path for each in ctx.of("file.touches_replicate", "replicate.call", "http", "webhook")}
    near |= {ctx.program.module_of[func].path for flow in ctx.flows for func in flow.funcs}

    def order(each: Finding) -> tuple[int, str, int, str, str]:
        aside = FAR_FROM_IT if each.rule in GENERAL and each.path not in near else 0
        return (aside - each.weight, each.path, each.line, each.rule, each.key)

    ordered = sorted(found.values(), key=order)
    return _ranked(ordered, _scripts(ctx))


def _scripts(ctx: Context) -> set[str]:
    """The files that nobody but their owner runs, in a repository whose paid calls stand elsewhere."""
    apart = {each.path for each in ctx.modules if each.role != "src" or _CONFIGURES.search(each.path)}
    return apart if any(each.module.path not in apart for each in ctx.calls) else set()


_CONFIGURES = re.compile(r"(^|/)(\.\w[\w-]*/.*|(playwright|vitest|jest|cypress|eslint)\.config\.\w+)$")


def _stamped(finding: Finding) -> Finding:
    """The finding with its fingerprint: rule, path, enclosing function and key, never the line."""
    text = "\0".join((finding.rule, finding.path, finding.scope, finding.key))
    return replace(finding, fingerprint=hashlib.sha256(text.encode()).hexdigest()[:20])


def _told_beside(finding: Finding, ranked: list[Finding]) -> bool:
    """Whether a ranked finding of another rule is the same hole: who mends the one has mended the other."""
    for each in ranked:
        over = each.line <= finding.end_line and finding.line <= each.end_line
        if each.path == finding.path and {each.rule, finding.rule} in (
            _ACCOUNT,
            _ASKED if over else _ACCOUNT,
        ):
            return True
    return False


_ACCOUNT = {"shared-destination", "hardcoded-owner"}
_ASKED = {"missing-auth", "idor"}


def _ranked(ordered: list[Finding], scripts: set[str]) -> list[Finding]:
    """The findings with their ranks; one that says what a ranked one says is a further place of that, and one that
    follows from a ranked one (its place is the evidence) needs no rank of its own."""
    counts: dict[str, int] = {}
    said: dict[tuple[str, str], int] = {}
    places: set[tuple[str, Place]] = set()
    out: list[Finding] = []
    ranked: list[Finding] = []
    for each in ordered:
        aside = each.path in scripts and each.rule not in IN_SCRIPTS
        most = MOST if each.weight >= GRAVE else 2 if each.weight >= LIGHT else 1
        told = counts.get(each.rule, 0)
        first = said.get((each.rule, each.message))
        if any((each.rule, place) in places for place in each.evidence) or _told_beside(each, ranked):
            out.append(each)
            continue
        if first is not None:
            out[first] = replace(out[first], evidence=(*out[first].evidence, each.place))
        elif len(said) < RANKED and told < most and each.weight >= WORTH_PRINTING and not aside:
            said[each.rule, each.message] = len(out)
            counts[each.rule] = told + 1
            places.add((each.rule, each.place))
            ranked.append(each)
            out.append(replace(each, rank=len(said)))
            continue
        out.append(each)
    return out
