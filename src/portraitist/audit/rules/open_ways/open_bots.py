"""Handlers of a chat's bot that spend the owner's token for whoever writes to it. Part of `missing-auth`.

Bots of Telegram, Discord, Slack and VK whose libraries are imported; updates that anybody may post are in `senders`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import for_few
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, helpers_of, place
from portraitist.audit.rules.credits.bots import is_bot

MAX_DEPTH = 6
"""How many calls lie between a bot's handler and the paid call at most."""

_MARKED = re.compile(
    r"\.(message|message_handler|callback_query|callback_query_handler|command|slash_command|hybrid_command"
    r"|edited_message|on_message|event|private_message)$"
)
"""Decorators by which libraries are told of a handler."""
_PUT_IN = {"on", "command", "action", "hears", "onText", "start", "callbackQuery", "register", "add_handler"}
_RESTRICTS = re.compile(
    r"allow|admin|authori[sz]|white_?list|permi(t|ssion)|owner|member|role|credit|balance|subscri|quota|premium|paid|payment"
    r"|invoice|tariff|plan(s|_|$)|coins?|tokens?_|attempts?|wallet|gems?|stars|daily|free_|trial|cool_?down|rate_?limit"
    r"|limiter|_left|remaining_|_remaining|has_access|check_(user|access)|is_(allowed|banned|blocked)|generations?_(count|used)|usage"
    r"|spend|charge|price|cost|guild|filters\.(User|Chat)\b|usernames?_list|chat_ids|user_ids",
    re.I,
)
"""Names of whatever may keep somebody off, or have him pay."""


def open_bots(ctx: Context) -> Iterator[Finding]:
    """A bot's handler that reaches a paid call and asks neither who writes nor for anything that he pays with.

    Not where any name on the way, in the decorators or in a middleware of the repository speaks of those who may, of
    credits or of limits. That a bot is hidden is not known.
    """
    bots = [each for each in ctx.live if ctx.once(is_bot, each)]
    paid = _paid(ctx) if bots else {}
    if not paid or any(_RESTRICTS.search(each) for each in _middle_names(ctx)):
        return
    for module, func, around in handlers(ctx, bots):
        call = paid.get(func)
        if call is None or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        ways = _forward(ctx, func, paid)
        if (before := _begun_by(bots, around)) and all(_keeps_off(ctx, each) for each in before):
            continue
        if any(_keeps_off(ctx, each) for each in ways):
            continue
        if any(_RESTRICTS.search(name) for each in around for name in _names(each)):
            continue
        message = f"{func.name or 'a handler'} reaches {call.api} for whoever writes to the bot: nobody is turned away"
        yield finding("missing-auth", module, func, message, key=f"bot {func.name or call.api}", weight=56,
                      end=func.line, evidence=[place(call)])  # fmt: skip


def _begun_by(bots: list[Module], around: list[ir.Node]) -> list[ir.Func]:
    """The functions that put a chat into the state for which a handler waits: `@router.message(Form.picture)`."""
    awaited = {ir.plain_dotted(each) for node in around for each in ir.find(node, ir.Attr)}
    found: list[ir.Func] = []
    for module in bots:
        for call in module.calls({"set_state", "set"}):
            held = [*call.args, *([call.func.obj] if isinstance(call.func, ir.Attr) else [])]
            states = {ir.plain_dotted(each) for each in held if isinstance(each, ir.Attr)}
            if call.within is not None and states & awaited:
                found.append(call.within)
    return found


def _keeps_off(ctx: Context, func: ir.Func) -> bool:
    """Whether a function asks who writes, or names what may keep somebody off."""
    return asks_who(ctx, func) or ctx.once(for_few, func) or any(map(_RESTRICTS.search, _names(func)))


def _paid(ctx: Context) -> dict[ir.Func, ProviderCall]:
    """The functions below which paid work is begun, with the first such call."""
    found: dict[ir.Func, ProviderCall] = {}
    for call in ctx.creates():
        level = (
            [call.func] if call.func is not None and ctx.role_at(call.module, call.call) in LIVE_ROLES else []
        )
        for _ in range(MAX_DEPTH):
            new = [each for each in level if each not in found]
            found.update(dict.fromkeys(new, call))
            sites = [site.call.within for each in new for site in ctx.program.callers.get(each, [])]
            level = [each for each in sites if each is not None]
    return found


def handlers(ctx: Context, bots: list[Module]) -> Iterator[tuple[Module, ir.Func, list[ir.Node]]]:
    """The functions that a bot's library is told of, each with what stands around it: decorators, filters."""
    seen: set[ir.Func] = set()
    for module in bots:
        for func in module.all(ir.Func):
            marked = [each for each in func.decorators if _MARKED.search(_named(each))]
            if marked and func not in seen:
                seen.add(func)
                yield module, func, list(func.decorators)
        for call in module.all(ir.Call):
            name = ir.dotted(call.func).rpartition(".")[2]
            if name not in _PUT_IN and not name.endswith("Handler"):
                continue
            for where, func in (one for arg in call.args for one in _told_of(ctx, module, arg)):
                if func not in seen:
                    seen.add(func)
                    others = [each for each in (*call.args, call.kw) if each is not None and each is not func]
                    yield where, func, [*func.decorators, *others]


def _told_of(ctx: Context, module: Module, node: ir.Node) -> Iterator[tuple[Module, ir.Func]]:
    """The function that an argument is, or names."""
    if isinstance(node, ir.Func):
        yield module, node
    for each in ctx.program.resolve(module, node) if isinstance(node, ir.Name | ir.Attr) else ():
        if isinstance(each.node, ir.Func) and each.module is not None:
            yield each.module, each.node


def _named(decorator: ir.Node) -> str:
    return "." + ir.plain_dotted(decorator.func if isinstance(decorator, ir.Call) else decorator)


def _forward(ctx: Context, func: ir.Func, paid: dict[ir.Func, ProviderCall]) -> list[ir.Func]:
    """A handler, the helpers on the way to paid work, and what those call themselves."""
    found = [func]
    for each in found:
        if each is func or each in paid:
            found.extend(one for one in helpers_of(ctx, each) if one not in found)
    return found


def _names(node: ir.Node) -> Iterator[str]:
    if isinstance(node, ir.Func):
        yield node.name
    for each in ir.walk(node):
        if isinstance(each, ir.Name):
            yield each.id
        elif isinstance(each, ir.Attr):
            yield ir.dotted(each)


def _middle_names(ctx: Context) -> Iterator[str]:
    """The names in what stands before every handler: `bot.use(…)`, and classes that are a middleware."""
    for module in ctx.live:
        for cls in module.all(ir.Class):
            if any("Middleware" in ir.dotted(each) for each in cls.bases):
                yield from _names(cls)
        for call in module.calls({"use"}) if ctx.once(is_bot, module) else ():
            yield from _names(call)
