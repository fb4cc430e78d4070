"""Part of the rule on mock data: what pages show from a constant named mock, what a comment calls mock data, and
judgements that are stored as a number written in the source.

Comments are taken at their word; whether anybody sees the page is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, live_statements
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.mocks.pretended import speaking_of_mocks, switched

_MOCK = re.compile(r"^(mock|mocked|dummy|fake)_|_(mock|mocked|dummy|fake)$")
_CALLED = re.compile(
    r"(//|#|/?\*)\s*.{0,60}\b(mock(ed|ing)?\b(?!\w)|dummy|fake|simulated?|simulating|hard-?coded for now"
    r"|placeholder (data|values?|response)|replace (this |it )?with (a |the )?(real|actual))",
    re.I,
)
_DENIES = re.compile(
    r"\b(no|not|never|without|instead of|avoid|don't|remove[ds]?|detect\w*|reject\w*|isn't|SSR|compat\w*|tests?)\b",
    re.I,
)
_JUDGES = re.compile(
    r"(^|_)(similarity|confidence|quality|accuracy|likeness|resemblance|realism|match)(_score|_pct|_percent|_rating)?$"
)


def told_mock(ctx: Context) -> Iterator[Finding]:
    """`const mockPhotos = […]` in a page, a literal under `// Mock data`, and `similarity: 0.85` in what is stored."""
    if not (ctx.calls or ctx.of("file.touches_replicate")):
        return
    for module in ctx.live:
        if module.role != "src" or module.path in ctx.dead_modules or ".config." in module.path:
            continue
        if module in ctx.once(speaking_of_mocks):
            yield from _constants(ctx, module)
    yield from _judgements(ctx)


def _constants(ctx: Context, module: Module) -> Iterator[Finding]:
    """What is written out under a name or a comment that calls it mock data, one for each line."""
    told: set[int] = set()
    nodes: list[ir.Assign | ir.Return] = [*module.all(ir.Assign), *module.all(ir.Return)]
    for node in nodes:
        value = node.value
        if value is None or node.line in told or not _is_written(value) or switched(node):
            continue
        target = node.target if isinstance(node, ir.Assign) and (node.decl or node.within is None) else None
        name = target.id if isinstance(target, ir.Name) else ""
        named = _MOCK.search(snake(name)) is not None
        if (named or _said(module, node)) and ctx.role_at(module, node) in LIVE_ROLES:
            told.add(node.line)
            message = f"{name} is mock data in the product" if named else "a comment calls this no real data"
            key = name or f"said {node.line - (node.within.line if node.within else 0)}"
            yield finding("mock-data", module, node, message, key=key, weight=BARELY, end=node.line)


def _is_written(value: ir.Node) -> bool:
    """Whether a value is written out: a list or an object with entries, or `Array.from` of some."""
    if isinstance(value, ir.Arr):
        return bool(value.items)
    if isinstance(value, ir.Obj):
        return bool(value.props)
    if isinstance(value, ir.Lit) and isinstance(value.parent, ir.Return):
        return isinstance(value.value, str | bytes) and len(value.value) > 3
    return isinstance(value, ir.Call) and ir.plain_dotted(value.func) == "Array.from"


def _said(module: Module, node: ir.Node) -> bool:
    """Whether the comment beside a statement, or on the two lines above it, calls it mock data."""
    plain = isinstance(node, ir.Return) and isinstance(node.value, ir.Lit)
    func = node.within if plain else None
    first = max(func.line, node.line - 6) if func is not None else node.line - 2
    for line in range(node.line, max(first, 1) - 1, -1):
        text = module.text(line)
        if func is not None and not text.lstrip().startswith(("//", "#")) and line != node.line:
            continue
        comment = text.lstrip().startswith(("//", "#", "*", "/*"))
        if line != node.line and not comment:
            return False
        found = _CALLED.search(text)
        if found:
            return not _DENIES.search(text[found.start() :])
    return False


def _judgements(ctx: Context) -> Iterator[Finding]:
    """The first entry of each function that is named for a judgement, is stored, and holds a written number."""
    seen: set[ir.Func | None] = set()
    kept: list[tuple[Module, str, ir.Node, int]] = [
        (ctx.program.modules[use.path], use.column, use.node, use.line)
        for each in live_statements(ctx, "write")
        for use in each.columns
        if isinstance(use.node, ir.Lit)
    ]
    for module in ctx.live:
        for call in module.calls({"rpc"}):
            props = (each for arg in call.args for each in ir.find(arg, ir.Prop))
            kept += [(module, each.key or "", each.value, each.line) for each in props]
    for module, name, node, line in kept:
        number = node.value if isinstance(node, ir.Lit) else None
        if node.within in seen or not isinstance(number, float) or not 0 < number < 100:
            continue
        if _JUDGES.search(snake(name)) and ctx.role_at(module, node) in LIVE_ROLES:
            seen.add(node.within)
            message = f"{name} is stored as {number}, which nothing measured"
            yield finding("mock-data", module, node, message, key=f"written {name}", weight=30, line=line)
