"""Risks in what is sent to the provider and in what is done with its answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, Outside, Text, Value, fold, literals, render
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    live_statements,
    module_of,
    names_in,
    place,
    provider_behind,
    trace,
)

_MODEL = re.compile(r"^[\w.-]+/[\w.-]+(:[0-9a-f]+)?$")
_OWN = re.compile(
    r"train|lora|user|personal|custom|finetun|trained|replicate_?(model|version)|model_?(id|version|path)",
    re.I,
)
_QUALITY = {
    "guidance", "guidance_scale", "num_inference_steps", "lora_scale", "output_quality", "output_format", "go_fast", "prompt_strength",
    "disable_safety_checker", "megapixels", "extra_lora_scale", "scheduler", "model", "steps", "learning_rate", "lora_rank", "resolution",
    "batch_size", "optimizer", "autocaption", "trigger_word", "safety_tolerance",
}  # fmt: skip
_UPLOADS = re.compile(
    r"upload|save|store|persist|put|copy|download|mirror|archive|transfer|cloudinary|blob|permanent", re.I
)


def shared_destination(ctx: Context) -> Iterator[Finding]:
    """A training destination without any part that differs between members.

    Destinations that are not resolved are not judged; a name from the environment counts as shared.
    """
    for call in ctx.creates():
        for field in call.fields("destination") if call.purpose == "training" else []:
            name = _after_slash(field.value)
            if name is not None and not name:
                module = ctx.program.modules[field.path]
                shown = fold(field.value) or "one configured name"
                yield finding("shared-destination", module, ir.Other(field.line, field.end, []), f"every training goes to {shown}",
                              key="destination", weight=84, evidence=[place(call)])  # fmt: skip


def _after_slash(value: Value) -> list[Value] | None:
    """The parts of `owner/name` after the slash that are not fixed; None when that is not known."""
    if isinstance(value, Known):
        return [] if isinstance(value.value, str) and "/" in value.value else None
    if isinstance(value, OneOf):
        found = [_after_slash(each) for each in value.options]
        return [] if found and all(each == [] for each in found) else None
    if not isinstance(value, Text):
        return None
    after: list[Value] | None = None
    for part in value.parts:
        if isinstance(part, Known) and isinstance(part.value, str) and "/" in part.value and after is None:
            after = []
        elif (
            after is not None
            and not isinstance(part, Known)
            and not (isinstance(part, Outside) and part.kind == "env")
        ):
            after.append(part)
    return after


def shared_model_fallback(ctx: Context) -> Iterator[Finding]:
    """A generation that may run a fixed public model in place of the member's own.

    Only in repositories that train; only where both the member's model and the fixed one are seen.
    """
    trains = any(each.purpose == "training" for each in ctx.creates())
    for call in ctx.creates() if trains else []:
        if call.purpose != "generation":
            continue
        values = [
            (field.value, ctx.program.modules[field.path], field.line)
            for field in call.fields("version", "model")
        ]
        if call.model is not None:
            values.append((call.model, call.module, call.call.line))
        for value, module, line in values:
            options = value.options if isinstance(value, OneOf) else ()
            fixed = [each for each in options if isinstance(each, Known) and _MODEL.match(str(each.value))]
            own = [each for each in options if isinstance(each, Outside | Text) and _OWN.search(_names(each))]
            if fixed and own:
                yield finding("shared-model-fallback", module, ir.Other(line, line, []), f"falls back to the shared model {fixed[0].value}",
                              key=str(fixed[0].value), weight=68, evidence=[place(call)])  # fmt: skip


def _names(value: Value) -> str:
    if isinstance(value, Outside):
        return value.name
    return (
        " ".join(each.name for each in value.parts if isinstance(each, Outside))
        if isinstance(value, Text)
        else ""
    )


def hardcoded_owner(ctx: Context) -> Iterator[Finding]:
    """The account that owns the models is a literal in the code, for destinations and created models."""
    seen: set[tuple[str, int]] = set()
    for call in ctx.calls:
        if ctx.role_at(call.module, call.call) not in LIVE_ROLES:
            continue
        fields = [
            (field, str(render(field.value) or ""))
            for field in call.fields("destination")
            if call.purpose == "training"
        ]
        owners = [
            (field, f"{fold(field.value)}/")
            for field in call.fields("owner")
            if call.api.endswith("models.create") and fold(field.value)
        ]
        for field, text in (*fields, *owners):
            owner = re.match(r"^([\w.-]+)/", text)
            if owner and (field.path, field.line) not in seen:
                seen.add((field.path, field.line))
                module = ctx.program.modules[field.path]
                yield finding("hardcoded-owner", module, ir.Other(field.line, field.line, []), f"the owner {owner.group(1)} is a literal",
                              key=field.key, weight=48, evidence=[place(call)])  # fmt: skip


def weights_url_guess(ctx: Context) -> Iterator[Finding]:
    """An address of weights that the code composes instead of storing the one the provider returned."""
    for fact in ctx.of("weights.url"):
        if fact.role in LIVE_ROLES and "{" in str(fact.value):
            yield Finding("weights-url-guess", fact.path, fact.line, fact.end_line, "an address of weights is composed by hand", fact.key,
                          fact.scope, (), 58)  # fmt: skip


def packaged_extraction(ctx: Context) -> Iterator[Finding]:
    """Weights are extracted from trainings although no generation is ever sent weights."""
    generates = [each for each in ctx.creates() if each.purpose == "generation"]
    if not generates or any(each.role in LIVE_ROLES for each in ctx.of("weights.consumer")):
        return
    for fact in ctx.of("weights.source"):
        if fact.role in LIVE_ROLES:
            yield Finding("packaged-extraction", fact.path, fact.line, fact.end_line, f"{fact.key} is extracted and never sent", fact.key,
                          fact.scope, (place(generates[0]),), 36)  # fmt: skip


def stuck_status(ctx: Context) -> Iterator[Finding]:
    """A poll or webhook that knows success but not `failed` or not `canceled`, so that work stays open for ever.

    A handler that stores the provider's status as it is counts as knowing all of them.
    """
    for module in ctx.live:
        for func in module.all(ir.Func):
            words = _status_words(func)
            handles = {"succeeded", "completed"} & set(words)
            if (
                "succeeded" not in words
                or not handles
                or (ir.enclosing(func, ir.Func) is not None and _status_words_outer(func))
            ):
                continue
            if ctx.role_at(module, func) not in LIVE_ROLES or not _watches(ctx, module, func):
                continue
            missing = [
                each
                for each in ("failed", "canceled")
                if each not in words and not (each == "canceled" and "cancelled" in words)
            ]
            keeps = _keeps_state(ctx, module, func) and not module.path.endswith((".tsx", ".jsx"))
            if missing and keeps and not _has_else(func) and not _passes_status_on(ctx, module, func):
                node = words["succeeded"]
                yield finding("stuck-status", module, node, f"{' and '.join(missing)} of the provider is not handled", key=module.scope_name(func),
                              weight=56 if "failed" in missing else 44)  # fmt: skip


def _status_words(func: ir.Func) -> dict[str, ir.Node]:
    found: dict[str, ir.Node] = {}
    for test in ir.find(func, ir.Bin):
        if test.op in {"==", "===", "!=", "!==", "in", "not in"} and re.search(
            r"status|state", " ".join(names_in(test)), re.I
        ):
            for lit in ir.find(test, ir.Lit):
                if isinstance(lit.value, str):
                    found.setdefault(lit.value, lit)
    for call in ir.find(func, ir.Call):
        if (
            isinstance(call.func, ir.Attr)
            and call.func.name == "includes"
            and isinstance(call.func.obj, ir.Arr)
        ):
            for lit in ir.find(call.func.obj, ir.Lit):
                found.setdefault(str(lit.value), lit)
    return found


def _status_words_outer(func: ir.Func) -> bool:
    outer = ir.enclosing(func, ir.Func)
    return outer is not None and "succeeded" in _status_words(outer) and bool(outer.name)


def _watches(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether the function asks for a status, or receives webhooks."""
    if any(
        each.purpose == "status" and each.module is module and func in set(ir.ancestors(each.call))
        for each in ctx.calls
    ):
        return True
    handlers = {(each.path, each.line) for each in ctx.of("webhook", "poll")}
    return any(path == module.path and func.line <= line <= func.end for path, line in handlers)


def _keeps_state(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether the function waits for the end in a loop, or writes a status of its own."""
    loops = any("succeeded" in names_in(each) for each in ir.find(func, ir.Loop))
    helpers = {
        target.node for call in ir.find(func, ir.Call) for target in ctx.program.functions_called(call)
    }
    writes = any(
        each.kind == "write"
        and ((each.module is module and func.line <= each.line <= func.end) or each.func in helpers)
        and any(re.search(r"status|state", use.column, re.I) for use in each.columns)
        for each in ctx.statements
    )
    return loops or writes


def _has_else(func: ir.Func) -> bool:
    return any(
        "succeeded" in names_in(each.test)
        and each.other
        and not (len(each.other) == 1 and isinstance(each.other[0], ir.If) and not each.other[0].other)
        for each in ir.find(func, ir.If)
    )


def _passes_status_on(ctx: Context, module: Module, func: ir.Func) -> bool:
    for each in ctx.statements:
        if each.kind == "write" and each.module is module and func.line <= each.line <= func.end:
            for use in each.columns:
                if (
                    re.search(r"status|state", use.column, re.I)
                    and not isinstance(use.value, Known)
                    and last_name(use.node) == "status"
                ):
                    return True
    return False


def payload_conflict(ctx: Context) -> Iterator[Finding]:
    """One quality setting with different literals in calls of the same purpose on the member's model.

    Calls on different fixed models are not compared; values that are not literals are not judged.
    """
    groups: dict[tuple[str, str, str], dict[str, tuple[ProviderCall, str, int]]] = {}
    for call in ctx.creates():
        for field in call.fields(*_QUALITY):
            named = field.key == "model" and "/" in str(fold(field.value))
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
            yield finding("payload-conflict", module, ir.Other(line, line, []), f"{key} is {first} here and {second} elsewhere", key=key,
                          weight=46, evidence=[Place(other, at)])  # fmt: skip


def _fixed_model(call: ProviderCall) -> str:
    """The fixed model of a call, "" for the member's own."""
    values = [each.value for each in call.fields("version")] + (
        [call.model] if call.model is not None else []
    )
    known = [str(each.value) for each in values if isinstance(each, Known)]
    return known[0].partition(":")[0] if known else ""


def arch_mismatch(ctx: Context) -> Iterator[Finding]:
    """A validator that demands a literal which no payload sends for that key.

    Only functions named for validation, and only comparisons with literals.
    """
    sent: dict[str, list[tuple[object, Place]]] = {}
    for call in ctx.creates():
        for field in call.fields(*_QUALITY):
            for each in literals(field.value):
                sent.setdefault(field.key, []).append((each, Place(field.path, field.line)))
    for module in ctx.live:
        for test in module.all(ir.Bin):
            key = last_name(test.left)
            if (
                not isinstance(test.right, ir.Lit)
                or test.op not in {"!==", "!=", "===", "=="}
                or key not in sent
            ):
                continue
            if not re.search(r"valid|assert|enforce|check|complian", module.scope_name(test), re.I):
                continue
            wanted = test.right.value
            others = sent[key]
            if wanted is not None and all(
                type(each) is type(wanted) or isinstance(each, int | float) for each, _ in others
            ):
                if all(each != wanted for each, _ in others):
                    yield finding("arch-mismatch", module, test, f"{key} must be {wanted!r} here, and {others[0][0]!r} is sent", key=key,
                                  weight=54, evidence=[others[0][1]])  # fmt: skip


def time_progress(ctx: Context) -> Iterator[Finding]:
    """A progress value of a training computed from elapsed time instead of its log.

    Only values whose name says progress or percent, in files that speak of trainings.
    """
    for module in ctx.live:
        seen: set[ir.Func | None] = set()
        nodes: list[ir.Assign | ir.Prop] = [*module.all(ir.Assign), *module.all(ir.Prop)]
        for node in nodes:
            name = last_name(node.target) if isinstance(node, ir.Assign) else node.key or ""
            value = node.value
            func = ir.enclosing(node, ir.Func)
            if value is None or not re.search(r"progress|percent", name, re.I) or func in seen:
                continue
            if not re.search(r"training|replicate|prediction", module.file.text, re.I):
                continue
            if _by_clock(ctx, module, value) and ctx.role_at(module, node) in LIVE_ROLES:
                seen.add(func)
                yield finding(
                    "time-progress", module, node, f"{name} is computed from the clock", key=name, weight=47
                )


def _by_clock(ctx: Context, module: Module, value: ir.Node) -> bool:
    parts = [value]
    for each in ir.find(value, ir.Name):
        found = module.lookup(each.id, each)
        parts.extend(one.value for one in (found[1] if found else []) if one.value is not None)
    divides = any(
        isinstance(each, ir.Bin) and each.op in {"/", "*"} for each in ir.walk(value)
    ) or "Math.min" in {ir.plain_dotted(c.func) for c in ir.find(value, ir.Call)}
    clock = any(
        ir.plain_dotted(call.func)
        in {"Date.now", "time.time", "datetime.now", "datetime.utcnow", "time.monotonic", "performance.now"}
        or ir.dotted(call.func).endswith("getTime")
        for part in parts
        for call in ir.find(part, ir.Call)
    ) or bool(re.search(r"elapsed|duration", " ".join(names_in(value)), re.I))
    return divides and clock and not isinstance(value, ir.Func)


def temporary_url_persisted(ctx: Context) -> Iterator[Finding]:
    """A picture column gets the provider's own address, which is gone after an hour.

    Follows the value back to a provider call or to a webhook's body; stops at anything that uploads or copies.
    """
    bodies = {
        each.node
        for route in ctx.routes
        if _receives(ctx, route.module.path, route.node.line)
        for each in route.handlers
    }
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            name = snake(use.column)
            picture = name.endswith(("image_url", "picture_url", "photo_url", "output_url"))
            if not (picture or name in ctx.words.picture_columns) or use.node is None:
                continue
            if _is_temporary(ctx, statement, use, bodies):
                key = f"{statement.table}.{use.column}"
                module = module_of(ctx, use)
                yield finding("temporary-url-persisted", module, ir.Other(use.line, use.line, []), f"{key} keeps the provider's temporary address",
                              key=key, weight=72, evidence=[Place(statement.module.path, statement.line)])  # fmt: skip


def _receives(ctx: Context, path: str, line: int) -> bool:
    return any(each.path == path and each.line == line for each in ctx.of("webhook"))


def _is_temporary(ctx: Context, statement: Statement, use: ColumnUse, bodies: set[ir.Node | None]) -> bool:
    module = module_of(ctx, use)
    nodes = list(trace(ctx, module, use.node))
    if any(isinstance(part, ir.Call) and _UPLOADS.search(ir.dotted(part.func)) for _, part in nodes):
        return False
    behind = provider_behind(ctx, module, use.node)
    if behind is not None and behind.purpose in {"generation", "status"}:
        names = {last_name(part) for _, part in nodes}
        return behind.api in {"run", "async_run", "stream"} or bool(names & {"output", "urls"})
    func = statement.func
    outer = {func, *(ir.ancestors(func) if func is not None else ())}
    return bool(outer & bodies) and any(last_name(part) == "output" for _, part in nodes)


def blind_post_retry(ctx: Context) -> Iterator[Finding]:
    """A paid create call that is repeated on failure: in a loop with a catch, or under a retry helper."""
    for call in ctx.creates():
        for each in ir.ancestors(call.call):
            loop = isinstance(each, ir.Loop) and each.target is None
            retried = loop and any(_around(one, call.call) for one in ir.find(each, ir.Try))
            helper = isinstance(each, ir.Call) and re.search(
                r"(^|\.)(p?_?retry|with_?retry|retry_?with\w*|back_?off|fetch_?with_?retry)$",
                ir.dotted(each.func),
                re.I,
            )
            decorated = isinstance(each, ir.Func) and any(
                re.search(r"retry|backoff|on_exception", ir.dotted(one)) for one in each.decorators
            )
            counted = _counts_attempts(each, call.call)
            if retried or helper or decorated or counted:
                yield finding("blind-post-retry", call.module, call.call, f"{call.api} is repeated blindly, each time paid", key=call.api, weight=62,
                              evidence=[Place(call.module.path, each.line)])  # fmt: skip
                break
            if isinstance(each, ir.Func) and not decorated and each.name:
                break


def _counts_attempts(loop: ir.Node, call: ir.Call) -> bool:
    """`for attempt in range(n)` around a try around the call."""
    if not isinstance(loop, ir.Loop) or not isinstance(loop.source, ir.Call) or loop.target is None:
        return False
    names = " ".join(names_in(loop.target) | names_in(loop.source))
    tries = any(_around(one, call) for one in ir.find(loop, ir.Try))
    return tries and bool(re.search(r"attempt|retr(y|ies)|tries", names, re.I))


def _around(attempt: ir.Try, call: ir.Call) -> bool:
    return bool(attempt.handlers) and attempt in set(ir.ancestors(call))
