"""The risk of an account of the provider that is written into the code.

Accounts of public models are no such risk: only those under which the product's own models are made, run or deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.http import address_nodes
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import OneOf, Outside, Text, Value, fold, render
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, place
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.pinned_models import pinned

_IN_PATH = re.compile(r"^\w+ /v1/(?:models|deployments)/([\w.-]+)/\{")
_NOBODY = re.compile(r"^(unknown|none|null|undefined|mock|test|owner|user(name)?|default)$", re.I)
"""What stands for an account that could not be read out of a model's name."""
_OWN_HEAD = re.compile(r"^([\w.-]+)/\{")
_WITH_OWNER = {
    "models.get", "models.delete", "models.versions.list", "models.versions.get", "models.versions.delete",
    "models.predictions.create", "deployments.predictions.create", "deployments.get", "deployments.update",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """Where a call names an account: the line, under which key, and what stands there."""

    path: str
    line: int
    key: str
    owner: str
    value: Value | None = None


def hardcoded_owner(ctx: Context) -> Iterator[Finding]:
    """The account that owns the models is a literal: in destinations, made models, addresses and models' names.

    It is shown at the constant of the file that holds it, too, where the call does not spell it. An address or a name
    counts where the account is written out and the model's own name is not. So does what stands in for a setting that
    names the account, and a model of faces that is pinned to one (`pinned_models`).
    """
    seen: set[tuple[str, int]] = set()
    calls = [each for each in ctx.calls if ctx.role_at(each.module, each.call) in LIVE_ROLES]
    makes = any(each.purpose == "training" or each.api.endswith("models.create") for each in calls)
    for call in calls:
        for named in (*_made(call), *_addressed(call), *(_run(call) if makes else ())):
            module = ctx.program.modules[named.path]
            held = _held(module, named)
            message = f"the owner {named.owner} is a literal{_instead(named.value)}"
            for line in dict.fromkeys((held, named.line)):
                if (module.path, line) not in seen:
                    seen.add((module.path, line))
                    node: ir.Node = call.call if module is call.module else ir.Other(line, line, [])
                    yield finding("hardcoded-owner", module, node, message, line=line, weight=BARELY,
                                  key=f"{named.key} {named.owner} {line == held}", evidence=[place(call)])  # fmt: skip
    yield from _settings(ctx, seen)
    yield from pinned(ctx, seen)
    yield from _compared(ctx, seen) if makes else ()


_NAMES_MODEL = re.compile(r"model|destination|lora", re.I)


def _compared(ctx: Context, seen: set[tuple[str, int]]) -> Iterator[Finding]:
    """`model === `owner/${name}``: a model is told to be one of the product's own by an account in the source."""
    for module in (each for each in ctx.live if "/${" in each.file.text and each.role == "src"):
        for text in module.all(ir.Tmpl):
            head, test = text.parts[0] if text.parts else None, text.parent
            owner = re.fullmatch(r"([\w.-]+)/", str(head.value)) if isinstance(head, ir.Lit) else None
            if (
                owner is None
                or not isinstance(test, ir.Bin)
                or test.op not in EQUALITY
                or len(text.parts) > 2
            ):
                continue
            named = any(_NAMES_MODEL.search(last_name(each)) for each in test.children())
            if named and (module.path, text.line) not in seen and ctx.role_at(module, text) in LIVE_ROLES:
                seen.add((module.path, text.line))
                message = f"the owner {owner.group(1)} is a literal in a comparison"
                yield finding(
                    "hardcoded-owner", module, text, message, key=f"compared {owner.group(1)}", weight=BARELY
                )


_ACCOUNT = re.compile(r"REPLICATE_?\w*(USER(NAME)?|OWNER|ACCOUNT|ORG(ANI[SZ]ATION)?|NAMESPACE)$", re.I)
_PLACEHOLDER = re.compile(r"your|example|placeholder|change|<|xxx|my-?(user|org|account)|replicate", re.I)


def _settings(ctx: Context, seen: set[tuple[str, int]]) -> Iterator[Finding]:
    """A literal account that stands in where the setting of one is missing, wherever it is read."""
    for fact in ctx.of("env.default"):
        text = fact.value if isinstance(fact.value, str) else ""
        plain = _is_name(text) and not _NOBODY.match(text) and not _PLACEHOLDER.search(text)
        if (
            _ACCOUNT.search(fact.key)
            and plain
            and fact.role in LIVE_ROLES
            and (fact.path, fact.line) not in seen
        ):
            message = f"the owner {text} is a literal where {fact.key} is not set"
            yield Finding(
                "hardcoded-owner",
                fact.path,
                fact.line,
                fact.end_line,
                message,
                fact.key,
                fact.scope,
                (),
                BARELY,
            )


MAKES_MODEL = {"models.create", "models.async_create", "POST /v1/models"}
"""Calls that make a model, and are refused where there is one of that name."""


def _made(call: ProviderCall) -> Iterator[Named]:
    """A destination, or the owner of a model that is made."""
    for field in call.fields("destination") if call.purpose == "training" else []:
        owner = re.match(r"^([\w.-]+)/", str(render(field.value) or ""))
        if owner:
            yield Named(field.path, field.line, field.key, owner.group(1), field.value)
    if call.api not in MAKES_MODEL:
        return
    for field in call.fields("owner"):
        if _is_name(fold(field.value)):
            yield Named(field.path, field.line, field.key, str(fold(field.value)), field.value)
    first = call.call.args[0] if call.sdk and call.call.args else None
    if (
        isinstance(first, ir.Lit | ir.Name | ir.Attr)
        and call.model is not None
        and _is_name(fold(call.model))
    ):
        yield Named(call.module.path, first.line, "owner", str(fold(call.model)), call.model)


def _addressed(call: ProviderCall) -> Iterator[Named]:
    """The owner in an address, or the first argument, of a call about a model whose name is not fixed."""
    found = _IN_PATH.match(call.api) if not call.sdk else None
    if found is not None and not _NOBODY.match(found.group(1)):
        node = next(iter(address_nodes(call.call)), call.call)
        yield Named(call.module.path, node.line, "address", found.group(1))
    first, *others = call.call.args if call.sdk and call.api in _WITH_OWNER and call.call.args else [None]
    fixed = others and isinstance(others[0], ir.Lit)
    if first is not None and others and not fixed and call.model is not None and _is_name(fold(call.model)):
        yield Named(call.module.path, first.line, "address", str(fold(call.model)), call.model)


def _run(call: ProviderCall) -> Iterator[Named]:
    """`owner/{name}` as the model that is run, in a product that makes models."""
    for field in call.fields("model", "version"):
        owner = _OWN_HEAD.match(str(render(field.value) or "")) if isinstance(field.value, Text) else None
        if owner:
            yield Named(field.path, field.line, "model", owner.group(1))
    owner = _OWN_HEAD.match(str(render(call.model) or "")) if isinstance(call.model, Text) else None
    if owner and call.call.args:
        yield Named(call.module.path, call.call.args[0].line, "model", owner.group(1))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.-]+", value) is not None


def _held(module: Module, named: Named) -> int:
    """The line that spells the account: the call's own, else that of the constant in its file that holds it."""
    if named.owner in module.text(named.line):
        return named.line
    for lit in module.all(ir.Lit):
        text = lit.value if isinstance(lit.value, str) else ""
        kept = any(isinstance(each, ir.Assign | ir.Prop) for each in ir.ancestors(lit))
        if kept and (text == named.owner or text.startswith(f"{named.owner}/")):
            return lit.line
    return named.line


def _instead(value: Value | None) -> str:
    """Says so where the literal only stands in for a setting that is missing."""
    options = [each for part in value.parts for each in _options(part)] if isinstance(value, Text) else []
    named = [each.name for each in options if isinstance(each, Outside) and each.kind == "env"]
    return f" where {named[0]} is not set" if named else ""


def _options(value: Value) -> tuple[Value, ...]:
    return value.options if isinstance(value, OneOf) else (value,)
