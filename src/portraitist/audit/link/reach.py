"""What can run: live files from entry points over imports, live functions over calls and references.

Errs on the side of live: a method that anything calls by its name is live. Roles come from `source`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from portraitist.audit import ir
from portraitist.audit.link.module import Module
from portraitist.audit.link.program import Program

_ENTRY = re.compile(
    r"(^|/)(app/(.*/)?(page|layout|route|template|loading|error|global-error|not-found|default|opengraph-image|sitemap|robots|manifest|icon)"
    r"\.(tsx?|jsx?)|pages/.*|middleware\.(ts|js)|instrumentation\.(ts|js)|[\w.-]+\.config\.\w+|supabase/functions/.*|netlify/functions/.*"
    r"|(api|routes)/[^/]+\.(ts|js)|\+\w+(\.server)?\.(ts|js)|trigger/.*)$"
)
_JS_ENTRY = re.compile(
    r"^(index|main|server|app|bot|worker|cli|start|bootstrap|run|handler|lambda_function|i18n|_app|_document|serviceWorker|sw)\.\w+$"
)
_PY_ENTRY = re.compile(
    r"^(index|main|server|app|bot|worker|cli|start|run|manage|wsgi|asgi|settings|urls|celery|tasks|admin|apps|models|signals|__main__"
    r"|conftest|setup|streamlit_app|handler|lambda_function|gunicorn\w*|function_app)\.py$"
)
_PY_FOLDERS = {"migrations", "alembic", "versions", "management", "commands", "templatetags", "pages"}


class Reach:
    """Files and functions that something can start."""

    def __init__(self, program: Program, handlers: Iterable[ir.Func]) -> None:
        self.program = program
        self.importers: dict[str, set[str]] = {}
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
                for each in module.all(ir.Call)
                if isinstance(each.func, ir.Name) and each.func.id in {"require", "import"} and each.args
                if (text := ir.text_of(each.args[0]))
            ]
            for each in module.all(ir.Import):
                if module.language == "python":
                    dot = "" if each.module.endswith(".") else "."
                    specifiers += [f"{each.module}{dot}{name}" for name, _ in each.names if name != "*"]
            for specifier in specifiers:
                path = self.program.resolver.resolve(module.path, specifier, module.language)
                if path in self.program.modules and path != module.path:
                    self.importers.setdefault(path, set()).add(module.path)

    def _is_entry(self, module: Module) -> bool:
        if module.path not in self._entries:
            self._entries[module.path] = self._starts(module)
        return self._entries[module.path]

    def _starts(self, module: Module) -> bool:
        path = module.path
        name = path.rpartition("/")[2]
        if module.role != "src":
            return module.role in {"script", "test"}
        depth = 3 if "/src/" in f"/{path}" or module.language == "python" else 2
        named = _PY_ENTRY if module.language == "python" else _JS_ENTRY
        if _ENTRY.search(path) or (named.match(name) and path.count("/") <= depth):
            return True
        if module.language == "python":
            folders = set(path.split("/")[:-1])
            return bool(folders & _PY_FOLDERS) or name == "__init__.py" or _has_main(module)
        return any(
            ir.dotted(each.func).endswith((".listen", "createRoot", "Deno.serve"))
            or ir.plain_dotted(each.func) == "serve"
            for each in module.all(ir.Call)
        )

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
            nodes: list[ir.Name | ir.Attr] = [*module.all(ir.Name), *module.all(ir.Attr)]
            for node in nodes:
                parent = node.parent
                if isinstance(parent, ir.Call) and parent.func is node:
                    continue
                deferred = isinstance(parent, ir.Attr) and parent.name in _DEFERRED
                if isinstance(parent, ir.Attr | ir.Param | ir.Func) and not deferred:
                    continue
                short = node.id if isinstance(node, ir.Name) else node.name
                if short not in names:
                    local = isinstance(node, ir.Name) and self._local_alias(module, node)
                    if not local:
                        continue
                for target in self.program.resolve(module, node):
                    if isinstance(target.node, ir.Func):
                        self.references.setdefault(target.node, []).append((module, node))

    def _local_alias(self, module: Module, node: ir.Name) -> bool:
        found = module.top.names.get(node.id)
        return bool(found) and found is not None and found[0].kind == "import"

    def _mark(self, handlers: set[ir.Func]) -> None:
        used_names = self._used_names()
        pending: list[ir.Func] = [
            each for each in handlers if self.program.module_of[each].path in self.live_modules
        ]
        for path in sorted(self.live_modules):
            module = self.program.modules[path]
            for func in module.all(ir.Func):
                if self._starts_live(module, func, used_names):
                    pending.append(func)
        while pending:
            func = pending.pop()
            if func in self.live:
                continue
            self.live.add(func)
            pending.extend(self._reached_from(func))

    def _starts_live(self, module: Module, func: ir.Func, used_names: set[str]) -> bool:
        if func.decorators or not func.name:
            return True
        if func.owner or isinstance(func.parent, ir.Prop):
            return func.name in used_names or func.name.startswith(("_", "constructor"))
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

    def _used_names(self) -> set[str]:
        return {each.name for path in self.live_modules for each in self.program.modules[path].all(ir.Attr)}

    def _reached_from(self, func: ir.Func) -> list[ir.Func]:
        found: list[ir.Func] = []
        for node in ir.walk(func):
            if isinstance(node, ir.Func) and node is not func:
                found.append(node)
            elif isinstance(node, ir.Call):
                found.extend(
                    each.node
                    for each in self.program.functions_called(node)
                    if isinstance(each.node, ir.Func)
                )
        found.extend(self._named_in.get(func, ()))
        return found

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
