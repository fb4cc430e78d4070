"""Part of the rule on mock data: simulated outcomes and placeholder inputs in the product itself.

Named for what they are: a route, an address or a value that says mock, fake or example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, sent_fields
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, live_statements, place

_MOCK_PLACE = re.compile(r"(^|/)((mock|fake|dummy)(/|-|$)|simulate[-_]\w+)", re.I)
"""A simulation alone may be what a product is about."""
_EMPTY_ADDRESS = re.compile(
    r"^https?://$|^https?://(www\.)?example\.(com|org)\b|^(your[-_ ]|YOUR[-_ ])|^<[^>]+>$|^\.\.\.$"
)

_ADDRESS = re.compile(r"https?://\S+/\S+")


def stand_ins(ctx: Context) -> Iterator[Finding]:
    """Routes named mock that change rows, calls of such routes, and placeholders that are sent to the provider."""
    mocks = [each for each in ctx.routes if each.is_http and _MOCK_PLACE.search(each.path)]
    handlers = {each.node for route in mocks for each in route.handlers}
    for statement in live_statements(ctx, "write"):
        if statement.func in handlers:
            message = f"a route for mock data changes {statement.table} in the product"
            yield finding("mock-data", statement.module, statement.node, message, key=statement.table, weight=50,
                          line=statement.line, end=statement.end)  # fmt: skip
    for module in ctx.live if mocks else ():
        for call in module.calls({"fetch", "post", "get", "put"}):
            text = ir.text_of(call.args[0]) if call.args else None
            served = text is not None and any(
                each.path.rstrip("/") == text.partition("?")[0] for each in mocks
            )
            if served and ctx.role_at(module, call) in LIVE_ROLES:
                yield finding(
                    "mock-data",
                    module,
                    call,
                    f"the product asks {text} for its data",
                    key=str(text),
                    weight=46,
                )
    for paid in ctx.creates():
        for field in sent_fields(paid.options):
            value = field.value.value if isinstance(field.value, Known) else None
            if isinstance(value, str) and _EMPTY_ADDRESS.search(value):
                node = ir.Other(field.line, field.end, [])
                message = f"{field.key} is sent to the provider as the placeholder {value!r}"
                yield finding("mock-data", ctx.program.modules[field.path], node, message,
                              key=f"{field.key} {field.line}", weight=54, evidence=[place(paid)])  # fmt: skip
    yield from _always_the_same(ctx)


_PICTURES = {
    "input_images",
    "input_image",
    "instance_data",
    "images_zip",
    "training_data",
    "input_zip",
    "image_data",
}


def _always_the_same(ctx: Context) -> Iterator[Finding]:
    """Trainings whose pictures are one address written in the source, whoever asks for them."""
    for paid in ctx.creates():
        for field in paid.fields(*sorted(_PICTURES)) if paid.purpose == "training" else ():
            value = field.value.value if isinstance(field.value, Known) else None
            live = ctx.role_at(paid.module, paid.call) in LIVE_ROLES and paid.module.role == "src"
            if live and isinstance(value, str) and _ADDRESS.match(value) and not _EMPTY_ADDRESS.search(value):
                node = ir.Other(field.line, field.end, [])
                message = f"every training gets the one address of {field.key} that is written in the source"
                yield finding("mock-data", ctx.program.modules[field.path], node, message,
                              key=f"same {field.key}", weight=60, evidence=[place(paid)])  # fmt: skip
