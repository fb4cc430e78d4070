"""Trained models that the source pins to an account: known by the trigger word that stands beside them.

Public models have none. Part of `hardcoded-owner`, and of `shared-model-fallback` where a setting stands in for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, names_in
from portraitist.audit.rules.gravity import BARELY

_TRIGGER = re.compile(r"^trigger(_?(word|token|phrase))?s?$|^token_?word$|^instance_?(token|prompt)$", re.I)
_PINNED = re.compile(r"(?P<owner>[\w.-]+)/[\w.-]+:([0-9a-f]{40,64}|$)")
_MODEL = re.compile(r"model|version|lora|replicate", re.I)


def pinned(ctx: Context, seen: set[tuple[str, int]]) -> Iterator[Finding]:
    """The entries with a trigger word and a model of an account, each list once; then that account's other models."""
    owners: set[str] = set()
    for module in ctx.live:
        stretches: dict[ir.Node, list[tuple[str, ir.Node]]] = {}
        for entry in module.all(ir.Obj) if "rigger" in module.file.text else ():
            owner = _owner_beside(entry)
            if owner and ctx.role_at(module, entry) in LIVE_ROLES:
                around = entry.parent if isinstance(entry.parent, ir.Arr) else entry
                stretches.setdefault(around, []).append((owner, entry))
        for entries in stretches.values():
            yield from _told(module, entries[0][0], [each for _, each in entries], seen)
            owners |= {owner for owner, _ in entries}
    for module in ctx.live if owners else ():
        for each in (*module.all(ir.Tmpl), *module.all(ir.Lit)):
            own = _owner_of(each) in owners and not isinstance(each.parent, ir.Tmpl)
            if own and ctx.role_at(module, each) in LIVE_ROLES:
                yield from _told(module, _owner_of(each), [each], seen)


def _told(module: Module, owner: str, nodes: list[ir.Node], seen: set[tuple[str, int]]) -> Iterator[Finding]:
    first, last = nodes[0].line, max(each.end for each in nodes)
    if any((module.path, line) in seen for line in range(first, last + 1)):
        return
    seen |= {(module.path, line) for line in range(first, last + 1)}
    message = f"the owner {owner} is a literal: trained models are pinned to that account"
    yield finding(
        "hardcoded-owner", module, nodes[0], message, key=f"pinned {owner} {first}", weight=BARELY, end=last
    )


def _owner_beside(entry: ir.Obj) -> str:
    """The account of the model that an entry with a trigger word names, "" where it is none."""
    if not any(_TRIGGER.match(each.key or "") for each in entry.props):
        return ""
    named = (each for each in entry.props if _MODEL.search(each.key or ""))
    return next((owner for each in named if (owner := _owner_of(each.value))), "")


def _owner_of(node: ir.Node) -> str:
    """The account in `owner/name:hash`, written out or with the hash put in."""
    head = node.parts[0] if isinstance(node, ir.Tmpl) and node.parts else node
    found = _PINNED.fullmatch(ir.text_of(head) or "")
    return found.group("owner") if found is not None else ""


def pins(ctx: Context) -> bool:
    """Whether the source names trained models with their trigger words, or keeps such words of rows."""
    for module in ctx.live:
        if "trigger" in module.file.text and any(
            _TRIGGER.match(each.key or "") for each in module.all(ir.Prop)
        ):
            return True
    return False


def is_setting(node: ir.Node) -> str:
    """The name of a setting of the environment that may name a model, "" where an expression is none."""
    if not isinstance(node, ir.Call | ir.Attr | ir.Index):
        return ""
    dotted = ir.dotted(node.func if isinstance(node, ir.Call) else node)
    if not re.match(
        r"(os\.(getenv|environ)|process\.env|Deno\.env|import\.meta\.env|env\b|settings\b)", dotted
    ):
        return ""
    return next((each for each in sorted(names_in(node)) if re.search(r"MODEL|VERSION|LORA", each)), "")
