"""What denies: statements that turn a caller away, and functions that contain one.

A name alone protects nothing here: a function of the repository counts only when it can refuse.
"""

from __future__ import annotations

import functools
import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of, is_name, variables_in
from portraitist.audit.link.calls import argument_for, returns
from portraitist.audit.link.module import Module

_CODES = {401, 403, "401", "403", "UNAUTHORIZED", "FORBIDDEN", "Unauthorized"}
_WORDS = re.compile(
    r"unauthori[sz]ed|unauthenticated|not authenticated|forbidden|must be (logged|signed) in|not (logged|signed) in"
    r"|login required|(log|sign) ?in (first|required|to)|authentication required|no token"
    r"|invalid (token|session|api key)|permission|please (log|sign) in"
    r"|access denied|not allowed|not authori[sz]ed|authentication",
    re.I,
)
_ERROR_NAMES = re.compile(
    r"unauthori|forbidden|auth|permission|not_?(logged|signed)|accessdenied|not_authenticated", re.I
)
_HELPER = re.compile(r"auth|user|session|token|check|verify|ensure|require|valid|guard|access", re.I)


@functools.cache
def flat(name: str) -> str:
    """A name for comparison: its last part, lower case, without underscores."""
    return name.rpartition(".")[2].replace("_", "").lower()


def is_reader(ctx: Context, name: str) -> bool:
    """Whether a name is that of a call which says who is asking: `safeGetAuthUser`, `getCurrentUserOrNull`."""
    short = flat(name)
    return short in ctx.words.identity_readers or _READER.fullmatch(short) is not None


_READER = re.compile(
    r"(safe|try|maybe|optional)?(get|fetch|load|read|retrieve|resolve)?(my)?"
    r"(current|auth|authed|authenticated|loggedin|signedin|session)(user|session|identity|viewer|account|member|profile)"
    r"(id)?(ornull|orthrow|orundefined|safe|safely)?(from(request|req|session|token|headers?|cookies?|ctx|context))?"
)
"""Names of session readers, without underscores and in lower case."""


def reads_identity(ctx: Context, call: ir.Call) -> bool:
    """Whether a call says who is asking."""
    name = ir.plain_dotted(call.func) or ir.dotted(call.func)
    short = flat(name)
    if short == "get" and name.endswith("account.get"):
        return True
    if short in {"verify", "decode"}:
        return "jwt" in name.lower() or "token" in name.lower()
    if short == "auth":
        return not call.is_new and not isinstance(call.func, ir.Attr)
    return is_reader(ctx, short)


def reads_behind(ctx: Context, func: ir.Func, deeper: int) -> bool:
    """Whether a helper reads who is asking, itself or by a helper of its own."""
    calls = list(ir.find(func, ir.Call))
    return any(reads_identity(ctx, each) for each in calls) or (
        deeper > 0
        and any(
            isinstance(one.node, ir.Func) and ctx.once(reads_behind, one.node, deeper - 1)
            for each in calls
            for one in ctx.program.functions_called(each)
        )
    )


def is_guard_name(ctx: Context, name: str) -> bool:
    """Whether a name stands for something that denies by itself."""
    return ctx.once(_is_guard_name, name)


def _is_guard_name(ctx: Context, name: str) -> bool:
    short = name.rpartition(".")[2]
    guards = ctx.words.guards
    if (
        short.lower() in guards
        or flat(name) in guards
        or ".".join(name.lower().rsplit(".", 2)[-2:]) in guards
    ):
        return True
    return ctx.words.matches("guard", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", short))


def denies(ctx: Context, module: Module, func: ir.Func, depth: int = 0) -> bool:
    """Whether a function, or a function it calls, can refuse for want of an identity."""
    if depth > 3:
        return False
    if func not in ctx.denies:
        ctx.denies[func] = False
        ctx.denies[func] = _can_refuse(ctx, func, depth)
    return ctx.denies[func]


def is_always(module: Module, name: ir.Name) -> bool:
    """Whether a name is Supabase's whole answer, `{ data, error }`, which is there for everybody, signed in or not."""
    if isinstance(name.parent, ir.Attr | ir.Index) and name.parent.obj is name:
        return False
    values = [each.value for each in bindings_of(module, name) if each.value is not None and not each.keys]
    return bool(values) and all(
        isinstance(each, ir.Call) and _WHOLE.search(ir.plain_dotted(each.func)) for each in values
    )


_WHOLE = re.compile(r"\w\.auth\.get(Session|User)$")


def decides(method: ir.Func) -> bool:
    """Whether a guard's `canActivate` gives back anything but a plain yes: a no is a refusal there."""
    given = returns(method) if method.name == "canActivate" else []
    return any(not (isinstance(each, ir.Lit) and each.value is True) for each in given)


def _can_refuse(ctx: Context, func: ir.Func, depth: int) -> bool:
    for node in ir.walk(func):
        if isinstance(node, ir.Return) and node.throws and (_is_auth_error(node) or _makes_error(ctx, node)):
            return True
        if isinstance(node, ir.Call):
            if _refuses(ctx, node) and not _never_taken(ctx, func, node):
                return True
            if depth < 3 and _calls_denier(ctx, node, depth):
                return True
        if isinstance(node, ir.Try) and _sends_error(node):
            return True
        asks = isinstance(node, ir.If) and _tests_identity(ctx, node.test) and exits(node.then)
        if (
            isinstance(node, ir.If)
            and asks
            and not (_never_true(ctx, func, node.test) or _of_each(node, func))
        ):
            return True
    return False


def _sends_error(tried: ir.Try) -> bool:
    """Fastify's own refusal: `jwtVerify` throws an error that knows its status, and the catch sends that very error."""
    if not any(
        ir.dotted(each.func).endswith(".jwtVerify") for part in tried.body for each in ir.find(part, ir.Call)
    ):
        return False
    return any(
        ir.dotted(call.func).endswith(".send") and isinstance(handler.catches, ir.Name)
        and any(is_name(each, handler.catches.id) for each in call.args)
        for handler in tried.handlers for part in handler.body for call in ir.find(part, ir.Call)
    )  # fmt: skip


_EACH = {"map", "flatMap", "filter", "forEach", "find", "findIndex", "some", "every", "reduce", "sort"}


def _of_each(node: ir.Node, func: ir.Func) -> bool:
    """Whether a branch stands in what is done with each of many, `users.map(user => …)`: it leaves only that."""
    inner = (each for each in ir.ancestors(node) if isinstance(each, ir.Func) and func.line <= each.line)
    return any(
        each is not func and isinstance(made := each.parent, ir.Call) and isinstance(made.func, ir.Attr)
        and made.func.name in _EACH and each in made.args
        for each in inner
    )  # fmt: skip


def _never_taken(ctx: Context, func: ir.Func, node: ir.Node) -> bool:
    """Whether the branch around a refusal asks for nothing but an answer that is always there."""
    branch = next((each for each in ir.ancestors(node) if isinstance(each, ir.If | ir.Func)), None)
    return isinstance(branch, ir.If) and _never_true(ctx, func, branch.test)


def _never_true(ctx: Context, func: ir.Func, test: ir.Node) -> bool:
    """`!session`, where `session` is Supabase's whole answer."""
    module = ctx.program.module_of.get(func)
    named = list(ir.find(test, ir.Name))
    return module is not None and bool(named) and all(is_always(module, each) for each in named)


def _calls_denier(ctx: Context, call: ir.Call, depth: int) -> bool:
    for target in ctx.program.functions_called(call):
        if (
            isinstance(target.node, ir.Func)
            and target.module is not None
            and denies(ctx, target.module, target.node, depth + 1)
        ):
            name = ir.plain_dotted(call.func) or target.node.name
            if is_guard_name(ctx, name) or is_reader(ctx, name) or _HELPER.search(name):
                return True
    return False


def demands(ctx: Context, func: ir.Func, name: str, depth: int = 0) -> bool:
    """Whether a function, or one that it hands `name` to, leaves by a test of that: `if not user: raise …`."""
    for branch in ir.find(func, ir.If):
        if name in variables_in(branch.test):
            missing = any(
                _is_negative(each) and name in variables_in(each) for each in ir.find(branch.test, ir.Bin)
            )
            if exits(branch.then if missing else branch.other):
                return True
    for call in ir.find(func, ir.Call) if depth < 2 else ():
        for target in ctx.program.functions_called(call) if name in variables_in(call) else ():
            inner = target.node
            if not isinstance(inner, ir.Func):
                continue
            given = ((one, argument_for(call, inner, one)) for one in inner.params)
            handed = (one for one, value in given if isinstance(value, ir.Name) and value.id == name)
            if any(demands(ctx, inner, one.name, depth + 1) for one in handed):
                return True
    return False


def _is_negative(test: ir.Bin) -> bool:
    """`not user`, `user is None`."""
    nothing = isinstance(test.right, ir.Lit) and test.right.value is None
    return test.op in {"not", "!"} or (test.op in {"is", "==", "==="} and nothing)


def _is_auth_error(node: ir.Return) -> bool:
    value = node.value
    if value is None:
        return False
    if _ERROR_NAMES.search(ir.dotted(value)):
        return True
    return any(
        _is_code(each) or (isinstance(each.value, str) and _WORDS.search(each.value))
        for each in ir.find(value, ir.Lit)
    ) or any(re.search(r"40[13]|UNAUTHORIZED|FORBIDDEN", each.name) for each in ir.find(value, ir.Attr))


def _makes_error(ctx: Context, node: ir.Return) -> bool:
    """`raise refusal()`: a helper that makes the error."""
    made = ctx.program.functions_called(node.value) if isinstance(node.value, ir.Call) else []
    values = [value for each in made if isinstance(each.node, ir.Func) for value in returns(each.node)]
    return any(_ERROR_NAMES.search(ir.dotted(each)) for each in values)


def _is_code(node: ir.Lit) -> bool:
    return not isinstance(node.value, bool) and node.value in _CODES


def _refuses(ctx: Context, call: ir.Call) -> bool:
    """A response with 401 or 403, or a redirect to a login page."""
    name = ir.dotted(call.func).rpartition(".")[2]
    arguments = [*call.args, *([call.kw] if call.kw else [])]
    if name in {
        "status",
        "sendStatus",
        "abort",
        "HTTPException",
        "json",
        "Response",
        "NextResponse",
        "JsonResponse",
        "code",
        "jsonify",
        "error",
        "send_error",
        "createError",
        "HttpResponse",
        "JSONResponse",
        "text",
        "fail",
        "writeHead",
        "TRPCError",
        "send",
        "make_response",
        "throw",
        "assert",
    }:
        for arg in arguments:
            direct = arg if isinstance(arg, ir.Lit) else None
            if direct is not None and _is_code(direct):
                return True
            if isinstance(arg, ir.Obj) and any(
                _code_in(each)
                for each in arg.props
                if each.key in {"status", "status_code", "code", "statusCode"}
            ):
                return True
            if isinstance(arg, ir.Attr) and re.search(r"40[13]|UNAUTHORIZED|FORBIDDEN", arg.name):
                return True
    plain = (arg.value for arg in call.args if isinstance(arg, ir.Lit) and not isinstance(arg.value, bool))
    if isinstance(call.parent, ir.Return) and any(each in {401, 403} for each in plain):
        return True  # `return errorResponse("…", 401)`
    if name in {"HttpResponseForbidden", "notFound", "HTTPUnauthorized", "unauthorized", "forbidden"}:
        return name != "notFound"
    if name in {
        "redirect",
        "RedirectResponse",
        "HttpResponseRedirect",
        "replace",
        "push",
        "redirect_to_login",
    }:
        return any(
            isinstance(each.value, str) and ctx.words.matches("login_place", each.value)
            for arg in arguments
            for each in ir.find(arg, ir.Lit)
        )
    return False


def _code_in(prop: ir.Prop) -> bool:
    return any(_is_code(each) for each in ir.find(prop.value, ir.Lit)) or any(
        re.search(r"40[13]|UNAUTHORIZED|FORBIDDEN", each.name) for each in ir.find(prop.value, ir.Attr)
    )


def _tests_identity(ctx: Context, test: ir.Node) -> bool:
    """A negative test of who is asking: `!req.user`, `not session`, `'user_id' not in session`."""
    negative = any(
        isinstance(each, ir.Bin) and (each.op in {"not", "==", "===", "not in", "is"})
        for each in ir.walk(test)
    )
    return negative and bool(identity_word(ctx, test))


def identity_word(ctx: Context, test: ir.Node) -> str:
    """The word of a test that names an identity, or ""."""
    for node in ir.walk(test):
        name = node.id if isinstance(node, ir.Name) else node.name if isinstance(node, ir.Attr) else ""
        if isinstance(node, ir.Lit) and isinstance(node.value, str):
            name = node.value
        short = name.replace("_", "").lower()
        if short and (name.lower() in ctx.words.identity_fields or short in ctx.words.identity_fields):
            return name
    return ""


def exits(body: list[ir.Node]) -> bool:
    """Whether a branch leaves the function (or answers, as Express handlers do)."""
    for each in body:
        for node in ir.walk(each):
            if isinstance(node, ir.Return):
                return True
            if isinstance(node, ir.Func):
                break
            if isinstance(node, ir.Call) and ir.dotted(node.func).rpartition(".")[2] in {
                "abort",
                "redirect",
                "sendStatus",
                "exit",
                "throw_error",
                "throw",
            }:
                return True
    return False


def refuses_in(ctx: Context, body: list[ir.Node]) -> bool:
    """Whether a branch holds an explicit refusal."""
    return any(
        (isinstance(node, ir.Call) and _refuses(ctx, node))
        or (isinstance(node, ir.Return) and (node.throws or _answers_code(node.value)))
        for each in body
        for node in ir.walk(each)
    )


def turns_away(ctx: Context, body: list[ir.Node]) -> bool:
    """Whether a branch refuses for want of an identity: as `refuses_in`, but not by any other error."""
    for part in body:
        for node in ir.walk(part):
            if isinstance(node, ir.Call) and _refuses(ctx, node):
                return True
            if isinstance(node, ir.Return) and (
                _is_auth_error(node) if node.throws else _answers_code(node.value)
            ):
                return True
    return False


def _answers_code(value: ir.Node | None) -> bool:
    """`return jsonify(…), 401`."""
    items = value.items if isinstance(value, ir.Arr) else []
    return any(isinstance(each, ir.Lit) and _is_code(each) for each in items)
