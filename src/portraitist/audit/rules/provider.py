"""Risks in what is sent to the provider and in what is done with its answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.builders import is_built_in_list
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, Outside, Text, Value, fold, literals
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    names_in,
    place,
    trace,
)
from portraitist.audit.rules.demands import is_demand
from portraitist.audit.rules.destinations import named_alone
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.keys_apart import keys_apart
from portraitist.audit.rules.one_file import one_file
from portraitist.audit.rules.overwritten_files import overwritten_files
from portraitist.audit.rules.triggers import unsent_triggers

_QUALITY = {
    "guidance",
    "guidance_scale",
    "num_inference_steps",
    "lora_scale",
    "output_quality",
    "output_format",
    "go_fast",
    "prompt_strength",
    "disable_safety_checker",
    "megapixels",
    "extra_lora_scale",
    "scheduler",
    "model",
    "steps",
    "learning_rate",
    "lora_rank",
    "resolution",
    "batch_size",
    "optimizer",
    "autocaption",
    "trigger_word",
    "safety_tolerance",
}


def shared_destination(ctx: Context) -> Iterator[Finding]:
    """A training destination without any part that differs between members.

    Destinations that are not resolved are not judged; a name from the environment counts as shared. Also those that
    are made of a chosen name alone (`destinations`), files that are stored under the name they were sent with
    (`overwritten_files`), and results that are all stored under one (`one_file`).
    """
    yield from one_destination(ctx)
    yield from named_alone(ctx)
    yield from overwritten_files(ctx)
    yield from one_file(ctx)


def one_destination(ctx: Context) -> Iterator[Finding]:
    """The destinations that are one and the same for every training."""
    for call in ctx.creates():
        for field in call.fields("destination") if call.purpose == "training" else []:
            name = _after_slash(field.value)
            if name is not None and not name:
                module = ctx.program.modules[field.path]
                shown = fold(field.value) or "one configured name"
                made = _made_at(ctx, module, field.node)
                yield finding(
                    "shared-destination",
                    module,
                    made or ir.Other(field.line, field.end, []),
                    f"every training goes to {shown}",
                    key="destination",
                    weight=84,
                    evidence=[place(call), Place(field.path, field.line)],
                )


def _made_at(ctx: Context, module: Module, node: ir.Node | None) -> ir.Node | None:
    """The assignment that makes a destination's text, where the payload has it by a name of the same function."""
    if not isinstance(node, ir.Name):
        return None
    for _, part in trace(ctx, module, node):
        made = part.parent
        text = isinstance(part, ir.Lit | ir.Tmpl) and isinstance(made, ir.Assign) and made.value is part
        if text and made is not None and made.within is node.within:
            return made if any("/" in each for each in names_in(part)) else None
    return None


def _after_slash(value: Value) -> list[Value] | None:
    """The parts of `owner/name` after the slash that are not fixed; None when that is not known."""
    if isinstance(value, Known):
        return [] if isinstance(value.value, str) and "/" in value.value else None
    if isinstance(value, Outside) and value.kind == "env":
        return []
    if isinstance(value, OneOf):
        found = [_after_slash(each) for each in value.options]
        return [] if found and all(each == [] for each in found) else None
    if not isinstance(value, Text):
        return None
    after: list[Value] | None = None
    for part in value.parts:
        if isinstance(part, Known) and isinstance(part.value, str) and "/" in part.value and after is None:
            after = []
        elif after is not None and not _is_fixed(part):
            after.append(part)
    return after


def _is_fixed(part: Value) -> bool:
    """Whether a value is the same for every member: a literal, a setting, a setting or its default."""
    if isinstance(part, OneOf):
        return all(_is_fixed(each) for each in part.options)
    return isinstance(part, Known) or (isinstance(part, Outside) and part.kind == "env")


def weights_url_guess(ctx: Context) -> Iterator[Finding]:
    """An address of weights that the code composes instead of storing the one the provider returned.

    In a page it may be no more than a link to look at: JSON only.
    """
    for fact in ctx.of("weights.url"):
        if fact.role in LIVE_ROLES and "{" in str(fact.value):
            yield Finding(
                "weights-url-guess",
                fact.path,
                fact.line,
                fact.end_line,
                "an address of weights is composed by hand",
                fact.key,
                fact.scope,
                (),
                BARELY if fact.path.endswith((".tsx", ".jsx")) else 58,
            )


def packaged_extraction(ctx: Context) -> Iterator[Finding]:
    """Weights are extracted from trainings although no generation is ever sent weights.

    Where the same file copies something into its own storage, they are taken to be kept, not used.
    """
    generates = [each for each in ctx.creates() if each.purpose == "generation"]
    if not generates or any(each.role in LIVE_ROLES for each in ctx.of("weights.consumer")):
        return
    copying = {each.path for each in ctx.modules if any(_puts(ctx, call) for call in each.all(ir.Call))}
    for fact in ctx.of("weights.source"):
        kept = fact.key == "output.version" or fact.path in copying
        if fact.role in LIVE_ROLES and not kept:
            yield Finding(
                "packaged-extraction",
                fact.path,
                fact.line,
                fact.end_line,
                f"{fact.key} is extracted and never sent",
                fact.key,
                fact.scope,
                (place(generates[0]),),
                BARELY,
            )


def _puts(ctx: Context, call: ir.Call) -> bool:
    name = call.func.name if isinstance(call.func, ir.Attr) else ""
    return name.lower() in ctx.words.storage_puts or re.match(r"(put|upload)(_|[A-Z])", name) is not None


def payload_conflict(ctx: Context) -> Iterator[Finding]:
    """One quality setting with different literals in calls of the same purpose on the member's model.

    Calls on different fixed models are not compared, nor what each model of a list builds for itself; values that are
    not literals are not judged. Also a trigger word that is stored and not sent (`triggers`), and one thing under two
    keys (`keys_apart`).
    """
    groups: dict[tuple[str, str, str], dict[str, tuple[ProviderCall, str, int]]] = {}
    for call in ctx.creates():
        for field in call.fields(*_QUALITY):
            named = field.key == "model" and "/" in str(fold(field.value))
            named = named or is_built_in_list(field.node)
            if isinstance(field.value, Known) and field.value.value is not None and not named:
                group = (call.purpose, _fixed_model(call), field.key)
                groups.setdefault(group, {}).setdefault(
                    repr(field.value.value), (call, field.path, field.line)
                )
    for (_purpose, _model, key), values in sorted(groups.items()):
        if len(values) > 1:
            (first, (_, path, line)), (second, (_, other, at)) = sorted(
                values.items(), key=lambda item: item[1][1:]
            )[:2]
            module = ctx.program.modules[path]
            yield finding(
                "payload-conflict",
                module,
                ir.Other(line, line, []),
                f"{key} is {first} here and {second} elsewhere",
                key=key,
                weight=BARELY,
                evidence=[Place(other, at)],
            )
    yield from unsent_triggers(ctx)
    yield from keys_apart(ctx)


def _fixed_model(call: ProviderCall) -> str:
    """The fixed model of a call, "" for the member's own."""
    values = [each.value for each in call.fields("version")] + (
        [call.model] if call.model is not None else []
    )
    known = [str(each.value) for each in values if isinstance(each, Known)]
    return known[0].partition(":")[0] if known else ""


def arch_mismatch(ctx: Context) -> Iterator[Finding]:
    """A validator that demands a literal which no payload sends for that key.

    Only functions named for validation, and only comparisons with literals that refuse all else (`demands`). A value
    that a call or a table makes of the key's own is another thing, and a name with a slash no name without one.
    """
    sent: dict[str, list[tuple[object, Place]]] = {}
    for call in ctx.creates():
        for field in call.fields(*_QUALITY):
            for each in literals(field.value) if not _is_looked_up(field.node) else ():
                sent.setdefault(field.key, []).append((each, Place(field.path, field.line)))
    for module in ctx.live if sent else ():
        for test in module.all(ir.Bin):
            if not isinstance(test.right, ir.Lit) or test.op not in EQUALITY:
                continue
            key = last_name(test.left)
            if key not in sent:
                continue
            if not re.search(r"valid|assert|enforce|check|complian", module.scope_name(test), re.I):
                continue
            wanted = test.right.value
            others = sent[key]
            alike = all(_are_alike(each, wanted) for each, _ in others)
            differ = wanted is not None and alike and all(each != wanted for each, _ in others)
            if differ and is_demand(module, test):
                message = f"{key} must be {wanted!r} here, and {others[0][0]!r} is sent"
                yield finding(
                    "arch-mismatch", module, test, message, key=key, weight=54, evidence=[others[0][1]]
                )


def _are_alike(sent: object, wanted: object) -> bool:
    """Whether two literals may be values of one thing: of one type, and both or neither `owner/name`."""
    if isinstance(sent, str) and isinstance(wanted, str):
        return ("/" in sent) == ("/" in wanted)
    return type(sent) is type(wanted) or isinstance(sent, int | float)


def _is_looked_up(node: ir.Node | None) -> bool:
    """`MODELS[input.model].endpoint`, `endpointOf(input.model)`: what is made of a choice by a table or a call."""
    if isinstance(node, ir.Prop):
        node = node.value
    while isinstance(node, ir.Attr):
        node = node.obj
    return isinstance(node, ir.Index | ir.Call) and bool(node.args if isinstance(node, ir.Call) else True)
