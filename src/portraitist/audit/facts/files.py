"""What each file is: its role, whether anything uses it, whether it touches the provider, what it exports."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Place

_WORD = re.compile(r"replicate(?!d)", re.I)


def collect(ctx: Context) -> None:
    """Adds the `file.*` and `export` facts."""
    called = {each.module.path for each in ctx.calls}
    for file in ctx.tree.files:
        role = "dead" if file.path in ctx.dead_modules else file.role
        ctx.add_at("file.role", role, file.path, 1, role=role, shows="")
    for path in sorted(ctx.dead_modules):
        ctx.add_at("file.dead", path, path, 1, role="dead", shows="")
    for module in ctx.modules:
        line = _mentioned_at(module)
        if module.path in called or line:
            role = "dead" if module.path in ctx.dead_modules else module.role
            where = [Place(module.path, line)] if line else []
            ctx.add_at("file.touches_replicate", "Y", module.path, 1, role=role, evidence=where, shows="")
        _exports(ctx, module)


def _mentioned_at(module: Module) -> int:
    """The first line on which code, not a comment, names the provider; 0 where none does."""
    if "replicate" not in module.file.lowered_words:
        return 0
    named: list[tuple[int, str]] = [(each.line, each.module) for each in module.all(ir.Import)]
    named += [(each.line, each.id) for each in module.all(ir.Name)]
    named += [(each.name_line, each.name) for each in module.all(ir.Attr)]
    named += [(each.line, each.key) for each in module.all(ir.Prop) if each.key]
    texts = ((each.line, each.value) for each in module.all(ir.Lit) if isinstance(each.value, str))
    named += [(line, text) for line, text in texts if " " not in text]
    named = [each for each in named if "replicate" in each[1].lower()]
    return min((line for line, word in named if _WORD.search(word)), default=0)


def _exports(ctx: Context, module: Module) -> None:
    if module.role not in LIVE_ROLES | {"backup", "removed"}:
        return
    for name, node in _exported(module):
        ctx.add("export", name, module, node, shows="" if name == "default" else name)
        unused = isinstance(node, ir.Func) and node in ctx.dead_funcs and module.path not in ctx.dead_modules
        if unused and module.role == "src":
            ctx.add("file.dead", name, module, node, shows="")


def _exported(module: Module) -> Iterator[tuple[str, ir.Node]]:
    """Names that other files may use, with their definitions."""
    if module.language == "python":
        for each in module.body.parts:
            if isinstance(each, ir.Func | ir.Class) and not each.name.startswith("_"):
                yield each.name, each
        return
    for name, entry in module.exports.items():
        node = _definition(module, name, entry)
        if node is not None:
            yield name, node


def _definition(module: Module, name: str, entry: str | ir.Node) -> ir.Node | None:
    if isinstance(entry, ir.Node):
        return entry if not isinstance(entry, ir.Import) else None
    found = module.top.names.get(entry, [])
    if not found or found[-1].kind == "import":
        return None
    return found[-1].value if isinstance(found[-1].value, ir.Func) else found[-1].node
