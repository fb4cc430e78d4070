"""Server secrets that code hands to the browser: in an answer, in a build's settings, to a page's component.

Part of `client-exposed-token`; secrets in variables that are public by their name are in `secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import OneOf, Outside, Value
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.secrets.made_public import read_by_pages

_SECRET = re.compile(
    r"(SECRET|TOKEN|SERVICE_(ROLE|KEY)|PRIVATE|API_KEY|PASSWORD|ACCESS_KEY)(_KEY|_TOKEN)?$|^(REPLICATE|OPENAI|ANTHROPIC)_\w*KEY$"
)
_SAYS_SO = re.compile(r"key|token|secret|password|env|config|settings|auth", re.I)
"""What a value or its name says where it may be a secret; all others are not looked up."""
_HARMLESS = re.compile(
    r"ANON|PUBLI|MAPS|ANALYTICS|POSTHOG|FIREBASE|MAPBOX|RECAPTCHA|SENTRY|PIXEL|CLERK_P|ALGOLIA|STRIPE_P"
)
_ANSWERS = {"json", "send", "jsonify", "JSONResponse", "JsonResponse", "Response", "jsonResponse"}
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
            if ir.dotted(call.func).rpartition(".")[2] in _ANSWERS and call.args:
                given.append(call.args[0])
            given.extend(_cookie(call))
        for node in given:
            for name, place in _secrets_in(ctx, module, node):
                message = f"{route.key} answers with {name}"
                yield finding("client-exposed-token", module, place, message, key=name, weight=88)


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
