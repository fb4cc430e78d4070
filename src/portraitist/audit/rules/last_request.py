"""What one request leaves in a variable of the whole process for the next: part of the rule on shared defaults.

The environment and folders are in `shared_state`. Servers that take one request at a time are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in, runs_in_browser
from portraitist.audit.rules.gravity import BARELY

_OF_ALL = re.compile(
    r"(^|_)(caches?|cached|clients?|pools?|conn\w*|db|database|engine|session_?maker|singleton|instance|apps?|bots?|server|loop"
    r"|logger|model|pipe(line)?|config|settings|tokens?|auth|counts?|counter|total|last|timers?|timeout|interval|lock|queue"
    r"|promise|ready|init\w*|loaded|memo\w*|version|expir\w*|fetched|updated|cursor|index|listener|worker|tasks?|stats|metrics"
    r"|rate|limit\w*|redis|supabase|prisma|stripe|replicate|storage|scheduler|browser|process|running|is)(_|$)",
    re.I,
)
"""Variables that belong to the process: what connects, counts, remembers or waits."""
_OF_A_CALLER = re.compile(r"name|user|trigger|prompt|photo|image|gender|style|member|person", re.I)


def left_for_the_next(ctx: Context) -> Iterator[Finding]:
    """A handler sets a module's variable by what came with its request, and another handler works with it.

    Also a variable that is made once from the first caller's argument and is given to all later ones:
    `if not word: word = make(name)`. And an archive that is made once and filled by every call. Told where the variable
    is declared. Clients, caches and counters are left alone.
    """
    for module in ctx.live:
        if module.role == "src" and module.path not in ctx.dead_modules:
            for name, bindings in module.top.names.items():
                first = next((each.node for each in bindings if isinstance(each.node, ir.Assign)), None)
                if first is None or first.within is not None or _OF_ALL.search(snake(name)):
                    continue
                if isinstance(first.value, ir.Call) and last_name(first.value.func) in _ARCHIVES:
                    yield from _filled_by_all(ctx, module, name, first)
                elif first.value is None or (isinstance(first.value, ir.Lit) and not first.value.value):
                    yield from _left(ctx, module, name, first)


_ARCHIVES = {"JSZip", "AdmZip", "FormData", "PDFDocument"}
_FILLS = {"file", "folder", "addFile", "addLocalFile", "append", "addPage"}


def _filled_by_all(ctx: Context, module: Module, name: str, first: ir.Assign) -> Iterator[Finding]:
    """`const zip = new JSZip()` of a module that a server's function fills: it holds the files of all calls before."""
    for call in module.calls(_FILLS) if not runs_in_browser(module) else ():
        into = call.func.obj if isinstance(call.func, ir.Attr) else None
        found = module.lookup(name, call) if isinstance(into, ir.Name) and into.id == name else None
        own = found is not None and any(each.node is first for each in found[1]) and len(found[1]) == 1
        if own and call.within is not None and ctx.role_at(module, call) in LIVE_ROLES:
            message = f"{name} is one archive for the whole process: it holds what the requests before put in"
            yield finding("shared-mutable-default", module, first, message, key=f"archive {name}", weight=66,
                          evidence=[Place(module.path, call.line)])  # fmt: skip
            return


def _left(ctx: Context, module: Module, name: str, first: ir.Assign) -> Iterator[Finding]:
    sets = [
        each
        for each in module.all(ir.Assign)
        if isinstance(each.target, ir.Name) and each.target.id == name and _reaches_top(module, each, name)
    ]
    for each in sets:
        func = each.within
        if func is None or isinstance(each.value, ir.Lit) or ctx.role_at(module, each) not in LIVE_ROLES:
            continue
        users = {one.within for one in module.all(ir.Name) if one.id == name and one.within is not func}
        read = any(one in ctx.handled_by for one in users if one is not None)
        if func in ctx.handled_by and read and not runs_in_browser(module):
            message = f"{name} is one for the whole process: a request works with what the one before it left"
        elif _is_made_once(each, name, func):
            message = f"{name} is made once, of the first caller's argument, and given to all later ones"
        else:
            continue
        switch = isinstance(first.value, ir.Lit) and isinstance(first.value.value, bool)
        weight = BARELY if switch else 56  # what is on or off is so for all
        yield finding("shared-mutable-default", module, first, message, key=f"left {name}", weight=weight,
                      evidence=[Place(module.path, each.line)])  # fmt: skip
        return


def _reaches_top(module: Module, assign: ir.Assign, name: str) -> bool:
    """Whether an assignment in a function sets the module's variable and none of its own."""
    if assign.within is None or assign.decl:
        return False
    if module.language != "python":
        declared = (each for each in module.all(ir.Assign) if each.decl and each.within is not None)
        params = (each.name for func in module.all(ir.Func) for each in func.params)
        return name not in params and not any(last_name(each.target) == name for each in declared)
    lines = module.file.text.split("\n")[assign.within.line - 1 : assign.line]
    return any(re.match(rf"\s*global\s+(\w+\s*,\s*)*{re.escape(name)}\b", each) for each in lines)


def _is_made_once(assign: ir.Assign, name: str, func: ir.Func) -> bool:
    """`if (!word) word = make(argument)`, where the argument is a caller's and decides what is made."""
    branch = assign.parent
    if (
        not isinstance(branch, ir.If)
        or not isinstance(branch.test, ir.Bin)
        or branch.test.op not in {"not", "!"}
    ):
        return False
    if not isinstance(branch.test.left, ir.Name) or branch.test.left.id != name:
        return False
    params = {each.name for each in func.params if each.name}
    plain = isinstance(assign.value, ir.Call | ir.Tmpl) and not getattr(assign.value, "is_new", False)
    given = params & names_in(assign.value) if plain and assign.value is not None else set()
    return any(_OF_A_CALLER.search(each) for each in given)
