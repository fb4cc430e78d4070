"""The same checks at the other places where a reader anchors them: the branch that turns away, the guard's definition.

For the JSON alone, as all of `other_places`, which adds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import auth, auth_answers, denial
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module

Anchor = tuple[Module, ir.Node, str, str]
"""A module, a node of it, the fact's kind and key."""


def places(ctx: Context) -> Iterator[Anchor]:
    """Every other place of a check."""
    for way in (_denying, _guards, _helpers_asking, _privileged, _mounted):
        yield from way(ctx)


def _denying(ctx: Context) -> Iterator[Anchor]:
    """The branch that turns away by what a guard answered, and the call whose answer a branch looks at."""
    for fact in ctx.of("auth"):
        module = ctx.program.modules[fact.path]
        func = module.function_at(fact.line)
        if func is None:
            continue
        short = fact.key.rpartition(".")[2]
        for call in ir.find(func, ir.Call):
            if call.line == fact.line and ir.dotted(call.func).rpartition(".")[2] == short:
                kept = ir.enclosing(call, ir.Assign)
                if kept is not None and kept.line < call.line <= kept.line + 4:
                    yield module, ir.Other(kept.line, call.line, []), "auth", fact.key
                test = auth_answers.test_of(ctx, module, func, call)
                if test is not None and test.line - fact.end_line < 12:
                    yield module, ir.Other(test.line, test.line, []), "auth", fact.key
        for branch in ir.find(func, ir.If):
            if branch.line == fact.line:
                yield from _answered_by(ctx, module, branch)
                for attr in ir.find(branch.test, ir.Attr):
                    if ir.plain_dotted(attr.obj) == "process.env":
                        yield module, branch, "auth", attr.name


GUARDS_DEEP = 2
"""So many functions behind a guard's name are looked at: the guard, and the check that it leaves the answer to."""


def _guards(ctx: Context) -> Iterator[Anchor]:
    """The definitions of the guards that stand before handlers, where they are here."""
    for fact in ctx.of("auth"):
        asked = [(ctx.program.modules[fact.path], fact.line, fact.key)]
        for _ in range(GUARDS_DEEP):
            found = [each for about in asked for each in _defined(ctx, *about)]
            yield from ((module, func, "auth", func.name) for module, func in found if func.name)
            checks = (each for module, func in found for each in auth.in_body(ctx, module, func))
            asked = [(module, node.line, name) for name, module, node in checks]


def _defined(ctx: Context, module: Module, line: int, key: str) -> Iterator[tuple[Module, ir.Func]]:
    """The functions of the repository that a name on a line stands for."""
    short = key.rpartition(".")[2]
    for node in ctx.once(_by_line, module).get(line, ()):
        if (node.id if isinstance(node, ir.Name) else node.name) == short:
            for target in ctx.program.resolve(module, node):
                if isinstance(target.node, ir.Func) and target.module is not None:
                    yield target.module, target.node


def _by_line(_ctx: Context, module: Module) -> dict[int, list[ir.Name | ir.Attr]]:
    found: dict[int, list[ir.Name | ir.Attr]] = {}
    named: list[ir.Name | ir.Attr] = [*module.all(ir.Name), *module.all(ir.Attr)]
    for node in named:
        found.setdefault(node.line, []).append(node)
    return found


def _answered_by(ctx: Context, module: Module, branch: ir.If) -> Iterator[Anchor]:
    """The call of who asks behind what a branch tests: `getServerSession(…)`, `auth((req) => …)`."""
    for name in ir.find(branch.test, ir.Name):
        for binding in reaching(module, name):
            func = binding.node.parent if isinstance(binding.node, ir.Param) else None
            source = func.parent if isinstance(func, ir.Func) else binding.value
            if isinstance(source, ir.Call) and denial.reads_identity(ctx, source):
                key = ir.plain_dotted(source.func) or ir.dotted(source.func)
                yield module, ir.Other(source.line, source.line, []), "auth", key


def _helpers_asking(ctx: Context) -> Iterator[Anchor]:
    """The checks of functions on the way to a paid call, and those behind an earlier one."""
    for func in dict.fromkeys(func for flow in ctx.flows for func in flow.funcs):
        calls = (ir.plain_dotted(each.func) for each in ir.find(func, ir.Call))
        if func in ctx.handled_by or not any(denial.is_reader(ctx, each) for each in calls):
            continue
        module = ctx.program.module_of[func]
        for name, where, node in auth.in_body(ctx, module, func):
            yield where, node, "auth", name


def _mounted(ctx: Context) -> Iterator[Anchor]:
    """What Gradio asks before it serves an application that is mounted: `auth_dependency=get_user`."""
    for module in ctx.live:
        for call in module.calls({"mount_gradio_app"}):
            asked = ir.keyword(call, "auth_dependency", "auth")
            if asked is not None and (name := ir.plain_dotted(asked)):
                yield module, call, "auth", name


_PRIVILEGE = re.compile(
    r"^_?(is|has|check|verify|require|ensure)_?(\w*_)?"
    r"(admin|owner|staff|superuser|moderator|permission|allowed|authorized|subscriber|subscription)s?$",
    re.I,
)
"""Names of questions whose answer lets in or turns away, in snake case: `is_admin`, `has_permission`."""


def _privileged(ctx: Context) -> Iterator[Anchor]:
    """The branch on a question whose answer turns away: for a privilege, in a bot's handler too, or with 401 or 403."""
    for module in ctx.live:
        for branch in module.all(ir.If):
            for call in ir.find(branch.test, ir.Call):
                name = ir.plain_dotted(call.func).rpartition(".")[2]
                if not (name and call.args):
                    continue
                if _PRIVILEGE.match(snake(name)) or (
                    _ASKS.match(name) and denial.turns_away(ctx, branch.then)
                ):
                    yield module, branch, "auth", name


_ASKS = re.compile(r"(is|has|can|may|check|verify|valid|authori|authent|ensure|assert|allow)", re.I)
