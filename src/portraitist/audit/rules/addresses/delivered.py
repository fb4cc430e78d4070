"""Part of the rule on temporary addresses: rows that get what the provider delivers, wherever it went before.

Follows values (`deliveries`) where names and shapes told nothing: helpers' answers, objects, JSON columns, arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.addresses.behind import is_behind_copy
from portraitist.audit.rules.addresses.deliveries import Held, Site, held
from portraitist.audit.rules.addresses.loose import PICTURE, makes_pictures
from portraitist.audit.rules.addresses.near import is_near
from portraitist.audit.rules.base import finding, live_statements, module_of, names_in, place
from portraitist.audit.rules.gravity import BARELY

NO_PICTURE = re.compile(
    r"weights|lora|model|train|zip|version|error|status|prompt|caption|text|description|cost|price|(^|_)id$"
    r"|(^|_)(original|origin|temp|temporary|replicate|provider|source|raw|remote)_"
)
"""Columns and entries that keep no picture, or that say themselves that theirs is not the last address."""
_TO_BE_COPIED = re.compile(r"mirror|queue|upload|cache|transfer|cop(y|ies)", re.I)
"""Tables whose rows say what is still to be copied."""
_WORDS = re.compile(r"text|caption|analy[sz]|describ|transcri", re.I)
"""What a variable or a branch is called that has words of a model, not pictures."""


def delivered(ctx: Context, known: list[Finding]) -> Iterator[Finding]:
    """The columns whose value holds a delivery address, and the arguments by which a helper that keeps it gets it.

    `known` tells the lines that are told already. A row that keeps another address for the picture as well, or that
    gets one later in the same function, is left out.
    """
    told = {(each.path, line) for each in known for line in range(each.line, each.end_line + 1)}
    for statement in live_statements(ctx, "write"):
        if (
            statement.module.role != "src"
            or _TO_BE_COPIED.search(statement.table)
            or not is_near(ctx, statement.func)
        ):
            continue
        uses: dict[Module, list[ColumnUse]] = {}
        ways: list[tuple[Held, tuple[Site, ...]]] = []
        for use in statement.columns:
            found = list(_deliveries(ctx, use))
            ways += found
            if found and (use.path, use.line) not in told:
                uses.setdefault(module_of(ctx, use), []).append(use)
        if not ways or _is_settled(ctx, statement):
            continue
        proof = [place(way.source) for way, _ in ways if isinstance(way.source, ProviderCall)][:1]
        for module, kept in uses.items():
            first = min(kept, key=lambda each: each.line)
            column = f"{statement.table}.{first.column}"
            told |= {(module.path, each.line) for each in kept}
            assert first.node is not None
            yield finding(
                "temporary-url-persisted", module, first.node,
                f"{column} keeps the provider's temporary address, which comes here through other functions or objects",
                key=f"{column} delivered", weight=BARELY, line=first.line, end=max(each.line for each in kept),
                evidence=[*proof, Place(statement.module.path, statement.line)],
            )  # fmt: skip
        yield from _handed(statement, (site for _, sites in ways for site in sites), told, proof)


def _handed(
    statement: Statement, sites: Iterable[Site], told: set[tuple[str, int]], proof: list[Place]
) -> Iterator[Finding]:
    """The arguments that hold the address, each line once."""
    for module, node in sorted(sites, key=lambda each: (each[0].path, each[1].line)):
        if (module.path, node.line) not in told:
            told.add((module.path, node.line))
            message = f"hands over the provider's temporary address, which {statement.table} keeps"
            yield finding("temporary-url-persisted", module, node, message, key=f"{statement.table} handed",
                          weight=BARELY, evidence=[*proof, Place(statement.module.path, statement.line)])  # fmt: skip


def _deliveries(ctx: Context, use: ColumnUse) -> Iterator[tuple[Held, tuple[Site, ...]]]:
    """The addresses that a column's value may hold, where its name or the model says that it is a picture's."""
    column = snake(use.column)
    if use.node is None or NO_PICTURE.search(column):
        return
    named = column in ctx.words.picture_columns or PICTURE.search(column) is not None
    ways = [each for each in held(ctx, module_of(ctx, use), use.node) if each[0].address]
    if not ways or is_safe(ctx, module_of(ctx, use), use.node):
        return
    for way, sites in sorted(ways, key=in_order):
        keys = [snake(each) for each in way.path if isinstance(each, str)]
        pictures = isinstance(way.source, ProviderCall) and makes_pictures(way.source)
        if any(NO_PICTURE.search(each) for each in keys) or any(is_safe(ctx, *each) for each in sites):
            continue
        if pictures or named or (keys and PICTURE.search(keys[-1])):
            yield way, sites


def is_safe(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a value is kept only where a copy was made, or is about words."""
    names = [each for each in ir.find(node, ir.Name) if len(bindings_of(module, each)) > 1]
    return _holds_words(node) or any(is_behind_copy(ctx, module, each) for each in names)


def _holds_words(node: ir.Node) -> bool:
    """Whether a value or a branch around it is about words: `if (isAnalyze) keep([textOutput])`."""
    if any(_WORDS.search(each) for each in names_in(node) if "://" not in each):
        return True
    inside = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.If) and inside in each.then and any(map(_WORDS.search, names_in(each.test))):
            return True
        if isinstance(each, ir.Func):
            return False
        inside = each
    return False


def _is_settled(ctx: Context, statement: Statement) -> bool:
    """Whether another column of the row keeps what is no delivery, or the column is written again further down."""
    pictures = [
        each for each in statement.columns if PICTURE.search(snake(each.column)) and each.node is not None
    ]
    made = {name for each in pictures if (name := _RESULT.sub("", snake(each.column))) != snake(each.column)}
    kept = [each for each in pictures if not isinstance(each.node, ir.Lit) and snake(each.column) not in made]
    if any(not any(way.address for way, _ in held(ctx, module_of(ctx, each), each.node)) for each in kept):
        return True
    columns = {each.column for each in pictures}
    for later in ctx.statements_under.get(statement.func, ()) if statement.func is not None else ():
        again = later.kind == "write" and later.table == statement.table and later.line > statement.end
        if (
            again
            and columns & {each.column for each in later.columns}
            and not _apart(statement.node, later.node)
        ):
            return True
    return False


_RESULT = re.compile(r"^(edited|generated|result|output|final|restored|enhanced|upscaled|new|ai)_")
"""How the column of what was made is called beside that of what it was made from: `edited_image_url`, `image_url`."""


def _apart(one: ir.Node, later: ir.Node) -> bool:
    """Whether a statement stands in a branch, loop or handler that the earlier one does not."""
    above = {*ir.ancestors(one)}
    blocks = (each for each in ir.ancestors(later) if isinstance(each, ir.If | ir.Handler | ir.Func))
    return any(each not in above for each in blocks)


def in_order(found: tuple[Held, tuple[Site, ...]]) -> tuple[str, int, str]:
    way = found[0]
    if isinstance(way.source, ProviderCall):
        return way.source.module.path, way.source.call.line, repr(way.path)
    return "", way.source.line, repr(way.path)
