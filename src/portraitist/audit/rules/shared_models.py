"""Models that stand in for a member's own. The rule `shared-model-fallback`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, Outside, Text, Value, literals
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, live_statements, module_of, place
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.pinned_models import is_setting, pins
from portraitist.audit.rules.provider import one_destination
from portraitist.audit.rules.references import COMPOSED, WHOLE, forms
from portraitist.audit.rules.version_names import trainers_own

_MODEL = re.compile(r"^[\w.-]+/[\w.-]+(:[0-9a-f]+)?$")
_OWN = re.compile(
    r"train|lora|user|personal|custom|finetun|trained|replicate_?(model|version)|model_?(id|version|path)",
    re.I,
)
_WORKS_ON = re.compile(
    r"gfpgan|esrgan|upscal|restor|codeformer|rembg|background|merge|caption|whisper|swap", re.I
)
"""Models that work on a picture or a sound that is there: they stand in for nobody's."""
_ANY = re.compile(r"model|version|lora|(^|_)ref$")
_MINE = re.compile(r"(^|_)(user|my|own|personal|custom|trained|finetuned)_(model|version|lora)")
_NEWEST = re.compile(r"latest_?version$", re.I)
_NEAR = 6
"""So many lines below, the id that is taken of the newest version is shown with it."""


def shared_model_fallback(ctx: Context) -> Iterator[Finding]:
    """A generation that may run a fixed public model in place of the member's own.

    Only in repositories that train; only where both the member's model and the fixed one are seen. Also a choice of
    that kind anywhere on the way to a generation, the newest version of a model that all trainings share, and the
    trainer's own version (`version_names`).
    """
    trains = any(each.purpose == "training" for each in ctx.creates())
    yield from _newest_of_all(ctx) if trains else ()
    for call in ctx.creates() if trains else []:
        if call.purpose != "generation":
            continue
        values = [
            (field.value, ctx.program.modules[field.path], field.line)
            for field in call.fields("version", "model")
            if not _is_given(ctx.program.modules[field.path], field.node)
        ]
        first = next(iter(call.call.args), None)
        if call.model is not None and not _is_given(call.module, first):
            values.append((call.model, call.module, call.call.line))
        for value, module, line in values:
            options = value.options if isinstance(value, OneOf) else ()
            fixed = [each for each in options if isinstance(each, Known) and _stands_in(str(each.value))]
            own = [each for each in options if isinstance(each, Outside | Text) and _OWN.search(_names(each))]
            if fixed and own:
                yield finding(
                    "shared-model-fallback",
                    module,
                    ir.Other(line, line, []),
                    f"falls back to the shared model {fixed[0].value}",
                    key=str(fixed[0].value),
                    weight=68,
                    evidence=[place(call)],
                )
    yield from _chosen(ctx) if trains else ()
    yield from _by_setting(ctx) if trains or ctx.once(pins) else ()
    yield from trainers_own(ctx)


def _is_given(module: Module, node: ir.Node | None) -> bool:
    """Whether a model is a parameter: what its several callers hand over is no choice between them."""
    found = module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    return found is not None and all(each.kind == "param" for each in found[1])


def _stands_in(name: str) -> bool:
    return _MODEL.match(name) is not None and _WORKS_ON.search(name) is None


def _chosen(ctx: Context) -> Iterator[Finding]:
    """`user_model or BASE_MODEL` in a function on the way to a generation."""
    for module, chain in _choices(ctx):
        parts = list(_parts(chain))
        own = next((each for each in parts[:-1] if _is_own(ctx, each)), None)
        fixed = next((each for part in parts[1:] for each in _fixed(ctx, module, part)), None)
        if own is not None and fixed and ctx.role_at(module, chain) in LIVE_ROLES:
            message = f"without {ir.dotted(own)} the shared model {fixed} is run"
            yield finding("shared-model-fallback", module, chain, message, key=fixed, weight=62)


def _choices(ctx: Context) -> Iterator[tuple[Module, ir.Bin]]:
    """Each whole `a or b or c` in a function on the way to a generation."""
    funcs = {func for flow in ctx.flows if flow.call.purpose == "generation" for func in flow.funcs}
    for module in ctx.live:
        for chain in module.all(ir.Bin):
            outer = isinstance(chain.parent, ir.Bin) and chain.parent.op == chain.op
            if chain.op in {"or", "??"} and not outer and chain.within in funcs:
                yield module, chain


_OF_ONE = re.compile(
    r"^(model_version|(replicate|trained|lora|custom|finetuned)_(model|version)(_(id|url))?|version_id)$"
)


def _by_setting(ctx: Context) -> Iterator[Finding]:
    """`head.get("model_version") or os.getenv("MODEL_VERSION")`: who has no model of theirs gets the one of all."""
    for module, chain in _choices(ctx):
        own, *others = _parts(chain)
        setting = next((name for each in others if (name := is_setting(each))), "")
        if setting and _OF_ONE.match(_entry(own)) and ctx.role_at(module, chain) in LIVE_ROLES:
            message = f"without {_entry(own)} of its own the one model of {setting} is run, whoever it shows"
            yield finding("shared-model-fallback", module, chain, message, key=setting, weight=BARELY)


def _entry(node: ir.Node) -> str:
    """The column that is taken of a row, in snake case: `model_version` of `head.get("model_version")`."""
    if isinstance(node, ir.Call) and last_name(node.func) == "get" and len(node.args) == 1:
        return snake(ir.text_of(node.args[0]) or "")
    told = isinstance(node, ir.Attr | ir.Index) and not re.match(
        r"(os|process|env|settings|config|args|self|req|request|body|input|options|opts|params)\b",
        ir.dotted(node),
    )
    return snake(last_name(node)) if told else ""


def _parts(chain: ir.Node) -> Iterator[ir.Node]:
    """The alternatives of `a or b or c`, in their order."""
    if isinstance(chain, ir.Bin) and chain.op in {"or", "??"}:
        for each in chain.children():
            yield from _parts(each)
    else:
        yield chain


def _is_own(ctx: Context, node: ir.Node) -> bool:
    """Whether a name is that of a member's model: by itself, or because a trained model is put into such a one."""
    name = snake(last_name(node)) if isinstance(node, ir.Name | ir.Attr | ir.Index) else ""
    if last_name(node).isupper() or not _ANY.search(name):
        return False
    return _MINE.search(name) is not None or name in ctx.once(_filled)


def _filled(ctx: Context) -> set[str]:
    """The names that the reference of a finished model is put into."""
    found: set[str] = set()
    for module in ctx.live:
        for assign in module.all(ir.Assign):
            name = snake(last_name(assign.target))
            if _ANY.search(name) and any(
                each.kind in {WHOLE, COMPOSED} for each in forms(ctx, module, assign.value)
            ):
                found.add(name)
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            given = forms(ctx, module_of(ctx, use), use.node) if _ANY.search(snake(use.column)) else []
            if any(each.kind in {WHOLE, COMPOSED} for each in given):
                found.add(snake(use.column))
    return found


def _fixed(ctx: Context, module: Module, node: ir.Node) -> list[str]:
    """The public models that an expression may name."""
    return [str(each) for each in literals(ctx.ev.eval(module, node)) if _MODEL.match(str(each))]


def _newest_of_all(ctx: Context) -> Iterator[Finding]:
    """`models.get(name).latest_version` where every training makes a version of one and the same model."""
    trainings = [each for each in ctx.creates() if each.purpose == "training" and each.fields("destination")]
    shared = list(one_destination(ctx))
    if not trainings or len(shared) < len(trainings):
        return
    seen: set[ir.Func | None] = set()
    for call in ctx.calls:
        func = call.func
        fixed = any(_fixed(ctx, call.module, each) for each in call.call.args[:1])
        if call.purpose != "model" or func is None or func in seen or fixed:
            continue
        newest = [
            each
            for each in ir.find(func, ir.Attr)
            if _NEWEST.match(each.name) and each.line >= call.call.line
        ]
        if newest and ctx.role_at(call.module, call.call) in LIVE_ROLES:
            seen.add(func)
            ids = (each.line for each in ir.find(func, ir.Attr) if _NEWEST.match(last_name(each.obj)))
            last = max((each for each in ids if each <= newest[0].line + _NEAR), default=0)
            message = "the newest version of the model that all trainings share may be another member's"
            yield finding("shared-model-fallback", call.module, newest[0], message, key="newest", weight=70, end=last,
                          evidence=[shared[0].place])  # fmt: skip


def _names(value: Value) -> str:
    if isinstance(value, Outside):
        return value.name
    return (
        " ".join(each.name for each in value.parts if isinstance(each, Outside))
        if isinstance(value, Text)
        else ""
    )
