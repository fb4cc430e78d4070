"""Part of the rule on conflicting payloads: one thing under two keys, in one call or in two calls of one model.

Which of the keys a model knows is not known here, only that they differ.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, sent_fields
from portraitist.audit.link.builders import is_built_in_list
from portraitist.audit.link.values import Field, fold
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, place
from portraitist.audit.rules.gravity import BARELY

_PICTURES = {
    "image", "images", "input_image", "input_images", "image_input", "img", "init_image", "image_url", "image_urls",
    "image2",
}  # fmt: skip
_ARCHIVES = {
    "input_images", "images_zip", "image_zip", "training_images", "training_data", "dataset", "instance_data",
    "images_url",
}  # fmt: skip
_WEIGHTS = {"lora_weights", "hf_lora", "replicate_weights", "lora_url", "lora_path"}


def keys_apart(ctx: Context) -> Iterator[Finding]:
    """The same value under two keys of one call, and one model that gets its pictures or weights under other keys."""
    calls: dict[tuple[str, str], list[tuple[ProviderCall, list[Field]]]] = {}
    for call in ctx.creates():
        fields = [each for each in sent_fields(call.options) if not is_built_in_list(each.node)]
        yield from _twice(ctx, call, fields)
        model = _model(call)
        for name, group in (("pictures", _PICTURES), ("weights", _WEIGHTS)) if model else ():
            own = [each for each in fields if each.key in group and not each.spread]
            if own:
                calls.setdefault((model, name), []).append((call, own))
    for (_, name), found in sorted(calls.items()):
        for call, own in found:
            mine = {each.key for each in own}
            other = next((each for each in found if mine.isdisjoint({one.key for one in each[1]})), None)
            if other is not None:
                first, second = own[0], other[1][0]
                message = (
                    f"the {name} go as {first.key} here, and as {second.key} to the same model elsewhere"
                )
                yield _at(
                    ctx, (first,), message, f"{first.key} {call.module.path}", Place(second.path, second.line)
                )


def _twice(ctx: Context, call: ProviderCall, fields: list[Field]) -> Iterator[Finding]:
    """One variable under two keys that mean the same."""
    for group in (_ARCHIVES, _PICTURES, _WEIGHTS):
        given: dict[str, Field] = {}
        for each in fields:
            name = ir.plain_dotted(each.node) if isinstance(each.node, ir.Name | ir.Attr) else ""
            if not name or each.key not in group or each.spread:
                continue
            first = given.setdefault(name, each)
            if first.key != each.key and first.path == each.path:
                message = f"{name} is sent under two keys, {first.key} and {each.key}"
                yield _at(ctx, (first, each), message, f"{first.key} {each.key}", place(call))
                return


def _model(call: ProviderCall) -> str:
    """The name of the model, whatever its version, where it is spelled out; "" for others."""
    known = [fold(each.value) for each in call.fields("version", "model")]
    known += [fold(call.model)] if call.model is not None else []
    names = [each.partition(":")[0] for each in known if isinstance(each, str)]
    path = call.api.partition("/models/")[2].removesuffix("/predictions")
    return next((each for each in (*names, path) if "/" in each and "{" not in each), "")


def _at(ctx: Context, fields: tuple[Field, ...], message: str, key: str, other: Place) -> Finding:
    module = ctx.program.modules[fields[0].path]
    node = ir.Other(fields[0].line, max(each.end for each in fields), [])
    return finding("payload-conflict", module, node, message, key=key, weight=BARELY, evidence=[other])
