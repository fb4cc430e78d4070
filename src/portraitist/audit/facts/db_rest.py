"""Statements by raw HTTP: requests to Supabase's REST interface, `PATCH {url}/rest/v1/songs?id=eq.{id}`.

Requests are read in `http`, the way from the call that names the table to the client in `transport`. Not known are
filters that a function makes; a statement that has such a part has the column `{}` among those that select rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.db_chain import either, selected_names
from portraitist.audit.facts.db_common import columns_in, made
from portraitist.audit.facts.http import Request, address_nodes, address_of, is_request, request_of
from portraitist.audit.facts.transport import MAX_HOPS, Hop, frame_of, outwards
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import (
    Field,
    Items,
    OneOf,
    Outside,
    Struct,
    Text,
    Value,
    literals,
    renderings,
    structs,
)

_MARK = "rest/v1"
_REST = re.compile(
    r"^(\{[^}]*\}|https?://[^/]*(supabase|localhost|127\.0\.0\.1|kong|\{)[^/]*)/*rest/v1/+(?P<rest>.*)$", re.S
)
"""At a host that is a setting, Supabase's own or one of this machine: other vendors have a `rest/v1` too."""
_TABLE = re.compile(r"^(?P<table>[A-Za-z]\w*[A-Za-z0-9])(?P<more>[?{].*)?$", re.S)
_FILTER = r"(?:not\.)?(?:eq|neq|in|is|cs|like|ilike)\."
_FILTERED = re.compile(rf"^(\w+)={_FILTER}(.*)$", re.S)
_BEFORE_HOLE = re.compile(rf"(?:^|[?&])(\w+)={_FILTER}\(?\"?$")
_BEFORE_VALUE = re.compile(r"\.\(?\"?$")
_NO_FILTERS = {"select", "order", "limit", "offset", "on_conflict", "columns", "apikey"}
_KINDS = {
    "GET": "read",
    "HEAD": "read",
    "POST": "write",
    "PUT": "write",
    "PATCH": "write",
    "DELETE": "delete",
}
_UNKNOWN = "{}"
Pairs = tuple[tuple[str, ir.Node], ...]


def statements(ctx: Context) -> Iterator[Statement]:
    """Every statement by raw HTTP of the repository; nothing is looked at where no file has the word."""
    naming = {each.path for each in ctx.modules if _is_code(each) and _MARK in each.file.text}
    if not naming:
        return
    found: dict[ir.Call, Statement] = {}
    for module in ctx.modules:
        if _is_code(module) and (near := _is_near(ctx, module, naming)) is not None:
            for call in module.calls(ctx.words.http_verbs, lower=True):
                if is_request(ctx, module, call):
                    _claim(ctx, (Hop(module, call),), found, None if near else naming)
    yield from found.values()


def _is_code(module: Module) -> bool:
    return module.role not in {"doc", "generated"}


def _is_near(ctx: Context, module: Module, naming: set[str]) -> bool | None:
    """Whether a file names the interface or imports one that does; None where it sends nothing."""
    if module.path in naming:
        return True
    resolve = ctx.program.resolver.resolve
    if any(resolve(module.path, each.module, module.language) in naming for each in module.all(ir.Import)):
        return True
    return False if module.calls(ctx.words.http_verbs, lower=True) else None


def _claim(
    ctx: Context, hops: tuple[Hop, ...], found: dict[ir.Call, Statement], only: set[str] | None
) -> None:
    """Finds the calls that name the table; of those in a file that is not near, only callers in the files of `only`."""
    if hops[0].call in found:
        return
    if only is None:
        address = address_of(ctx, hops[-1].module, hops[-1].call, frame_of(hops))
        tails = _tails(address) if address is not None else []
        if tails and all(_TABLE.match(each) for each in tails):
            statement = _statement(ctx, hops, tails)
            if statement is not None:
                found[hops[0].call] = statement
            return
        if address is None or (not tails and _is_spelled(address)):
            return
    for each in outwards(ctx, hops) if len(hops) <= MAX_HOPS else ():
        if only is None or each[0].module.path in only:
            _claim(ctx, each, found, None)


def _tails(address: Value) -> list[str]:
    """What follows the interface's root in each address that a request may have."""
    return [match["rest"] for each in renderings(address) if (match := _REST.match(each))]


def _is_spelled(address: Value) -> bool:
    """Whether an address begins with a host that is not the interface's."""
    return all(each.startswith("http") for each in renderings(address) or [""])


def _statement(ctx: Context, hops: tuple[Hop, ...], tails: list[str]) -> Statement | None:
    head = hops[0]
    request = request_of(ctx, hops[-1].module, hops[-1].call, frame_of(hops))
    method = _method(hops, request) if request is not None else None
    kind = _KINDS.get(method or "")
    match = _TABLE.match(tails[0])
    if request is None or kind is None or match is None or match["table"] == "rpc":
        return None
    if not any("supabase" in each.module.file.text.lower() for each in hops) and not _headers(
        request, "apikey"
    ):
        return None
    queries = [one.partition("?")[2] if "?" in one else one[len(match["table"]) :] for one in tails]
    parts = [part for each in queries for part in each.split("&") if part]
    given = [*_parameters(request)]
    values = (
        *_values(hops),
        *_plain_values(head, parts),
        *(pair for each in given for pair in _compared(each)),
    )
    names = [*(each for part in parts for each in _column(part)), *(name for name, _ in values)]
    where = tuple(dict.fromkeys(names))
    columns = _columns(ctx, hops, request) if kind == "write" else ()
    if kind == "read":
        asked = [each.removeprefix("select=") for each in parts if each.startswith("select=")]
        asked += [text for each in given if each.key == "select" for text in renderings(each.value)]
        selected = dict.fromkeys(name for each in asked if "{" not in each for name in selected_names(each))
        columns = tuple(ColumnUse(each, head.module.path, head.call.line) for each in selected)
    insert = method == "POST" and not _replaces(request, parts)
    statement = made(
        kind, match["table"], columns, where, (head.module, head.call), insert=insert, values=values
    )
    return replace(statement, signed=tuple(_signed(request)))


def _method(hops: tuple[Hop, ...], request: Request) -> str | None:
    """The method, or None where it is handed over in a way that is not seen."""
    said = [each.get("method") for each in request.options if each.get("method") is not None]
    if request.method != "GET" or any(literals(each) for each in said):
        return request.method
    if said or (any(each.open for each in request.options) and _hands_more(hops[0].call)):
        return None
    return None if not request.options and len(hops[-1].call.args) > 1 else "GET"


def _hands_more(call: ir.Call) -> bool:
    """Whether a call is given something that has a name only: it may say the method."""
    return any(isinstance(each, ir.Name) for each in call.args[1:])


def _column(part: str) -> Iterator[str]:
    """The column that a part of a query compares; `{}` for a part that is not known."""
    name, sign, rest = part.partition("=")
    match = _FILTERED.match(part)
    if match is not None:
        yield match.group(1)
    elif name in {"or", "and"}:
        yield from re.findall(r"[(,](\w+)\.(?:eq|in|is)\.", rest)
    elif not sign or "{" in name or (name not in _NO_FILTERS and rest.startswith("{")):
        yield _UNKNOWN


def _plain_values(head: Hop, parts: list[str]) -> Iterator[tuple[str, ir.Node]]:
    """`status=eq.pending`: the value is part of the text, and has no syntax of its own."""
    for part in parts:
        match = _FILTERED.match(part)
        if match is not None and match.group(2) and "{" not in match.group(2):
            lit = ir.Lit(head.call.line, head.call.line, match.group(2))
            lit.parent, lit.within, lit.first = head.call, head.call.within, head.call.first
            yield match.group(1), lit


def _values(hops: tuple[Hop, ...]) -> Pairs:
    """The columns that the texts of an address compare to what is put into them."""
    found: list[tuple[str, ir.Node]] = []
    for text in _texts(hops):
        for before, hole in zip(text.parts, text.parts[1:], strict=False):
            match = _BEFORE_HOLE.search(ir.text_of(before) or "") if not isinstance(hole, ir.Lit) else None
            if match is not None:
                found.append((match.group(1), _bare(hole)))
        found.extend(either(text))
    return tuple(dict.fromkeys(found))


def _bare(node: ir.Node) -> ir.Node:
    """`encodeURIComponent(id)` as `id`."""
    coded = isinstance(node, ir.Call) and ir.dotted(node.func).rpartition(".")[2] in {
        "encodeURIComponent", "quote", "String", "str",
    }  # fmt: skip
    return node.args[0] if coded and isinstance(node, ir.Call) and node.args else node


def _texts(hops: tuple[Hop, ...]) -> Iterator[ir.Tmpl]:
    """The texts with holes that an address is put together from, seen through names and what callers hand over."""
    client = hops[-1]
    pending = [(client.module, each) for each in address_nodes(client.call)]
    seen: set[ir.Node] = set()
    while pending:
        module, node = pending.pop(0)
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, ir.Tmpl):
            yield node
            pending.extend((module, each) for each in _ways_on(node))
        elif isinstance(node, ir.Name):
            pending.extend(_behind(hops, module, node))
        elif isinstance(node, ir.Cond):
            pending += [(module, node.then), (module, node.other)]
        elif isinstance(node, ir.Call) and ir.plain_dotted(node.func).rpartition(".")[2] in {
            "URL",
            "toString",
        }:
            pending.extend((module, each) for each in node.args)


def _ways_on(text: ir.Tmpl) -> Iterator[ir.Node]:
    """The holes of a text that may hold more of the address, and no value."""
    before = ""
    for each in text.parts:
        if not isinstance(each, ir.Lit) and not _BEFORE_VALUE.search(before):
            yield each
        before = ir.text_of(each) or ""


def _behind(hops: tuple[Hop, ...], module: Module, name: ir.Name) -> Iterator[tuple[Module, ir.Node]]:
    for binding in reaching(module, name):
        param = binding.node if isinstance(binding.node, ir.Param) else binding.value
        if binding.kind == "assign" and binding.value is not None and not binding.keys:
            yield module, binding.value
        elif binding.kind == "param" and isinstance(param, ir.Param):
            for hop in hops[:-1]:
                given = (
                    argument_for(hop.call, hop.func, param) if hop.func is param.parent and hop.func else None
                )
                if given is not None:
                    yield hop.module, given


def _parameters(request: Request) -> Iterator[Field]:
    """What axios and Python's clients are given as `params`."""
    for each in request.options:
        for struct in structs(each.get("params", "searchParams")):
            yield from (one for one in struct.fields if not one.spread)


def _compared(field: Field) -> Iterator[tuple[str, ir.Node]]:
    """`params={"id": f"eq.{id}"}`."""
    if field.key in _NO_FILTERS or field.node is None:
        return
    parts = field.node.parts if isinstance(field.node, ir.Tmpl) else [field.node]
    hole = next((each for each in parts if not isinstance(each, ir.Lit)), field.node)
    yield field.key, _bare(hole)


def _columns(ctx: Context, hops: tuple[Hop, ...], request: Request) -> tuple[ColumnUse, ...]:
    """The columns of the rows in a request's body; what a caller of its function hands over is looked at last."""
    if len(hops) == 1:
        nodes = [
            each.node
            for struct in request.options
            for each in struct.fields
            if each.key in {"body", "json", "data"}
        ]
        direct = [_text_of_body(each) for each in nodes if each is not None]
        if direct:
            return tuple(use for each in direct for use in columns_in(ctx, hops[0].module, each))
    rows = [*request.body, *_listed(request)]
    if not rows:
        whole = request_of(ctx, hops[-1].module, hops[-1].call, frame_of(hops, known=True))
        rows = [*whole.body, *_listed(whole)] if whole is not None else []
    fields = [each for row in rows for each in row.fields if not each.spread]
    uses = [ColumnUse(each.key, each.path, each.line, each.value, each.node) for each in fields]
    return tuple(dict.fromkeys(uses))


def _text_of_body(node: ir.Node) -> ir.Node:
    """`JSON.stringify(row)` as `row`."""
    written = isinstance(node, ir.Call) and ir.plain_dotted(node.func) in {"JSON.stringify", "json.dumps"}
    return node.args[0] if written and isinstance(node, ir.Call) and node.args else node


def _listed(request: Request) -> Iterator[Struct]:
    """The rows of a body that is a list."""
    for each in request.options:
        value = each.get("body", "json", "data")
        for item in value.items if isinstance(value, Items) else ():
            yield from structs(item)


def _headers(request: Request, *names: str) -> list[Field]:
    """The headers of these names, which are in lower case."""
    return [
        one
        for each in request.options
        for struct in structs(each.get("headers"))
        for one in struct.fields
        if one.key.lower() in names
    ]


def _replaces(request: Request, parts: list[str]) -> bool:
    """Whether an insert is an upsert."""
    said = [text for each in _headers(request, "prefer") for text in renderings(each.value)]
    return any("resolution=" in each for each in said) or any(
        each.startswith("on_conflict=") for each in parts
    )


def _signed(request: Request) -> Iterator[str]:
    """The names of what a request is signed with: of the token, which decides, or of the key where there is none."""
    for each in _headers(request, "authorization") or _headers(request, "apikey"):
        known = [*_names(each.value)]
        yield from known or (one.id for one in (ir.find(each.node, ir.Name) if each.node is not None else ()))


def _names(value: Value) -> Iterator[str]:
    if isinstance(value, Outside):
        yield value.name
    elif isinstance(value, Text | OneOf):
        for each in value.parts if isinstance(value, Text) else value.options:
            yield from _names(each)
