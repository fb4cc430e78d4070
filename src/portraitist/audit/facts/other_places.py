"""The same facts at the other places where a reader anchors them: the call of what stores, the line that sets a column.

Added when all is judged, for the JSON alone, as those of `other_names`. Checks have `other_guards`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts import db_common, other_guards
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.http import is_request
from portraitist.audit.facts.other_guards import Anchor
from portraitist.audit.facts.provider import arguments_behind, webhook_path
from portraitist.audit.facts.weights import puts, same_path
from portraitist.audit.link.bindings import is_name
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold, is_null, renderings
from portraitist.audit.model import LIVE_ROLES, Fact

_STORES = re.compile(r"upload|save|store|persist|mirror|copy|archive|rehost|ingest|^put|_put|write", re.I)
"""Names of functions that say that they store something."""
_SAVES = re.compile(rf"{_STORES.pattern}|^_?download(?!.*te?mp)", re.I)
"""Also of those that bring a file to the disk."""


def add(ctx: Context) -> None:
    """Adds the facts, behind all others."""
    known = {(each.kind, each.key, each.path, each.line) for each in ctx.facts}
    ways = (
        *(other_guards.places, _webhooks, _storing, _columns_set, _added, _asked_by, _nulls, _settings),
        *(_exported, _polling, _waiting, _asked_anew, _asked_again, _model_tables, _handlers),
        *(_undeclared, _rows_kept),
    )
    for module, node, kind, key in (place for way in ways for place in way(ctx)):
        if (kind, key, module.path, node.line) not in known:
            known.add((kind, key, module.path, node.line))
            ctx.add(kind, key, module, node)
            ctx.facts[-1] = replace(ctx.facts[-1], also=True)


def _undeclared(ctx: Context) -> Iterator[Anchor]:
    """Every place that reads a variable which nothing declares: it is told at one of them."""
    missing = {each.key for each in ctx.of("env.undeclared")}
    for fact in ctx.of("env.read"):
        if fact.key in missing and fact.role in LIVE_ROLES:
            place = ir.Other(fact.line, fact.end_line, [])
            yield ctx.program.modules[fact.path], place, "env.undeclared", fact.key


def _rows_kept(ctx: Context) -> Iterator[Anchor]:
    """The calls of a helper that keeps a picture's row."""
    for fact in ctx.of("persist"):
        module = ctx.program.modules[fact.path]
        func = module.function_at(fact.line) if fact.value else None
        if func is not None and func.name:
            for site in ctx.program.callers.get(func, ()):
                yield site.module, site.call, "persist", func.name
                yield site.module, site.call, "persist", fact.key


def _webhooks(ctx: Context) -> Iterator[Anchor]:
    """Where the address of a known webhook is written, and its handler where a file's export wraps it."""
    told = ctx.of("webhook")
    handled = {(each.key, each.path) for each in told}
    for route in ctx.routes:
        module, node = route.home
        if node is not route.node and (route.path, route.module.path) in handled:
            yield module, node, "webhook", route.path
    paths = {each.key for each in told if each.key.startswith("/") and each.key.count("/") > 1}
    starts = {path: re.split(r"[{\[]", path)[0] for path in sorted(paths)}
    for module in (each for each in ctx.live if not each.path.endswith(_PAGES)):
        near = [path for path, start in starts.items() if len(start) > 3 and start in module.file.text]
        for node in (*module.all(ir.Tmpl), *module.all(ir.Lit)) if near else ():
            if isinstance(node.parent, ir.Tmpl | ir.Import) or not _leads_out(ctx, module, node):
                continue
            path = webhook_path(written(node))
            for each in near if path != "{}" else ():
                if path == each or same_path(path, each):
                    yield module, node, "webhook", each
                    yield module, node, "webhook", path


def _leads_out(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a text is an address that is given away: with a host before its path, and asked for by nobody here."""
    text = written(node)
    call = node.parent
    joined = isinstance(call, ir.Call) and any(
        each.line == node.line and each.path == module.path and each.key == "{}" for each in ctx.of("webhook")
    )
    if "/" not in text or not (joined or text.startswith(("{", "http"))):
        return False
    return not (isinstance(call, ir.Call) and is_request(ctx, module, call))


def written(node: ir.Node) -> str:
    """A text as it stands in the source, its holes named by their expressions; "" for what is no text."""
    if isinstance(node, ir.Tmpl):
        return "".join(written(each) if isinstance(each, ir.Lit) else _hole(each) for each in node.parts)
    return node.value if isinstance(node, ir.Lit) and isinstance(node.value, str) else ""


def _hole(node: ir.Node) -> str:
    return "{" + ir.plain_dotted(node).rpartition(".")[2] + "}"


def _storing(ctx: Context) -> Iterator[Anchor]:
    """The call of what puts a file into a storage, by its own name, and the calls of helpers that do it."""
    stores: dict[ir.Func, None] = {}
    for module, call in ctx.once(puts):
        if module.role not in LIVE_ROLES:
            continue
        func = ir.enclosing(call, ir.Func)
        told = any(each.line <= call.line <= each.end_line for each in _persisted(ctx, module))
        if told:
            name = ir.plain_dotted(call.func)
            yield module, call, "persist", name
            yield module, call, "persist", name.rpartition(".")[2]
        if func is not None and (told or _STORES.search(func.name or "")):
            stores[func] = None
            yield from _in_folders(ctx, module, call)
            yield from _buckets_given(ctx, module, call)
    for module in ctx.live:
        for call in module.calls({"open"}):
            func = ir.enclosing(call, ir.Func)
            writes = len(call.args) > 1 and ir.text_of(call.args[1]) == "wb"
            if func is not None and writes and _SAVES.search(func.name or ""):
                stores[func] = None
                yield from _in_folders(ctx, module, call)
    yield from _helpers_storing(ctx, stores)


def _buckets_given(ctx: Context, module: Module, call: ir.Call) -> Iterator[Anchor]:
    """The calls by which a helper is told its bucket."""
    chain = db_common.from_call(call.func)
    bucket = chain.args[0] if chain else ir.keyword(call, "Bucket", "bucket", "bucketName")
    for where, argument in arguments_behind(ctx, module, bucket):
        around = ir.enclosing(argument, ir.Call)
        key = fold(ctx.ev.eval(where, argument))
        named = key if isinstance(key, str) else ir.plain_dotted(argument).rpartition(".")[2]
        if around is not None and named:
            yield where, around, "persist", named


def _helpers_storing(ctx: Context, stores: dict[ir.Func, None]) -> Iterator[Anchor]:
    """The calls of functions that store a file and are named for it, and of those that they do it for."""
    waiting = [each for each in stores if _SAVES.search(each.name or "")]
    while waiting:
        func = waiting.pop()
        for site in ctx.program.callers.get(func, []):
            yield site.module, site.call, "persist", func.name
            yield site.module, site.call, "persist", ir.plain_dotted(site.call.func)
            yield from _in_folders(ctx, site.module, site.call)
            outer = ir.enclosing(site.call, ir.Func)
            if outer is not None and outer not in stores and _STORES.search(outer.name or ""):
                stores[outer] = None
                waiting.append(outer)


def _in_folders(ctx: Context, module: Module, call: ir.Call) -> Iterator[Anchor]:
    if ir.enclosing(call, ir.Func) is not None:
        for folder in _folders(ctx, module, call):
            yield module, call, "persist", folder


def _handlers(ctx: Context) -> Iterator[Anchor]:
    """The line on which a decorated handler itself begins, for its route and its flows; its path without a prefix."""
    heads: dict[tuple[str, int], int] = {}
    for route in ctx.routes:
        head, line = route.head, route.node.line
        if route.is_http and head > line and route.home[0] is route.module:
            heads[route.module.path, line] = head
            yield route.module, ir.Other(head, head, []), "route", route.key
        texts = (ir.text_of(each) or "" for each in ir.find(route.node, ir.Lit))
        own = next((each for each in texts if each.startswith("/")), "")
        if route.is_http and own not in {"", "/", route.path} and route.path.endswith(own):
            yield route.module, ir.Other(line, line, []), "route", f"{route.method} {own}"
    for fact in ctx.of("flow", "dup.route"):
        if (fact.path, fact.line) in heads:
            head = heads[fact.path, fact.line]
            yield ctx.program.modules[fact.path], ir.Other(head, head, []), fact.kind, fact.key


def _polling(ctx: Context) -> Iterator[Anchor]:
    """The head of a function that asks again and again, by its own name."""
    for fact in ctx.of("poll"):
        module = ctx.program.modules[fact.path]
        func = module.function_at(fact.line)
        if func is not None and func.name:
            yield module, ir.Other(func.line, func.line, []), "poll", func.name
    polls = {(each.path, each.key): each for each in ctx.of("poll")}
    for each in ctx.calls:
        loop = polls.get((each.module.path, each.api)) if each.sdk and each.purpose == "status" else None
        name = ir.plain_dotted(each.call.func)
        if loop is not None and loop.line <= each.call.line <= loop.end_line:
            yield each.module, each.call, "poll", name
            yield each.module, ir.Other(loop.line, loop.end_line, []), "poll", name


def _waiting(ctx: Context) -> Iterator[Anchor]:
    """The provider's own waiting, and timers of servers whose function asks the provider or the database."""
    for each in ctx.calls:
        if each.sdk and each.api == "wait":
            yield each.module, each.call, "poll", "wait"
    asking = {each.func for each in ctx.calls if each.purpose == "status"} | set(ctx.statements_under)
    for module in ctx.live:
        for timer in module.calls({"setInterval"}) if not module.path.endswith(_PAGES) else ():
            for call in ir.find(timer, ir.Call):
                for target in ctx.program.functions_called(call):
                    func = target.node
                    if isinstance(func, ir.Func) and func.name and _asks(ctx, func, asking):
                        yield module, timer, "poll", func.name


_PAGES = (".tsx", ".jsx")


def _asked_anew(ctx: Context) -> Iterator[Anchor]:
    """Timers of pages that load the page anew, `router.refresh()`, or call a function that looks at a state."""
    for module in (each for each in ctx.live if each.path.endswith(_PAGES)):
        for timer in module.calls({"setInterval"}):
            for call in ir.find(timer, ir.Call):
                name = ir.plain_dotted(call.func)
                looks = _LOOKS.match(name) and ctx.program.functions_called(call)
                if looks or name.endswith((".refresh", ".reload")):
                    yield module, timer, "poll", name


_LOOKS = re.compile(r"(get|fetch|load|read|refetch|update)[A-Z]\w*$")

_TIMERS = ("setInterval", "setTimeout", "refreshInterval", "refetchInterval")


def _asked_again(ctx: Context) -> Iterator[Anchor]:
    """The status call of a route that a page's timer asks."""
    timed = [each.file for each in ctx.live if any(one in each.file.words for one in _TIMERS)]
    status = {each.func: each for each in ctx.calls if each.purpose == "status" and each.func is not None}
    for route in ctx.routes if timed else ():
        start = re.split(r"[{\[]", route.path)[0].rstrip("/")
        for func in route.funcs if route.is_http and start.count("/") > 1 else ():
            if func in status and any(start in each.text for each in timed):
                yield status[func].module, status[func].call, "poll", status[func].api


def _asks(ctx: Context, func: ir.Func, asking: set[ir.Func | None]) -> bool:
    """Whether a function is one of these, or calls one of them itself."""
    called = (each.node for call in ir.find(func, ir.Call) for each in ctx.program.functions_called(call))
    return func in asking or any(each in asking for each in called)


def _model_tables(ctx: Context) -> Iterator[Anchor]:
    """The table of models that a pinned one stands in, by its name."""
    for fact in ctx.of("const"):
        module = ctx.program.modules.get(fact.path)
        if module is None:
            continue
        for table in module.all(ir.Obj):
            named = table.parent
            if isinstance(named, ir.Assign) and table.line <= fact.line <= table.end:
                yield module, named, "const", ir.plain_dotted(named.target)


def _exported(ctx: Context) -> Iterator[Anchor]:
    """The definition of what a list at the end of its file exports."""
    for fact in ctx.of("export"):
        module = ctx.program.modules[fact.path]
        for binding in module.top.names.get(fact.key, ())[:1]:
            if binding.kind in {"func", "class", "assign"} and binding.node.line < fact.line:
                yield module, ir.Other(binding.node.line, binding.node.line, []), "export", fact.key


_PATHS = re.compile(r"path|key|name|dest|target", re.I)
_FOLDER = re.compile(r"^(?:\{[^{}]*\}/)*/?(?P<fixed>(?:[\w.-]+/)+)(?:\{|[\w-]+\.\w{2,4}$)")


def _folders(ctx: Context, module: Module, call: ir.Call) -> Iterator[str]:
    """The folder of the path that is stored under: `uploads/tryon` of `uploads/tryon/{name}`."""
    given: list[ir.Node] = [*call.args[:2], *(each.value for each in (call.kw.props if call.kw else ()))]
    for each in (*call.args[:2], call.func):
        given.extend(part.value for part in ir.find(each, ir.Prop) if part.key in {"Key", "key", "path"})
        if isinstance(each, ir.Attr):
            given.extend([each.obj, *(arg for one in ir.find(each.obj, ir.Call) for arg in one.args)])
    for each in given:
        if isinstance(each, ir.Tmpl) or (isinstance(each, ir.Name) and _PATHS.search(each.id)):
            for text in renderings(ctx.ev.eval(module, each))[:1]:
                if found := _FOLDER.match(text):
                    yield found.group("fixed").rstrip("/")
                    yield found.group("fixed").partition("/")[0]


def _columns_set(ctx: Context) -> Iterator[Anchor]:
    """The line that sets a column, where its statement stands elsewhere in the file: `rows.push({ url })`."""
    for fact in ctx.of("db.write"):
        for each in fact.evidence:
            if each.path == fact.path and not fact.line <= each.line <= fact.end_line:
                yield ctx.program.modules[each.path], ir.Other(each.line, each.line, []), "db.write", fact.key


def _added(ctx: Context) -> Iterator[Anchor]:
    """The line that hands a row, made some lines before, to its session: `session.add(payment)`."""
    for each in ctx.statements:
        made = each.node.parent
        if not (each.kind == "write" and isinstance(made, ir.Assign) and isinstance(made.target, ir.Name)):
            continue
        for call in each.module.calls({"add", "save"}):
            own = call.within is made.within and call.line > each.line
            if own and any(is_name(arg, made.target.id) for arg in call.args):
                yield each.module, call, "db.write", each.table


def _asked_by(ctx: Context) -> Iterator[Anchor]:
    """The columns by which rows are asked for, where a statement reads all of them: `select("*").eq("token", …)`."""
    for each in ctx.statements:
        if each.kind == "read" and not each.columns:
            for column in (name for name in each.where if "{" not in name):
                yield each.module, each.node, "db.read", f"{each.table}.{column}"


def _nulls(ctx: Context) -> Iterator[Anchor]:
    """The columns that a new row says to be NULL."""
    for each in ctx.statements:
        for use in each.columns if each.insert else ():
            if is_null(use.value):
                place = ir.Other(use.line, use.line, [])
                yield ctx.program.modules[use.path], place, "db.null", f"{each.table}.{use.column}"


_SETTINGS = re.compile(r"(^|\.)(\w*env|\w*settings|\w*config)(\(\))?$", re.I)


def _settings(ctx: Context) -> Iterator[Anchor]:
    """Where a variable is used that another file reads out of the environment: `env.TOKEN`, `settings.token`."""
    read = {each.key for each in ctx.of("env.read")}
    for module in ctx.live:
        imported = (each.module for each in module.all(ir.Import))
        if not any("env" in each or "onfig" in each or "etting" in each for each in imported):
            continue
        for attr in module.all(ir.Attr):
            name = attr.name if attr.name in read else attr.name.upper()
            if name in read and _SETTINGS.search(ir.dotted(attr.obj)):
                yield module, attr, "env.read", name


def _persisted(ctx: Context, module: Module) -> list[Fact]:
    return ctx.once(_persisted_by_path).get(module.path, [])


def _persisted_by_path(ctx: Context) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for each in ctx.of("persist"):
        found.setdefault(each.path, []).append(each)
    return found
