"""Routes that files make by where they lie: Next app and pages router, server actions, edge functions, Cloudflare.

Method and path come from the file's path and its exports alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import Guard, creations, definitions
from portraitist.audit.facts.routes_javascript import handler_targets
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_APP_ROUTE = re.compile(r"(?:^|/)app/(?P<path>.*/)?route\.(?:ts|tsx|js|jsx|mjs)$")
_APP_PAGE = re.compile(r"(?:^|/)app/(?P<path>.*/)?(?:page|layout)\.(?:ts|tsx|js|jsx)$")
_PAGES_API = re.compile(r"(?:^|/)pages/(?P<path>api/.*)\.(?:ts|tsx|js|jsx|mjs)$")
_PAGES_PAGE = re.compile(r"(?:^|/)pages/(?P<path>(?!api/).*)\.(?:tsx|jsx|js)$")
_EXPO = re.compile(r"(?:^|/)app/(?P<path>.*)\+api\.(?:ts|js)$")
_PLAIN_API = re.compile(r"^(?P<path>api/.*)\.(?:ts|js|mjs)$")
_EDGE = re.compile(r"(?:^|/)supabase/functions/(?P<name>[\w-]+)/index\.(?:ts|js)$")
_NETLIFY = re.compile(r"(?:^|/)netlify/(?:edge-)?functions/(?P<name>[\w-]+)(?:/index)?\.(?:ts|js|mjs)$")
_CLOUDFLARE = re.compile(r"(?:^|/)functions/(?P<path>.+)\.(?:ts|tsx|js|jsx|mjs)$")
_SVELTE = re.compile(r"(?:^|/)routes/(?P<path>.*/)?\+server\.(?:ts|js)$")
_SVELTE_PAGE = re.compile(r"(?:^|/)routes/(?P<path>.*/)?\+page\.server\.(?:ts|js)$")
_REMIX = re.compile(r"(?:^|/)app/routes/(?P<path>.+)\.(?:tsx?|jsx?)$")
_NITRO = re.compile(
    r"(?:^|/)server/(?P<path>(?:api|routes)/.*?)(?:\.(?P<method>get|post|put|patch|delete))?\.(?:ts|js|mjs)$"
)
_NITRO_HANDLERS = {"defineEventHandler", "eventHandler", "defineCachedEventHandler", "createNuxtApiHandler"}
_PROJECT_FILES = ("package.json", "next.config.js", "next.config.mjs", "next.config.ts")
_METHOD_TEST = re.compile(r"\bmethod\b")


def routes(ctx: Context) -> Iterator[Route]:
    """Every route that a file's place makes."""
    for module in ctx.modules:
        if module.language == "javascript":
            yield from _of_file(ctx, module)
            yield from _actions(ctx, module)


def _of_file(ctx: Context, module: Module) -> Iterator[Route]:
    path = _below_project(ctx, module.path)
    if (found := _APP_ROUTE.search(path)) or (found := _SVELTE.search(path)):
        yield from _exported_methods(ctx, module, _app_path(found.group("path") or ""))
    elif found := _SVELTE_PAGE.search(path):
        yield from _form_actions(ctx, module, _app_path(found.group("path") or ""))
    elif found := _REMIX.search(path):
        yield from _loaders(ctx, module, _remix_path(found.group("path")))
    elif found := _EXPO.search(path):
        yield from _exported_methods(ctx, module, _pages_path(_app_path(found.group("path"))))
    elif found := _APP_PAGE.search(path):
        yield from _default(ctx, module, ["PAGE"], _app_path(found.group("path") or ""), "page")
    elif (found := _PAGES_API.search(path)) and _is_project(ctx, path[: found.start()]):
        yield from _default(ctx, module, _tested_methods(module), _pages_path(found.group("path")), "pages")
    elif found := _PAGES_PAGE.search(path):
        yield from _default(ctx, module, ["PAGE"], _pages_path(found.group("path")), "page")
    elif (found := _NITRO.search(path)) and _is_nitro(module):
        method = (found.group("method") or "any").upper()
        way = _pages_path(found.group("path").removeprefix("routes/"))
        yield from _default(ctx, module, [method], way, "nitro")
    elif found := _EDGE.search(path):
        yield from _served(ctx, module, f"/functions/v1/{found.group('name')}")
    elif found := _NETLIFY.search(path):
        yield from _default(ctx, module, ["ANY"], f"/.netlify/functions/{found.group('name')}", "netlify")
    elif (found := _CLOUDFLARE.search(path)) and any(each.startswith(_ON) for each in module.exports):
        yield from _pages_functions(ctx, module, found)
    elif (found := _PLAIN_API.search(path)) and not _registers_routes(module):
        yield from _default(ctx, module, _tested_methods(module), _pages_path(found.group("path")), "vercel")


_ON = "onRequest"


def _pages_functions(ctx: Context, module: Module, found: re.Match[str]) -> Iterator[Route]:
    """Cloudflare Pages: `onRequestPost` of a file below `functions`, behind each `_middleware` of its folders."""
    place = found.group("path")
    if place.rpartition("/")[2] == "_middleware":
        return
    guards = _middlewares(ctx, found.string[: found.start("path")], place)
    for method in ("ANY", *_METHODS):
        exported = _exported(ctx, module, _ON + ("" if method == "ANY" else method.capitalize()))
        if exported is None:
            continue
        node, targets, around = exported
        if isinstance(node, ir.Arr) and node.items:
            *before, last = node.items
            around, targets = [(module, each) for each in before], handler_targets(ctx, module, last)
        yield Route(
            method, _pages_path(place), module, node, tuple(targets), (*guards, *around), "cloudflare"
        )


def _middlewares(ctx: Context, top: str, place: str) -> list[Guard]:
    """What runs in front of a file below `functions`: the `_middleware` of each folder above it, outermost first."""
    folders = place.split("/")[:-1]
    above = [
        f"{top}{''.join(f'{each}/' for each in folders[:at])}_middleware." for at in range(len(folders) + 1)
    ]
    guards: list[Guard] = []
    for start in above:
        for module in (each for each in ctx.modules if each.path.startswith(start)):
            exported = _exported(ctx, module, _ON)
            node = exported[0] if exported is not None else None
            parts = node.items if isinstance(node, ir.Arr) else [node] if node is not None else []
            guards.extend((module, each) for each in parts)
    return guards


def _below_project(ctx: Context, path: str) -> str:
    """A path from the folder of its own Next project on, where more than one of its folders is named `app`."""
    if path.count("app/") < 2 or len(_APPS.findall(path)) < 2:
        return path
    folders = path.split("/")[:-1]
    above = ["/".join(folders[:at]) for at in range(len(folders), 0, -1)]
    own = next((each for each in above if any(f"{each}/{one}" in ctx.tree.paths for one in _CONFIGS)), "")
    return path.removeprefix(f"{own}/") if own else path


_APPS = re.compile(r"(?:^|/)app(?=/)")
_CONFIGS = ("next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs")


def _form_actions(ctx: Context, module: Module, path: str) -> Iterator[Route]:
    """SvelteKit: `export const actions = { name: async (event) => … }`, and the page's `load`."""
    for binding in module.top.names.get("actions", []):
        for prop in binding.value.props if isinstance(binding.value, ir.Obj) else []:
            way = path if prop.key == "default" else f"{path}?/{prop.key}"
            targets = handler_targets(ctx, module, prop.value)
            if targets:
                yield Route("POST", way, module, prop, tuple(targets), (), "svelte")
    yield from _named(ctx, module, "load", "GET", path)


def _loaders(ctx: Context, module: Module, path: str) -> Iterator[Route]:
    """Remix and React Router: what a route's file exports as `action` and `loader` runs on the server."""
    yield from _named(ctx, module, "action", "POST", path)
    yield from _named(ctx, module, "loader", "GET", path)


def _named(ctx: Context, module: Module, name: str, method: str, path: str) -> Iterator[Route]:
    found = _exported(ctx, module, name)
    if found is not None and found[1]:
        yield Route(method, path, module, found[0], tuple(found[1]), tuple(found[2]), "loader")


def _remix_path(path: str) -> str:
    """`api.images.$id` and `api/images/$id`: dots part as slashes do, `$id` is a hole, `_index` nothing."""
    parts = [
        each for each in re.split(r"[./]", path) if each and not each.startswith("_") and each != "route"
    ]
    return "/" + "/".join(f"[{each[1:]}]" if each.startswith("$") else each for each in parts)


def _is_project(ctx: Context, folder: str) -> bool:
    """Whether a folder with `pages` in it is a project's: the root, its `src`, or one with a package of its own."""
    above = re.sub(r"(^|/)src$", "", folder)
    return not above or any(f"{above}/{each}" in ctx.tree.paths for each in _PROJECT_FILES)


def _is_nitro(module: Module) -> bool:
    return any(ir.plain_dotted(each.func) in _NITRO_HANDLERS for each in module.all(ir.Call))


def _registers_routes(module: Module) -> bool:
    return any(
        isinstance(each.func, ir.Attr) and each.func.name in {"listen", "use"} for each in module.all(ir.Call)
    )


def _app_path(folders: str) -> str:
    kept = [each for each in folders.split("/") if each and not each.startswith(("(", "@", "_"))]
    return "/" + "/".join(kept)


def _pages_path(path: str) -> str:
    return "/" + re.sub(r"(^|/)index$", "", path).strip("/")


def _exported_methods(ctx: Context, module: Module, path: str) -> Iterator[Route]:
    for method in _METHODS:
        found = _exported(ctx, module, method)
        if found is not None:
            yield Route(method, path, module, found[0], tuple(found[1]), tuple(found[2]), "next")


def _exported(ctx: Context, module: Module, name: str) -> tuple[ir.Node, list[Target], list[Guard]] | None:
    """The anchor, the handlers and the wrapping calls of an export."""
    entry = module.exports.get(name)
    if entry is None:
        return None
    node: ir.Node | None = entry if isinstance(entry, ir.Node) else None
    if isinstance(entry, str):
        bindings = [
            each for each in module.top.names.get(entry, []) if each.kind in {"func", "assign", "class"}
        ]
        if not bindings:
            node = next(
                (each for each in module.all(ir.Export) if any(name == out for _, out in each.names)), None
            )
        else:
            node = bindings[-1].value or bindings[-1].node
    if node is None or isinstance(node, ir.Import):
        anchor = node or module.body
        return (
            anchor,
            [each for each in ctx.program.exported(module, name) if isinstance(each.node, ir.Func)],
            [],
        )
    guards: list[Guard] = [(module, each) for each in _wrappers(module, node)]
    targets = handler_targets(ctx, module, node)
    if not targets:
        targets = [each for each in ctx.program.exported(module, name) if isinstance(each.node, ir.Func)]
    return node, targets, guards


def _wrappers(module: Module, node: ir.Node) -> list[ir.Node]:
    """The calls around a handler: `withAuth(handler)`, also where the handler is a name for such a call."""
    if isinstance(node, ir.Name):
        values = [each.value for each in bindings_of(module, node) if each.kind == "assign"]
        return [inner for each in values if isinstance(each, ir.Call) for inner in _wrappers(module, each)]
    if not isinstance(node, ir.Call):
        return []
    return [
        node,
        *(inner for arg in node.args if isinstance(arg, ir.Call) for inner in _wrappers(module, arg)),
    ]


def _default(ctx: Context, module: Module, methods: list[str], path: str, framework: str) -> Iterator[Route]:
    for name in ("default", "handler"):
        found = _exported(ctx, module, name)
        if found is not None:
            for method in methods:
                yield Route(method, path, module, found[0], tuple(found[1]), tuple(found[2]), framework)
            return


def _tested_methods(module: Module) -> list[str]:
    """The methods a handler compares `req.method` with; ANY when it compares none."""
    found: set[str] = set()
    for each in module.all(ir.Bin):
        sides = (each.left, each.right)
        names = [side for side in sides if isinstance(side, ir.Attr) and _METHOD_TEST.search(side.name)]
        words = [text for side in sides if side is not None and (text := ir.text_of(side)) in _METHODS]
        if names and words:
            found.update(each for each in words if each is not None)
    return sorted(found - {"OPTIONS", "HEAD"}) or ["ANY"]


def _made_action(ctx: Context, module: Module, name: str, made: ir.Call) -> Iterator[Route]:
    """`export const act = client.input(…).handler(async …)`: the last function runs, those before it may deny."""
    handlers = [each for each in made.args if isinstance(each, ir.Func)]
    if not handlers or not isinstance(made.func, ir.Attr):
        return
    guards = [(ctx.program.module_of[each], each) for each in functions_before(ctx, module, made.func.obj)]
    anchor = made.parent if isinstance(made.parent, ir.Assign) else made
    yield Route("ACTION", name, module, anchor, (Target(module, handlers[-1]),), tuple(guards), "action")


def functions_before(ctx: Context, module: Module, chain: ir.Node, depth: int = 0) -> list[ir.Func]:
    """The functions handed to the calls of a chain, those that `.use(…)` names, and those of what it starts from."""
    found: list[ir.Func] = []
    while isinstance(chain, ir.Call | ir.Attr):
        if isinstance(chain, ir.Call):
            found.extend(each for each in chain.args if isinstance(each, ir.Func))
            named = chain.args if isinstance(chain.func, ir.Attr) and chain.func.name == "use" else []
            used = (
                each
                for arg in named
                if isinstance(arg, ir.Name)
                for each in handler_targets(ctx, module, arg)
            )
            found.extend(each.node for each in used if isinstance(each.node, ir.Func))
        chain = chain.func if isinstance(chain, ir.Call) else chain.obj
    if isinstance(chain, ir.Name) and depth < 4:
        made = [*definitions(ctx, module, chain), *((module, each) for each in creations(ctx, module, chain))]
        for where, each in made:
            found.extend(functions_before(ctx, where, each, depth + 1))
    return list(dict.fromkeys(found))


def _served(ctx: Context, module: Module, path: str) -> Iterator[Route]:
    for call in module.all(ir.Call):
        name = ir.plain_dotted(call.func)
        if name in {"serve", "Deno.serve"} and call.args:
            targets = handler_targets(ctx, module, call.args[-1]) or handler_targets(
                ctx, module, call.args[0]
            )
            yield Route("POST", path, module, call, tuple(targets), (), "edge")
            return
    yield Route("POST", path, module, module.body, (), (), "edge")


def _handed_out(ctx: Context, module: Module, value: ir.Name) -> Iterator[Route]:
    """`const act = helper; export { act }` under a "use server" directive: the helper of another file is the action."""
    for each in ctx.program.resolve(module, value):
        if isinstance(each.node, ir.Func) and each.module is not None and each.module is not module:
            yield Route("ACTION", each.node.name or value.id, each.module, each.node, (each,), (), "action")


def _actions(ctx: Context, module: Module) -> Iterator[Route]:
    """Functions under a "use server" directive, of the file or of the function itself."""
    whole = bool(module.body.parts) and ir.text_of(module.body.parts[0]) == "use server"
    whole = whole and not re.search(r"(^|/)route\.(ts|js)x?$", module.path)
    exported = {local for local in module.exports.values() if isinstance(local, str)}
    for name, binding in module.top.names.items() if whole else ():
        value = binding[-1].value
        if name in exported and binding[-1].kind == "assign" and isinstance(value, ir.Call):
            yield from _made_action(ctx, module, name, value)
        elif name in exported and isinstance(value, ir.Name):
            yield from _handed_out(ctx, module, value)
    for func in module.all(ir.Func):
        own = bool(func.body) and ir.text_of(func.body[0]) == "use server"
        top = module.scopes[func].up is module.top
        if own or (whole and top and func.name in exported):
            yield Route(
                "ACTION", func.name or "anonymous", module, func, (Target(module, func),), (), "action"
            )
