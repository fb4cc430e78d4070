"""Who hears how a training or a generation goes on: questions at the provider, polls, webhooks.

Says for sections 4 and 6 which of them belongs there; what a poll is about is read from its own lines.
"""

from __future__ import annotations

import re

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Fact, Place
from portraitist.audit.report.claims import Citations, Row, at, cite, code

_WORD = {"training": "training", "generation": "prediction"}
"""What the provider calls each."""
_TRAINING = re.compile(r"train|lora|fine.?tun|dreambooth|version|model", re.I)
_GENERATION = re.compile(r"predict|generat|shot|image|photo|pic|video|render|song|track|job|task", re.I)
_MONEY = re.compile(r"payment|checkout|credit|balance|subscri|invoice|order", re.I)


def watch_rows(ctx: Context, cites: Citations, purpose: str) -> list[Row]:
    """The rows of "Watched by" for a purpose (training or generation)."""
    rows: list[Row] = []
    for call in ctx.calls:
        asks = call.purpose == "status" and call.api.rpartition(".")[2] in {"get", "reload"}
        if (
            (asks or (not call.sdk and call.api.startswith("GET")))
            and _WORD[purpose] in call.api
            and ctx.role_at(call.module, call.call) in {"src", "script"}
        ):
            place = Place(call.module.path, call.call.line)
            where = call.module.scope_name(call.call)
            rows.append(Row(f"- {code(call.api)} in {code(where or 'module')} {at(place)}", ((place, ""),)))
    touching = {each.path for each in ctx.of("file.touches_replicate")}
    for each in ctx.of("poll"):
        near = each.path in touching or not each.path.endswith(
            ".py"
        )  # another vendor's client asks for its own
        if each.role in {"src", "script"} and near and _about(ctx, each) in {purpose, "either"}:
            place, token = cite(each, cites)
            rows.append(Row(f"- poll {code(each.key)} {at(place)}", ((place, token),)))
    either = "training" if "training" in _started(ctx) else "generation"
    for each in ctx.of("webhook"):
        named = f"{each.key} {each.path}".lower()
        told = _WORD[purpose] in named or (purpose == either and "webhook" in each.key)
        if each.role in {"src", "script"} and told:
            place, token = cite(each, cites)
            rows.append(Row(f"- webhook {code(each.key)} {at(place)}", ((place, token),)))
    return rows


def _about(ctx: Context, poll: Fact) -> str:
    """What a poll waits for, by its own lines: training, generation, either where that is not said, or money."""
    module = ctx.program.modules.get(poll.path)
    lines = module.lines[poll.line - 1 : max(poll.end_line, poll.line)] if module is not None else []
    text = "\n".join([poll.key, *lines])
    started = _started(ctx)
    if "training" in started and _TRAINING.search(text):
        return "training"
    if _MONEY.search(text):
        return "money"
    if "generation" not in started:
        return "training"
    return "generation" if "training" not in started or _GENERATION.search(text) else "either"


def _started(ctx: Context) -> set[str]:
    """What is started at the provider at all."""
    return {each.call.purpose for each in ctx.flows}
