"""Risks in how versions are kept, taken apart and put together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, line_of, live_statements, module_of, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.references import (
    WHOLE,
    composite,
    forms,
    forms_mixed,
    joined_twice,
    run_bare,
)
from portraitist.audit.rules.undefined_parts import of_a_cut, of_the_other_setting
from portraitist.audit.rules.version_names import named_versions, stand_ins, two_spellings


def version_unnormalised(ctx: Context) -> Iterator[Finding]:
    """A version column gets `output.version` as it is (owner/name:hash) and is joined to a model elsewhere.

    Also the same within one function, a reference that has one form here and another there, and a bare hash that is
    run as a model (`references`), a model's name where a version belongs (`version_names`). Where a value
    is asked for a colon, nothing is said.
    """
    joined = _joined_names(ctx)
    for statement in live_statements(ctx, "write") if joined else ():
        for use in statement.columns:
            if snake(use.column) not in joined:
                continue
            if any(each.kind == WHOLE for each in forms(ctx, module_of(ctx, use), use.node)):
                key = f"{statement.table}.{use.column}"
                message = f"{key} keeps owner/name:hash as sent and is joined to a model name elsewhere"
                yield finding(
                    "version-unnormalised",
                    module_of(ctx, use),
                    line_of(use),
                    message,
                    key=key,
                    weight=55,
                    evidence=[joined[snake(use.column)]],
                )
    yield from joined_twice(ctx)
    yield from forms_mixed(ctx)
    yield from run_bare(ctx)
    yield from named_versions(ctx)
    yield from stand_ins(ctx)
    yield from two_spellings(ctx)


def _joined_names(ctx: Context) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            pair = composite(text)
            if pair and _is_column(pair[1]) and not isinstance(ctx.ev.eval(module, pair[1]), Known):
                found.setdefault(snake(last_name(pair[1])), Place(module.path, text.line))
    return found


def _is_column(node: ir.Node) -> bool:
    """Whether the second part of a joined text may be a row's: no plain `version`, none of an answer or a constant."""
    if isinstance(node, ir.Attr | ir.Index):
        return last_name(node.obj) != "output" and not last_name(ir.root_of(node)).isupper()
    return last_name(node) != "version"


def null_composite(ctx: Context) -> Iterator[Finding]:
    """`{model}:{version}` sent to the provider without a test of both parts in the functions on the way.

    A database constraint or a test in another layer is not seen. Behind a model that is spelled out the version alone
    is judged, and where it is taken of a row. Also a path or name that begins with `{user?.id}`, where nothing tests
    that there is a user, and texts with a part that may not be there (`undefined_parts`).
    """
    yield from _begun_with_nothing(ctx)
    yield from of_the_other_setting(ctx)
    yield from of_a_cut(ctx)
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            before = text.parts[-2] if len(text.parts) > 1 else None
            colon = isinstance(before, ir.Lit) and str(before.value).endswith(":")
            if not colon or ctx.role_at(module, text) not in LIVE_ROLES:
                continue
            pair = _of_row(ctx, module, text)
            names = [_held(each) for each in pair]
            values = [ctx.ev.eval(module, each) for each in pair]
            missing = [
                name
                for name, node, value in zip(names, pair, values, strict=True)
                if not (isinstance(value, Known) or _never_null(ctx, module, node) or _tested(node, text))
            ]
            if missing:
                message = f"{' and '.join(missing)} may be null when the version is composed"
                weight = (
                    BARELY if module.path.endswith((".tsx", ".jsx")) else 60
                )  # the server sends it, and may ask
                yield finding("null-composite", module, text, message, key=":".join(names), weight=weight)


_HELD = re.compile(r"model|version|path|name|owner")


def _of_row(ctx: Context, module: Module, text: ir.Tmpl) -> list[ir.Node]:
    """The parts of a composed version that may be nothing: members, or variables that are taken of a row."""
    pair = list(composite(text) or ())
    spelled = "".join(str(each.value) if isinstance(each, ir.Lit) else "x" for each in text.parts[:-1])
    if not all(_HELD.search(_held(each)) for each in pair) or not pair:
        pair = [text.parts[-1]] if re.fullmatch(r"[\w.-]+/[\w.-]+:", spelled) else []
    if not pair or "version" not in _held(pair[-1]):
        return []
    members = all(isinstance(each, ir.Attr | ir.Index) for each in pair)
    return pair if members or all(_from_row(ctx, module, each) for each in pair) else []


def _held(node: ir.Node) -> str:
    """The name of a part, of `latest_version.id` that of what the id is of."""
    whole = node.obj if isinstance(node, ir.Attr) and node.name == "id" else node
    return snake(last_name(whole))


def _from_row(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a variable is a column of a row that was read: `const { version } = row`, `row.get("version")`."""
    if isinstance(node, ir.Attr | ir.Index):
        return True
    for each in bindings_of(module, node):
        made = each.value
        if (
            isinstance(made, ir.Call)
            and last_name(made.func) == "get"
            and made.args
            and ir.text_of(made.args[0])
        ):
            return True
        if each.keys and isinstance(made, ir.Name) and any(_reads(ctx, module, made)):
            return True
    return False


def _reads(ctx: Context, module: Module, row: ir.Name) -> Iterator[bool]:
    """Whether a variable is what a statement on a table gave."""
    read = {each.node for each in ctx.statements if each.kind == "read" and each.module is module}
    for each in bindings_of(module, row):
        yield each.value is not None and any(one in read for one in ir.walk(each.value))


def _begun_with_nothing(ctx: Context) -> Iterator[Finding]:
    """`${user?.id}/…` handed to a storage, or as a name to the provider: it becomes `undefined/…`."""
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            first = text.parts[0] if text.parts else None
            if not (
                isinstance(first, ir.Attr)
                and first.maybe
                and snake(first.name) in {"id", "sub", "uid", "user_id"}
            ):
                continue
            used = next(
                (each for each in ir.ancestors(text) if isinstance(each, ir.Call | ir.Assign | ir.Func)), None
            )
            stored = isinstance(used, ir.Call) and _STORES.search(ir.dotted(used.func)) is not None
            whose = last_name(first.obj)
            live = ctx.role_at(module, text) in LIVE_ROLES
            if stored and live and whose and not _tested(first.obj, text):
                message = f"{whose} may be nothing here, and the path then begins with 'undefined'"
                yield finding("null-composite", module, text, message, key=f"{whose}.{first.name}", weight=44)


_STORES = re.compile(r"upload|signed_?url|put_?object|storage\.|public_?url|remove$|\.create$", re.I)


def _never_null(ctx: Context, module: Module, node: ir.Node) -> bool:
    """A field that its class annotates with a plain type: of the own class, or of a parameter's."""
    if not isinstance(node, ir.Attr) or not isinstance(node.obj, ir.Name):
        return False
    own = ir.enclosing(node, ir.Class) if node.obj.id == "self" else None
    found = module.lookup(node.obj.id, node)
    given = [each.node.annotation for each in (found[1] if found else []) if isinstance(each.node, ir.Param)]
    targets = [one.node for each in given if each is not None for one in ctx.program.resolve(module, each)]
    fields = [
        each
        for cls in (own, *targets)
        if isinstance(cls, ir.Class)
        for each in cls.body
        if isinstance(each, ir.Assign) and last_name(each.target) == node.name
    ]
    return any(each.annotation is not None and isinstance(each.annotation, ir.Name) for each in fields)


def _tested(node: ir.Node, use: ir.Node) -> bool:
    name = last_name(node.obj if isinstance(node, ir.Attr) and node.name == "id" else node)
    func: ir.Func | None = ir.enclosing(use, ir.Func)
    while func is not None:
        for each in ir.walk(func):
            if isinstance(each, ir.If | ir.Cond) and each.line <= use.line and name in names_in(each.test):
                return True
        func = ir.enclosing(func, ir.Func)
    return False
