"""Routes of Nest: controllers, the prefix and the guards of the whole application.

A guard for all is put in front of every route but those that a decorator opens to the public.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import Guard, normalise
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target
from portraitist.audit.link.values import renderings

_METHODS = {"Get", "Post", "Put", "Patch", "Delete", "All"}
_OPEN = re.compile(r"public|skip_?auth|allow_?anonymous|no_?auth|unprotected", re.I)


def routes(ctx: Context) -> Iterator[Route]:
    """`@Controller("x")` over methods with `@Post("y")`, guards in `@UseGuards`."""
    prefix: str | None = None
    for module in ctx.modules:
        classes = [each for each in module.all(ir.Class) if each.decorators]
        for cls in classes if module.language == "javascript" else ():
            heads = _texts(ctx, module, cls.decorators, {"Controller", "JsonController"})
            if heads:
                prefix = _global_prefix(ctx) if prefix is None else prefix
                yield from _of_class(ctx, module, cls, [f"{prefix}/{each}" for each in heads])


def _of_class(ctx: Context, module: Module, cls: ir.Class, heads: list[str]) -> Iterator[Route]:
    above = [*_for_all(ctx), *_use_guards(module, cls.decorators)]
    for func in (each for each in cls.body if isinstance(each, ir.Func)):
        opened = any(_OPEN.search(ir.dotted(each)) for each in (*func.decorators, *cls.decorators))
        guards = [*(() if opened else above), *_use_guards(module, func.decorators)]
        for decorator in func.decorators:
            name = ir.dotted(decorator).rpartition(".")[2]
            if name not in _METHODS:
                continue
            method = "ANY" if name == "All" else name.upper()
            anchor = ir.Other(decorator.line, func.end, [])
            anchor.parent = cls
            for head in heads:
                for text in _texts(ctx, module, [decorator], _METHODS):
                    path = normalise(f"{head}/{text}")
                    handler = (Target(module, func),)
                    yield Route(method, path, module, anchor, handler, tuple(guards), "nest")


def _texts(ctx: Context, module: Module, decorators: list[ir.Node], names: set[str]) -> list[str]:
    """The paths of the first decorator of these names: none without such a decorator, "" where it names no path."""
    for each in decorators:
        if ir.dotted(each).rpartition(".")[2] in names:
            head = each.args[0] if isinstance(each, ir.Call) and each.args else None
            head = head.get("path") if isinstance(head, ir.Obj) else head
            parts = head.items if isinstance(head, ir.Arr) else [head] if head is not None else []
            found = [text for part in parts for text in renderings(ctx.ev.eval(module, part))]
            return found or [f"{{{ir.dotted(head).rpartition('.')[2]}}}" if isinstance(head, ir.Attr) else ""]
    return []


def _global_prefix(ctx: Context) -> str:
    for module in ctx.live:
        for call in module.calls({"setGlobalPrefix"}) if module.language == "javascript" else ():
            texts = renderings(ctx.ev.eval(module, call.args[0])) if call.args else []
            if texts:
                return texts[0]
    return ""


def _for_all(ctx: Context) -> list[Guard]:
    """`app.useGlobalGuards(new X())` and `{ provide: APP_GUARD, useClass: X }`."""
    found: list[Guard] = []
    for module in ctx.live:
        if module.language != "javascript":
            continue
        for call in module.calls({"useGlobalGuards"}):
            found.extend((module, each.func if isinstance(each, ir.Call) else each) for each in call.args)
        for each in module.all(ir.Obj) if "APP_GUARD" in module.file.text else ():
            provided, made = each.get("provide"), each.get("useClass", "useExisting")
            if made is not None and isinstance(provided, ir.Name) and provided.id == "APP_GUARD":
                found.append((module, made))
    return found


def _use_guards(module: Module, decorators: list[ir.Node]) -> list[Guard]:
    calls = [
        each
        for each in decorators
        if isinstance(each, ir.Call) and ir.dotted(each.func).endswith("UseGuards")
    ]
    return [(module, arg) for each in calls for arg in each.args]
