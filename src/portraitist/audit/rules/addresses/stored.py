"""The rule on temporary addresses: the provider's own address in a row, an answer or in place of a failed copy.

What rows get is read from the statements; answers are in `loose`, failed copies in `fallbacks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import entry_of
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.addresses.behind import copied_at_all, is_behind_copy, parts_of
from portraitist.audit.rules.addresses.delivered import delivered
from portraitist.audit.rules.addresses.fallbacks import kept_on_failure
from portraitist.audit.rules.addresses.handed_out import handed_out
from portraitist.audit.rules.addresses.loose import PICTURE, answers_text, loose_addresses
from portraitist.audit.rules.addresses.remembered import remembered
from portraitist.audit.rules.addresses.shown import shown_by_pages
from portraitist.audit.rules.addresses.signed import signed_for_a_time
from portraitist.audit.rules.addresses.uncertain import copied_from, kept_unless_copied
from portraitist.audit.rules.base import finding, last_name, line_of, live_statements, module_of, trace
from portraitist.audit.rules.gravity import BARELY

_UPLOADS = re.compile(
    r"upload|save|store|persist|put|copy|download|mirror|archive|transfer|cloudinary|blob|permanent", re.I
)


_ELSEWHERE = {"weights", "version", "logs", "error", "status", "id", "metrics", "join"}
"""Members of an answer that are no picture's address: what is joined is text."""


def temporary_url_persisted(ctx: Context) -> Iterator[Finding]:
    """A picture column gets the provider's own address, which is gone after an hour, or an answer does.

    Follows the value back to a provider call or to a webhook's body; stops at anything that uploads or copies.
    Also what is kept in the process's memory, copies that give back the address when they fail, and addresses that a
    storage signs for a time (`signed`), and pages that show one (`shown`).
    """
    kept = list(_kept_in_rows(ctx))
    yield from kept
    loose = list(loose_addresses(ctx, kept))
    yield from loose
    failed = list(kept_on_failure(ctx, [*kept, *loose]))
    yield from failed
    unmade = list(kept_unless_copied(ctx, [*kept, *loose, *failed]))
    yield from unmade
    further = list(delivered(ctx, [*kept, *loose, *failed, *unmade]))
    yield from further
    yield from remembered(ctx, [*kept, *loose, *failed, *unmade, *further])
    yield from handed_out(ctx, [*kept, *loose, *failed, *unmade, *further])
    yield from shown_by_pages(ctx, loose)
    yield from signed_for_a_time(ctx)


_ORIGIN = re.compile(r"(^|_)(origin|source|provider|remote)_(url|uri)$")
_OWN_FILE = re.compile(r"(^|_)(path|key|file|filename|location)$")


def _says_its_origin(statement: Statement, name: str) -> bool:
    """Whether a column says by its name where a file came from, and another one of the row where it lies now."""
    others = (snake(each.column) for each in statement.columns)
    return _ORIGIN.search(name) is not None and any(_OWN_FILE.search(each) for each in others)


def _kept_in_rows(ctx: Context) -> Iterator[Finding]:
    """The columns for pictures that get the provider's own address, by their statements and by who hands it over."""
    bodies = {
        each.node
        for route in ctx.routes
        if _receives(ctx, route.module.path, route.node.line)
        for each in route.handlers
    }
    lines: dict[tuple[str, ir.Func | None, str], list[int]] = {}
    values: dict[ir.Func, set[str]] = {}
    for statement in live_statements(ctx, "write"):
        above = values.setdefault(statement.func, set()) if statement.func is not None else set()
        told = set(above)
        for use in statement.columns:
            name = snake(use.column)
            pictured = name in ctx.words.picture_columns or PICTURE.search(name)
            if use.node is None or not pictured or _says_its_origin(statement, name):
                continue
            column = f"{statement.table}.{use.column}"
            message = f"{column} keeps the provider's temporary address"
            own = Place(
                statement.module.path, use.line if use.path == statement.module.path else statement.line
            )
            here = (module_of(ctx, use), line_of(use))
            if _is_temporary(ctx, (here[0], use.node), use, statement.func, bodies):
                if _is_replaced(ctx, statement, use) or is_behind_copy(ctx, here[0], use.node):
                    continue
                weight = BARELY if _is_copied_beside(ctx, statement, use) else 72
                begins = line_of(use).line
                if copied_at_all(parts_of(ctx, here[0], use.node)):
                    message, weight = f"{message} where no copy takes its place", min(weight, 58)
                    begins = copied_from(statement.func, begins) if here[0] is statement.module else begins
                    copy = f"copy {begins}" if begins != line_of(use).line else ""
                    weight = BARELY if copy in told else weight  # what the same copy would have mended
                    told |= {copy} - {""}
                    above |= {copy} - {""} if weight > BARELY else set()
                same = ir.plain_dotted(use.node) if isinstance(use.node, ir.Name | ir.Attr) else ""
                # another column of the same function gets the same variable
                weight = BARELY if same in told else weight
                told |= {same} - {""}
                above |= {same} - {""} if weight > BARELY else set()
                again = lines.setdefault((use.path, statement.func, column), [])
                again += [use.line] if use.line not in again else []
                key = f"{column} {len(again)}" if len(again) > 1 else column
                yield finding(
                    "temporary-url-persisted",
                    *here,
                    message,
                    key=key,
                    weight=weight,
                    evidence=[own],
                    line=begins,
                    end=here[1].end,
                )
                continue
            for module, node in (handed := list(_handed_temporary(ctx, statement, use, bodies))):
                yield finding(
                    "temporary-url-persisted", module, node, message, key=column, weight=72, evidence=[own]
                )
            if handed:
                places = [Place(module.path, node.line) for module, node in handed]
                yield finding(
                    "temporary-url-persisted", *here, message, key=column, weight=BARELY, evidence=places
                )


def _is_copied_beside(ctx: Context, statement: Statement, use: ColumnUse) -> bool:
    """Whether the same statement writes another column for pictures with what a copy of the file gave it."""
    others = [each for each in statement.columns if each.column != use.column and each.node is not None]
    pictures = [each for each in others if PICTURE.search(snake(each.column))]
    return any(_is_copy(ctx, each) for each in pictures)


def _is_copy(ctx: Context, use: ColumnUse) -> bool:
    parts = parts_of(ctx, module_of(ctx, use), use.node)
    return any(isinstance(part, ir.Call) and _UPLOADS.search(ir.dotted(part.func)) for _, part in parts)


def _is_replaced(ctx: Context, statement: Statement, use: ColumnUse) -> bool:
    """Whether the same function writes the column again later, with what a copy of the file gave it."""
    for each in ctx.statements_under.get(statement.func, ()) if statement.func is not None else ():
        later = each.kind == "write" and each.table == statement.table and each.line > statement.end
        for again in each.columns if later else ():
            if again.column == use.column and again.node is not None and _is_copy(ctx, again):
                return True
    return False


def _handed_temporary(
    ctx: Context, statement: Statement, use: ColumnUse, bodies: set[ir.Node | None]
) -> Iterator[tuple[Module, ir.Node]]:
    """The arguments by which callers hand a storage helper the `output` of an answer of the provider."""
    func = statement.func
    given = _given(ctx, statement.module, use, func) if func is not None else None
    if func is None or given is None:
        return
    param, member = given
    for site in ctx.program.callers.get(func, []):
        passed = argument_for(site.call, func, param)
        if member is not None:
            passed = entry_of(site.module, passed, member.name)
        live = ctx.role_at(site.module, site.call) in LIVE_ROLES
        if (
            passed is not None
            and live
            and not is_behind_copy(ctx, site.module, passed)
            and _is_temporary(ctx, (site.module, passed), use, site.call.within, bodies)
        ):
            yield site.module, passed


def _given(
    ctx: Context, module: Module, use: ColumnUse, func: ir.Func
) -> tuple[ir.Param, ir.Attr | None] | None:
    """The parameter that a column's value comes from, and the member of it that is taken, if one is."""
    params = {each.name: each for each in func.params if each.name}
    for _, part in trace(ctx, module, use.node) if use.path == module.path else ():
        root = part.obj if isinstance(part, ir.Attr) else part
        if isinstance(root, ir.Name) and root.id in params and root.within is func:
            return params[root.id], part if isinstance(part, ir.Attr) else None
        if isinstance(part, ir.Call) and _UPLOADS.search(ir.dotted(part.func)):
            return None
    return None


def _receives(ctx: Context, path: str, line: int) -> bool:
    return any(each.path == path and each.line == line for each in ctx.of("webhook"))


def _is_temporary(
    ctx: Context,
    value: tuple[Module, ir.Node],
    use: ColumnUse,
    func: ir.Func | None,
    bodies: set[ir.Node | None],
) -> bool:
    """Whether a value that goes to a column is the provider's address, as it answered or as its webhook brings it."""
    column = snake(use.column)
    nodes = parts_of(ctx, *value)
    behind = next(
        (each for _, part in nodes if isinstance(part, ir.Call) and (each := ctx.call_at.get(part))), None
    )
    if behind is not None and (behind.purpose in {"generation", "status"} or behind.api == "wait"):
        names = {last_name(part) for _, part in nodes}
        whole = behind.api in {"run", "async_run", "stream"} or bool(names & {"output", "urls"})
        plain = column in ctx.words.picture_columns
        return whole and (plain or not _MODELS.search(column)) and not _is_other(behind, nodes, plain)
    outer = {func, *(ir.ancestors(func) if func is not None else ())}
    plain = column in ctx.words.picture_columns or not _MODELS.search(column)
    if any(isinstance(part, ir.Call) and _WORDS.search(ir.dotted(part.func)) for _, part in nodes):
        return False
    return plain and bool(outer & bodies) and any(last_name(part) == "output" for _, part in nodes)


_WORDS = re.compile(r"(extract|parse|get|read|to|as)_?\w*text|caption", re.I)
"""What takes words out of an answer."""
_MODELS = re.compile(r"model|weights|lora|version|train|replicate|zip|log")


def _is_other(behind: ProviderCall, nodes: list[tuple[Module, ir.Node]], plain: bool) -> bool:
    """Whether what is taken of an answer may be no picture: a part that is none, a text, a training's result.

    `plain` marks columns whose name alone says that they hold pictures.
    """
    calls = [part for _, part in nodes if isinstance(part, ir.Call) and part is not behind.call]
    copied = any(_UPLOADS.search(ir.dotted(part.func)) for part in calls)
    taken = {last_name(part.func if isinstance(part, ir.Call) else part) for _, part in nodes}
    if any(ir.dotted(part).endswith(("urls.get", "urls.cancel")) for _, part in nodes):
        return True
    return not plain and (copied or bool(taken & _ELSEWHERE) or "train" in behind.api or answers_text(behind))
