"""Risks in the code around it: configuration, imports, names, mock data, swallowed errors, credits."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, live_statements, names_in, place

_ASSET = re.compile(
    r"\.(css|scss|sass|less|svg|png|jpe?g|webp|gif|json|md|mdx|txt|woff2?|mp4|html|graphql|wasm|vue|svelte|astro|yaml|yml)(\?\w+)?$"
)
_MADE = re.compile(
    r"generated|/dist|/build|\.next|__generated__|\+types|/types/|prisma/client|_version|package\.json|\.velite|contentlayer"
)
_MOCK_NAME = re.compile(
    r"^(mock|dummy|fake|sample|placeholder)_?(data|images?|photos?|pictures?|results?|responses?|users?|models?|urls?|predictions?|trainings?"
    r"|generations?|logs?|outputs?)",
    re.I,
)
_CREDIT = re.compile(r"credit|balance|quota|tokens?_(left|balance|amount)|coins|(model|image)_tokens", re.I)
_JS_GLOBALS = frozenset(
    [
        "arguments",
        "Array",
        "ArrayBuffer",
        "Atomics",
        "BigInt",
        "BigInt64Array",
        "Boolean",
        "Buffer",
        "DataView",
        "Date",
        "Error",
        "EvalError",
        "Float32Array",
        "Float64Array",
        "Function",
        "Infinity",
        "Int16Array",
        "Int32Array",
        "Int8Array",
        "Intl",
        "JSON",
        "Map",
        "Math",
        "NaN",
        "Number",
        "Object",
        "Promise",
        "Proxy",
        "RangeError",
        "ReferenceError",
        "Reflect",
        "RegExp",
        "Set",
        "SharedArrayBuffer",
        "String",
        "Symbol",
        "SyntaxError",
        "TypeError",
        "URIError",
        "URL",
        "URLSearchParams",
        "Uint16Array",
        "Uint32Array",
        "Uint8Array",
        "Uint8ClampedArray",
        "WeakMap",
        "WeakRef",
        "WeakSet",
        "__dirname",
        "__filename",
        "clearImmediate",
        "clearInterval",
        "clearTimeout",
        "console",
        "decodeURI",
        "decodeURIComponent",
        "encodeURI",
        "encodeURIComponent",
        "escape",
        "eval",
        "exports",
        "fetch",
        "global",
        "globalThis",
        "isFinite",
        "isNaN",
        "module",
        "parseFloat",
        "parseInt",
        "process",
        "queueMicrotask",
        "require",
        "setImmediate",
        "setInterval",
        "setTimeout",
        "structuredClone",
        "undefined",
        "unescape",
        "window",
        "document",
        "navigator",
        "location",
        "history",
        "localStorage",
        "sessionStorage",
        "alert",
        "confirm",
        "prompt",
        "Image",
        "File",
        "FileReader",
        "FileList",
        "Blob",
        "FormData",
        "Headers",
        "Request",
        "Response",
        "AbortController",
        "AbortSignal",
        "Event",
        "EventTarget",
        "CustomEvent",
        "EventSource",
        "WebSocket",
        "Worker",
        "XMLHttpRequest",
        "HTMLElement",
        "HTMLInputElement",
        "HTMLCanvasElement",
        "HTMLImageElement",
        "HTMLVideoElement",
        "HTMLTextAreaElement",
        "HTMLFormElement",
        "HTMLDivElement",
        "Element",
        "Node",
        "NodeList",
        "MutationObserver",
        "IntersectionObserver",
        "ResizeObserver",
        "TextEncoder",
        "TextDecoder",
        "ReadableStream",
        "WritableStream",
        "TransformStream",
        "crypto",
        "btoa",
        "atob",
        "performance",
        "requestAnimationFrame",
        "cancelAnimationFrame",
        "matchMedia",
        "getComputedStyle",
        "self",
        "caches",
        "indexedDB",
        "screen",
        "Notification",
        "DOMParser",
        "CSS",
        "React",
        "JSX",
        "NodeJS",
        "Deno",
        "Bun",
        "import",
        "this",
        "super",
        "new",
        "async",
        "await",
        "it",
        "describe",
        "test",
        "expect",
        "jest",
        "vi",
        "beforeEach",
        "afterEach",
        "beforeAll",
        "afterAll",
        "Stripe",
        "google",
        "gtag",
        "fbq",
        "Audio",
        "Option",
        "DOMException",
        "MessageChannel",
        "MessageEvent",
        "ServiceWorker",
        "Razorpay",
        "grecaptcha",
        "Express",
        "KeyboardEvent",
        "MouseEvent",
        "FinalizationRegistry",
        "AggregateError",
        "BroadcastChannel",
        "CompressionStream",
        "DecompressionStream",
        "PerformanceObserver",
        "createImageBitmap",
        "OffscreenCanvas",
        "ImageData",
        "URLPattern",
        "cookieStore",
        "scrollTo",
        "open",
        "close",
        "print",
        "top",
        "parent",
        "requestIdleCallback",
        "Touch",
        "PopStateEvent",
        "MediaRecorder",
        "MediaStream",
        "ClipboardItem",
        "DataTransfer",
        "SpeechSynthesisUtterance",
        "speechSynthesis",
        "StorageEvent",
        "ProgressEvent",
        "HTMLAnchorElement",
        "HTMLButtonElement",
        "HTMLSelectElement",
        "SVGElement",
        "Text",
        "Range",
        "Selection",
        "WebAssembly",
    ]
)
_PY_GLOBALS = frozenset(dir(builtins)) | {
    "__file__", "__name__", "__doc__", "__package__", "__path__", "__all__", "__class__", "self", "cls", "display", "get_ipython", "reveal_type", "_",
}  # fmt: skip


def undefined_name(ctx: Context) -> Iterator[Finding]:
    """A name that is called or read in a file touching the provider and bound nowhere.

    Names that a template, a bundler or a star import may provide are not judged.
    """
    touching = {each.path for each in ctx.of("file.touches_replicate")}
    for module in ctx.live:
        known = _PY_GLOBALS if module.language == "python" else _JS_GLOBALS
        if module.path not in touching or module.stars or module.errors or _has_dynamic_names(module):
            continue
        types = set(re.findall(r"(?:interface|type|namespace|declare\s+\w+)\s+(\w+)", module.file.text))
        seen: set[str] = set()
        for name in module.all(ir.Name):
            used = isinstance(name.parent, ir.Call | ir.Attr) and (
                not isinstance(name.parent, ir.Call) or name.parent.func is name
            )
            if (
                not used
                or name.id in known
                or name.id in seen
                or name.id in types
                or not re.match(r"^[A-Za-z_$][\w$]*$", name.id)
            ):
                continue
            in_annotation = any(
                isinstance(each, ir.Param) and name is not each.default
                for each in ir.ancestors(name)
                if not isinstance(each, ir.Func)
            )
            if (
                in_annotation
                or module.lookup(name.id, name) is not None
                or ctx.role_at(module, name) not in LIVE_ROLES
            ):
                continue
            seen.add(name.id)
            yield finding(
                "undefined-name",
                module,
                name,
                f"{name.id} is used and defined nowhere",
                key=name.id,
                weight=64,
            )


def _has_dynamic_names(module: Module) -> bool:
    return any(
        ir.plain_dotted(each.func) in {"globals", "exec", "eval", "locals"} for each in module.all(ir.Call)
    )


def broken_import(ctx: Context) -> Iterator[Finding]:
    """An import of a file of this repository that does not exist, or of a name it does not export.

    Generated files and assets are left out; a name that may come through a star is not judged.
    """
    found: dict[str, list[Finding]] = {}
    for each in _broken(ctx):
        found.setdefault(each.key, []).append(each)
    for same in found.values():
        yield replace(same[0], evidence=tuple(each.place for each in same[1:]))


def _broken(ctx: Context) -> Iterator[Finding]:
    for module in ctx.live:
        if module.path in ctx.dead_modules:
            continue
        for each in module.all(ir.Import):
            if each.type_only or _ASSET.search(each.module) or _MADE.search(each.module):
                continue
            path = ctx.program.resolver.resolve(module.path, each.module, module.language)
            local = ctx.program.resolver.is_local(module.path, each.module, module.language)
            if path is None and local and not _only_types(ctx, each.module):
                if module.language == "javascript" or not _is_package(ctx, module, each.module):
                    yield finding(
                        "broken-import",
                        module,
                        each,
                        f"{each.module} does not exist",
                        key=each.module,
                        weight=66,
                    )
            elif path in ctx.program.modules:
                yield from _missing_names(ctx, module, each, ctx.program.modules[path])


def _only_types(ctx: Context, specifier: str) -> bool:
    """Whether some unparsed file (declarations, components of another kind) may be meant."""
    stem = re.sub(r"^([@~]/|(\.{1,2}/)+)", "", specifier)
    ends = [f"{stem}{suffix}" for suffix in (".d.ts", "/index.d.ts", ".vue", ".svelte", ".mdx", "")]
    unparsed = ctx.tree.paths - {each.path for each in ctx.tree.files}
    return any(path == end or path.endswith("/" + end) for path in unparsed for end in ends)


def _is_package(ctx: Context, module: Module, specifier: str) -> bool:
    """Whether a relative Python import names a folder without `__init__`, or only dots."""
    dots = len(specifier) - len(specifier.lstrip("."))
    folder = PurePosixPath(module.path).parents[min(dots - 1, len(PurePosixPath(module.path).parents) - 1)]
    rest = specifier[dots:].replace(".", "/")
    return not rest or ctx.program.resolver.is_folder(str(folder / rest))


def _missing_names(ctx: Context, module: Module, node: ir.Import, target: Module) -> Iterator[Finding]:
    if target.stars or target.errors or target.language != module.language or _loads_names(target):
        return
    for imported, _local in node.names:
        if (
            imported in {"*", "default"}
            or imported in target.exports
            or re.search(
                rf"\b(type|interface|enum|namespace|class)\s+{re.escape(imported)}\b", target.file.text
            )
        ):
            continue
        present = imported in target.top.names if target.language == "python" else False
        if (
            present
            or ctx.program._submodule(module, node.module, imported)
            or re.search(r"\bmodule\.exports\b|\b__getattr__\b", target.file.text)
        ):
            continue
        if target.language == "javascript" and re.search(
            rf"export\s+(declare\s+|abstract\s+|async\s+)*\w+\*?\s+{re.escape(imported)}\b", target.file.text
        ):
            continue
        yield finding(
            "broken-import",
            module,
            node,
            f"{imported} is not exported by {target.path}",
            key=f"{node.module}:{imported}",
            weight=66,
        )


def _loads_names(target: Module) -> bool:
    return _has_dynamic_names(target) or (
        target.path.endswith("__init__.py") and "__getattr__" in target.top.names
    )


def mock_data(ctx: Context) -> Iterator[Finding]:
    """Placeholder pictures and functions or constants named mock, dummy or fake on the product's paths."""
    touching = {each.path for each in ctx.of("file.touches_replicate", "flow", "persist")}
    for module in ctx.live:
        outside = module.role != "src" or module.path in ctx.dead_modules or ".config." in module.path
        if outside or module.path not in touching:
            continue
        declared: list[ir.Func | ir.Assign] = [*module.all(ir.Func), *module.all(ir.Assign)]
        for node in declared:
            name = _declared(node)
            if _MOCK_NAME.match(name):
                yield finding(
                    "mock-data",
                    module,
                    node,
                    f"{name} is mock data in the product",
                    key=name,
                    weight=42,
                    end=node.line,
                )
        for lit in module.all(ir.Lit):
            if (
                isinstance(lit.value, str)
                and "://" in lit.value
                and ctx.words.matches("placeholder_url", lit.value)
            ):
                yield finding(
                    "mock-data",
                    module,
                    lit,
                    "a placeholder picture stands for a real one",
                    key="placeholder",
                    weight=42,
                )


def _declared(node: ir.Func | ir.Assign) -> str:
    if isinstance(node, ir.Func):
        return node.name
    return node.target.id if isinstance(node.target, ir.Name) and (node.decl or node.within is None) else ""


def credit_before_check(ctx: Context) -> Iterator[Finding]:
    """A paid call is made before credits are looked at, in a function that does take credits.

    A check in a guard or another service is not seen; such flows are left out.
    """
    for call in ctx.creates():
        func = call.func
        while func is not None and ir.enclosing(func, ir.Func) is not None:
            func = ir.enclosing(func, ir.Func)
        if func is None:
            continue
        inside = [
            each
            for each in live_statements(ctx, "write")
            if each.module is call.module and func.line <= each.line <= func.end
        ]
        writes = [each for each in inside if any(_CREDIT.search(snake(use.column)) for use in each.columns)]
        if not writes:
            continue
        tests = [
            each
            for each in ir.find(func, ir.If)
            if each.line <= call.call.line and any(_CREDIT.search(name) for name in names_in(each.test))
        ]
        where = [
            each
            for each in writes
            if any(_CREDIT.search(name) for name in each.where) and each.line < call.call.line
        ]
        if not tests and not where and not _credit_helper(func, call.call.line):
            yield finding("credit-before-check", call.module, call.call, f"{call.api} runs before any look at the credits that are taken", key=call.api,
                          weight=52, evidence=[place(call).__class__(writes[0].module.path, writes[0].line)])  # fmt: skip
        elif tests and any(each.line < tests[0].line for each in writes):
            yield finding("credit-before-check", call.module, writes[0].node, "credits are taken before they are checked", key=call.api, weight=52,
                          line=writes[0].line, end=writes[0].end)  # fmt: skip


def _credit_helper(func: ir.Func, line: int) -> bool:
    return any(_CREDIT.search(ir.dotted(each.func)) and each.line < line for each in ir.find(func, ir.Call))


def env_undeclared(ctx: Context) -> Iterator[Finding]:
    """A variable that live code reads without a default and that no example file declares."""
    defaults = {each.key for each in ctx.of("env.default")}
    touching = {each.path for each in ctx.of("file.touches_replicate")}
    for fact in ctx.of("env.undeclared"):
        if fact.key not in defaults:
            weight = 34 if fact.path in touching or "REPLICATE" in fact.key else 22
            yield Finding("env-undeclared", fact.path, fact.line, fact.line, f"{fact.key} is read and declared nowhere", fact.key, fact.scope,
                          fact.evidence, weight)  # fmt: skip


def env_unused(ctx: Context) -> Iterator[Finding]:
    """A variable in an example file that nothing reads."""
    for fact in ctx.of("env.unused"):
        yield Finding(
            "env-unused",
            fact.path,
            fact.line,
            fact.line,
            f"{fact.key} is declared and read nowhere",
            fact.key,
            "",
            (),
            12,
        )


def fallback_swallow(ctx: Context) -> Iterator[Finding]:
    """The failure of a paid call is answered as a success, or disappears.

    Looks at the handlers around the call: one that neither leaves, throws nor reports an error swallows it.
    """
    for call in ctx.creates():
        attempt = ir.enclosing(call.call, ir.Try)
        if attempt is None or not any(call.call in set(ir.walk(each)) for each in attempt.body):
            continue
        for handler in attempt.handlers:
            verdict = _swallows(handler)
            if verdict:
                yield finding("fallback-swallow", call.module, handler, f"a failure of {call.api} {verdict}", key=call.api, weight=49,
                              evidence=[place(call)], end=handler.end)  # fmt: skip
                break


def _swallows(handler: ir.Handler) -> str:
    names: set[str] = set()
    for each in handler.body:
        names |= names_in(each)
    successes = [
        prop
        for each in handler.body
        for prop in ir.find(each, ir.Prop)
        if prop.key in {"success", "ok"} and isinstance(prop.value, ir.Lit) and prop.value.value is True
    ]
    if successes:
        return "is answered as a success"
    nodes = [node for each in handler.body for node in ir.walk(each)]
    returns = [each for each in nodes if isinstance(each, ir.Return)]
    calls = [ir.dotted(each.func) for each in nodes if isinstance(each, ir.Call)]
    told = [
        each
        for each in calls
        if not re.match(r"^(console|print|logger|log|logging|traceback|str|time|sleep)\b", each)
    ]
    if not returns and not told and not any(isinstance(each, ir.Assign) for each in nodes):
        return "is only logged"
    return ""
