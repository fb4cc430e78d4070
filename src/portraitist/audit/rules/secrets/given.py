"""Server secrets that code hands to the browser: in an answer, in a build's settings, to a page's component.

Part of `client-exposed-token`; secrets in variables that are public by their name are in `secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import OneOf, Outside, Value
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.secrets.made_public import read_by_pages
from portraitist.audit.rules.secrets.shut import is_for_tests

_SECRET = re.compile(
    r"(SECRET|TOKEN|SERVICE_(ROLE|KEY)|PRIVATE|API_KEY|PASSWORD|ACCESS_KEY)(_KEY|_TOKEN)?$|^(REPLICATE|OPENAI|ANTHROPIC)_\w*KEY$"
)
_SAYS_SO = re.compile(r"key|token|secret|password|env|config|settings|auth", re.I)
"""What a value or its name says where it may be a secret; all others are not looked up."""
_HARMLESS = re.compile(
    r"ANON|PUBLI|MAPS|ANALYTICS|POSTHOG|FIREBASE|MAPBOX|RECAPTCHA|SENTRY|PIXEL|CLERK_P|ALGOLIA|STRIPE_P|SHOPIFY_API_KEY"
)
_ANSWERS = {"json", "send", "jsonify", "JSONResponse", "JsonResponse", "Response", "jsonResponse"}
_PAGES = {"render", "render_template", "TemplateResponse"}
"""What makes a page of a template, which may show whatever it is handed."""
_LOADERS = {"getServerSideProps", "getStaticProps"}
"""What Next calls for a page's properties: all of them are in the page."""
_SETTINGS = re.compile(
    r"(^|/)(next\.config\.\w+|vite\.config\.\w+|app\.config\.(ts|js)|vue\.config\.js|webpack\.config\.\w+)$"
)


def handed_over(ctx: Context) -> Iterator[Finding]:
    """Findings for answers of routes and actions, and for what a bundler's settings put into the bundle."""
    for route in ctx.routes:
        if route.is_http and ctx.role_at(route.module, route.node) in LIVE_ROLES:
            yield from _in_answer(ctx, route)
    for module in ctx.live:
        if _SETTINGS.search(module.path):
            yield from _in_settings(ctx, module)
        for func in module.all(ir.Func) if "Props" in module.file.words else ():
            if func.name in _LOADERS:
                yield from _in_properties(ctx, module, func)


def _in_properties(ctx: Context, module: Module, func: ir.Func) -> Iterator[Finding]:
    """What a page of Next is given as properties: the browser gets all of them."""
    for value in returns(func):
        for name, place in _secrets_in(ctx, module, value):
            message = f"a page is given {name}"
            yield finding("client-exposed-token", module, place, message, key=name, weight=88)


def _in_answer(ctx: Context, route: Route) -> Iterator[Finding]:
    """A route's JSON, or what a server action returns, with a secret's value as it stands in the environment."""
    for handler in route.handlers:
        func, module = handler.node, handler.module
        if not isinstance(func, ir.Func) or module is None:
            continue
        given: list[ir.Node] = (
            list(returns(func)) if route.method == "ACTION" or module.language == "python" else []
        )
        for call in ir.find(func, ir.Call):
            name = ir.dotted(call.func).rpartition(".")[2]
            if name in _ANSWERS and call.args:
                given.append(call.args[0])
            if name in _PAGES:
                given.extend((*call.args[1:2], *([call.kw] if call.kw is not None else [])))
            given.extend(_cookie(call))
        for node in given:
            for name, place in _secrets_in(ctx, module, _made(module, node)):
                message = f"{route.key} answers with {name}"
                yield finding("client-exposed-token", module, place, message, key=name, weight=88)
            for name, place in _beginnings(ctx, module, _made(module, node)):
                message = f"{route.key} answers with a part of {name}"
                yield finding("client-exposed-token", module, place, message, key=name,
                              weight=BARELY if _says_kind(place) else 46)  # fmt: skip


def _made(module: Module, node: ir.Node) -> ir.Node:
    """The object that a variable was set to once: `const body = {…}` of `json(body)`."""
    values = [each.value for each in bindings_of(module, node) if not each.keys]
    return values[0] if len(values) == 1 and isinstance(values[0], ir.Obj) else node


_CUTS = {"substring", "slice", "substr"}


def _says_kind(cut: ir.Node) -> bool:
    """Whether no more than six letters are shown from the start: what every key of the kind begins with."""
    given = cut.args if isinstance(cut, ir.Call) else []
    numbers = [each.value for each in given if isinstance(each, ir.Lit)]
    return (
        len(numbers) == len(given) == 2
        and numbers[0] == 0
        and isinstance(numbers[1], int)
        and numbers[1] <= 6
    )


def _beginnings(ctx: Context, module: Module, node: ir.Node) -> Iterator[tuple[str, ir.Node]]:
    """`token.substring(0, 8)`, `token[:8]` in what is answered: a part of a secret, and that it is set."""
    for each in ir.walk(node):
        base = None
        if isinstance(each, ir.Call) and isinstance(each.func, ir.Attr) and each.func.name in _CUTS:
            base = each.func.obj
        elif isinstance(each, ir.Index) and module.language == "python" and not isinstance(each.key, ir.Lit):
            base = each.obj
        if isinstance(base, ir.Attr | ir.Name | ir.Call) and _SAYS_SO.search(ir.dotted(base)):
            name = _secret_of(ctx.ev.eval(module, base))
            if name:
                yield name, each


def _cookie(call: ir.Call) -> list[ir.Node]:
    """What a cookie is set to: the browser keeps it, and sends it back with every request."""
    name = ir.dotted(call.func).lower()
    sets = name.endswith(("cookies.set", "set_cookie", "setcookie", ".cookie")) or name == "cookies.set"
    return [each for each in call.args[1:2] if not isinstance(each, ir.Obj)] if sets else []


def _secrets_in(ctx: Context, module: Module, node: ir.Node) -> Iterator[tuple[str, ir.Node]]:
    """The plain values of an object that is answered, or the answer itself, which are secrets of the environment."""
    props = (
        [(each.key or "", each.value) for each in node.props] if isinstance(node, ir.Obj) else [("", node)]
    )
    for key, each in props:
        if isinstance(each, ir.Obj):
            yield from _secrets_in(ctx, module, each)
        elif not _SAYS_SO.search(f"{key} {ir.dotted(each)}"):
            continue
        elif isinstance(each, ir.Attr | ir.Index | ir.Name) or _reads_environment(each):
            name = _secret_of(ctx.ev.eval(module, each))
            if name:
                yield name, each


def _reads_environment(node: ir.Node) -> bool:
    """`os.getenv(…)`, `Deno.env.get(…)`: of other calls nobody knows what they make of a secret."""
    return isinstance(node, ir.Call) and re.search(r"env", ir.dotted(node.func), re.I) is not None


def _secret_of(value: Value) -> str:
    options = value.options if isinstance(value, OneOf) else (value,)
    read = (each.name for each in options if isinstance(each, Outside) and each.kind == "env")
    return next((each for each in read if _SECRET.search(each) and not _HARMLESS.search(each)), "")


def _in_settings(ctx: Context, module: Module) -> Iterator[Finding]:
    """`env: { TOKEN: process.env.TOKEN }` of Next, `define` of Vite, `extra` of Expo: all of it goes to the browser."""
    for prop in module.all(ir.Prop):
        if prop.key not in {"env", "define", "extra", "publicRuntimeConfig"} or not isinstance(
            prop.value, ir.Obj
        ):
            continue
        if is_for_tests(module, prop.line):
            continue
        for inner in prop.value.props:
            name = _secret_of(ctx.ev.eval(module, inner.value))
            for each in ir.find(inner.value, ir.Attr) if not name else ():
                name = name or (
                    each.name if _SECRET.search(each.name) and not _HARMLESS.search(each.name) else ""
                )
            if name:
                message = f"{name} is put into the browser's bundle"
                bundled = "next.config" not in module.path or ctx.once(read_by_pages, name)
                yield finding("client-exposed-token", module, inner, message, key=name,
                              weight=92 if bundled else BARELY)  # fmt: skip
