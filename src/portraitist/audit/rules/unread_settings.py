"""Settings that a class of a Python program takes from the environment and that nothing reads. Part of `env-unused`.

Pydantic's settings are among the facts (`env_settings`). What is taken as a whole (`vars(Config)`,
`app.config.from_object`) or by a name that is made while it runs is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding

_CLASS = re.compile(r"settings|config", re.I)
_AS_A_WHOLE = re.compile(
    r"from_object\(|config_from_object|asdict\(|\bvars\(|__dict__|\bdir\(|__annotations__|inspect\.getmembers|model_dump"
    r"|getattr\(\s*(\w+\.)*_?\w*(settings|config|conf|cls|self)\w*(\(\))?\s*,\s*[^\"'\s]",
    re.I,
)


def unread_settings(ctx: Context) -> Iterator[Finding]:
    """`RATE_LIMIT = os.getenv("RATE_LIMIT", …)` in a class of settings, where no line of code names it again."""
    found = list(_taken(ctx))
    texts = [each.text for each in ctx.tree.files if each.language == "python"] if found else []
    if not found or any(_AS_A_WHOLE.search(each) for each in texts):
        return
    for module, cls, assign, name in found:
        own = re.compile(rf"\b{re.escape(name)}\b")
        here = sum(len(own.findall(module.text(line))) for line in range(assign.line, assign.end + 1))
        if sum(len(own.findall(each)) for each in texts if name in each) == here:
            message = f"{cls.name}.{name} is taken from the environment and read nowhere"
            yield finding("env-unused", module, assign, message, key=f"{cls.name}.{name}", weight=12)


def _taken(ctx: Context) -> Iterator[tuple[Module, ir.Class, ir.Assign, str]]:
    """The members of classes of settings that are read from the environment."""
    for module in ctx.live:
        if module.language != "python" or not re.search(r"\bgetenv\b|\benviron\b", module.file.words):
            continue
        for cls in module.all(ir.Class):
            if _CLASS.search(cls.name) and ctx.role_at(module, cls) in LIVE_ROLES:
                for each in cls.body:
                    if (
                        isinstance(each, ir.Assign)
                        and isinstance(each.target, ir.Name)
                        and _of_environment(each)
                    ):
                        yield module, cls, each, each.target.id


def _of_environment(assign: ir.Assign) -> bool:
    """Whether a value is what the environment says, as it is or turned into a number."""
    return any(
        re.search(r"(^|\.)(getenv|environ)(\.|$)", ir.dotted(each.func)) is not None
        for each in ir.find(assign, ir.Call)
    )
