"""The risk of mock data: pictures, functions and constants that are named for it, on the product's paths.

Here is what the rule's parts are together, and the names; what is no name stands in files of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.mocks.bypassed import bypassed
from portraitist.audit.rules.mocks.fixed_pictures import addresses_of_nothing, fixed_pictures
from portraitist.audit.rules.mocks.made_rows import made_rows
from portraitist.audit.rules.mocks.made_up import made_up_versions
from portraitist.audit.rules.mocks.never_refused import never_refused
from portraitist.audit.rules.mocks.pretended import pretended, switched
from portraitist.audit.rules.mocks.shown import shown_instead
from portraitist.audit.rules.mocks.stand_ins import stand_ins
from portraitist.audit.rules.mocks.told import told_mock

_MOCK_NAME = re.compile(
    r"^(mock|dummy|fake|sample|placeholder)_?(data|images?|photos?|pictures?|results?|responses?|users?|models?|urls?|predictions?|trainings?"
    r"|generations?|logs?|outputs?)",
    re.I,
)


def mock_data(ctx: Context) -> Iterator[Finding]:
    """Placeholder pictures and functions or constants named mock, dummy or fake on the product's paths.

    Also routes that simulate an outcome, and placeholders that are sent to the provider (`stand_ins`); timers and
    fixed answers in place of work (`pretended`); versions that no model can have (`made_up`); switches that pass work
    by, and pictures of no bytes (`bypassed`); payments proved by a literal and scores drawn by lot (`never_refused`);
    placeholders that a page shows after a wait (`shown`); rows that pages show out of their source, refusals by lot
    (`made_rows`); what comments call mock data, in pages too, and judgements that are no measurement (`told`); one
    picture for everybody (`fixed_pictures`), results of example.com.
    """
    yield from stand_ins(ctx)
    yield from pretended(ctx)
    yield from made_up_versions(ctx)
    yield from bypassed(ctx)
    yield from never_refused(ctx)
    yield from shown_instead(ctx)
    yield from made_rows(ctx)
    yield from told_mock(ctx)
    yield from fixed_pictures(ctx)
    yield from addresses_of_nothing(ctx)
    touching = {each.module.path for each in ctx.calls} | {
        each.path for each in ctx.of("flow", "persist", "route")
    }
    for module in ctx.live:
        outside = module.role != "src" or module.path in ctx.dead_modules or ".config." in module.path
        if outside or module.path not in touching:
            continue
        declared: list[ir.Func | ir.Assign] = [*module.all(ir.Func), *module.all(ir.Assign)]
        for node in declared:
            name = _declared(node)
            if _MOCK_NAME.match(name):
                yield finding(
                    "mock-data",
                    module,
                    node,
                    f"{name} is mock data in the product",
                    key=name,
                    weight=BARELY,
                    end=node.line,
                )
        for lit in module.all(ir.Lit):
            if (
                isinstance(lit.value, str)
                and "://" in lit.value
                and ctx.words.matches("placeholder_url", lit.value)
                and not switched(lit)
            ):
                yield finding(
                    "mock-data",
                    module,
                    lit,
                    "a placeholder picture stands for a real one",
                    key="placeholder",
                    weight=BARELY,
                )


def _declared(node: ir.Func | ir.Assign) -> str:
    if isinstance(node, ir.Func):
        return node.name
    return node.target.id if isinstance(node.target, ir.Name) and (node.decl or node.within is None) else ""
