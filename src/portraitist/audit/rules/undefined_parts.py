"""Texts with a part that may not be there, so that they hold the word `undefined`. Part of `null-composite`.

Composed versions and paths of users are in `versions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, names_in, place, trace
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import STAND_IN

_SETTING = re.compile(r"^(process\.env|import\.meta\.env|env)\.\w+$")


def of_the_other_setting(ctx: Context) -> Iterator[Finding]:
    """`A || B ? `https://${B}` : …` of two settings: the whole of `A || B` is the condition, and A alone passes it."""
    for module in ctx.live:
        for choice in module.all(ir.Cond) if "env" in module.file.words else ():
            told = _settings(choice.test)
            if len(told) < 2 or ctx.role_at(module, choice) not in LIVE_ROLES:
                continue
            put = [ir.plain_dotted(hole) for text in ir.find(choice.then, ir.Tmpl) for hole in text.parts]
            lost = next((each for each in put if each in told), "")
            if lost:
                name = lost.rpartition(".")[2]
                message = f"{name} may not be set here: the condition holds with another setting alone"
                yield finding("null-composite", module, choice, message, key=f"either {name}", weight=46)


def _settings(test: ir.Node) -> set[str]:
    """The settings any one of which makes a test true; none where something else is asked too."""
    if isinstance(test, ir.Bin) and test.op in STAND_IN and test.right is not None:
        left, right = _settings(test.left), _settings(test.right)
        return left | right if left and right else set()
    name = ir.plain_dotted(test)
    return {name} if _SETTING.match(name) else set()


def of_a_cut(ctx: Context) -> Iterator[Finding]:
    """`[owner, name] = model.split("/")` put together again as the model that is run: there may be no second part.

    Not where a test of the function asks for a part or for the sign, nor where all models are spelled out; Python
    says so itself.
    """
    for call in (each for each in ctx.creates() if each.module.language == "javascript"):
        given = [call.call.args[0]] if call.sdk and call.call.args else []
        given += [each.node for each in call.fields("model", "version") if each.node is not None]
        for node in given:
            for where, text in trace(ctx, call.module, node):
                lost = _second(ctx, where, text) if isinstance(text, ir.Tmpl) else ""
                if lost:
                    message = (
                        f"{lost} is what stands behind the '/', which nothing asks for: it may be undefined"
                    )
                    yield finding("null-composite", where, text, message, key=f"cut {lost}",
                                  weight=BARELY, evidence=[place(call)])  # fmt: skip


def _second(ctx: Context, module: Module, text: ir.Tmpl) -> str:
    """The hole of a text that is the second part of something that was cut at its slash and is not tested."""
    for hole in (each for each in text.parts if isinstance(each, ir.Name)):
        for made in bindings_of(module, hole):
            cut = made.value
            if made.keys != (1,) or not isinstance(cut, ir.Call) or last_name(cut.func) != "split":
                continue
            source = (
                cut.func.obj if isinstance(cut.func, ir.Attr) and ir.text_of(cut.args[0]) == "/" else None
            )
            if source is None or isinstance(ctx.ev.eval(module, source), Known | OneOf):
                continue
            func = text.within
            tests = [each.test for each in ir.find(func, ir.If)] if func is not None else []
            tests += [each.test for each in ir.find(func, ir.Cond)] if func is not None else []
            if not any({hole.id, "/"} & names_in(each) for each in tests):
                return hole.id
    return ""
