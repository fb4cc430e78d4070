"""Part of the rule on mock data: routes that take something in and answer with one picture, the same for everybody, and
results at an address where nothing lies.

`const url = "https://images.unsplash.com/…"; res.json({ url })`: whoever uploads a photo goes on with a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name
from portraitist.audit.rules.failures.quiet import served
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler

_KEY = re.compile(
    r"(^|_)(url|uri|src|image|photo|picture|video|output|result)s?$|[a-z](Url|URL|Uri|Image|Photo|Video|Output)s?$"
)
_PICTURE = re.compile(
    r"^https?://(images\.unsplash\.com|source\.unsplash\.com|images\.pexels\.com|picsum\.photos|(via\.)?placeholder\.com"
    r"|placehold\.(co|it)|loremflickr\.com|replicate\.delivery)(/|$)",
    re.I,
)
_ANSWERS = {"json", "send", "jsonify", "JSONResponse", "Response"}


def fixed_pictures(ctx: Context) -> Iterator[Finding]:
    """An answer of a POST or PUT route whose picture is written in the code; not behind a test, nor after a failure."""
    for route in ctx.routes:
        if route.method not in {"POST", "PUT"} or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
            continue
        for handler in route.handlers:
            if isinstance(handler.node, ir.Func) and handler.module is not None:
                yield from _answered(route, handler.module, handler.node)


_NOWHERE = re.compile(r"^https?://([\w-]+\.)*example\.(com|org|net)/", re.I)
_SHOWN = re.compile(r"example|sample|schema|doc|mock|demo|test|placeholder|default|describe|openapi", re.I)


def addresses_of_nothing(ctx: Context) -> Iterator[Finding]:
    """`url = `https://cdn.example.com/${id}.mp4`` in a function of the server: no result lies there, ever.

    What is shown as an example, sent to somebody else, or stands in for a setting is left alone.
    """
    for module in ctx.once(served):
        if "://" not in module.lowered or ".com" not in module.lowered or "example." not in module.lowered:
            continue
        for node in (*module.all(ir.Lit), *module.all(ir.Tmpl)):
            first = node.parts[0] if isinstance(node, ir.Tmpl) and node.parts else node
            named = _kept_as(node) if _NOWHERE.match(ir.text_of(first) or "") else ""
            if named and node.within is not None and ctx.role_at(module, node) in LIVE_ROLES:
                around = (each.name for each in ir.ancestors(node) if isinstance(each, ir.Func))
                if not any(_SHOWN.search(each) for each in (named, *around)):
                    message = f"{named} becomes an address of example.com, where nothing lies"
                    yield finding("mock-data", module, node, message, key=f"nowhere {named}", weight=BARELY)


def _kept_as(node: ir.Node) -> str:
    """The name under which an address is kept or answered; "" where it is handed to a call, or is no picture's."""
    above = node.parent
    if isinstance(above, ir.Bin) and above.op == "+" and above.left is node:
        above = above.parent
    if isinstance(above, ir.Assign):
        name = last_name(above.target)
    elif isinstance(above, ir.Prop):
        name = above.key or ""
    else:
        return ""
    return name if _KEY.search(name) else ""


def _answered(route: Route, module: Module, func: ir.Func) -> Iterator[Finding]:
    for entry in ir.find(func, ir.Prop):
        if not entry.key or not _KEY.search(entry.key) or entry.within is not func or not _is_answer(entry):
            continue
        around = (each for each in ir.ancestors(entry) if isinstance(each, ir.If | ir.Cond))
        text = _written(module, entry.value)
        if _PICTURE.match(text) and not in_handler(entry) and next(around, None) is None:
            message = f"{route.key} answers everybody with the same picture, {text[:60]}"
            yield finding("mock-data", module, entry, message, key=f"fixed {route.key}", weight=50)
            return


def _written(module: Module, node: ir.Node | None) -> str:
    """The text that a value is in any case, also by a variable that is set once."""
    if isinstance(node, ir.Name):
        bound = bindings_of(module, node)
        node = bound[0].value if len(bound) == 1 and not bound[0].keys else None
    return ir.text_of(node) or ""


def _is_answer(entry: ir.Prop) -> bool:
    """Whether an entry is one of what a handler answers with."""
    whole = entry.parent
    around = whole.parent if whole is not None else None
    if isinstance(around, ir.Call):
        return last_name(around.func) in _ANSWERS
    return isinstance(around, ir.Return)
