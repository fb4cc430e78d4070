"""Part of the rule on states that stay open: ends of work that a poll or a webhook's handler does not know.

What a page asks its own server for is looked at in `pages`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, literals
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import (
    askers,
    finding,
    helpers_of,
    last_name,
    live_statements,
    names_in,
    provider_behind,
)
from portraitist.audit.rules.failures.quiet import only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import LOST
from portraitist.audit.rules.states.chains import (
    asks_by_address,
    end_of_chain,
    goes_on,
    hears_by_name,
    tells_of_work,
    unnamed,
    writes_by_name,
)
from portraitist.audit.rules.states.empty_answers import hands_over_end, passes_over_empty
from portraitist.audit.rules.states.open_ends import hooks_of
from portraitist.audit.rules.states.picked import swept
from portraitist.audit.rules.states.rest import is_open, rest_of
from portraitist.audit.rules.syntax import COMPARISONS


def unknown_ends(ctx: Context) -> Iterator[Finding]:
    """Polls and handlers that tell success by its word, and not every other end."""
    for module in (each for each in ctx.live if "succeeded" in each.file.words):
        for func in module.all(ir.Func):
            words = status_words(func)
            if "succeeded" not in words or _status_words_outer(func) or _asks_helper(ctx, func):
                continue
            if _of_own_row(ctx, module, words["succeeded"]) or _of_payment(module, words["succeeded"]):
                continue
            if ctx.role_at(module, func) not in LIVE_ROLES:
                continue
            by_name = "failed" in words and (
                hears_by_name(module, func) or tells_of_work(ctx, module, func, words["succeeded"])
            )
            watches = _watches(ctx, module, func)
            if by_name or watches:
                yield from _unhandled(ctx, module, func, words, watches=watches)


def _unhandled(
    ctx: Context, module: Module, func: ir.Func, words: dict[str, ir.Node], *, watches: bool
) -> Iterator[Finding]:
    """The ends of work that a function which keeps its state does not know."""
    missing = [each for each in ("failed", "canceled") if each not in words]
    if _says_otherwise(ctx, module, func, words) or not _OTHERS_WORDS.isdisjoint(words):
        missing = [each for each in missing if each != "canceled"]
    missing = [each for each in missing if not _is_translated(ctx, module, words["succeeded"], each)]
    page = module.path.endswith((".tsx", ".jsx"))
    keeps = _ends_timer(func) if page else _keeps_state(ctx, module, func)
    passed = _passes_status_on(ctx, module, func)
    if (keeps or hands_over_end(func)) and not page and not passed and _is_kept(ctx, module, func):
        yield from passes_over_empty(module, func)
    branches = rest_of(func)
    rest = [each for each in branches if module.role != "src" or not _only_notes(each)]
    noted = next((each for each in branches if each not in rest), None)
    open_ = next((each for each in rest if is_open(each)), None)
    if missing and open_ is not None and not (keeps or passed or _names_list(module, func)):
        message = f"{' and '.join(missing)} of the provider is told as work under way"
        yield finding("stuck-status", module, open_[0], message, key=f"{module.scope_name(func)} told", weight=BARELY,
                      line=min(open_[0].line, words["succeeded"].line), end=open_[0].end)  # fmt: skip
    if missing and keeps and (open_ is not None or not rest) and not passed:
        node = words["succeeded"] if open_ is None else open_[0]
        what = "not handled" if open_ is None else "taken for work under way"
        message = f"{' and '.join(missing)} of the provider is {what}"
        if noted is not None and open_ is None:
            node, message = noted[0], f"{' and '.join(missing)} of the provider is only logged here"
        if "cancelled" in words and missing == ["canceled"]:
            node = words["cancelled"]
            message = "waits for 'cancelled', which the provider never says: it says 'canceled'"
        key, weight = module.scope_name(func), 56 if "failed" in missing else 44
        kept = (
            not page
            and noted is None
            and _closes(ctx, module, func)
            and not swept(ctx, {func, *helpers_of(ctx, func)})
        )
        weight = weight if watches and ("failed" in missing or kept) else BARELY
        end = end_of_chain(node) if node is words["succeeded"] else node.end
        yield finding("stuck-status", module, node, message, key=key, weight=weight, line=node.line, end=end)
    elif missing == ["canceled"] and keeps and not page and (passed or goes_on(words, rest)):
        yield from unnamed(ctx, module, func, words, stored=passed)
    elif missing and not page and not passed and _hears_and_writes(ctx, func):
        yield from _barely_heard(module, func, words, missing, bool(rest))


def _only_notes(branch: list[ir.Node]) -> bool:
    """Whether a branch logs, and does nothing else."""
    return any(isinstance(each, ir.Call) for each in branch) and only_logs(branch)


def _barely_heard(
    module: Module, func: ir.Func, words: dict[str, ir.Node], missing: list[str], rest: bool
) -> Iterator[Finding]:
    """Ends that a webhook's handler stores nothing of, where the row has no state but what it holds."""
    spelled = "cancelled" in words and missing == ["canceled"]
    if rest and not spelled:
        return
    node = words["cancelled"] if spelled else words["succeeded"]
    message = f"{' and '.join(missing)} of the provider is not handled: nothing is stored of it"
    if spelled:
        message = "waits for 'cancelled', which the provider never says: it says 'canceled'"
    yield finding("stuck-status", module, node, message, key=module.scope_name(func), weight=BARELY)


def _hears_and_writes(ctx: Context, func: ir.Func) -> bool:
    """Whether a function is the handler of the provider's webhooks, and it or a helper of it writes to a table."""
    heard = any(each is func for each, _ in hooks_of(ctx))
    inside = {func, *helpers_of(ctx, func)}
    return heard and any(each.func in inside for each in live_statements(ctx, "write"))


def _names_list(module: Module, func: ir.Func) -> bool:
    """Whether the function compares with a list of the file that knows the other ends: `LOST.includes(status)`."""
    bound = (value for each in ir.find(func, ir.Name) for value in _bound(module, each))
    return any(lit.value in LOST for value in bound for lit in ir.find(value, ir.Lit))


_OTHERS_WORDS = {"SUCCESS", "FAILED", "RUNNING", "QUEUED", "COMPLETED"}
"""How other services spell their states: what ends there under which word is theirs to say."""


def _of_own_row(ctx: Context, module: Module, word: ir.Node) -> bool:
    """`if (parent.status !== "succeeded") throw …`, where the row was read from the database: nothing is waited for."""
    test, branch = word.parent, ir.enclosing(word, ir.If)
    if (
        not isinstance(test, ir.Bin)
        or test.op not in {"!=", "!=="}
        or branch is None
        or not exits(branch.then)
    ):
        return False
    held = test.left.obj if isinstance(test.left, ir.Attr) else None
    values = (each.value for each in bindings_of(module, held) if each.value is not None)
    return any(ctx.statements_at.get(part) for value in values for part in ir.walk(value))


_PAYS = re.compile(r"pay(?!load)|invoice|checkout|charge|stripe|subscription|refund", re.I)


def _of_payment(module: Module, word: ir.Node) -> bool:
    """`status = await check_payment(id)`: another service's word, which has other ends."""
    test = word.parent
    asked = test.left if isinstance(test, ir.Bin) else None
    root = ir.root_of(asked) if asked is not None else None
    values = (
        [each.value for each in bindings_of(module, root) if each.value is not None]
        if root is not None
        else []
    )
    said = " ".join((ir.dotted(asked) if asked is not None else "", *map(ir.dotted, values)))
    said += " ".join(ir.dotted(each.func) for value in values for each in ir.find(value, ir.Call))
    return _PAYS.search(said) is not None


def _says_otherwise(ctx: Context, module: Module, func: ir.Func, words: dict[str, ir.Node]) -> bool:
    """Whether `cancelled` may be the word of what is asked: a page's own server, a helper that spells it so itself."""
    if "cancelled" not in words:
        return False
    parts = [*helpers_of(ctx, func)]
    asked = module.path.endswith((".tsx", ".jsx"))
    return asked or any(
        lit.value in {"canceled", "cancelled"} for each in parts for lit in ir.find(each, ir.Lit)
    )


def _is_translated(ctx: Context, module: Module, told: ir.Node, word: str) -> bool:
    """Whether what is compared comes from a helper that takes `word` for another: `canceled` is "failed" there.

    A helper that hands the word over itself takes nothing from its caller.
    """
    test = told.parent
    asked = ir.root_of(test.left) if isinstance(test, ir.Bin) else None
    values = [each.value for each in bindings_of(module, asked)] if asked is not None else []
    calls = [call for value in values if value is not None for call in ir.find(value, ir.Call)]
    first = [each.node for call in calls for each in ctx.program.functions_called(call)]
    asking = [each for each in first if isinstance(each, ir.Func)]
    parts = {*asking, *(each for func in asking for each in helpers_of(ctx, func))}
    said = [lit for part in parts for lit in ir.find(part, ir.Lit) if lit.value == word]
    tested = [each for each in said if isinstance(each.parent, ir.Bin | ir.Arr)]
    keyed = any(each.key == word for part in parts for each in ir.find(part, ir.Prop))
    return len(tested) == len(said) and (bool(tested) or keyed)


def status_words(func: ir.Func) -> dict[str, ir.Node]:
    """The words that a function compares a state with, each where it first does."""
    found: dict[str, ir.Node] = {}
    for test in ir.find(func, ir.Bin):
        if test.op in COMPARISONS and re.search(r"status|state", " ".join(names_in(test)), re.I):
            for lit in ir.find(test, ir.Lit):
                if isinstance(lit.value, str):
                    found.setdefault(lit.value, lit)
    for call in ir.find(func, ir.Call):
        if (
            isinstance(call.func, ir.Attr)
            and call.func.name == "includes"
            and isinstance(call.func.obj, ir.Arr)
        ):
            for lit in ir.find(call.func.obj, ir.Lit):
                found.setdefault(str(lit.value), lit)
    return found


def _asks_helper(ctx: Context, func: ir.Func) -> bool:
    """Whether a function of the repository that knows `failed` is asked about a status: `isTerminal(p.status)`."""
    calls = (each for each in ir.find(func, ir.Call) if not isinstance(each.parent, ir.Return))
    asked = (each for each in calls if any(last_name(arg) == "status" for arg in each.args))
    for target in (one for call in asked for one in ctx.program.functions_called(call)):
        if isinstance(target.node, ir.Func) and target.module is not None:
            named = [each for name in ir.find(target.node, ir.Name) for each in _bound(target.module, name)]
            parts = [target.node, *named]
            if any(lit.value == "failed" for part in parts for lit in ir.find(part, ir.Lit)):
                return True
    return False


def _bound(module: Module, name: ir.Name) -> list[ir.Node]:
    """The values that a name of the file stands for."""
    found = module.top.names.get(name.id, [])
    return [each.value for each in found if each.kind == "assign" and each.value is not None]


def _status_words_outer(func: ir.Func) -> bool:
    outer = ir.enclosing(func, ir.Func)
    return outer is not None and "succeeded" in status_words(outer) and bool(outer.name)


def _watches(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether the function asks for a status, or receives webhooks."""
    if any(
        each.purpose == "status" and each.module is module and func in set(ir.ancestors(each.call))
        for each in ctx.calls
    ):
        return True
    reloads = (each for each in ir.find(func, ir.Call) if last_name(each.func) == "reload")
    if any(
        isinstance(each.func, ir.Attr) and provider_behind(ctx, module, each.func.obj) is not None
        for each in (reloads if module.language == "python" else ())
    ):
        return True
    asking = askers(ctx) - {None}
    if not asking.isdisjoint(helpers_of(ctx, func)):
        return True
    if asks_by_address(func):
        return True
    handlers = {(each.path, each.line) for each in ctx.of("webhook", "poll")}
    if any((each.module.path, each.node.line) in handlers for each in ctx.handled_by.get(func, ())):
        return True  # in Python a route begins at its decorator, above its function
    return any(path == module.path and func.line <= line <= func.end for path, line in handlers)


def _keeps_state(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether the function waits for the end in a loop, or writes a status of its own."""
    loops = any("succeeded" in names_in(each) and _waits(each) for each in ir.find(func, ir.Loop))
    return loops or _closes(ctx, module, func) or (hears_by_name(module, func) and writes_by_name(func))


def _is_kept(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether a function writes a state or hands one over, or a function that it stands in or that calls it does."""
    sites = [
        (each.module, each.call.within) for each in ctx.program.callers.get(func, ()) if each.call.within
    ]
    around = [(module, each) for each in ir.ancestors(func) if isinstance(each, ir.Func)]
    return any(
        hands_over_end(each) or _closes(ctx, where, each) for where, each in ((module, func), *around, *sites)
    )


def _closes(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether the function, or a helper of it, writes a state to a table."""
    helpers = helpers_of(ctx, func)
    return any(
        each.kind == "write"
        and ((each.module is module and func.line <= each.line <= func.end) or each.func in helpers)
        and any(_STATE_COLUMN.search(snake(use.column)) for use in each.columns)
        for each in ctx.statements
    )


_STATE_COLUMN = re.compile(
    r"status|state|phase|(^|_)(in_|is_)?(training|trained|processing|generating|ready|completed?|done|finished)$"
)


def _ends_timer(func: ir.Func) -> bool:
    """Whether a page's timer goes on until the state is the one that is asked for: `clearInterval` under that test."""
    tests = [each for each in ir.find(func, ir.If) if "succeeded" in names_in(each.test)]
    ends = [call for each in tests for part in each.then for call in ir.find(part, ir.Call)]
    inside = {each for each in ends if last_name(each.func) == "clearInterval"}
    timed = any(last_name(each.func) == "setInterval" for each in ir.find(func, ir.Call))
    cleaning = {
        call
        for each in ir.find(func, ir.Return)
        if isinstance(each.value, ir.Func)
        for call in ir.find(each.value, ir.Call)
    }
    others = [
        each
        for each in ir.find(func, ir.Call)
        if last_name(each.func) == "clearInterval" and each not in inside and each not in cleaning
    ]
    return timed and bool(inside) and not others


def _waits(loop: ir.Loop) -> bool:
    """Whether a loop goes round to wait: it has a test, or counts, and does not go through what is there already."""
    source = loop.source
    counts = isinstance(source, ir.Call) and last_name(source.func) in {
        "range",
        "keys",
        "from",
        "fill",
        "Array",
    }
    return loop.target is None or counts


def _passes_status_on(ctx: Context, module: Module, func: ir.Func) -> bool:
    for each in ctx.statements:
        if each.kind == "write" and each.module is module and func.line <= each.line <= func.end:
            for use in each.columns:
                if (
                    re.search(r"status|state", use.column, re.I)
                    and not isinstance(use.value, Known)
                    and last_name(use.node) == "status"
                    and not (use.value is not None and literals(use.value))
                    and not _for_one_state(each.node, func)
                ):
                    return True
    return False


_UNDER_WAY = {"starting", "processing", "queued", "running", "succeeded"}


def _for_one_state(node: ir.Node, func: ir.Func) -> bool:
    """Whether something is done under a test for one state that is not a failure's."""
    for branch in ir.ancestors(node):
        test = branch.test if isinstance(branch, ir.If) else None
        inside = isinstance(branch, ir.If) and any(
            each is node or each in set(ir.ancestors(node)) for each in branch.then
        )
        plain = isinstance(test, ir.Bin) and test.op in {"==", "==="}
        if plain and inside and isinstance(test, ir.Bin) and ir.text_of(test.right) in _UNDER_WAY:
            return True
        if branch is func:
            break
    return False
