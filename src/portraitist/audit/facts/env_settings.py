"""Variables that a class or a schema declares at one place: pydantic's settings, zod's and envalid's objects.

Every other read of the environment is in `env`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import renderings
from portraitist.audit.model import Place

_AS_A_WHOLE = re.compile(
    r"(?<![\w.])(self\.|app\.|get_|load_)?(settings|config)\w*(\(\))?\.(model_dump|dict|__dict__)\b"
    r"|(getattr|vars|asdict)\(\s*\w*(settings|config)",
    re.I,
)


def declared_settings(ctx: Context, module: Module) -> Iterator[tuple[str, ir.Node, ir.Node | None]]:
    """Fields of pydantic's BaseSettings, and of zod objects that parse `process.env`."""
    for cls in module.all(ir.Class):
        if any(ir.dotted(each).endswith("BaseSettings") for each in cls.bases):
            prefix = _settings_prefix(ctx, module, cls)
            for each in cls.body:
                if (
                    isinstance(each, ir.Assign)
                    and isinstance(each.target, ir.Name)
                    and each.target.id not in {"model_config", "Config"}
                ) and not each.target.id.startswith("_"):
                    yield (
                        _alias(each) or (prefix + each.target.id).upper(),
                        each,
                        _plain_default(each.value),
                    )
    for call in module.calls({"createEnv", "cleanEnv", "parse", "safeParse"}):
        short = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
        if short in {"createEnv", "cleanEnv"} or _parses_environment(call):
            for obj in ir.find(_schema_of(module, call), ir.Obj):
                for prop in obj.props:
                    if (
                        prop.key
                        and re.match(r"^[A-Z][A-Z0-9_]+$", prop.key)
                        and isinstance(prop.value, ir.Call)
                    ):
                        yield prop.key, prop, _zod_default(prop.value)


def _settings_prefix(ctx: Context, module: Module, cls: ir.Class) -> str:
    for call in ir.find(cls, ir.Call):
        found = ir.keyword(call, "env_prefix")
        if found is not None:
            return next(iter(renderings(ctx.ev.eval(module, found))), "")
    for inner in cls.body:
        for each in inner.body if isinstance(inner, ir.Class) and inner.name == "Config" else ():
            if isinstance(each, ir.Assign) and ir.dotted(each.target) == "env_prefix":
                return ir.text_of(each.value) or ""
    return ""


def _alias(assign: ir.Assign) -> str | None:
    if isinstance(assign.value, ir.Call) and assign.value.kw is not None:
        return ir.text_of(assign.value.kw.get("env", "alias", "validation_alias"))
    return None


def _plain_default(value: ir.Node | None) -> ir.Node | None:
    if isinstance(value, ir.Call):
        found = ir.keyword(value, "default") or (value.args[0] if value.args else None)
        return None if isinstance(found, ir.Other) else found
    return value


def _parses_environment(call: ir.Call) -> bool:
    name = call.func.name if isinstance(call.func, ir.Attr) else ""
    return (
        name in {"parse", "safeParse"}
        and bool(call.args)
        and ir.plain_dotted(call.args[0]) in {"process.env", "import.meta.env"}
    )


def _schema_of(module: Module, call: ir.Call) -> ir.Node:
    if isinstance(call.func, ir.Attr) and isinstance(call.func.obj, ir.Name):
        found = module.lookup(call.func.obj.id, call)
        return next((each.value for each in (found[1] if found else []) if each.value is not None), call)
    return call


def _zod_default(node: ir.Node) -> ir.Node | None:
    return next(
        (
            call.args[0]
            for call in ir.find(node, ir.Call)
            if ir.dotted(call.func).endswith(".default") and call.args
        ),
        None,
    )


def idle_settings(ctx: Context) -> dict[str, tuple[str, Place]]:
    """The variables of pydantic's settings whose field no other line of code or configuration names, and the fields.

    Fields without a default are asked for at the start and are none of these. Nothing where some code takes the
    settings as a whole.
    """
    fields: dict[str, tuple[str, Place]] = {}
    for module in ctx.live:
        for name, node, _ in declared_settings(ctx, module) if "BaseSettings" in module.file.words else ():
            if isinstance(node, ir.Assign) and isinstance(node.target, ir.Name) and node.value is not None:
                fields[name] = (node.target.id, Place(module.path, node.line))
    texts = [each.text for each in ctx.tree.files if each.language in {"python", "javascript", "config"}]
    if not fields or any(_AS_A_WHOLE.search(each) for each in texts):
        return {}
    counts: dict[str, int] = {}
    for text in texts:
        for word in re.findall(r"\w+", text):
            counts[word] = counts.get(word, 0) + 1
    return {
        name: (field, at)
        for name, (field, at) in fields.items()
        if sum(counts.get(each, 0) for each in {name, field}) == 1
    }
