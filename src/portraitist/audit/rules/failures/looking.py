"""What petty parts of the rule on swallowed failures share: the work that an attempt does, and who looks at answers.

Which functions are on the way to paid work, and what only logs, is in `quiet`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Site
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, helpers_of, last_name, names_in
from portraitist.audit.rules.failures.quiet import BESIDE, live_sites, only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import is_nothing, taker_of, tests_of

_STORES = re.compile(
    r"(^|\.)(upload|upload_?file(obj)?|upload_?blob|put_?object|upload_from_\w+|save_?(image|photo|file|picture|result)\w*)$"
    r"|(Put|Upload)\w*Command$", re.I,
)  # fmt: skip
_DELIVERS = re.compile(
    r"(^|\.)(send|reply|answer|edit)_?(photo|document|media|media_?group|video|image)$", re.I
)
_COMMITS = re.compile(r"(^|\.)(db|session|conn(ection)?|database)\w*\.commit$", re.I)
ASKS = re.compile(
    r"^fetch$|(^|\.)(requests|httpx|axios|client|session|http|got|ky|openai|anthropic)(\.\w+)*\.(get|post|put|request|create|generate\w*)$"
)
ASIDE = re.compile(
    r"log|track|audit|analytic|notif|metric|cache|e?mail|clean|prune|telemetry|webhook|revalidate|migrat|seed|warm|auth"
    r"|(require|ensure|is|get)_?(admin|user|session|current_?user)$|current_?user|permission",
    re.I,
)
"""Helpers, and functions, whose failure is meant to be harmless."""
WORKS_FOR = {"write": "the write to", "read": "the read of", "delete": "the deletion from"}


def work_of(ctx: Context, tried: ir.Try, *, reads: bool) -> tuple[str, ir.Node | None]:
    """What an attempt does that matters, and where: a write, an upload, a delivery, the provider, a helper of those."""
    return work_in(ctx, tried.body, reads=reads)


def work_tried(ctx: Context, tried: ir.Try) -> tuple[str, ir.Node | None]:
    """The same with what is only read; to be asked once of each."""
    return work_in(ctx, tried.body, reads=True)


def work_in(ctx: Context, body: Iterable[ir.Node], *, reads: bool) -> tuple[str, ir.Node | None]:
    """The same for what stands in some pieces of syntax."""
    found: list[tuple[int, str, ir.Node]] = []
    for part in body:
        for each in ir.walk(part):
            for statement in ctx.statements_at.get(each, ()):
                if (reads or statement.kind == "write") and not BESIDE.search(snake(statement.table)):
                    found.append((0, f"{WORKS_FOR[statement.kind]} {statement.table}", each))
            if isinstance(each, ir.Call):
                found.extend(_of_call(ctx, each, reads=reads))
    best = min(found, key=lambda one: (one[0], one[2].line), default=None)
    return (best[1], best[2]) if best is not None else ("", None)


def _of_call(ctx: Context, call: ir.Call, *, reads: bool) -> Iterator[tuple[int, str, ir.Node]]:
    name = ir.dotted(call.func)
    if call in ctx.call_at:
        yield 0, ctx.call_at[call].api, call
    elif _STORES.search(name) or _DELIVERS.search(name) or _COMMITS.search(name) or _saves(call):
        yield 1, last_name(call.func), call
    elif reads and ASKS.search(name):
        yield 2, name, call
    for helper in helpers_behind(ctx, call):
        if not ASIDE.search(helper.name) and (ctx.once(_does, helper) or (reads and ctx.once(_asks, helper))):
            yield 2, last_name(call.func) or helper.name, call


def _saves(call: ir.Call) -> bool:
    """`row.save()`: a picture is saved to somewhere."""
    own = isinstance(call.func, ir.Attr) and call.func.name == "save" and not call.args and call.kw is None
    return own and not re.search(r"ctx|canvas|context", ir.dotted(call.func), re.I)


def _does(ctx: Context, func: ir.Func) -> bool:
    """Whether a helper, or one that it calls itself, writes rows, stores files or calls the provider."""
    return ctx.once(_does_itself, func) or any(ctx.once(_does_itself, each) for each in helpers_of(ctx, func))


def _asks(_ctx: Context, func: ir.Func) -> bool:
    """Whether a helper itself asks somebody over HTTP."""
    return any(ASKS.search(ir.dotted(each.func)) for each in ir.find(func, ir.Call))


def _does_itself(ctx: Context, func: ir.Func) -> bool:
    made = ctx.statements_under.get(func, ())
    if any(each.kind == "write" and not BESIDE.search(snake(each.table)) for each in made):
        return True
    calls = ir.find(func, ir.Call)
    return any(each in ctx.call_at or _STORES.search(ir.dotted(each.func)) or _takes(each) for each in calls)


def _takes(call: ir.Call) -> bool:
    """`db.rpc("deduct_credits", …)`: a function of the database that by its name takes or gives credits."""
    text = ir.text_of(call.args[0]) if call.args and last_name(call.func) == "rpc" else None
    return text is not None and _CREDITS.search(text) is not None and not _READS.match(text)


_READS = re.compile(r"(get|check|fetch|read|has|can|list|count|calculate|calc|load|find|is)_?", re.I)
_CREDITS = re.compile(r"credit|balance|wallet|coin|token|charge", re.I)


def unseen(ctx: Context, func: ir.Func, where: ir.Node, leave: ir.Return, work: str) -> Iterator[Finding]:
    """Findings where callers do not look at the answer, and at them, or where nobody can tell it from nothing."""
    callers, module = list(_passing_over(ctx, func, leave.value)), ctx.program.module_of[func]
    end = max(where.end, leave.end) if isinstance(where, ir.Handler) else leave.end
    given = f"{func.name} answers a failure of {work} with {shown(leave.value)}"
    if callers:
        first = Place(callers[0].module.path, callers[0].call.line)
        yield finding("fallback-swallow", module, where, f"{given}, and {first} does not look",
                      key=f"answered {func.name}", weight=BARELY, end=end, evidence=[first])  # fmt: skip
        for site in (each for each in callers if not _may_be_asked_later(ctx, each)):
            yield finding("fallback-swallow", site.module, site.call, f"{given}, and nothing looks at it here",
                          key=f"unlooked {func.name}", weight=BARELY, end=site.call.end,
                          evidence=[Place(module.path, where.line)])  # fmt: skip
    elif _says_it_twice(func, leave) and any(
        ctx.role_at(site.module, site.call) in LIVE_ROLES for site in ctx.program.callers.get(func, [])
    ):
        yield finding("fallback-swallow", module, where, f"{given}, as it does where nothing failed",
                      key=f"answered {func.name}", weight=BARELY, end=end)  # fmt: skip


def _may_be_asked_later(ctx: Context, site: Site) -> bool:
    """Whether an answer is given back as it is, to whom may look, or only taken of where it is there: `row?.id`."""
    up, owner = taker_of(site.call), site.call.within
    if not isinstance(up, ir.Assign) or owner is None:
        return False
    names = variables_in(up.target)
    used = [each for each in ir.find(owner, ir.Name) if each.id in names and each.line > up.end]
    if all(isinstance(each.parent, ir.Attr | ir.Index) and each.parent.maybe for each in used):
        return True
    return owner not in ctx.handled_by and any(isinstance(each.parent, ir.Return) for each in used)


def shown(value: ir.Node | None) -> str:
    if value is None or is_nothing(value):
        return "nothing"
    if isinstance(value, ir.Lit):
        return repr(value.value)
    return ir.plain_dotted(value) or (
        "an empty value" if not isinstance(value, ir.Arr) or not value.items else "nothings"
    )


def does_more(ctx: Context, node: ir.Node) -> bool:
    """Whether a statement of a handler may deal with the failure: throws, sets something, calls the repository."""
    if only_logs([node]):
        return False
    for each in ir.walk(node):
        if isinstance(each, ir.Assign | ir.Return):
            return True
        if each in ctx.statements_at or (isinstance(each, ir.Call) and helpers_behind(ctx, each)):
            return True
    return False


def is_empty(value: ir.Node | None) -> bool:
    """Nothing, an empty or false value, a tuple of such, or a default that stands ready outside of the attempt."""
    if value is None:
        return True
    if isinstance(value, ir.Lit):
        return not value.value
    if isinstance(value, ir.Obj):
        return not value.props
    if isinstance(value, ir.Arr):
        return all(is_empty(each) for each in value.items)
    return (
        isinstance(value, ir.Name | ir.Attr)
        and re.search(r"default|fallback|empty", ir.dotted(value), re.I) is not None
    )


def _says_it_twice(func: ir.Func, leave: ir.Return) -> bool:
    """Whether a function gives the very same answer for no failure as well, beside answers of another kind."""
    if isinstance(leave.value, ir.Lit) and isinstance(leave.value.value, bool):
        return False
    spelled = _spelled(leave.value)
    own = [
        each
        for each in ir.find(func, ir.Return)
        if each.within is func and each is not leave and not each.throws
    ]
    calm = [each for each in own if not any(isinstance(one, ir.Handler) for one in ir.ancestors(each))]
    kinds = [one for each in calm for one in _cases(each.value)]
    same = [
        each
        for each in calm
        if any(_spelled(one) == spelled for one in _cases(each.value))
        and not any(_asks_for_error(one) for one in ir.ancestors(each))
    ]
    return bool(same) and any(each is not None and not is_empty(each) for each in kinds)


def _cases(value: ir.Node | None) -> list[ir.Node | None]:
    """What a value may be: `row[0] if row else 0`, `rows ?? []`."""
    if isinstance(value, ir.Cond):
        return [value.then, value.other]
    return [value.left, value.right] if isinstance(value, ir.Bin) and value.op in {"or", "??"} else [value]


def _asks_for_error(block: ir.Node) -> bool:
    """Whether a block is a branch for an error, or for an answer that is not `ok`."""
    return isinstance(block, ir.If) and any(_ERRORS.search(each) for each in names_in(block.test))


_ERRORS = re.compile(r"err|fail|^ok$", re.I)


def _spelled(value: ir.Node | None) -> str:
    if value is None or is_nothing(value):
        return "None"
    if isinstance(value, ir.Arr):
        return f"[{','.join(_spelled(each) for each in value.items)}]"
    return repr(value.value) if isinstance(value, ir.Lit) else ir.plain_dotted(value) or type(value).__name__


def _passing_over(ctx: Context, func: ir.Func, value: ir.Node | None) -> Iterator[Site]:
    """The live calls whose answer is dropped, or kept and used and never asked about."""
    for site, owner in live_sites(ctx, func):
        up = taker_of(site.call)
        if isinstance(up, ir.Func | ir.Loop | ir.Try | ir.Handler) or (
            isinstance(up, ir.If) and up.test is not site.call
        ):
            if returns(func) and is_statement(site.module, site.call):
                yield site
        elif _says_no(func, value):
            continue
        elif isinstance(up, ir.Assign) and up.value is not None and is_untested(ctx, owner, up, value):
            yield site


_PREDICATE = re.compile(r"^_?(is|has|can|check|verify|validate|exists|test|ping)(_|[A-Z])")


def _says_no(func: ir.Func, value: ir.Node | None) -> bool:
    """Whether `False` of a function is an answer of its own: `checkHealth`, `is_ready`."""
    no = isinstance(value, ir.Lit) and value.value is False
    return no and _PREDICATE.match(func.name) is not None


def is_statement(module: Module, call: ir.Call) -> bool:
    """Whether a call that nothing takes is waited for: its line begins with `await`, or it is Python's."""
    text = module.text(call.line).strip()
    return text.startswith("await ") or module.language == "python"


def is_untested(ctx: Context, owner: ir.Func, assign: ir.Assign, value: ir.Node | None) -> bool:
    """Whether what is assigned is handed on, and no test, no `??` and no `or` asks whether it is there.

    A member of nothing is an error of its own.
    """
    names = variables_in(assign.target)
    if not names or isinstance(assign.target, ir.Attr | ir.Index):
        return False
    used = [each for each in ir.find(owner, ir.Name) if each.id in names and each.line > assign.end]
    loud = is_nothing(value) and all(_is_of(each) for each in used)
    return bool(used) and not loud and not asked_about(ctx, owner, names)


def asked_about(ctx: Context, owner: ir.Func, names: set[str]) -> bool:
    """Whether a test, a `??`, an `or` or an `and` of a function names one of some variables."""
    return not names.isdisjoint(ctx.once(_asked_names, owner))


def _asked_names(_ctx: Context, owner: ir.Func) -> set[str]:
    """All names in the tests of a function, and in what it joins by `??`, `or`, `and` or denies."""
    found: set[str] = set()
    for each in tests_of(owner):
        found |= names_in(each.test)
    for either in ir.find(owner, ir.Bin):
        if either.op in {"or", "and", "??", "not"}:
            found |= names_in(either)
    return found


def _is_of(name: ir.Name) -> bool:
    """Whether a plain member of a variable is taken: `x.y`, no `x?.y`."""
    up = name.parent
    return isinstance(up, ir.Attr | ir.Index) and up.obj is name and not up.maybe
