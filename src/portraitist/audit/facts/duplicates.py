"""What exists twice: functions of one name, routes, copied blocks, and columns with several writers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.model import Place

BLOCK_LINES = 10
"""Equal consecutive lines, blanks and comments aside, from which on a block counts as copied."""

_COMMON = {
    "handler",
    "default",
    "constructor",
    "render",
    "main",
    "index",
    "onclick",
    "handlesubmit",
    "handlechange",
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "head",
    "options",
    "generatemetadata",
    "layout",
    "page",
    "loading",
    "error",
    "upgrade",
    "downgrade",
    "__init__",
    "__str__",
    "__repr__",
    "setup",
    "metadata",
    "wrapper",
    "decorator",
    "callback",
    "generatestaticparams",
    "getserversideprops",
    "getstaticprops",
    "handleclick",
    "onsubmit",
    "fetchdata",
    "home",
    "middleware",
}
_ROLES = {"src", "script", "backup", "removed"}


def collect(ctx: Context) -> None:
    """Adds the `dup.*` facts."""
    _functions(ctx)
    _routes(ctx)
    _blocks(ctx)
    _writers(ctx)


def _functions(ctx: Context) -> None:
    places: dict[str, list[tuple[Place, int]]] = {}
    for module in ctx.modules:
        if module.role not in _ROLES:
            continue
        for func in module.all(ir.Func):
            nested = func.parent is not None and ir.enclosing(func, ir.Func) is not None and not func.owner
            short = len(func.name) < 5 or func.name.lower() in _COMMON or func.name.startswith("__")
            if func.name and not nested and not short and not isinstance(func.parent, ir.Prop | ir.Call):
                places.setdefault(func.name, []).append((Place(module.path, func.line), func.end))
    for name, found in sorted(places.items()):
        if len({place.path for place, _ in found}) > 1:
            (first, end), *others = sorted(found)
            ctx.add_at(
                "dup.function", name, first.path, first.line, evidence=[each for each, _ in others], end=end
            )


def _routes(ctx: Context) -> None:
    places: dict[str, list[Place]] = {}
    for route in ctx.routes:
        if (
            route.is_http
            and route.method != "ACTION"
            and route.module.role == "src"
            and route.module.path not in ctx.dead_modules
        ):
            key = re.sub(r"\{\w+\}|\[\w+\]", "{}", route.key)
            places.setdefault(key, []).append(Place(route.module.path, route.node.line))
    for key, found in sorted(places.items()):
        unique = sorted(set(found))
        if len(unique) > 1:
            ctx.add_at("dup.route", key, unique[0].path, unique[0].line, evidence=unique[1:], shows="")


def _writers(ctx: Context) -> None:
    places: dict[str, dict[tuple[str, str], Place]] = {}
    for each in ctx.statements:
        if each.kind != "write" or each.module.role not in {"src", "script"}:
            continue
        for use in each.columns:
            module = ctx.program.modules[use.path]
            func = module.function_at(use.line)
            where = (use.path, module.scope_name(func) or f"{func.line}" if func is not None else "")
            places.setdefault(f"{each.table}.{use.column}", {}).setdefault(where, Place(use.path, use.line))
    for key, found in sorted(places.items()):
        unique = sorted(found.values())
        if len(unique) > 1:
            ctx.add_at(
                "dup.field_writers",
                key,
                unique[0].path,
                unique[0].line,
                evidence=unique[1:],
                shows=key.rpartition(".")[2],
            )


def _blocks(ctx: Context) -> None:
    """Copied runs of lines between files that touch the provider."""
    touching = {each.path for each in ctx.of("file.touches_replicate")}
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    lines: dict[str, list[tuple[int, str]]] = {}
    for module in ctx.modules:
        if module.path in touching and module.role in _ROLES:
            lines[module.path] = list(_significant(module.lines))
            texts = [text for _, text in lines[module.path]]
            for at in range(len(texts) - BLOCK_LINES + 1):
                windows.setdefault(tuple(texts[at : at + BLOCK_LINES]), []).append((module.path, at))
    covered: set[tuple[str, int]] = set()
    for window, found in windows.items():
        if len(found) < 2 or sum(len(each) for each in window) < 200 or found[0] in covered:
            continue
        length = _grow(lines, found, covered)
        first, *others = [Place(path, lines[path][at][0]) for path, at in found]
        last = lines[found[0][0]][found[0][1] + length - 1][0]
        ctx.add_at(
            "dup.block",
            f"{last - first.line + 1} lines",
            first.path,
            first.line,
            evidence=others,
            shows="",
            end=last,
        )


def _significant(lines: list[str]) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if len(text) > 2 and not text.startswith(
            ("//", "#", "*", "/*", "import ", "from ", "console.", "print(")
        ):
            yield number, text


def _grow(
    lines: dict[str, list[tuple[int, str]]], found: list[tuple[str, int]], covered: set[tuple[str, int]]
) -> int:
    """The length of the block that begins at all these places; marks its lines as told."""
    length = BLOCK_LINES
    while all(at + length < len(lines[path]) for path, at in found):
        if len({lines[path][at + length][1] for path, at in found}) > 1:
            break
        length += 1
    for path, at in found:
        covered.update((path, at + offset) for offset in range(length))
    return length
