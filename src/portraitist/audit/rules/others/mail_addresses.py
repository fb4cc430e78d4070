"""E-mail addresses of all members in one answer: rows of people, or rows with their authors. Of `idor`, `missing-auth`.

Follows what an answer is made of, serializers of Django's REST framework and models of pydantic, through fields that
are such things themselves. Lists of who asks, and routes for staff, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.others.checks import WHO_ASKS
from portraitist.audit.rules.others.model_owners import is_user

_STAFF = re.compile(r"admin|superuser|staff|operator|moderator|permission|role|internal|manager", re.I)
_MAIL = re.compile(r"^(user_?)?e_?mail(_address)?$", re.I)
_MANY = {"List", "list", "Sequence", "Page", "Iterable", "tuple"}
MAX_STEPS = 4


def shown_to_members(ctx: Context) -> Iterator[Finding]:
    """A list of all members' rows, with e-mail addresses in it, that any member may have."""
    yield from _of_routes(ctx, asked=True)


def shown_to_anybody(ctx: Context) -> Iterator[Finding]:
    """The same, for whoever asks: a gallery of public pictures with their authors' addresses."""
    yield from _of_routes(ctx, asked=False)


def _of_routes(ctx: Context, *, asked: bool) -> Iterator[Finding]:
    rule, who = ("idor", "any member") if asked else ("missing-auth", "anybody")
    for route in ctx.routes:
        if route.framework != "python" or not route.is_http or bool(route.guarded_by) is not asked:
            continue
        if _STAFF.search(route.path) or any(
            _STAFF.search(name.rpartition(".")[2]) for name, _ in route.guarded_by
        ):
            continue
        for module, func in ((each.module, each.node) for each in route.handlers):
            if module is None or not isinstance(func, ir.Func) or ctx.role_at(module, func) not in LIVE_ROLES:
                continue
            told = next(_lists(ctx, module, func), None)
            if told is not None:
                way, statement = told
                does = f"gives {who} the e-mail addresses of others"
                message = f"{route.key} {does} with its rows of {statement.table} ({way})"
                yield finding(rule, *route.home, message, key=f"mail {route.key}", weight=BARELY, line=func.line,
                              end=func.line, evidence=[Place(statement.module.path, statement.line)])  # fmt: skip


def _lists(ctx: Context, module: Module, func: ir.Func) -> Iterator[tuple[str, Statement]]:
    """Each list that a handler answers with, of rows that are not chosen by who asks: how it shows an address."""
    made = [each for each in ctx.statements_under.get(func, ()) if each.kind == "read"]
    for statement in made:
        if any(WHO_ASKS.search(name) for _, node in statement.where_values for name in names_in(node)):
            made = [each for each in made if each is not statement]
    if not made or _asks_few(func):
        return
    for call in ir.find(func, ir.Call):
        if ir.keyword(call, "many") is None or not call.args:
            continue
        read = _read(module, call.args[0], made)
        way = _of_class(ctx, module, call.func, 0) if read is not None else ""
        if read is not None and way:
            yield way, read
    for decorator in func.decorators:
        model = ir.keyword(decorator, "response_model") if isinstance(decorator, ir.Call) else None
        if isinstance(model, ir.Index) and last_name(model.obj) in _MANY and not _uses_asker(func):
            way = _of_class(ctx, module, model.key, 0)
            whole = [each for each in made if not each.where]
            if way and whole:
                yield way, whole[0]


def _uses_asker(func: ir.Func) -> bool:
    """Whether a handler makes anything of the parameter that says who asks."""
    own = {each.name for each in func.params if WHO_ASKS.search(each.name)}
    return any(name.id in own for part in func.body for name in ir.find(part, ir.Name))


def _asks_few(func: ir.Func) -> bool:
    return any(_STAFF.search(name) for each in ir.find(func, ir.If) for name in names_in(each.test))


def _read(module: Module, node: ir.Node, made: list[Statement]) -> Statement | None:
    """The statement whose rows a node holds."""
    values = [node, *(each.value for each in bindings_of(module, node) if each.value is not None)]
    inside = {part for value in values for part in ir.walk(value)}
    return next((each for each in made if each.node in inside), None)


def _of_class(ctx: Context, module: Module, node: ir.Node, steps: int) -> str:
    """By which fields a serializer, or a model of an answer, shows an e-mail address: `input.user.email`; else ""."""
    for target in ctx.program.resolve(module, node) if steps < MAX_STEPS else ():
        if isinstance(target.node, ir.Class) and target.module is not None:
            table = any(
                each.path == target.module.path and each.line == target.node.line
                for made in ctx.tables.values()
                for each in made
            )  # a row's relations do not go into an answer
            return "" if table else ctx.once(_shown, target.node, target.module, steps)
    return ""


def _shown(ctx: Context, cls: ir.Class, module: Module, steps: int) -> str:
    fields = [each for each in cls.body if isinstance(each, ir.Assign) and isinstance(each.target, ir.Name)]
    listed = _meta(cls, "fields")
    if listed is None:
        return _of_model(ctx, cls, module, fields, steps)
    names = [ir.text_of(each) for each in listed.items] if isinstance(listed, ir.Arr) else []
    whole = ir.text_of(listed) == "__all__"
    if any(_MAIL.match(each or "") for each in names) or (whole and is_user(_meta(cls, "model"))):
        return next((each for each in names if each and _MAIL.match(each)), "email")
    for each in fields:
        field = last_name(each.target)
        if isinstance(each.value, ir.Call) and (whole or field in names):
            source = ir.text_of(ir.keyword(each.value, "source")) or ""
            if _MAIL.match(source.rpartition(".")[2]):
                return f"{field}: {source}"
            inner = _of_class(ctx, module, each.value.func, steps + 1)
            if inner:
                return f"{field}.{inner}"
    return ""


def _of_model(ctx: Context, cls: ir.Class, module: Module, fields: list[ir.Assign], steps: int) -> str:
    """The same of a pydantic model: fields by their annotations, its own first."""
    if any(isinstance(each, ir.Func) and each.name == "to_representation" for each in cls.body):
        return ""
    for each in fields:
        if each.annotation is not None and _MAIL.match(last_name(each.target)):
            return last_name(each.target)
    for each in fields:
        for part in ir.find(each.annotation, ir.Name) if each.annotation is not None else ():
            inner = _of_class(ctx, module, part, steps + 1) if part.id[:1].isupper() else ""
            if inner:
                return f"{last_name(each.target)}.{inner}"
    for base in cls.bases:
        inner = _of_class(ctx, module, base, steps + 1)
        if inner:
            return inner
    return ""


def _meta(cls: ir.Class, name: str) -> ir.Node | None:
    for inner in cls.body:
        for each in inner.body if isinstance(inner, ir.Class) and inner.name == "Meta" else ():
            if isinstance(each, ir.Assign) and last_name(each.target) == name:
                return each.value
    return None
