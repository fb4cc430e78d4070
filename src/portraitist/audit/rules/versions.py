"""Risks in how versions are kept, taken apart and put together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements, module_of, names_in
from portraitist.audit.rules.gravity import BARELY


def version_unnormalised(ctx: Context) -> Iterator[Finding]:
    """A version column gets `output.version` as it is (owner/name:hash) and is joined to a model elsewhere."""
    joined = _joined_names(ctx)
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            raw = (
                use.node is not None
                and re.search(r"output\.version$", ir.dotted(use.node))
                and isinstance(use.node, ir.Attr)
            )
            if raw and snake(use.column) in joined:
                key = f"{statement.table}.{use.column}"
                message = f"{key} keeps owner/name:hash as sent and is joined to a model name elsewhere"
                yield finding(
                    "version-unnormalised",
                    module_of(ctx, use),
                    ir.Other(use.line, use.line, []),
                    message,
                    key=key,
                    weight=55,
                    evidence=[joined[snake(use.column)]],
                )


def _joined_names(ctx: Context) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            pair = composite(text)
            if pair and not isinstance(ctx.ev.eval(module, pair[1]), Known):
                found.setdefault(snake(last_name(pair[1])), Place(module.path, text.line))
    return found


def composite(text: ir.Tmpl) -> tuple[ir.Node, ir.Node] | None:
    """The two holes of `{a}:{b}`, when a text is just that, or that behind an owner: `{owner}/{a}:{b}`."""
    parts = text.parts
    tail = parts[-3:]
    if len(tail) < 3 or not isinstance(tail[1], ir.Lit) or tail[1].value != ":":
        return None
    before = "".join(str(each.value) if isinstance(each, ir.Lit) else "x" for each in parts[:-3])
    if (before and not re.fullmatch(r"[\w.-]+/", before)) or any(
        isinstance(tail[each], ir.Lit) for each in (0, 2)
    ):
        return None
    return tail[0], tail[2]


def version_parse_fragile(ctx: Context) -> Iterator[Finding]:
    """A version taken apart by a pattern for one address form, or by `split(":")` without a check of the parts.

    The first or last part is always there, as is every part of a literal that holds a colon.
    """
    for module in ctx.live:
        for lit in module.all(ir.Lit):
            if lit.kind == "regex" and re.search(r"replicate\\?\.com", str(lit.value)):
                yield finding(
                    "version-parse-fragile",
                    module,
                    lit,
                    "a version is read by a pattern for replicate.com addresses only",
                    key="regex",
                    weight=45,
                )
        for call in module.calls({"split"}):
            source = call.func.obj if isinstance(call.func, ir.Attr) and call.func.name == "split" else None
            colon = bool(call.args) and ir.text_of(call.args[0]) == ":"
            if (
                source is None
                or not colon
                or not (_VERSIONED.search(ir.dotted(source)) or _takes_second(module, call, source))
            ):
                continue
            if not (_always_there(ctx, module, call, source) or _parts_checked(call)):
                yield finding(
                    "version-parse-fragile",
                    module,
                    call,
                    f"{ir.dotted(source)} is split at ':' and the parts are not checked",
                    key=ir.dotted(source),
                    weight=40,
                )


_VERSIONED = re.compile(r"version|output\.|destination|trained", re.I)


def _takes_second(module: Module, call: ir.Call, source: ir.Node) -> bool:
    """`model.split(":")[1]` outside of a page: the part behind the colon, which a model without a version has not."""
    second = (
        isinstance(call.parent, ir.Index)
        and isinstance(call.parent.key, ir.Lit)
        and call.parent.key.value == 1
    )
    page = module.path.endswith((".tsx", ".jsx"))
    return second and not page and re.search(r"model", ir.dotted(source), re.I) is not None


def _always_there(ctx: Context, module: Module, call: ir.Call, source: ir.Node) -> bool:
    """`….split(":")[0]`, `.pop()`, `[-1]`: parts that a text without a colon has too; or a literal that has one."""
    use = call.parent
    if isinstance(use, ir.Index) and isinstance(use.key, ir.Lit) and use.key.value in {0, -1}:
        return True
    if isinstance(use, ir.Attr) and isinstance(use.parent, ir.Call) and use.parent.func is use:
        ends = [each.value for each in use.parent.args if isinstance(each, ir.Lit)] in ([0], [-1])
        if use.name in {"pop", "shift"} or (use.name == "at" and ends):
            return True
    value = ctx.ev.eval(module, source)
    return isinstance(value, Known) and ":" in str(value.value)


def _parts_checked(call: ir.Call) -> bool:
    """Whether the string was tested for the colon, or the results are tested after the split."""
    func = ir.enclosing(call, ir.Func)
    assign = next((each for each in ir.ancestors(call) if isinstance(each, ir.Assign)), None)
    made = {each.id for each in ir.find(assign.target, ir.Name)} if assign is not None else set()
    for each in ir.find(func, ir.If) if func is not None else []:
        names = names_in(each.test)
        if names & made or ":" in names:
            return True
    return any(isinstance(each, ir.Cond) and ":" in names_in(each.test) for each in ir.ancestors(call))


def null_composite(ctx: Context) -> Iterator[Finding]:
    """`{model}:{version}` sent to the provider without a test of both parts in the functions on the way.

    A database constraint or a test in another layer is not seen. Also a path or name that begins with `{user?.id}`,
    where nothing tests that there is a user.
    """
    yield from _begun_with_nothing(ctx)
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            pair = composite(text)
            if pair is None or ctx.role_at(module, text) not in {"src", "script"}:
                continue
            names = [snake(last_name(each)) for each in pair]
            if (
                not all(re.search(r"model|version|path|name|owner", each) for each in names)
                or "version" not in names[1]
            ):
                continue
            if not all(isinstance(each, ir.Attr | ir.Index) for each in pair):
                continue
            values = [ctx.ev.eval(module, each) for each in pair]
            missing = [
                name
                for name, node, value in zip(names, pair, values, strict=True)
                if not (isinstance(value, Known) or _never_null(ctx, module, node) or _tested(node, text))
            ]
            if missing:
                message = f"{' and '.join(missing)} may be null when the version is composed"
                weight = BARELY if module.path.endswith((".tsx", ".jsx")) else 60
                yield finding("null-composite", module, text, message, key=":".join(names), weight=weight)


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
    name = last_name(node)
    func: ir.Func | None = ir.enclosing(use, ir.Func)
    while func is not None:
        for each in ir.walk(func):
            if isinstance(each, ir.If | ir.Cond) and each.line <= use.line and name in names_in(each.test):
                return True
        func = ir.enclosing(func, ir.Func)
    return False
