"""Which check protects which route: guards in front of it, dependencies, and checks in its body.

Adds `auth` facts where something really denies; a route without one has an empty `guarded_by`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import asking, denial, routes_trpc
from portraitist.audit.facts.auth_answers import answer_tested, asked_after, is_of_key, swallowed
from portraitist.audit.facts.auth_optional import asks_nobody, lets_pass, lets_strangers, may_be_nobody
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.last_word import refuses_the_rest
from portraitist.audit.facts.mounts import listed
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target
from portraitist.audit.model import Place

_VERIFIERS = re.compile(r"^(jsonwebtoken|jose|jwt|python_jose|PyJWT|firebase_admin|itsdangerous)\b")
_SCHEMES = re.compile(
    r"^(fastapi\.security\.|hono/(jwt|bearer-auth|basic-auth|jwk)\b|express-(jwt|basic-auth)\b|express-oauth2-jwt-bearer\b)"
)
"""Libraries whose calls refuse by themselves, whatever they are called."""
_OF_IDENTITY = re.compile("auth|user|session|token|admin|permission")


def collect(ctx: Context) -> None:
    """Fills `guarded_by` of every route and adds one fact for each check."""
    seen: set[tuple[str, int, str]] = set()
    for route in ctx.routes:
        if not route.is_http:
            continue
        optional = set(_optional(ctx, route))
        for name, module, node in _checks(ctx, route, optional):
            place = Place(module.path, node.line)
            if node not in optional:
                route.guarded_by.append((name, place))
            if (module.path, node.line, name) not in seen:
                seen.add((module.path, node.line, name))
                ctx.add("auth", name, module, node, shows=name.rpartition(".")[2])


def _optional(ctx: Context, route: Route) -> Iterator[ir.Node]:
    """The parameters for who asks that may be None while the route serves all the same."""
    for target in route.handlers:
        if target.module is not None and isinstance(target.node, ir.Func):
            for param, where, depended in dependencies(ctx, target.module, target.node):
                if may_be_nobody(ctx, where, depended, target.node, param):
                    yield param


def _checks(ctx: Context, route: Route, optional: set[ir.Node]) -> list[tuple[str, Module, ir.Node]]:
    found: list[tuple[str, Module, ir.Node]] = []
    for module, node in route.guards:
        name = _guard(ctx, module, node)
        if name:
            found.append((name, module, node))
    if route.framework == "python" and "urlpatterns" in route.module.top.names:
        found.extend(_of_settings(ctx, route))
    for target in route.handlers:
        if target.module is not None and isinstance(target.node, ir.Func):
            found.extend(_parameters(ctx, target.module, target.node))
            found.extend(_of_class(ctx, target.module, target.node))
            if all(node in optional for _, _, node in found):
                found.extend(in_body(ctx, target.module, target.node))
    return found


def _of_settings(ctx: Context, route: Route) -> list[tuple[str, Module, ir.Node]]:
    """What Django's settings put in front of every view, or of all of the REST framework, that do not opt out."""
    funcs = route.funcs
    around = [(each, each.parent) for each in funcs]
    texts = [ir.dotted(one) for func, _ in around for one in func.decorators]
    own = [one for _, cls in around if isinstance(cls, ir.Class) for one in ir.find(cls, ir.Name)]
    opened = any(each.id == "AllowAny" for each in own) or any("not_required" in each for each in texts)
    rest = any(isinstance(cls, ir.Class) for _, cls in around) or any(
        each.endswith("api_view") for each in texts
    )
    if opened or any(each.endswith("permission_classes") for each in texts):
        return []
    found: list[tuple[str, Module, ir.Node]] = []
    for module in ctx.live if funcs else ():
        if module.language != "python" or "settings" not in module.path:
            continue
        for lit in module.all(ir.Lit):
            name = str(lit.value).rpartition(".")[2] if isinstance(lit.value, str) else ""
            listed = next((each for each in ir.ancestors(lit) if isinstance(each, ir.Prop)), None)
            default = listed is not None and listed.key == "DEFAULT_PERMISSION_CLASSES"
            if name == "LoginRequiredMiddleware" or (rest and default and name in _PERMISSIONS):
                found.append((name, module, lit))
    return found


_PERMISSIONS = {"IsAuthenticated", "IsAdminUser", "DjangoModelPermissions", "DjangoObjectPermissions"}


def _guard(ctx: Context, module: Module, node: ir.Node, depth: int = 0) -> str:
    """The name of a guard expression that denies, or ""."""
    if isinstance(node, ir.Func):
        denies = denial.denies(ctx, module, node) or in_body(ctx, module, node)
        return (node.name or "anonymous") if denies else ""
    if depth < 3 and (several := listed(ctx, module, node)):
        return next((one for where, each in several if (one := _guard(ctx, where, each, depth + 1))), "")
    callee = node.func if isinstance(node, ir.Call) else node
    name = ir.plain_dotted(callee) or (callee.name if isinstance(callee, ir.Attr) else "")
    if routes_trpc.is_procedure(name):
        before = routes_trpc.middleware(ctx, module, node)
        return name if any(_guard(ctx, where, each) for where, each in before) else ""
    targets = ctx.program.resolve(module, node.func if isinstance(node, ir.Call) else node)
    own = [each for each in targets if isinstance(each.node, ir.Func) and each.module is not None]
    if own:
        return name if not asks_nobody(name) and any(_target_denies(ctx, each) for each in own) else ""
    classes = [each for each in targets if isinstance(each.node, ir.Class) and each.module is not None]
    for each in classes:
        methods = (
            [one for one in each.node.body if isinstance(one, ir.Func)]
            if isinstance(each.node, ir.Class)
            else []
        )
        if each.module is not None and any(
            denial.denies(ctx, each.module, one) or denial.decides(one) for one in methods
        ):
            return name
    if classes:
        return name if denial.is_guard_name(ctx, name) else ""
    if (
        name.rpartition(".")[2] in {"permission_classes", "Depends", "Security"}
        and isinstance(node, ir.Call)
        and depth < 3
    ):
        parts = [part for arg in node.args for part in (arg.items if isinstance(arg, ir.Arr) else [arg])]
        return next((inner for part in parts if (inner := _guard(ctx, module, part, depth + 1))), "")
    if any(_SCHEMES.match(each.origin) for each in targets):
        return name
    return name if name and denial.is_guard_name(ctx, name) else ""


def _target_denies(ctx: Context, target: Target) -> bool:
    assert isinstance(target.node, ir.Func) and target.module is not None
    if denial.denies(ctx, target.module, target.node):
        return True
    return bool(in_body(ctx, target.module, target.node)) or bool(
        _parameters(ctx, target.module, target.node, 1)
    )


def _parameters(
    ctx: Context, module: Module, func: ir.Func, depth: int = 0
) -> list[tuple[str, Module, ir.Node]]:
    """FastAPI dependencies in defaults and annotations, and through aliases of annotated types."""
    found: list[tuple[str, Module, ir.Node]] = []
    if module.language != "python" or depth > 3:
        return found
    for param, where, depended in dependencies(ctx, module, func):
        name = _dependency(ctx, where, depended, depth)
        if name and (depth == 0 or not may_be_nobody(ctx, where, depended, func, param)):
            found.append((name, module, param))
    return found


def dependencies(ctx: Context, module: Module, func: ir.Func) -> Iterator[tuple[ir.Param, Module, ir.Node]]:
    """What a FastAPI function depends on: the parameter, and the expression in `Depends` with its module."""
    for param in func.params if module.language == "python" else ():
        nodes = [(module, param.default)] if param.default is not None else []
        for where, node in (*nodes, *_annotated(ctx, module, param.annotation)):
            for call in ir.find(node, ir.Call):
                if ir.dotted(call.func).rpartition(".")[2] in {"Depends", "Security"} and call.args:
                    yield param, where, call.args[0]


def _annotated(
    ctx: Context, module: Module, annotation: ir.Node | None, depth: int = 0
) -> list[tuple[Module, ir.Node]]:
    """An annotation, and what its name is an alias of, imported or not."""
    if annotation is None:
        return []
    nodes = [(module, annotation)]
    for binding in bindings_of(module, annotation):
        if binding.value is not None:
            nodes.append((module, binding.value))
        elif binding.kind == "import" and isinstance(binding.node, ir.Import) and depth < 4:
            path = ctx.program.resolver.resolve(module.path, binding.node.module, module.language)
            other = ctx.program.modules.get(path) if path else None
            inner = [each.value for each in other.top.names.get(str(binding.keys[0]), [])] if other else []
            nodes.extend((other, each) for each in inner if other is not None and each is not None)
    return nodes


def _dependency(ctx: Context, module: Module, node: ir.Node, depth: int) -> str:
    name = ir.plain_dotted(node.func if isinstance(node, ir.Call) else node)
    for target in ctx.program.resolve(module, node):
        if isinstance(target.node, ir.Func) and target.module is not None:
            if denial.denies(ctx, target.module, target.node) or _parameters(
                ctx, target.module, target.node, depth + 1
            ):
                return name
            return ""
        if _SCHEMES.match(target.origin):
            return "" if lets_pass(ctx, module, node) else name
    return name if denial.is_guard_name(ctx, name) else ""


def _of_class(ctx: Context, module: Module, func: ir.Func) -> list[tuple[str, Module, ir.Node]]:
    """Mixins and `permission_classes` of a view class; decorators of the function itself."""
    found: list[tuple[str, Module, ir.Node]] = []
    cls = func.parent
    if isinstance(cls, ir.Class):
        for base in cls.bases:
            if denial.is_guard_name(ctx, ir.dotted(base)):
                found.append((ir.dotted(base), module, base))
        for each in cls.body:
            if (
                isinstance(each, ir.Assign)
                and isinstance(each.target, ir.Name)
                and each.target.id in {"permission_classes", "decorators"}
            ):
                for part in each.value.items if isinstance(each.value, ir.Arr) else []:
                    name = _guard(ctx, module, part)
                    if name:
                        found.append((name, module, part))
    for decorator in func.decorators if module.language == "python" else []:
        name = _guard(ctx, module, decorator)
        if name and not re.search(r"\.(get|post|put|delete|patch|route)$", name):
            found.append((name, module, decorator))
    return found


def asks_who(ctx: Context, func: ir.Func) -> bool:
    """Whether a function, such as one on the way to a paid call, asks who calls and turns the others away."""
    if func not in ctx.asking:
        ctx.asking[func] = False  # a function that calls itself says nothing
        module = ctx.program.module_of[func]
        ctx.asking[func] = any(_call_check(ctx, module, func, each) for each in ir.find(func, ir.Call))
    return ctx.asking[func]


def in_body(ctx: Context, module: Module, func: ir.Func, depth: int = 0) -> list[tuple[str, Module, ir.Node]]:
    """The first check in a function's body that denies, as (name, module, node).

    A test that a header was sent at all counts only where nothing behind it looks at what was sent.
    """
    sent: list[tuple[str, Module, ir.Node]] = []
    for node in ir.walk(func):
        if isinstance(node, ir.Call):
            name = _call_check(ctx, module, func, node)
            if name:
                return [(name, module, node)]
        elif isinstance(node, ir.If):
            name = "" if lets_strangers(node) else asking.tested(ctx, module, node)
            if name and asking.is_presence(node.test):
                sent = sent or [(name, module, node)]
            elif name:
                return [(name, module, node)]
    return sent or _handed_on(ctx, func, depth)


def _handed_on(ctx: Context, func: ir.Func, depth: int) -> list[tuple[str, Module, ir.Node]]:
    """The check of the function that alone answers for this one: `return handle(request)`, with no other way out."""
    ways = list(ir.find(func, ir.Return)) if depth < 2 else []
    if len(ways) != 1 or ways[0].throws or not any(each is ways[0] for each in func.body):
        return []
    answer = ways[0].value
    asked = [
        in_body(ctx, each.module, each.node, depth + 1)
        for each in (ctx.program.functions_called(answer) if isinstance(answer, ir.Call) else ())
        if isinstance(each.node, ir.Func) and each.module is not None
    ]
    return asked[0] if asked and all(asked) else []


def _call_check(ctx: Context, module: Module, func: ir.Func, call: ir.Call) -> str:
    name = ir.plain_dotted(call.func) or ir.dotted(call.func)
    if not name:
        return ""
    own = [each for each in ctx.program.functions_called(call) if isinstance(each.node, ir.Func)]
    reader = denial.is_reader(ctx, name)
    if own:
        relevant = reader or denial.is_guard_name(ctx, name) or _OF_IDENTITY.search(name.lower())
        for each in own:
            assert isinstance(each.node, ir.Func) and each.module is not None
            if is_of_key(ctx, module, func, call, each.node):
                return name
            proof = asking.wants_proof(ctx, name, each.node) or refuses_the_rest(ctx, name, each.node)
            if not (relevant or proof or asks_who(ctx, each.node)):
                continue
            if throws(ctx, each.module, each.node) and not swallowed(call):
                return name
            reads = ctx.once(denial.reads_behind, each.node, 1)
            if (denial.denies(ctx, each.module, each.node) or reads) and answer_tested(
                ctx, module, func, call
            ):
                return "" if swallowed(call) and not asked_after(func, call) else name
        return ""
    if denial.is_guard_name(ctx, name) and not reader:
        return name
    if reader and _verifies(ctx, module, call):
        return name
    if denial.reads_identity(ctx, call) and answer_tested(ctx, module, func, call):
        return name
    return ""


def throws(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether a helper refuses by raising or redirecting, so that its caller need not test anything."""
    for node in ir.walk(func):
        if isinstance(node, ir.Return) and node.throws and not _in_handler(node):
            return denial.denies(ctx, module, func)
        if isinstance(node, ir.Call) and ir.dotted(node.func).rpartition(".")[2] in {"redirect", "abort"}:
            return denial.denies(ctx, module, func)
    return False


def _in_handler(node: ir.Node) -> bool:
    return ir.enclosing(node, ir.Handler) is not None


def _verifies(ctx: Context, module: Module, call: ir.Call) -> bool:
    """`jwt.verify(…)` of a library: raises by itself."""
    return bool(_VERIFIERS.match(ctx.program.origin(module, call.func)))
