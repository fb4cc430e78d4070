"""Part of the rule on mock data: pages that show rows written in their source as the member's own, and refusals by lot.

What a test or a switch for demonstrations decides is left alone, and so are lists that a page begins with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, names_in, runs_in_browser
from portraitist.audit.rules.mocks.pretended import switched
from portraitist.audit.rules.syntax import ORDER, in_handler

_OWN = re.compile(
    r"^set_(\w+_)?(models?|headshots?|photos?|images?|pictures?|orders?|jobs?|trainings?|generations?|avatars?|portraits?"
    r"|videos?|results?|history|projects?|albums?|payments?|invoices?|transactions?)$"
)
"""The setters of a page's state for what belongs to a member."""
_MADE = re.compile(r"(^|_)(demo|mock|mocked|sample|fake|dummy|placeholder|example)s?(_|$)")
_DEMO = re.compile(r"demo|mock|sample|preview|example|debug|dev|guest|story", re.I)
_BY_LOT = {"Math.random", "random.random"}


def made_rows(ctx: Context) -> Iterator[Finding]:
    """`setModels([{ id: "1", … }])` and `catch { setPhotos(demoPhotos()) }` in pages; refusals by lot in routes."""
    for module in ctx.live:
        if module.role != "src" or module.path in ctx.dead_modules:
            continue
        if runs_in_browser(module) and not _DEMO.search(module.path):
            yield from _shown(ctx, module)
        elif "random" in module.callees:
            yield from _by_lot(ctx, module)


def _shown(ctx: Context, module: Module) -> Iterator[Finding]:
    seen: set[str] = set()
    for call in module.all(ir.Call):
        name = call.func.id if isinstance(call.func, ir.Name) else ""
        if not name.startswith("set") or len(call.args) != 1 or name in seen or not _OWN.match(snake(name)):
            continue
        given, failed = call.args[0], in_handler(call)
        written = _is_made_up(given) or (failed and _names_made_up(given))
        if not written or _is_switched(call) or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        seen.add(name)
        where = "when the real ones could not be read, rows" if failed else "rows"
        message = f"{where} that are written in the source are shown as the member's own"
        yield finding("mock-data", module, call, message, key=name, weight=54 if failed else 50)


def _is_switched(call: ir.Call) -> bool:
    """Whether a test for a demonstration stands around a call, or in front of it."""
    tests = (each.test for each in ir.ancestors(call) if isinstance(each, ir.If | ir.Cond))
    return switched(call) or any(_DEMO.search(name) for test in tests for name in names_in(test))


def _is_made_up(node: ir.Node) -> bool:
    """Whether a list holds rows that are written out, each with an identity of its own."""
    rows = node.items if isinstance(node, ir.Arr) else []
    return bool(rows) and all(
        isinstance(each, ir.Obj) and isinstance(each.get("id", "_id", "uuid"), ir.Lit) and len(each.props) > 2
        for each in rows
    )


def _names_made_up(node: ir.Node) -> bool:
    """`generateDemoHeadshots()`, `MOCK_PHOTOS`."""
    made = node.func if isinstance(node, ir.Call) else node
    return isinstance(made, ir.Name) and _MADE.search(snake(made.id)) is not None


def _by_lot(ctx: Context, module: Module) -> Iterator[Finding]:
    """A branch that turns a request away by what was drawn, in a handler of a route."""
    for call in module.calls({"random"}):
        func = call.within
        drawn = call.parent if isinstance(call.parent, ir.Bin) and call.parent.op in ORDER else None
        if drawn is None or func not in ctx.handled_by or ir.plain_dotted(call.func) not in _BY_LOT:
            continue
        held = drawn.parent.target if isinstance(drawn.parent, ir.Assign) else None
        for branch in ir.find(func, ir.If) if func is not None else ():
            named = isinstance(held, ir.Name) and held.id in names_in(branch.test)
            if (
                (named or drawn in set(ir.walk(branch.test)))
                and exits(branch.then)
                and not _is_switched(call)
            ):
                message = f"the branch at line {branch.line} refuses a request by lot"
                yield finding(
                    "mock-data", module, drawn, message, key=f"lot {func.name if func else ''}", weight=52
                )
                break
