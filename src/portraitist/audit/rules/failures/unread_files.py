"""Part of the rule on swallowed failures: files of which nobody asks whether they came or went.

Downloads whose answer may be an error's page, uploads by a client that throws nothing, photos that are left out in
front of paid work, and parts of many that were refused. All of it is of low weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import arguments, returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import COMPREHENSIONS, finding, last_name, names_in
from portraitist.audit.rules.failures.answers import error_of
from portraitist.audit.rules.failures.looking import work_of
from portraitist.audit.rules.failures.quiet import Ways, on_paid_ways, only_logs, served, tries_in_turn
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler, is_nothing, leaves_within, taker_of, tests_of

_BODIES = {"arrayBuffer", "blob", "buffer", "bytes", "body", "content", "read", "iter_content", "raw"}
_ASKED = {
    "ok",
    "status",
    "status_code",
    "statusCode",
    "raise_for_status",
    "is_success",
    "is_error",
    "statusText",
}
_KEEPS = re.compile(
    r"upload|put_?object|PutObject|write_?file|createWriteStream|save|store|persist|writestr|^put$|^write$|add_?file|^file$"
    r"|(^|\.)append$|Image\.open", re.I,
)  # fmt: skip
_FETCHES = re.compile(
    r"download|fetch|get_?object|GetObject|(^|\.)(get|read|open)$|read_?file|s3\w*\.send|toBuffer|compress|resize",
    re.I,
)


def unread_files(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Everything of this file."""
    for module in ctx.once(served):
        yield from _downloads(ctx, module)
        yield from _uploads(ctx, module)
        yield from _parts(ctx, module)
        yield from _of_many(ctx, module)
    yield from _left_out(ctx, ways)


def _downloads(ctx: Context, module: Module) -> Iterator[Finding]:
    """`const picture = await fetch(url)`, whose bytes are stored whatever came."""
    for call in module.calls({"fetch", "get"}):
        func = call.within
        if func is None or not _gets(module, call) or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        first = _taken_unasked(func, call)
        if first is None:
            continue
        kept = _kept_here(module, call, func, first) or _kept_by_caller(ctx, func, first)
        given = _given_on(module, func, first) if kept is None else None
        if (kept := kept or given) is not None:
            ending = "given on as the file" if given else "kept as the file"
            message = f"whether this download succeeded is never looked at, and what came is {ending}"
            yield finding("fallback-swallow", module, call, message, key="download", weight=BARELY, end=first.end,
                          evidence=[kept])  # fmt: skip


def _kept_here(module: Module, call: ir.Call, func: ir.Func, first: ir.Node) -> Place | None:
    """Where a function stores something behind a download."""
    for each in ir.find(func, ir.Call):
        if each.line >= first.line and each is not call and _KEEPS.search(last_name(each.func) or ""):
            return Place(module.path, each.line)
    return None


def _given_on(module: Module, func: ir.Func, first: ir.Node) -> Place | None:
    """Where the bytes of a download become text (`toString("base64")`), and the function answers behind that."""
    for each in ir.find(func, ir.Call):
        name = last_name(each.func)
        turned = name == "b64encode" or (name == "toString" and any(map(_is_base64, each.args)))
        near = turned and 0 <= each.line - first.line < _NEAR
        if near and any(one.line >= each.line and one.within is func for one in ir.find(func, ir.Return)):
            return Place(module.path, each.line)
    return None


_NEAR = 8
"""So many lines behind a download its bytes are turned into text."""


def _is_base64(node: ir.Node) -> bool:
    return ir.text_of(node) == "base64"


def _kept_by_caller(ctx: Context, func: ir.Func, body: ir.Node) -> Place | None:
    """Where a caller stores the body that a function gives back, and no test there asks what it is."""
    leave = next((each for each in ir.ancestors(body) if not _hands_on(each)), None)
    if not isinstance(leave, ir.Return) or leave.within is not func:
        return None
    for site in ctx.program.callers.get(func, []):
        taker, caller = taker_of(site.call), site.call.within
        if not isinstance(taker, ir.Assign) or caller is None or taker.within is not caller:
            continue
        names = _first_names(taker.target, leave.value, body)
        if not names or any(names & names_in(each.test) for each in tests_of(caller)):
            continue
        for each in ir.find(caller, ir.Call):
            stores = each.line > site.call.line and _KEEPS.search(last_name(each.func) or "")
            if stores and any(names & names_in(arg) for arg in arguments(each)):
                return Place(site.module.path, each.line)
    return None


_WRAPS = {"from", "bytes", "BytesIO", "Uint8Array", "Blob", "File", *_BODIES}
"""Calls that make the same bytes of a body."""


def _hands_on(around: ir.Node) -> bool:
    """Whether what stands around a body gives it on as it came."""
    if isinstance(around, ir.Call):
        return last_name(around.func) in _WRAPS
    return isinstance(around, ir.Attr | ir.Arr | ir.Other)


def _first_names(target: ir.Node, given: ir.Node | None, body: ir.Node) -> set[str]:
    """The variable that takes a body: of `content, name = fetch_it()` the one in its place."""
    if isinstance(target, ir.Name):
        return {target.id}
    parts = target.items if isinstance(target, ir.Arr) else []
    if not isinstance(given, ir.Arr) or len(given.items) != len(parts):
        return set()
    at = next((index for index, each in enumerate(given.items) if body in set(ir.walk(each))), 0)
    return variables_in(parts[at])


def _gets(module: Module, call: ir.Call) -> bool:
    """Whether a call asks for something over HTTP by a client that does not throw for a refusal."""
    name = ir.dotted(call.func)
    if module.language == "python":
        return re.search(r"^(requests|httpx)\.get$|(^|\.)(client|session|http\w*)\.get$", name) is not None
    if (
        name not in {"fetch", "globalThis.fetch"}
        or not call.args
        or _IN_PLACE.search(last_name(call.args[0]))
    ):
        return False
    method = ir.keyword(call, "method")
    return method is None or (ir.text_of(method) or "").upper() == "GET"


_IN_PLACE = re.compile(r"(data|object)_?(url|uri)", re.I)
"""Names of addresses that hold the bytes themselves, or name what the page has made."""


def _taken_unasked(func: ir.Func, call: ir.Call) -> ir.Node | None:
    """Where the body of an answer is taken in a function that never asks for its state, else None."""
    up = call.parent
    if isinstance(up, ir.Attr):
        return up if up.name in _BODIES else None
    target = up.target if isinstance(up, ir.Assign) else None
    if not isinstance(target, ir.Name):
        return None
    names = {target.id}
    for each in ir.find(func, ir.Assign):
        if each.value is not None and isinstance(each.value, ir.Name) and each.value.id in names:
            names |= variables_in(each.target)
    members = [
        each for each in ir.find(func, ir.Attr) if isinstance(each.obj, ir.Name) and each.obj.id in names
    ]
    if any(each.name in _ASKED for each in members) or _handed_on(func, names):
        return None
    body = next((each for each in members if each.name in _BODIES and each.line >= call.line), None)
    return None if body is None or _looked_at(func, body) else body


def _looked_at(func: ir.Func, body: ir.Attr) -> bool:
    """Whether a test asks for what was taken of an answer: `if (isImage(bytes))`."""
    assign = next((each for each in ir.ancestors(body) if isinstance(each, ir.Assign | ir.Func)), None)
    stored = any(
        _KEEPS.search(last_name(each.func))
        for each in ir.ancestors(body)
        if isinstance(each, ir.Call) and body in {one for arg in each.args for one in ir.walk(arg)}
    )
    names = variables_in(assign.target) if isinstance(assign, ir.Assign) and not stored else set()
    return any(names & names_in(each.test) for each in tests_of(func))


def _handed_on(func: ir.Func, names: set[str]) -> bool:
    """Whether an answer as a whole goes to another function, which may ask."""
    return any(
        isinstance(arg, ir.Name) and arg.id in names for each in ir.find(func, ir.Call) for arg in each.args
    )


def _uploads(ctx: Context, module: Module) -> Iterator[Finding]:
    """`await supabase.storage.from(…).upload(path, file)`, whose error nobody reads before its address goes out."""
    for upload in module.calls({"upload", "uploadToSignedUrl"}) if module.language == "javascript" else ():
        func = upload.within
        if func is None or ".storage.from." not in f".{ir.dotted(upload.func)}" or not upload.args:
            continue
        told_of = error_of(upload, func) if ctx.role_at(module, upload) in LIVE_ROLES else upload
        beside = any(_SPARE.search(ir.text_of(each) or "") for each in ir.find(upload, ir.Lit))
        if isinstance(told_of, ir.If) and only_logs(told_of.then) and not told_of.other and not beside:
            message = "a failed upload is only logged here, and what follows goes on without it"
            yield finding("fallback-swallow", module, upload, message, key="upload noted", weight=BARELY,
                          end=max(upload.end, told_of.end))  # fmt: skip
        if told_of is not None:
            continue
        names = {each.id for each in ir.find(upload.args[0], ir.Name)}
        for assign in ir.find(func, ir.Assign):
            if assign.line > upload.end and assign.value is not None and names & variables_in(assign.value):
                names |= variables_in(assign.target)
        told = next(
            (each for each in _goes_out(ctx, func) if each.line > upload.end and names & names_in(each)),
            None,
        )
        seen = [Place(module.path, told.line)] if told is not None else []
        if seen or not in_handler(upload):
            more = ", and its address goes out all the same" if seen else ""
            message = f"whether this upload failed is never looked at{more}"
            yield finding("fallback-swallow", module, upload, message, key="upload", weight=BARELY, end=upload.end,
                          evidence=seen)  # fmt: skip


_SPARE = re.compile(r"cop(y|ies)|backup|thumb|preview|cache|archive", re.I)
"""Names of buckets and paths for what is only put beside."""


def _goes_out(ctx: Context, func: ir.Func) -> list[ir.Node]:
    """What a function gives back, and the rows that it writes."""
    rows = [each.node for each in ctx.statements_under.get(func, ()) if each.kind == "write"]
    return [*returns(func), *rows]


def _parts(ctx: Context, module: Module) -> Iterator[Finding]:
    """`Promise.allSettled(…)`, `gather(…, return_exceptions=True)`, of whose refused parts nobody hears."""
    for call in module.calls({"allSettled", "gather"}):
        func = call.within
        if func is None or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        if last_name(call.func) == "gather":
            told = ir.keyword(call, "return_exceptions")
            if not (isinstance(told, ir.Lit) and told.value is True):
                continue
        said = names_in(func)
        if names_in(call) & _TIDIES:
            continue
        if said & {"rejected", "reason", "every"} or (
            said & {"isinstance", "Exception"} and not _sorts_out(func)
        ):
            continue
        up = taker_of(call)
        names = variables_in(up.target) if isinstance(up, ir.Assign) else set()
        plain = isinstance(up, ir.Func | ir.If | ir.Loop | ir.Try)
        counted = any(
            names_in(each.test) & {"length", "len"}
            and leaves_within(each.then if isinstance(each, ir.If) else [])
            for each in tests_of(func)
            if each.line > call.line
        )
        if (plain or (names and ({"fulfilled", "value"} <= said or "isinstance" in said))) and not counted:
            message = "what is refused of these parts is left out, and nobody hears of it"
            yield finding("fallback-swallow", module, call, message, key="parts", weight=BARELY, end=call.end)


_TIDIES = {
    "unlink",
    "rm",
    "remove",
    "delete",
    "close",
    "cleanup",
    "unlinkSync",
    "disconnect",
    "revokeObjectURL",
}


def _sorts_out(func: ir.Func) -> bool:
    """Whether exceptions are only left out: `[each for each in results if not isinstance(each, Exception)]`."""
    asked = [each for each in ir.find(func, ir.Call) if last_name(each.func) == "isinstance"]
    return bool(asked) and all(
        (isinstance(each.parent, ir.Bin) and each.parent.op == "not") is _for_exceptions(each)
        and any(isinstance(one, ir.Other) and one.kind in COMPREHENSIONS for one in ir.ancestors(each))
        for each in asked
    )


def _for_exceptions(asked: ir.Call) -> bool:
    return (
        len(asked.args) > 1 and re.search(r"Exception|Error", " ".join(names_in(asked.args[1]))) is not None
    )


def _of_many(ctx: Context, module: Module) -> Iterator[Finding]:
    """`(await Promise.all(list.map(async (x) => { try { … } catch { return null } }))).filter(Boolean)`."""
    for call in module.calls({"map"}) if module.language == "javascript" else ():
        func = call.args[0] if call.args else None
        body = func.body if isinstance(func, ir.Func) else []
        attempt = next((each for each in body if isinstance(each, ir.Try) and each.handlers), None)
        owner = call.within
        if attempt is None or owner is None or not _leaves_it_out(attempt.handlers[-1]):
            continue
        if ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        work, _ = work_of(ctx, attempt, reads=False)
        counts = any(
            leaves_within(each.then) and _counts(each)
            for each in ir.find(owner, ir.If)
            if each.line > call.end
        )
        if work and not counts and attempt.handlers[-1].body and _sifted(owner, call):
            message = f"a failure of {work} becomes nothing here and is left out, however many fail"
            handler = attempt.handlers[-1]
            yield finding("fallback-swallow", module, handler, message, key=f"of many {work}", weight=BARELY,
                          end=handler.end)  # fmt: skip


def _sifted(owner: ir.Func, call: ir.Call) -> bool:
    """Whether `.filter(Boolean)`, or one that asks for each, is called on what comes of a call."""
    assign = next((each for each in ir.ancestors(call) if isinstance(each, ir.Assign)), None)
    names = variables_in(assign.target) if assign is not None else set()
    for each in ir.find(owner, ir.Call):
        if last_name(each.func) != "filter" or not isinstance(each.func, ir.Attr) or not each.args:
            continue
        inside = each.func.obj
        if call in set(ir.walk(inside)) or (isinstance(inside, ir.Name) and inside.id in names):
            return True
    return False


def _left_out(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """In a loop, or in the callback of `map`, in front of a paid call: what cannot be read is logged and left out."""
    for func, paid in on_paid_ways(ctx, ways):
        module = ctx.program.module_of[func]
        if module.role != "src" or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        for attempt in ir.find(func, ir.Try):
            handler = attempt.handlers[-1] if attempt.handlers else None
            if handler is None or attempt.end >= paid or not _is_of_many(attempt, func):
                continue
            loop = ir.enclosing(attempt, ir.Loop)
            if loop is not None and tries_in_turn(loop):
                continue
            reads = [each for part in attempt.body for each in ir.find(part, ir.Call)]
            if not any(_FETCHES.search(ir.dotted(each.func)) for each in reads) or not _leaves_it_out(
                handler
            ):
                continue
            counted = (each for each in ir.find(func, ir.If) if attempt.end < each.line < paid)
            if not any(leaves_within(each.then) and _counts(each) for each in counted):
                message = "what fails here is left out, and nothing counts what is left before the paid call"
                yield finding("fallback-swallow", module, handler, message, key="left out", weight=BARELY,
                              end=handler.end)  # fmt: skip


def _is_of_many(attempt: ir.Try, func: ir.Func) -> bool:
    """Whether an attempt is made for each of many: in a loop, or in a callback of the same function."""
    for each in ir.ancestors(attempt):
        if each is func:
            return False
        if isinstance(each, ir.Loop):
            return each.target is not None or (each.test is not None and "length" in names_in(each.test))
        if isinstance(each, ir.Func):
            up = each.parent
            return isinstance(up, ir.Call) and last_name(up.func) in {"map", "forEach", "flatMap"}
    return False


def _leaves_it_out(handler: ir.Handler) -> bool:
    """Whether a handler logs, and goes on or gives back nothing."""
    rest = []
    for each in handler.body:
        if isinstance(each, ir.Return):
            if each.throws or not is_nothing(each.value):
                return False
        elif not (
            isinstance(each, ir.Other) and each.kind.startswith(("continue", "pass", "comment", "empty"))
        ):
            rest.append(each)
    return only_logs(rest)


def _counts(test: ir.If) -> bool:
    return bool(names_in(test.test) & {"length", "len", "size", "count"}) or bool(
        re.search(r"count|files|images|photos|buffers|valid", " ".join(variables_in(test.test)), re.I)
    )
