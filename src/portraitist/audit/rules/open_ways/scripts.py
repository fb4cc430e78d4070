"""Scripts of the repository that a server starts as processes of their own. Part of `missing-auth`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES
from portraitist.audit.rules.base import last_name

_STARTS = {
    "Popen", "run", "call", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell", "system",
    "spawn", "spawnSync", "exec", "execSync", "execFile", "execFileSync", "fork", "PythonShell", "execa",
}  # fmt: skip
_OF_PROCESSES = re.compile(r"^(subprocess|asyncio|os|(node:)?child_process|python-shell|execa)\b")
_ABOVE = 4
"""How many calls above a paid one a script may begin."""
_SCRIPT = re.compile(r"[\w./-]+\.(py|js|mjs|ts)\b")


def started(ctx: Context, ways: Iterable[ir.Func]) -> tuple[Module, ir.Call, str] | None:
    """The first start of a script that pays below some functions: where, and the script."""
    paid = ctx.once(_paying)
    for func in _with_set_off(ctx, ways) if paid else ():
        for module, call, script in ctx.once(_starts_by_function).get(func, ()):
            if script in paid:
                return module, call, script
    return None


_SET_OFF = {
    "Thread",
    "Process",
    "start_background_task",
    "submit",
    "run_in_executor",
    "add_task",
    "to_thread",
}


def _with_set_off(ctx: Context, ways: Iterable[ir.Func]) -> Iterator[ir.Func]:
    """The functions, and those that they let run beside them: `Thread(target=run)`."""
    for func in ways:
        yield func
        module = ctx.program.module_of[func]
        for call in ir.find(func, ir.Call):
            if last_name(call.func) in _SET_OFF:
                named = [*call.args[:2], ir.keyword(call, "target")]
                for each in (one for one in named if isinstance(one, ir.Name | ir.Attr)):
                    targets = ctx.program.resolve(module, each)
                    yield from (one.node for one in targets if isinstance(one.node, ir.Func))


def _starts_by_function(ctx: Context) -> dict[ir.Func, list[tuple[Module, ir.Call, str]]]:
    found: dict[ir.Func, list[tuple[Module, ir.Call, str]]] = {}
    for start in ctx.once(_starts):
        if start[1].within is not None:
            found.setdefault(start[1].within, []).append(start)
    return found


def _paying(ctx: Context) -> set[str]:
    """The scripts that reach a paid call, and those that start such."""
    starts = ctx.once(_starts)
    if not starts:
        return set()
    paid = [each for each in ctx.calls if each.creates and each.module.role in LIVE_ROLES]
    found = {each.module.path for each in paid}
    level = {each.func for each in paid}
    for _ in range(_ABOVE):
        sites = [each for func in level if func is not None for each in ctx.program.callers.get(func, ())]
        found |= {each.module.path for each in sites}
        level = {each.call.within for each in sites}
    for _ in range(2):
        found |= {module.path for module, _, script in starts if script in found}
    return found


def _starts(ctx: Context) -> list[tuple[Module, ir.Call, str]]:
    """The processes that files start, each with a file of the repository that it may run: callers may name it."""
    return [
        (module, call, path)
        for module in ctx.live
        if any(_OF_PROCESSES.match(each.module) for each in module.all(ir.Import))
        for call in module.calls(_STARTS)
        if _OF_PROCESSES.match(ctx.program.origin(module, call.func))
        for path in _scripts(ctx, module, call)
    ]


def _scripts(ctx: Context, module: Module, call: ir.Call) -> Iterator[str]:
    held = [each.value for arg in call.args for each in bindings_of(module, arg)]
    sites = ctx.program.callers.get(call.within, ()) if call.within is not None else ()
    for part in (*call.args, *held, *(arg for each in sites for arg in each.call.args)):
        for lit in ir.find(part, ir.Lit) if part is not None else ():
            named = _SCRIPT.search(lit.value) if isinstance(lit.value, str) else None
            path = _path(ctx, module, named.group()) if named is not None else None
            if path is not None:
                yield path


def _path(ctx: Context, module: Module, name: str) -> str | None:
    """The file that a script's name means: beside the one that starts it, at the top, or the only one that ends so."""
    beside = str(PurePosixPath(module.path).parent / name)
    for each in (beside, name.removeprefix("./")):
        if each in ctx.program.modules:
            return each
    ends = [each for each in ctx.program.modules if each.endswith(f"/{name.lstrip('./')}")]
    return ends[0] if len(ends) == 1 else None
