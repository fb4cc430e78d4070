"""What can run: live files from entry points over imports, live functions over calls and references.

Errs on the side of live: a method that anything live calls by its name is live. Roles come from `source`.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from portraitist.audit import ir
from portraitist.audit.link.by_name import lambda_handlers
from portraitist.audit.link.module import Module
from portraitist.audit.link.program import Program

_ENTRY = re.compile(
    r"(^|/)(app/(.*/)?(page|layout|route|template|loading|error|global-error|not-found|default|opengraph-image|sitemap|robots|manifest|icon)"
    r"\.(tsx?|jsx?)|pages/.*|middleware\.(ts|js)|instrumentation\.(ts|js)|[\w.-]+\.config\.\w+|supabase/functions/.*|netlify/functions/.*|convex/.*"
    r"|(api|routes)/[^/]+\.(ts|js)|app/routes/.*|server/(api|routes|middleware|plugins)/.*|\+\w+(\.server)?\.(ts|js)|trigger/.*)$"
)
_JS_ENTRY = re.compile(
    r"^(index|main|server|app|bot|worker|cli|start|bootstrap|run|handler|lambda_function|i18n|_app|_document|serviceWorker|sw)\.\w+$"
)
_PY_ENTRY = re.compile(
    r"^(index|main|server|app|bot|worker|cli|start|run|manage|wsgi|asgi|settings|urls|celery|tasks|admin|apps|models|signals|__main__"
    r"|conftest|setup|streamlit_app|handler|lambda_function|gunicorn\w*|function_app)\.py$"
)
FILE_ROUTE_MAKERS = {"createFileRoute", "createServerFileRoute", "createAPIFileRoute", "createLazyFileRoute"}
"""Calls of TanStack's router that make a route: such a file is found by its generator, not by an import."""
_ROUTE_MAKERS = FILE_ROUTE_MAKERS | {"createRootRoute", "createRootRouteWithContext"}
_APPLICATIONS = {"FastAPI", "Flask", "Quart", "Starlette", "Litestar", "Sanic"}
_PY_FOLDERS = {"migrations", "alembic", "versions", "management", "commands", "templatetags", "pages"}


def _is_top(call: ir.Call) -> bool:
    """Whether a call's answer is put into a variable of its module."""
    return call.within is None and isinstance(call.parent, ir.Assign)


def _is_router(call: ir.Call) -> bool:
    return _is_top(call) and ir.plain_dotted(call.func) in {"Router", "express.Router"}


def _stem(path: str) -> str:
    """`users.routes` of `../routes/users.routes.js`."""
    return _SUFFIX.sub("", path.rpartition("/")[2])


_SUFFIX = re.compile(r"\.[cm]?[jt]sx?$")


_MOUNTS = re.compile(r"readdir|\bglob\b|\.use\(|\.register\(|autoload", re.I)


def _loads_by_place(module: Module) -> bool:
    """Whether a file that speaks of routes loads what only a run can tell: `require(join(folder, name))`."""
    text = module.file.text
    if "rout" not in text.lower() or not _MOUNTS.search(text):
        return False
    loads = (
        each for each in module.calls({"require", "import"}) if isinstance(each.func, ir.Name) and each.args
    )
    return any(ir.text_of(each.args[0]) is None for each in loads)


_STARTING = {"fork", "spawn", "spawnSync", "execFile", "execFileSync", "Worker", "SharedWorker", "Piscina"}
_CODE = re.compile(r"\.[cm]?[jt]s$")


def _started(module: Module, call: ir.Call) -> list[str]:
    """The files that a call starts by their path: `fork("./a.js")`, `new Worker(new URL("a.ts", import.meta.url))`.

    A path may begin at the file or at a folder above it, where the program is started.
    """
    paths: list[str] = []
    for arg in call.args if module.language == "javascript" else ():
        for part in arg.items if isinstance(arg, ir.Arr) else [arg]:
            texts = [str(each.value) for each in ir.find(part, ir.Lit) if isinstance(each.value, str)]
            path = "/".join(texts).removeprefix("./")
            if _CODE.search(path):
                depth = module.path.count("/") if not path.startswith("../") else 0
                paths += [f"{'../' * up or './'}{path}" for up in range(depth + 1)]
    return paths


Reached = dict[ir.Func, list[ir.Func]]


class Reach:
    """Files and functions that something can start."""

    def __init__(self, program: Program, handlers: Iterable[ir.Func], idle: AbstractSet[ir.Func]) -> None:
        self.program = program
        self._idle = idle
        """What is decorated, and started by nobody for it."""
        self.importers: dict[str, set[str]] = {}
        self._unfound: set[str] = set()
        self._entries: dict[str, bool] = {}
        self.references: dict[ir.Func, list[tuple[Module, ir.Node]]] = {}
        self._imports()
        self.live_modules = self._live_modules()
        self._references()
        self.live: set[ir.Func] = set()
        self._mark(set(handlers))

    def _imports(self) -> None:
        for module in self.program.modules.values():
            specifiers = [each.module for each in module.all(ir.Import)]
            specifiers += [
                text
                for each in module.calls({"require", "import"})
                if isinstance(each.func, ir.Name) and each.args
                if (text := ir.text_of(each.args[0]))
            ]
            specifiers += [each for call in module.calls(_STARTING) for each in _started(module, call)]
            for each in module.all(ir.Import):
                if module.language == "python":
                    dot = "" if each.module.endswith(".") else "."
                    specifiers += [f"{each.module}{dot}{name}" for name, _ in each.names if name != "*"]
            for specifier in specifiers:
                path = self.program.resolver.resolve(module.path, specifier, module.language)
                if path in self.program.modules and path != module.path:
                    self.importers.setdefault(path, set()).add(module.path)
                elif path is None:
                    self._unfound.add(_stem(specifier))

    def _is_entry(self, module: Module) -> bool:
        if module.path not in self._entries:
            self._entries[module.path] = self._starts(module)
        return self._entries[module.path]

    def _starts(self, module: Module) -> bool:
        path = module.path
        name = path.rpartition("/")[2]
        if module.role != "src":
            return module.role in {"script", "test"}
        if module.path in self._unmounted:
            return False
        depth = 3 if "/src/" in f"/{path}" or module.language == "python" else 2
        named = _PY_ENTRY if module.language == "python" else _JS_ENTRY
        if _ENTRY.search(path) or (named.match(name) and path.count("/") <= depth):
            return True
        if module.language == "python":
            folders = set(path.split("/")[:-1])
            whole = bool(folders & _PY_FOLDERS) or name == "__init__.py" or _has_main(module)
            return whole or bool(lambda_handlers(module)) or self._applications == [module.path]
        if module.calls(_ROUTE_MAKERS):
            return True
        return any(
            ir.dotted(each.func).endswith((".listen", "createRoot", "Deno.serve"))
            or ir.plain_dotted(each.func) == "serve"
            for each in module.calls({"listen", "createRoot", "serve"})
        )

    @functools.cached_property
    def _unmounted(self) -> set[str]:
        """Files that make nothing but a router, which nobody imports, beside others of the folder that are imported.

        None where anything computes what it loads: then routers may be mounted by their place.
        """
        code = [each for each in self.program.modules.values() if each.language == "javascript"]
        made = [each for each in code if any(map(_is_router, each.calls({"Router"})))]
        imported = {path for path, by in self.importers.items() if any(self._runs(each) for each in by)}
        folders = {each.path.rpartition("/")[0] for each in made if each.path in imported}
        alone = {
            each.path
            for each in made
            if each.path not in imported
            and each.path.rpartition("/")[0] in folders
            and _stem(each.path) not in self._unfound | {"index"}
            and not each.calls({"listen"})
        }
        return set() if alone and any(map(_loads_by_place, code)) else alone

    def _runs(self, path: str) -> bool:
        return self.program.modules[path].role != "test"

    @functools.cached_property
    def _applications(self) -> list[str]:
        """The Python files that make a server's application: a single one is what is served, whatever its name."""
        return [
            each.path
            for each in self.program.modules.values()
            if each.language == "python"
            and each.role == "src"
            and any(map(_is_top, each.calls(_APPLICATIONS)))
        ]

    def _live_modules(self) -> set[str]:
        exports: dict[str, set[str]] = {}
        for path, importers in self.importers.items():
            for each in importers:
                exports.setdefault(each, set()).add(path)
        pending = [
            each.path
            for each in self.program.modules.values()
            if self._is_entry(each) and each.role != "test"
        ]
        live: set[str] = set()
        while pending:
            path = pending.pop()
            if path not in live:
                live.add(path)
                pending.extend(exports.get(path, ()))
        return live

    def _references(self) -> None:
        """Functions named as values: arguments, properties, assignments, JSX attributes."""
        names = {
            func.name for module in self.program.modules.values() for func in module.all(ir.Func) if func.name
        }
        for module in self.program.modules.values():
            imported = {name for name, found in module.top.names.items() if found[0].kind == "import"}
            nodes: list[ir.Name | ir.Attr] = [
                each for each in module.all(ir.Name) if each.id in names or each.id in imported
            ]
            attributes = [one for name in names & module.attributes.keys() for one in module.attributes[name]]
            nodes.extend(sorted(attributes, key=lambda each: each.first))
            for node in nodes:
                parent = node.parent
                if isinstance(parent, ir.Call) and parent.func is node:
                    continue
                deferred = isinstance(parent, ir.Attr) and parent.name in _DEFERRED
                if isinstance(parent, _NAMING) and not deferred:
                    continue
                for target in self.program.resolve(module, node):
                    if isinstance(target.node, ir.Func):
                        self.references.setdefault(target.node, []).append((module, node))

    def _mark(self, handlers: set[ir.Func]) -> None:
        pending: list[ir.Func] = [
            each for each in handlers if self.program.module_of[each].path in self.live_modules
        ]
        methods: dict[str, list[ir.Func]] = {}
        for path in sorted(self.live_modules):
            module = self.program.modules[path]
            for func in module.all(ir.Func):
                if self._starts_live(module, func):
                    pending.append(func)
                elif func.owner or isinstance(func.parent, ir.Prop):
                    methods.setdefault(func.name, []).append(func)
        for name in self._names_at_top():
            pending.extend(methods.pop(name, ()))
        self._spread(pending, methods)

    def _spread(self, pending: list[ir.Func], methods: dict[str, list[ir.Func]]) -> None:
        """Marks what the pending functions reach: what they call, name or hold, and methods of names they use."""
        inner, called, named = self._own_parts(methods.keys())
        while pending:
            func = pending.pop()
            if func not in self.live:
                self.live.add(func)
                pending.extend(inner.get(func, ()))
                pending.extend(called.get(func, ()))
                pending.extend(self._named_in.get(func, ()))
                for name in named.get(func, ()):
                    pending.extend(methods.pop(name, ()))

    def _starts_live(self, module: Module, func: ir.Func) -> bool:
        if (func.decorators and func not in self._idle) or not func.name:
            return True
        if func.owner or isinstance(func.parent, ir.Prop):
            return func.name.startswith(("_", "constructor"))
        sites = [
            each for each in self.program.callers.get(func, []) if ir.enclosing(each.call, ir.Func) is None
        ]
        named = [
            node
            for where, node in self.references.get(func, [])
            if ir.enclosing(node, ir.Func) is None and where.path in self.live_modules
        ]
        if any(each.module.path in self.live_modules for each in sites) or named:
            return True
        return (
            self._is_entry(module)
            and func.name in {*_exported_names(module), "default"}
            and module.language == "javascript"
        )

    def _names_at_top(self) -> set[str]:
        """Attributes named outside every function of the live files: a method of that name may be called."""
        return {
            name
            for path in self.live_modules
            for name, named in self.program.modules[path].attributes.items()
            if any(each.within is None for each in named)
        }

    def _own_parts(self, methods: AbstractSet[str]) -> tuple[Reached, Reached, dict[ir.Func, set[str]]]:
        """By function, without those inside it: the functions it holds, those it calls, the `methods` it names."""
        inner: Reached = {}
        called: Reached = {}
        named: defaultdict[ir.Func, set[str]] = defaultdict(set)
        for module in self.program.modules.values():
            for func in module.all(ir.Func):
                if func.within is not None:
                    inner.setdefault(func.within, []).append(func)
            for name in methods & module.attributes.keys():
                for attr in module.attributes[name]:
                    if attr.within is not None:
                        named[attr.within].add(name)
        for call, targets in self.program.callees.items():
            if call.within is not None:
                funcs = [each.node for each in targets if isinstance(each.node, ir.Func)]
                called.setdefault(call.within, []).extend(funcs)
        return inner, called, named

    @property
    def _named_in(self) -> dict[ir.Func, list[ir.Func]]:
        if not hasattr(self, "_named_cache"):
            self._named_cache: dict[ir.Func, list[ir.Func]] = {}
            for target, places in self.references.items():
                for _, node in places:
                    owner = ir.enclosing(node, ir.Func)
                    if owner is not None:
                        self._named_cache.setdefault(owner, []).append(target)
        return self._named_cache


_NAMING = (ir.Attr, ir.Param, ir.Func)
_DEFERRED = {
    "delay",
    "apply_async",
    "send",
    "kiq",
    "bind",
    "call",
    "apply",
    "s",
    "si",
    "defer",
    "spawn",
    "remote",
    "trigger",
}


def _has_main(module: Module) -> bool:
    return any(isinstance(each.left, ir.Name) and each.left.id == "__name__" for each in module.all(ir.Bin))


def _exported_names(module: Module) -> set[str]:
    return {each for each in module.exports.values() if isinstance(each, str)} | set(module.exports)
