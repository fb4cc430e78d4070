"""Parts of the rules on versions and shared models: names where a version belongs, and what stands in for one.

Judges what is spelled out, and answers of trainings whose own `version`, the trainer's, stands in for an output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import joined
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, Text, Value, literals
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in, place
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.references import MODEL, TRAINER, WHOLE, forms
from portraitist.audit.rules.syntax import STAND_IN

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_HASH = re.compile(r"[0-9a-f]{64}")
_WHOLE = re.compile(r"[\w.-]+/[\w.-]+:[0-9a-f]{64}")


def named_versions(ctx: Context) -> Iterator[Finding]:
    """`version: "owner/name"`: a model's name without a version, which the provider takes for official models only.

    A path that holds the model's name needs no version, and is not judged. Which models are official is not known here.
    """
    for call in ctx.creates():
        if call.purpose != "generation" or not _asks_for_version(call):
            continue
        for field in call.fields("version"):
            names = [str(each) for each in literals(field.value) if _NAME.fullmatch(str(each))]
            if names:
                message = f"version gets the name {names[0]} with no version in it: that works for official models only"
                yield finding("version-unnormalised", ctx.program.modules[field.path],
                              ir.Other(field.line, field.end, []), message, key=f"named {names[0]} {call.module.path}",
                              weight=BARELY, evidence=[place(call)])  # fmt: skip


def two_spellings(ctx: Context) -> Iterator[Finding]:
    """`version: "owner/model:hash"` in one call and `version: "hash"` in another of the same program.

    The provider takes both; whoever compares, stores or splits them must know each. Told where each whole one is
    spelled, with the place of a bare one. Texts put together by the code are `references`' to judge.
    """
    whole: dict[tuple[str, int], Place] = {}
    bare: list[Place] = []
    for call in ctx.creates():
        for field in call.fields("version") if _asks_for_version(call) else ():
            for text in map(str, literals(field.value)):
                if _HASH.fullmatch(text):
                    bare.append(Place(field.path, field.line))
                elif _WHOLE.fullmatch(text):
                    line = _spelled_at(ctx.program.modules[field.path], text, field.line)
                    whole.setdefault((field.path, line), place(call))
    for (path, line), call_place in whole.items() if bare else ():
        message = "version gets owner/model:hash here and a bare hash in another call"
        yield finding("version-unnormalised", ctx.program.modules[path], ir.Other(line, line, []), message,
                      key=f"spelled {path}", weight=BARELY, evidence=[call_place, bare[0]])  # fmt: skip


def _spelled_at(module: Module, text: str, line: int) -> int:
    """The last line up to `line` where a file spells a text; `line` itself where another file does."""
    lines = [each.line for each in module.all(ir.Lit) if each.value == text and each.line <= line]
    return max(lines, default=line)


def _asks_for_version(call: ProviderCall) -> bool:
    """Whether a call is told its model by its version: `predictions.create`, `POST /v1/predictions`."""
    return "prediction" in call.api.lower() and "models" not in call.api.lower()


def stand_ins(ctx: Context) -> Iterator[Finding]:
    """`pd.output?.version || `${owner}/${name}``: with a version, or without one where the training told none."""
    for module, chain, sides in ctx.once(_choices):
        first = forms(ctx, module, sides[0])
        if not any(each.kind == WHOLE for each in first) or ctx.role_at(module, chain) not in LIVE_ROLES:
            continue
        for side in sides[1:]:
            if _is_name(ctx.ev.eval(module, side)):
                message = (
                    "the model is owner/name:hash, or owner/name with no version where the answer holds none"
                )
                yield finding("version-unnormalised", module, chain, message, key="stand-in", weight=44)
                break
    for module, branch, name, sides in ctx.once(_branches):
        if WHOLE in _kinds(ctx, module, sides[0]) and ctx.role_at(module, branch) in LIVE_ROLES:
            others = (each for each in sides[1:] if each is not sides[0])
            if any(_is_name(ctx.ev.eval(module, each)) for each in others):
                message = (
                    "the model is owner/name:hash in one case, and owner/name with no version in another"
                )
                yield finding(
                    "version-unnormalised", module, branch, message, key=f"stand-in {name}", weight=44
                )


def trainers_own(ctx: Context) -> Iterator[Finding]:
    """`training.output?.version || training.version`: the second is the trainer's version, no member's model."""
    message = (
        "without output.version the training's own version stands in, which is the trainer's, no member's"
    )
    if not any("training" in each.api.lower() and each.purpose == "status" for each in ctx.calls):
        return
    for module, chain, sides in ctx.once(_choices):
        first = _kinds(ctx, module, sides[0])
        later = {each for side in sides[1:] for each in _kinds(ctx, module, side)}
        if first & {WHOLE, MODEL} and TRAINER in later and ctx.role_at(module, chain) in LIVE_ROLES:
            yield finding("shared-model-fallback", module, chain, message, key="trainer", weight=BARELY)
    for module, branch, name, sides in ctx.once(_branches):
        first, second = (_kinds(ctx, module, each) for each in sides[:2])
        if WHOLE in first and TRAINER in second and ctx.role_at(module, branch) in LIVE_ROLES:
            yield finding("shared-model-fallback", module, branch, message, key=f"trainer {name}", weight=60)


def _kinds(ctx: Context, module: Module, node: ir.Node) -> set[str]:
    return {each.kind for each in forms(ctx, module, node)}


def _branches(ctx: Context) -> list[tuple[Module, ir.If, str, list[ir.Node]]]:
    """Every `if … else` whose branches set one variable, in files that speak of versions, and what they set it to."""
    found: list[tuple[Module, ir.If, str, list[ir.Node]]] = []
    for module in (each for each in ctx.live if "version" in each.file.words):
        for branch in module.all(ir.If):
            own, other = _set_in(branch.then), _set_in(branch.other)
            for name in sorted(own.keys() & other.keys()) if own and other else ():
                inner = [each for part in branch.other for each in ir.find(part, ir.Assign)]
                further = [
                    each.value for each in inner if each.value and ir.plain_dotted(each.target) == name
                ]
                found.append((module, branch, name, [own[name], *further]))
    return found


def _choices(ctx: Context) -> list[tuple[Module, ir.Bin, list[ir.Node]]]:
    """Every outermost `a || b || c` with a version in it, and its sides in their order."""
    found: list[tuple[Module, ir.Bin, list[ir.Node]]] = []
    for module in (each for each in ctx.live if "version" in each.file.words):
        for chain in module.all(ir.Bin):
            outer = isinstance(chain.parent, ir.Bin) and chain.parent.op == chain.op
            if chain.op in STAND_IN and not outer and "version" in names_in(chain):
                found.append((module, chain, list(joined(chain, STAND_IN))))
    return found


def _is_name(value: Value) -> bool:
    """Whether a text is `owner/name`, its parts known or not, with no colon."""
    if isinstance(value, OneOf):
        return all(_is_name(each) for each in value.options)
    if isinstance(value, Known):
        return _NAME.fullmatch(str(value.value)) is not None
    if not isinstance(value, Text):
        return False
    shape = "".join(str(each.value) if isinstance(each, Known) else "x" for each in value.parts)
    return _NAME.fullmatch(shape) is not None


def _set_in(body: list[ir.Node]) -> dict[str, ir.Node]:
    """The variables that a branch sets, with what they get, those of a further `else if` included."""
    found: dict[str, ir.Node] = {}
    for part in body:
        for each in ir.find(part, ir.Assign):
            if isinstance(each.target, ir.Name) and each.value is not None and not each.decl:
                found.setdefault(each.target.id, each.value)
    return found
