"""Part of the rule on states that stay open: webhooks of the provider that cannot store what they are told.

A database's policies are read from SQL files; what the environment holds is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import visible
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Outside
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, last_name, live_statements, names_in
from portraitist.audit.rules.open_ways.open_database import keeps_strangers_from
from portraitist.audit.rules.state_words import STATE
from portraitist.audit.rules.states.marks import states_of
from portraitist.audit.rules.states.open_ends import hooks_of

_PUBLIC_KEY = re.compile(r"ANON|PUBLISHABLE")
_OWN_KEY = re.compile(r"SERVICE|SECRET|ADMIN", re.I)
_CLIENTS = {"createClient", "createServerClient", "createRouteHandlerClient", "create_client"}
_SIGNED = re.compile(r"webhook-?id|svix-id", re.I)


def deaf_hooks(ctx: Context) -> Iterator[Finding]:
    """Handlers that the database, their own check of signatures, or an output that is not there keep from storing."""
    hooks = {func: ctx.program.modules[path] for func, path in hooks_of(ctx)}
    yield from _kept_out(ctx, set(hooks))
    for func, module in hooks.items():
        yield from _reads_first(module, func)
        for inner in (func, *helpers_of(ctx, func)):
            yield from _signs_undecoded(ctx, ctx.program.module_of[inner], inner)


def _kept_out(ctx: Context, hooks: set[ir.Func]) -> Iterator[Finding]:
    """A state written as a visitor without a session, to a table whose policies ask who that is: no row is changed."""
    for each in live_statements(ctx, "write") if hooks else ():
        if each.insert or each.func not in hooks or not states_of(each) or not _as_visitor(ctx, each):
            continue
        if keeps_strangers_from(ctx, each.table, "update"):
            message = (
                f"the provider has no session, and the policies of {each.table} let nobody without one change a row: "
                "this changes none, without an error"
            )
            yield finding("stuck-status", each.module, each.node, message, key=f"{each.table} session", weight=72,
                          line=each.line, end=each.end)  # fmt: skip


def _as_visitor(ctx: Context, statement: Statement) -> bool:
    """Whether a statement's client is made with the key that every browser has."""
    root = ir.root_of(statement.node)
    while isinstance(root, ir.Call):
        root = ir.root_of(root.func)
    found = statement.module.lookup(root.id, root) if isinstance(root, ir.Name) else None
    for each in visible(found[1], root) if found and root is not None else []:
        made = each.value
        inner = (
            [made, *(one.node for one in ctx.program.functions_called(made))]
            if isinstance(made, ir.Call)
            else []
        )
        clients = [
            call
            for part in inner
            if part is not None
            for call in ir.find(part, ir.Call)
            if last_name(call.func) in _CLIENTS and call.args
        ]
        keys = {name for call in clients for name in names_in(call)}
        if any(_PUBLIC_KEY.search(name) for name in keys) and not any(_OWN_KEY.search(name) for name in keys):
            return True
    return False


def _signs_undecoded(ctx: Context, module: Module, func: ir.Func) -> Iterator[Finding]:
    """The HMAC over `id.timestamp.body` with the secret as it stands: the provider's is base64 behind `whsec_`."""
    signs = names_in(func) & {"base64", "b64encode"} and _SIGNED.search("\n".join(module.lines))
    for call in ir.find(func, ir.Call) if signs else ():
        name = ir.dotted(call.func)
        at = 1 if name.endswith("createHmac") else 0 if name == "hmac.new" else len(call.args)
        key = call.args[at] if len(call.args) > at else None
        tries = any(isinstance(each, ir.Loop) for each in ir.ancestors(call))
        if key is None or tries or not _is_setting(ctx, module, key):
            continue
        message = (
            "the webhook's secret signs as it stands; the provider's is base64 behind 'whsec_' and must be decoded "
            "first, so every true webhook is refused"
        )
        yield finding("stuck-status", module, call, message, key="undecoded secret", weight=64)


def _is_setting(ctx: Context, module: Module, key: ir.Node) -> bool:
    """Whether a key is a setting of the environment as it stands, perhaps one that every caller hands over."""
    if isinstance(key, ir.Call) and last_name(key.func) == "encode" and isinstance(key.func, ir.Attr):
        key = key.func.obj
    value = ctx.ev.eval(module, key)
    if isinstance(value, Outside) and value.kind == "env":
        return True
    own = key.within if isinstance(key, ir.Name) else None
    param = (
        next((each for each in own.params if each.name == last_name(key)), None) if own is not None else None
    )
    if own is None or param is None:
        return False
    sites = ctx.program.callers.get(own, [])
    given = [(each.module, argument_for(each.call, own, param)) for each in sites]
    values = [ctx.ev.eval(where, node) for where, node in given if node is not None]
    return len(values) == len(sites) > 0 and all(
        isinstance(each, Outside) and each.kind == "env" for each in values
    )


def _reads_first(module: Module, func: ir.Func) -> Iterator[Finding]:
    """`body.output.weights` before anybody asks how the run went: work that failed has no output, and this throws."""
    states = [each for each in ir.find(func, ir.If) if _about_end(each.test)]
    later = [each.line for each in ir.find(func, ir.Bin) if _about_end(each)]
    for node in ir.walk(func):
        if (
            not isinstance(node, ir.Attr | ir.Index)
            or not _is_output(node.obj)
            or node.maybe
            or node.within is not func
        ):
            continue
        asked = any(each.line <= node.line and exits(each.then) for each in states)
        if asked or not any(line > node.line for line in later) or _is_guarded(node, func):
            continue
        last = max(line for line in later if line > node.line)
        message = f"work that failed has no output: this throws before line {last} stores how it ended"
        yield finding("stuck-status", module, node, message, key="output first", weight=58,
                      evidence=[Place(module.path, last)])  # fmt: skip
        return


def _about_end(test: ir.Node) -> bool:
    names = names_in(test)
    return bool(names & {"succeeded", "failed", "canceled"}) and any(
        STATE.search(each.lower()) for each in names
    )


def _is_output(node: ir.Node) -> bool:
    """`body.output`, `body["output"]`: what the provider sends of a run's end."""
    return (
        isinstance(node, ir.Attr | ir.Index)
        and last_name(node) == "output"
        and not isinstance(node.parent, ir.Call)
    )


def _is_guarded(node: ir.Node, func: ir.Func) -> bool:
    """Whether a test, or an attempt, stands around: also `output && output[0]`."""
    for each in ir.ancestors(node):
        if each is func:
            return False
        if isinstance(each, ir.If | ir.Cond | ir.Loop | ir.Func | ir.Handler):
            return True
        if isinstance(each, ir.Try) and any({"failed", "FAILED"} & names_in(one) for one in each.handlers):
            return True
        if isinstance(each, ir.Bin) and each.op in {"and", "&&", "or"}:
            return True
    return False
