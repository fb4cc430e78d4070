"""Part of the rule on undefined names: fields that the repository's own class does not have, read in live Python.

`settings.api_key` where the class of the settings, whole in this repository or pydantic's, names none. Only names of
a whole file are asked, which stand for one class or its one instance: what a parameter holds may be told from others by
a test. What is set from outside, asked for with `hasattr`, or read in a `try` that takes care of it is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.names.missing_members import OF_ANY, lacks

_OF_MODELS = re.compile(
    r"^(model_\w+|_\w+|dict|json|copy|schema|schema_json|fields|parse_\w+|construct|validate|from_orm|Config"
    r"|update_forward_refs)$"
)
"""What pydantic's models have besides their fields; and what is private, which they may have too."""


def missing_fields(ctx: Context) -> Iterator[Finding]:
    """`settings.OPENAI_KEY` where the class of `settings` has no such member: told once for each class in a file."""
    for module in ctx.live:
        lacking: dict[ir.Class, list[ir.Attr]] = {}
        for node in module.all(ir.Attr) if module.language == "python" else ():
            owner = _class_of(ctx, module, node)
            if owner is not None and lacks(ctx, *owner, node.name, models=True):
                lacking.setdefault(owner[1], []).append(node)
        for cls, reads in lacking.items():
            names = list(dict.fromkeys(each.name for each in reads))
            shown = f"{', '.join(names[:3])}{'…' if len(names) > 3 else ''}"
            message = f"the class {cls.name} has no {shown}: reading it ends in an AttributeError"
            dead = ctx.role_at(module, reads[0]) == "dead"
            message, weight = (f"{message}; nothing comes here", BARELY) if dead else (message, 60)
            yield finding("undefined-name", module, reads[0], message, key=f"{cls.name}.{names[0]}", weight=weight,
                          line=reads[0].line, end=reads[0].line,
                          evidence=[Place(module.path, each.line) for each in reads[1:4]])  # fmt: skip


def _class_of(ctx: Context, module: Module, node: ir.Attr) -> tuple[Module, ir.Class] | None:
    """The class of this repository of which, or of whose instance, a field is read."""
    if not isinstance(node.obj, ir.Name) or node.obj.id in {"self", "cls"} or node.name in OF_ANY:
        return None
    if not _is_read(node) or _OF_MODELS.match(node.name):
        return None
    if bindings_of(module, node.obj) != module.top.names.get(node.obj.id):
        return None
    owner = ctx.once(_stands_for, module, node.obj.id, 0)
    if owner is None or _is_cared_for(module, node):
        return None
    return owner if ctx.role_at(module, node) in {*LIVE_ROLES, "dead"} else None


def _stands_for(ctx: Context, module: Module, name: str, depth: int) -> tuple[Module, ir.Class] | None:
    """The class that a file's own name stands for, itself or by the one instance that is made of it."""
    bound = module.top.names.get(name, ())
    if len(bound) != 1 or depth > MAX_STEPS:
        return None
    binding = bound[0]
    if binding.kind == "import" and isinstance(binding.node, ir.Import) and binding.keys:
        path = ctx.program.resolver.resolve(module.path, binding.node.module, module.language)
        other = ctx.program.modules.get(path or "")
        return _stands_for(ctx, other, str(binding.keys[0]), depth + 1) if other is not None else None
    if isinstance(binding.node, ir.Class):
        return module, binding.node
    made = binding.value if binding.kind == "assign" and not binding.keys else None
    return _made_of(ctx, module, made) if isinstance(made, ir.Call) else None


def _made_of(ctx: Context, module: Module, made: ir.Call) -> tuple[Module, ir.Class] | None:
    """The class of which a call makes an instance, by itself or as a function whose only way out is such a call."""
    found = ctx.program.resolve(module, made.func)
    target = found[0] if len(found) == 1 else None
    if target is None or target.module is None:
        return None
    if isinstance(target.node, ir.Class):
        return target.module, target.node
    given = returns(target.node) if isinstance(target.node, ir.Func) else []
    inner = given[0] if len(given) == 1 else None
    own = ctx.program.resolve(target.module, inner.func) if isinstance(inner, ir.Call) else ()
    if len(own) == 1 and isinstance(own[0].node, ir.Class) and own[0].module is not None:
        return own[0].module, own[0].node
    return None


MAX_STEPS = 4
"""So many files may hand a name on."""


def _is_read(node: ir.Attr) -> bool:
    """Whether an attribute is neither called nor set."""
    around = node.parent
    if isinstance(around, ir.Call) and around.func is node:
        return False
    return not (isinstance(around, ir.Assign) and around.target is node)


def _is_cared_for(module: Module, node: ir.Attr) -> bool:
    """Whether a file asks whether there is such a field, or a `try` with handlers stands around."""
    if "hasattr(" in module.file.text and re.search(
        rf"hasattr\([^)]*{re.escape(node.name)}", module.file.text
    ):
        return True
    inner: ir.Node = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.Try) and inner in each.body and "AttributeError" in module.file.text:
            return True
        inner = each
    return False
