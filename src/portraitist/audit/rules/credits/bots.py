"""Which ways to paid calls members take: routes of the web, and the handlers of a chat's bot."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.module import Module

_BOTS = re.compile(
    r"(aiogram|telegram|telebot|pyrogram|telethon|discord|nextcord|disnake|slack_bolt|vkbottle)(\.|$)"
    r"|(telegraf|grammy|node-telegram-bot-api|discord\.js|@slack/bolt|@grammyjs/[\w-]+)(/|$)"
)


def of_members(ctx: Context) -> list[Flow]:
    """The ways that begin at an HTTP route, or in a file that imports a library of bots."""
    return [
        each for each in ctx.flows if (each.route.is_http if each.route is not None else _of_bot(ctx, each))
    ]


def _of_bot(ctx: Context, flow: Flow) -> bool:
    return any(ctx.once(is_bot, ctx.program.module_of[func]) for func in flow.funcs)


def is_bot(_ctx: Context, module: Module) -> bool:
    """Whether a file imports a library by which bots are written."""
    required = (ir.text_of(each.args[0]) or "" for each in module.calls({"require"}) if each.args)
    return any(_BOTS.match(each) for each in (*(one.module for one in module.all(ir.Import)), *required))
