"""Part of the rule on temporary addresses: those that are answered as final, or kept in memory.

Where a browser hands an answered address back to be copied, a route that fetches and stores it is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import (
    finding,
    helpers_of,
    last_name,
    leads_to,
    names_in,
    runs_in_browser,
    trace,
)
from portraitist.audit.rules.failures.quiet import Ways, working
from portraitist.audit.rules.gravity import BARELY

PICTURE = re.compile(
    r"(^|_)(image|picture|photo|video|audio|avatar|portrait|headshot|thumbnail|render|asset|media|file|clip|song|track)s?"
    r"(_(list|array|data|path|src|link))?$"
    r"|(^|_)(ur[li]s?|href|link|src|outputs?|results?|imgs?|deliverables?)$"
)
"""What columns with pictures, films or sound are called; whether the provider's address stands in one is traced."""

_TEXT_MODEL = re.compile(
    r"llama|gpt|claude|mistral|gemma|gemini|deepseek|qwen|llava|moondream|blip|caption|whisper|clip-|vicuna|phi-|embed"
    r"|interrogat|granite|falcon|nsfw|classif|grounding|safety",
    re.I,
)

COPIES = re.compile(
    r"upload|put_?object|persist|store|save|copy|mirror|archive|download|write_?bytes|cloudinary|blob", re.I
)
FETCHES = re.compile(
    r"(^|\.)(fetch|urlopen|urlretrieve|download\w*)$|(axios|requests|httpx|client|session|got|http)\.(get|stream)$",
    re.I,
)
_ANY = {"output", "outputs", "result", "results", "data", "file", "files"}
"""Keys that say nothing of what they hold: only with a model that is known and makes pictures."""
ANSWERS = {
    "json",
    "stringify",
    "Response",
    "NextResponse",
    "encode",
    "JSONResponse",
    "jsonify",
    "send",
    "dumps",
}
_REPLIES = {"res", "response", "reply", "ctx", "c"}
_MEMORY = {"Map", "dict", "WeakMap"}


def answers_text(call: ProviderCall) -> bool:
    """Whether a call's model is one that answers with words."""
    values = [call.model, *(each.value for each in call.fields("model", "version"))]
    return any(_TEXT_MODEL.search(str(fold(each))) for each in values if each is not None)


def loose_addresses(ctx: Context, kept: list[Finding]) -> Iterator[Finding]:
    """Addresses that are kept in the process's memory, or that are answered and never copied.

    Where a handler that only asks how a generation stands also stores the address (`kept`), that is told.
    """
    ways = working(ctx)
    yield from _in_memory(ctx, ways)
    if not ctx.once(keeps_later):
        keeps = any(ctx.once(keeps_fetched, each) for each in ctx.live)
        asking = set() if keeps else _asking(ctx, ways)
        told = [each for each in asking if told_in(ctx, each, kept)]
        yield from _answered(ctx, ways, {*asking, *ways.paid} - {*told})


def _doors(ctx: Context) -> list[ir.Func]:
    """The handlers of HTTP routes."""
    return [func for func, routes in ctx.handled_by.items() if any(each.is_http for each in routes)]


def _asking(ctx: Context, ways: Ways) -> set[ir.Func]:
    """The handlers that ask the provider how a generation stands, themselves or by a helper."""
    asked: set[ir.Func | None] = {
        each.func for each in ctx.calls if each.purpose == "status" and "train" not in each.api
    }
    return {each for each in _doors(ctx) if each not in ways.paid and leads_to(ctx, each, asked - {None})}


def told_in(ctx: Context, func: ir.Func, findings: list[Finding]) -> list[Finding]:
    """Those of some findings that stand in a function."""
    path = ctx.program.module_of[func].path
    return [each for each in findings if each.path == path and func.line <= each.line <= func.end]


def keeps_fetched(ctx: Context, module: Module) -> bool:
    """Whether a function of the server, whoever calls it, fetches something and stores it."""
    if module.role != "src" or runs_in_browser(module) or module.path in ctx.dead_modules:
        return False
    if not any(not each or _is_storing(each) for each in module.callees):
        return False
    return any(_fetches(each) and _stores(each) for each in module.all(ir.Func))


def _fetches(func: ir.Func) -> bool:
    """Whether a function fetches what stands at an address that it is given."""
    return any(
        FETCHES.search(ir.dotted(each.func)) and each.args and not isinstance(each.args[0], ir.Lit | ir.Tmpl)
        for each in ir.find(func, ir.Call)
    )


def _stores(func: ir.Func) -> bool:
    return any(each.args and _is_storing(last_name(each.func)) for each in ir.find(func, ir.Call))


def _is_storing(name: str) -> bool:
    return _STORES.search(name) is not None and not FETCHES.search(name)


_STORES = re.compile(
    r"upload|put_?object|PutObject|persist|^store|_store|^save|_save|save_|mirror|archive|write_?(bytes|file)|^put$|^write$",
    re.I,
)


def copied(parts: Iterable[tuple[Module, ir.Node]]) -> bool:
    """Whether one of the nodes that a value comes from is a call that copies a file."""
    return any(isinstance(part, ir.Call) and COPIES.search(ir.dotted(part.func)) for _, part in parts)


def calls_like(node: ir.Node, pattern: re.Pattern[str], after: int = 0) -> bool:
    return any(each.line > after and pattern.search(ir.dotted(each.func)) for each in ir.find(node, ir.Call))


def keeps_later(ctx: Context) -> bool:
    """Whether some handler that pays for nothing may be what copies the addresses that others answer."""
    return any(_copies_later(ctx, func, working(ctx)) for func in _doors(ctx))


def _copies_later(ctx: Context, func: ir.Func, ways: Ways) -> bool:
    """Whether a handler that pays for nothing fetches an address and stores what is there."""
    module = ctx.program.module_of[func]
    if func in ways or ctx.role_at(module, func) not in LIVE_ROLES:
        return False
    own = [func, *helpers_of(ctx, func)]
    return any(_fetches(each) for each in own) and any(_stores(each) for each in own)


def _in_memory(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`jobs[id]["result"] = output[0]` and `jobs.set(id, { url })` where `jobs` belongs to the whole process."""
    for func in ctx.in_order({*ways.paid, *ways.hooks}):
        module = ctx.program.module_of[func]
        if ctx.role_at(module, func) not in LIVE_ROLES or _copied(ctx, func, ways):
            continue
        kept: list[tuple[ir.Node, str, ir.Node]] = [
            (each, _key_of(each.target), each.value)
            for each in ir.find(func, ir.Assign)
            if each.value is not None and _of_process(module, each.target)
        ]
        for call in ir.find(func, ir.Call):
            if (
                last_name(call.func) == "set"
                and isinstance(call.func, ir.Attr)
                and _of_process(module, call.func)
            ):
                kept.extend(
                    (each, each.key or "", each.value) for arg in call.args for each in ir.find(arg, ir.Prop)
                )
        for node, key, value in kept:
            if PICTURE.search(snake(key)) and _from_provider(ctx, module, key, value):
                message = f"{key} keeps the provider's temporary address in the process's memory, and nothing copies it"
                yield finding("temporary-url-persisted", module, node, message, key=key, weight=BARELY)
                break


def _key_of(target: ir.Node) -> str:
    return last_name(target)


def _of_process(module: Module, node: ir.Node) -> bool:
    """Whether something is an entry of an object that the module made once."""
    root = ir.root_of(node)
    if not isinstance(root, ir.Name) or root is node:
        return False
    found = module.lookup(root.id, root)
    if found is None or found[0] is not module.top:
        return False
    values = [each.value for each in found[1]]
    return any(
        isinstance(each, ir.Obj) or (isinstance(each, ir.Call) and last_name(each.func) in _MEMORY)
        for each in values
    )


def _answered(ctx: Context, ways: Ways, funcs: set[ir.Func]) -> Iterator[Finding]:
    """`{ imageUrl: output[0] }` in an answer, or the output as a whole, nothing on the way having copied it."""
    for func in ctx.in_order(funcs):
        module = ctx.program.module_of[func]
        if ctx.role_at(module, func) not in LIVE_ROLES or _copied(ctx, func, ways):
            continue
        if _copied_by_callers(ctx, func):
            continue
        for node, key, value in answers_of(ctx, func):
            if _from_provider(ctx, module, key, value):
                named = key or "the whole output"
                message = f"{named} answers with the provider's temporary address, and nothing copies it"
                yield finding(
                    "temporary-url-persisted", module, node, message, key=key or "output", weight=BARELY
                )
                break


def answers_of(ctx: Context, func: ir.Func) -> Iterator[tuple[ir.Node, str, ir.Node]]:
    """What a function answers with: entries that may hold pictures, or a whole value, where it is a handler."""
    for prop in ir.find(func, ir.Prop):
        if prop.key and (prop.key in _ANY or PICTURE.search(snake(prop.key))) and _leaves(prop):
            yield prop, prop.key, prop.value
    for made in ir.find(func, ir.Assign):
        key = ir.text_of(made.target.key) if isinstance(made.target, ir.Index) else None
        root = ir.root_of(made.target)
        given = isinstance(root, ir.Name) and any(_is_name(each, root.id) for each in returns(func))
        if key and made.value is not None and given and PICTURE.search(snake(key)):
            yield made, key, made.value
    if func not in ctx.handled_by:
        return
    for call in ir.find(func, ir.Call):
        first = call.args[0] if call.args else None
        if last_name(call.func) in ANSWERS - {"stringify"} and isinstance(
            first, ir.Name | ir.Attr | ir.Index
        ):
            yield call, "", first


def _is_name(node: ir.Node, name: str) -> bool:
    return isinstance(node, ir.Name) and node.id == name


def _copied(ctx: Context, func: ir.Func, ways: Ways) -> bool:
    """Whether something behind a paid call copies what it made: in the function itself, or where it is called."""
    if calls_like(func, COPIES, ways.paid.get(func, 0) - 1):
        return True
    for site in ctx.program.callers.get(func, []):
        if site.call.within is not None and calls_like(site.call.within, COPIES, site.call.line - 1):
            return True
    return False


MAX_CALLERS = 3
"""How many calls above a function what it gives back is followed."""


def _copied_by_callers(ctx: Context, func: ir.Func, depth: int = MAX_CALLERS) -> bool:
    """Whether whoever calls a function copies what it gives back, or gives it back to callers that do.

    What a handler gives back is its answer.
    """
    sites = [
        each
        for each in ctx.program.callers.get(func, [])
        if ctx.role_at(each.module, each.call) in LIVE_ROLES
    ]
    if not sites or not depth or any(each.is_http for each in ctx.handled_by.get(func, ())):
        return False
    return all(_copied_from(ctx, each.call, depth) for each in sites)


def _copied_from(ctx: Context, made: ir.Call, depth: int) -> bool:
    """Whether what a call gives back is handed to something that copies it, in its own function or above."""
    func = made.within
    if func is None:
        return False
    names = _carrying(func, made)
    for call in ir.find(func, ir.Call):
        given = [part for arg in (*call.args, call.kw) if arg is not None for part in ir.walk(arg)]
        carries = any(each is made or (isinstance(each, ir.Name) and each.id in names) for each in given)
        if carries and call is not made and COPIES.search(ir.dotted(call.func)):
            return True
    return _copied_by_callers(ctx, func, depth - 1)


def _carrying(func: ir.Func, made: ir.Call) -> set[str]:
    """The variables of a function that hold what a call gave back, whole or in parts, callbacks' parameters too."""
    names: set[str] = set()
    for each in ir.walk(func):
        source: ir.Node | None = None
        targets: list[ir.Node] = []
        if isinstance(each, ir.Assign):
            source, targets = each.value, [each.target]
        elif isinstance(each, ir.Loop) and each.target is not None:
            source, targets = each.source, [each.target]
        elif isinstance(each, ir.Call) and isinstance(each.func, ir.Attr):
            source = each.func.obj
            targets = [one for arg in each.args if isinstance(arg, ir.Func) for one in arg.params[:1]]
        held = source is not None and any(
            one is made or (isinstance(one, ir.Name) and one.id in names) for one in ir.walk(source)
        )
        for target in targets if held else ():
            names |= variables_in(target)
            names |= {target.name} if isinstance(target, ir.Param) and target.name else set()
    return names


def _leaves(prop: ir.Prop) -> bool:
    """Whether an entry is part of an answer, or of what is collected for one."""
    for each in ir.ancestors(prop):
        if isinstance(each, ir.Return):
            return not each.throws
        if isinstance(each, ir.Call):
            name = last_name(each.func)
            if name in {"push", "append", "enqueue"}:
                return True
            replies = last_name(ir.root_of(each.func)) in _REPLIES
            if name in ANSWERS and replies and isinstance(each.func, ir.Attr):
                return True
            if name not in ANSWERS and not (name[:1].isupper() and each.kw is not None):
                return False
        if isinstance(each, ir.Assign):
            return isinstance(each.target, ir.Name) and _given_out(each, each.target.id)
        if isinstance(each, ir.Func):
            return False
    return False


def _given_out(assign: ir.Assign, name: str) -> bool:
    """Whether a variable is what its function answers with: `return response`, `res.json(result)`."""
    func = assign.within
    given = [] if func is None else list(returns(func))
    for call in ir.find(func, ir.Call) if func is not None else ():
        if last_name(call.func) in ANSWERS and isinstance(call.func, ir.Attr):
            given.extend(call.args[:1])
    for answer in [each for each in given if isinstance(each, ir.Call) and last_name(each.func) in ANSWERS]:
        given.extend(answer.args[:1])
    return any(isinstance(each, ir.Name) and each.id == name for each in given)


def _from_provider(ctx: Context, module: Module, key: str, node: ir.Node) -> bool:
    parts = list(trace(ctx, module, node, helpers=True))
    if copied(parts):
        return False
    behind = next(
        (found for _, part in parts if isinstance(part, ir.Call) and (found := ctx.call_at.get(part))), None
    )
    made = behind is not None and (behind.purpose in {"generation", "status"} or behind.api == "wait")
    if behind is None or not made or answers_text(behind) or _only_begun(ctx, behind, parts):
        return False
    names = {last_name(part.func if isinstance(part, ir.Call) else part) for _, part in parts}
    pictures = ctx.once(_only_pictures) if behind.purpose == "status" else makes_pictures(behind)
    if "join" in names or "train" in behind.api or (snake(key) in _ANY | {""} and not pictures):
        return False
    whole = not key and behind.purpose == "status" and not names & _MEMBERS
    return behind.api in {"run", "async_run"} or whole or bool(names & {"output", "urls"})


_MEMBERS = {"status", "error", "id", "logs", "metrics", "ok", "input", "version", "text"}
"""Members of an answer beside its output."""


def _only_pictures(ctx: Context) -> bool:
    """Whether every model that live code generates with is known, and none answers with words."""
    made = [each for each in ctx.creates() if each.purpose == "generation"]
    return bool(made) and all(makes_pictures(each) and not answers_text(each) for each in made)


def _only_begun(ctx: Context, behind: ProviderCall, parts: list[tuple[Module, ir.Node]]) -> bool:
    """Whether an answer is that of a start that waits for nothing: its output is empty."""
    if behind.purpose != "generation" or "prediction" not in behind.api.lower():
        return False
    asked = (ctx.call_at.get(part) for _, part in parts if isinstance(part, ir.Call))
    waits = any(re.search(r"prefer|^wait|block", name, re.I) for name in names_in(behind.call))
    return not waits and all(each is None or each.purpose == "generation" for each in asked)


def makes_pictures(call: ProviderCall) -> bool:
    """Whether a call names its model, one that answers with no words."""
    values = [call.model, *(each.value for each in call.fields("model", "version"))]
    return any(isinstance(fold(each), str) for each in values if each is not None)
