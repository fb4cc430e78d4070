"""What counts as looking at who sent a webhook: a signature or a secret compared, or asking the provider oneself.

Part of the rule on webhooks; checks that let pass what they could not check are in `open_checks`.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.asking import own_secret
from portraitist.audit.facts.base import Context, ProviderCall, Route
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.signed import is_verification
from portraitist.audit.link.bindings import reaching, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target
from portraitist.audit.rules.base import (
    helpers_behind,
    helpers_of,
    last_name,
    names_in,
    of_body,
    provider_behind,
)
from portraitist.audit.rules.senders.pretended import agrees, pretended

_TOLD = {"status", "output"}
"""What a handler that asks the provider itself does not read from the body."""


def is_verified(ctx: Context, route: Route) -> bool:
    """Whether the handler, or a guard in front of it, checks who sent the request, or asks for the state itself."""
    handled = [each for each in route.handlers if isinstance(each.node, ir.Func) and each.module]
    if any(verifies(ctx, each.module, each.node) or asks_itself(ctx, each) for each in handled if each.node):
        return True
    for module, node in route.guards:
        known = _guard_functions(ctx, module, node)
        if not any(isinstance(each, ir.Func) for _, each in known) and _names_check(ctx, names_in(node)):
            return True
        if any(verifies(ctx, each, func) for each, func in known):
            return True
    return False


def checking_guards(ctx: Context, route: Route) -> list[tuple[Module, ir.Func]]:
    """The functions of the repository in front of a handler that look at who sent the request."""
    known = (one for module, node in route.guards for one in _guard_functions(ctx, module, node))
    return [(each, func) for each, func in known if isinstance(func, ir.Func) and verifies(ctx, each, func)]


def _guard_functions(ctx: Context, module: Module, node: ir.Node) -> list[tuple[Module, ir.Node]]:
    """What a guard's name leads to, where that is here."""
    made = node.func if isinstance(node, ir.Call) else node
    found = ctx.program.resolve(module, made)
    return [(each.module, each.node) for each in found if each.module is not None and each.node is not None]


def compares(ctx: Context, node: ir.Node) -> bool:
    """Whether an expression by itself compares a secret or a signature, or hands it to something that verifies."""
    if isinstance(node, ir.Name | ir.Attr):
        return _names_check(ctx, {node.id if isinstance(node, ir.Name) else node.name})
    if isinstance(node, ir.Call):
        return is_verification(node) or VERIFIES.search(ir.dotted(node.func).rpartition(".")[2]) is not None
    if not isinstance(node, ir.Bin) or node.right is None or node.op in {*_NO_COMPARISON, "or"}:
        return False
    nothing = isinstance(node.right, ir.Lit) or ir.plain_dotted(node.right) == "undefined"
    return not nothing and _SECRETS.search(" ".join(names_in(node))) is not None


VERIFIES = re.compile(
    r"verif|valid|compare|equal|unwrap|constructEvent|check_?(signature|secret|token)", re.I
)
_SECRETS = re.compile(
    r"secret|token|signature|hmac|digest|\bsig\b|\bhash|(web_?hook|header|shared)_?key", re.I
)


def asks_itself(ctx: Context, handler: Target) -> bool:
    """Whether a handler gets the state from the provider and reads neither state nor output of its body."""
    func, module = handler.node, handler.module
    if not isinstance(func, ir.Func) or module is None:
        return False
    inside = [each for each in ctx.calls if each.module is module and func in set(ir.ancestors(each.call))]
    asked = any(_asks_state(each) for each in inside) or _asks_below(ctx, module, func)
    return asked and not any(_is_told(ctx, module, each) for each in ir.walk(func))


def _asks_state(call: ProviderCall) -> bool:
    return call.purpose == "status" and not call.api.endswith("list")


MAX_ASKED = 2
"""How many helpers below a handler the provider may be asked for the state."""


def _asks_below(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether helpers that are not handed the body ask the provider for the state."""
    reached = {func}
    for each in ir.find(func, ir.Call):
        below = helpers_behind(ctx, each)
        if below and any(_is_body(module, arg) for arg in each.args):
            return False
        reached.update(below)
    for _ in range(MAX_ASKED - 1):
        reached |= {one for each in reached for one in helpers_of(ctx, each)}
    asking = (each.call for each in ctx.calls if _asks_state(each))
    return any(not reached.isdisjoint(ir.ancestors(each)) for each in asking)


def _is_body(module: Module, node: ir.Node) -> bool:
    """Whether an expression is all that was sent: `body` of `await request.json()`, `req.body`, or what is parsed."""
    if isinstance(node, ir.Name):
        made = [each.value for each in reaching(module, node) if each.value is not None]
        return any(last_name(one.func) in _PARSED for value in made for one in ir.find(value, ir.Call))
    return last_name(node) == "body"


_PARSED = {"json", "get_json", "loads", "parse", "text", "body", "read", "readBody"}


def _is_told(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a state or an output is read from the body of the request: `body.status`, `const { output } = …`."""
    if isinstance(node, ir.Attr):
        read = node.name in _TOLD and of_body(module, node)
        return read and provider_behind(ctx, module, node.obj) is None
    if not isinstance(node, ir.Assign) or not isinstance(node.target, ir.Obj):
        return False
    taken = any(each.key in _TOLD for each in node.target.props)
    parsed = any(each.name in {"json", "body"} for each in ir.find(node.value or node.target, ir.Attr))
    return taken and parsed and provider_behind(ctx, module, node.value) is None


MAX_VERIFIED = 4
"""How many calls below a webhook's handler its signature may be checked."""


def _names_check(ctx: Context, names: set[str]) -> bool:
    return any(
        each.lower() in ctx.words.webhook_checks or each.replace("_", "").lower() in ctx.words.webhook_checks
        for each in names
    )


def verifies(ctx: Context, module: Module | None, func: ir.Node, depth: int = 0) -> bool:
    """Whether a function, or what it calls, checks who sent a request by a signature or a secret."""
    return ctx.once(_verifies, module, func, depth)


def _verifies(ctx: Context, module: Module | None, func: ir.Node, depth: int) -> bool:
    assert module is not None
    named = variables_in(func) | {each.name for each in ir.find(func, ir.Attr)}
    named -= {ir.dotted(each.func).rpartition(".")[2] for each in pretended(ctx, func)}
    if _names_check(ctx, named - {""}):
        return True
    for test in ir.find(func, ir.If) if depth < 3 else ():
        told = any(_TELLS.search(_OF_OTHERS.sub("", each)) for each in names_in(test.test) if " " not in each)
        if told and test.then and not _only_presence(ctx, module, test.test):
            return True  # a branch of comments alone checks nothing
        if exits(test.then) and own_secret(ctx, module, test):
            return True
    if depth and any(own_secret(ctx, module, each) for each in ir.find(func, ir.Return)):
        return True  # `return sent === expected`, which the caller asks for
    calls = list(ir.find(func, ir.Call))
    if any(is_verification(each) for each in calls):
        return True
    called = (
        one for each in calls if not _handed_in(module, each) for one in ctx.program.functions_called(each)
    )
    return depth < MAX_VERIFIED and any(
        isinstance(each.node, ir.Func) and verifies(ctx, each.module, each.node, depth + 1) for each in called
    )


_TELLS = re.compile(r"secret|token|signature", re.I)
_OF_OTHERS = re.compile(r"(access|refresh|id|upload|page|device|push)_?tokens?", re.I)
"""Somebody's key to another service, which a handler uses; it says nothing of who sent a request."""


def _handed_in(module: Module, call: ir.Call) -> bool:
    """`handler(request)` in what wraps many handlers: what one of them checks says nothing of the others."""
    found = module.lookup(call.func.id, call.func) if isinstance(call.func, ir.Name) else None
    return found is not None and any(each.kind == "param" for each in found[1])


def _only_presence(ctx: Context, module: Module, test: ir.Node) -> bool:
    """`if (!signature)`, where `signature` is just a header or a setting: something was sent, nothing is compared.

    A helper that says yes to everything compares nothing either.
    """
    agreed = {one for each in ir.find(test, ir.Call) if agrees(ctx, each) for one in ir.walk(each)}
    for each in ir.walk(test):
        if each in agreed or _is_header(each):
            continue
        empty = isinstance(each, ir.Bin) and isinstance(each.right, ir.Lit) and not each.right.value
        compares = isinstance(each, ir.Bin) and each.op not in _NO_COMPARISON and not empty
        if isinstance(each, ir.Call) or compares:
            return False
        if isinstance(each, ir.Name) and not _SETTING.search(ir.plain_dotted(each.parent or each)):
            found = module.lookup(each.id, each)
            if found is None or not all(_is_given(one.value) for one in found[1]):
                return False
    return True


def _is_header(node: ir.Node) -> bool:
    """The `req` of `req.headers["x-signature"]`."""
    if not isinstance(node, ir.Name):
        return False
    read = node.parent
    return (
        isinstance(read, ir.Attr) and read.name == "headers" and isinstance(read.parent, ir.Index | ir.Attr)
    )


_SETTING = re.compile(r"^(process\.env|import\.meta|settings|config|env)\b", re.I)
_NO_COMPARISON = {"not", "!", "and", "or", "&&", "||"}


def _is_given(value: ir.Node | None) -> bool:
    """Whether an expression only reads a header, a query or a setting."""
    if isinstance(value, ir.Call) and isinstance(value.func, ir.Attr):
        return value.func.name in {"get", "getenv", "header"} and all(
            isinstance(each, ir.Lit) for each in value.args
        )
    return isinstance(value, ir.Attr | ir.Index)
