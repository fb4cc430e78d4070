"""Part of the rule on shared destinations: a destination that is made of nothing but a name somebody chose."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth_answers import answer_tested, swallowed
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import entry_of, reaching
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Field, Known, OneOf, Outside, Value
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, names_in, place
from portraitist.audit.rules.owners import MAKES_MODEL
from portraitist.audit.rules.syntax import STAND_IN

_CHOSEN = re.compile(r"(^|_)(name|title|slug|label)$")
_APART = re.compile(
    r"(^|_)u?id|uuid|nano|rand|time|now|date|stamp|user|email|member|hash|session|uniq|count|suffix|digest|token"
    r"|account|customer|serial|crypt|phone|chat|sub$|seed|key"
)
"""Words of names whose values differ between members, or may."""
_PLAIN = {"name", "title", "slug", "label"}
"""Keys that stand for a hundred things: what else is put under them says nothing of this one."""
_STEPS = 4
_NEAR = 10


def named_alone(ctx: Context) -> Iterator[Finding]:
    """`${OWNER}/${slug(project.name)}`: members who choose one name train into one model of one account.

    Not where the account differs too, nor where a name can be had once only, by the schema or a row that is looked for.
    """
    for call in ctx.creates() if not _is_unique(ctx) else ():
        for field in _destinations(call):
            module = ctx.program.modules[field.path]
            text = next(_texts(module, field.node, 0), None)
            parts = _name_parts(ctx, module, text) if text is not None else []
            leaves = [one for each in parts for one in _leaves(ctx, module, each, 0)]
            names = [snake(last_name(each)) for each in leaves]
            chosen = next((each for each in leaves if _CHOSEN.search(snake(last_name(each)))), None)
            if chosen is None or text is None or any(_APART.search(each) for each in names):
                continue
            told = {last_name(each) for each in leaves} - _PLAIN
            apart = any(ctx.once(_sent_apart, each) for each in told)
            free = not apart and not _looked_for(ctx, call) and not _made_before(ctx, call)
            if ctx.role_at(module, call.call) in LIVE_ROLES and free:
                made = (
                    text.parent if isinstance(text.parent, ir.Assign) and text.parent.value is text else text
                )
                message = (
                    f"the destination is made of {ir.dotted(chosen)} alone: equal names train into one model"
                )
                yield finding("shared-destination", module, made, message, key="named", weight=62,
                              line=_begun(module, parts, made), end=made.end, evidence=[place(call)])  # fmt: skip


def _destinations(call: ProviderCall) -> list[Field]:
    """What a training is told of its destination; the first trainings called it `model`."""
    if call.purpose != "training":
        return []
    old = call.fields("model") if call.fields("trainer_version") else []
    return [*call.fields("destination"), *old]


def _texts(module: Module, node: ir.Node | None, depth: int) -> Iterator[ir.Tmpl]:
    """The text with a slash that a destination is, through variables."""
    value = node.value if isinstance(node, ir.Prop) else node
    if isinstance(value, ir.Tmpl):
        yield value
    elif isinstance(value, ir.Name) and depth < _STEPS:
        for each in reaching(module, value):
            if each.value is not None and not each.keys:
                yield from _texts(module, each.value, depth + 1)


def _name_parts(ctx: Context, module: Module, text: ir.Tmpl) -> list[ir.Node]:
    """What stands behind the slash, where the account in front of it is the same for all."""
    for place_of, part in enumerate(text.parts):
        if isinstance(part, ir.Lit) and "/" in str(part.value):
            owners = text.parts[:place_of]
            fixed = all(_is_fixed(ctx.ev.eval(module, each)) for each in owners)
            return (
                [each for each in text.parts[place_of + 1 :] if not isinstance(each, ir.Lit)] if fixed else []
            )
    return []


def _is_fixed(value: Value) -> bool:
    """Whether a value is a literal, a setting, or one or the other."""
    if isinstance(value, OneOf):
        return all(_is_fixed(each) for each in value.options)
    return isinstance(value, Known) or (isinstance(value, Outside) and value.kind == "env")


def _begun(module: Module, parts: list[ir.Node], made: ir.Node) -> int:
    """The line on which the name is made, a few lines above the destination."""
    first = made.line
    named = [one for part in parts if isinstance(part, ir.Name) for one in reaching(module, part)]
    for each in named:
        near = each.node.within is made.within and made.line - _NEAR <= each.node.line < first
        if near and each.kind == "assign" and not each.keys:
            first = each.node.line
    return first


def _leaves(ctx: Context, module: Module, node: ir.Node, depth: int) -> Iterator[ir.Node]:
    """The names that a value is made of, variables and what callers hand over followed.

    Of `a || b` and of `a ? a : b` the first, which is there as a rule; a call stands for itself where it is known to
    make something new, or to be the provider's.
    """
    if depth > _STEPS:
        yield node
    elif isinstance(node, ir.Bin) and node.op in STAND_IN:
        yield from _leaves(ctx, module, node.left, depth)
    elif isinstance(node, ir.Cond):
        yield from _leaves(ctx, module, node.then, depth)
    elif isinstance(node, ir.Attr | ir.Index | ir.Name):
        yield from _of_name(ctx, module, node, depth)
    elif isinstance(node, ir.Call):
        args = [each for each in node.args if not isinstance(each, ir.Lit | ir.Func)]
        if not args or not isinstance(node.func, ir.Attr):
            yield ir.Name(node.line, node.end, last_name(node.func))
        for each in (*([node.func.obj] if isinstance(node.func, ir.Attr) else []), *args):
            yield from _leaves(ctx, module, each, depth)
    else:
        for child in node.children():
            yield from _leaves(ctx, module, child, depth)


def _of_name(ctx: Context, module: Module, node: ir.Node, depth: int) -> Iterator[ir.Node]:
    """What a variable, or a member of one, is made of; itself where that is a row, the request, or not known."""
    root = ir.root_of(node)
    made = reaching(module, root) if isinstance(root, ir.Name) else []
    if any(isinstance(each.value, ir.Call) and each.value in ctx.call_at for each in made):
        yield ir.Name(node.line, node.end, "provider_id")
        return
    param = next((each.node for each in made if isinstance(each.node, ir.Param)), None)
    given = list(_handed(ctx, node, param)) if param is not None else []
    for where, value in given:
        yield from _leaves(ctx, where, value, depth + 1)
    plain = [
        each.value for each in made if each.kind == "assign" and each.value is not None and not each.keys
    ]
    if isinstance(node, ir.Name) and plain:
        for value in plain:
            yield from _leaves(ctx, module, value, depth + 1)
    elif not given:
        yield node


def _handed(ctx: Context, node: ir.Node, param: ir.Param) -> Iterator[tuple[Module, ir.Node]]:
    """What callers hand over for a parameter, or for the member of it that is taken."""
    func = param.parent if isinstance(param.parent, ir.Func) else None
    key = last_name(node) if not isinstance(node, ir.Name) or param.pattern is not None else ""
    for site in ctx.program.callers.get(func, []) if func is not None else ():
        value = argument_for(site.call, func, param) if func is not None else None
        if key:
            value = entry_of(site.module, value, key)
        if value is not None:
            yield site.module, value


def _sent_apart(ctx: Context, key: str) -> bool:
    """Whether some page or helper makes what is sent under this key with a part that differs each time."""
    for module in ctx.modules:
        if key not in module.file.text:
            continue
        made = [each.value for each in module.all(ir.Prop) if each.key == key]
        made += [each.value for each in module.all(ir.Assign) if last_name(each.target) == key and each.value]
        for whole in made:
            value = whole.left if isinstance(whole, ir.Bin) and whole.op in STAND_IN else whole
            names = {snake(each) for each in names_in(value) if " " not in each}
            if isinstance(value, ir.Tmpl | ir.Call | ir.Bin) and any(_APART.search(each) for each in names):
                return True
    return False


def _is_unique(ctx: Context) -> bool:
    """Whether a schema lets a model's name be had only once."""
    return any(
        re.search(r"\b(model_?name|name|slug)\b[^\n,]{0,60}(@unique|\bunique\b(?!\s*\())", each.text, re.I)
        for each in ctx.tree.files
        if each.path.endswith((".prisma", ".sql", "schema.ts", "models.py"))
    )


def _looked_for(ctx: Context, call: ProviderCall) -> bool:
    """Whether a row with the same name is looked for first, whoever's it is."""
    for each in ctx.statements_under.get(call.func, ()) if call.func is not None else ():
        columns = {snake(one) for one in each.where}
        owned = any(_APART.search(one) for one in columns)
        if each.kind == "read" and any(_CHOSEN.search(one) for one in columns) and not owned:
            return True
    return False


def _made_before(ctx: Context, call: ProviderCall) -> bool:
    """Whether the model is made anew first, and the function left where the provider refuses: a name that is taken.

    Where 409, what the provider says of such a name, is told apart, it may go on.
    """
    func = call.func
    if func is not None and any(each.value == 409 for each in ir.find(func, ir.Lit)):
        return False
    for each in ctx.calls if func is not None else ():
        if (
            func is not None
            and each.func is func
            and each.api in MAKES_MODEL
            and each.call.line < call.call.line
        ):
            heeded = answer_tested(ctx, each.module, func, each.call) if not each.sdk else True
            if heeded and not swallowed(each.call):
                return True
    return False
