"""Part of the rule on drifting schemas: words that are written to, or asked of, a column that does not admit them.

Only literals are judged, and only columns whose definitions all bind them (`admitted`). What was changed in the
database by hand is not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import at_column, finding, live_statements
from portraitist.audit.rules.columns.admitted import Admitted, by_column
from portraitist.audit.rules.columns.written import words_of
from portraitist.audit.rules.gravity import BARELY


def refused_values(ctx: Context) -> Iterator[Finding]:
    """`update({ status: "shipped" })` where the column's enum or CHECK has no such word: the statement fails."""
    bound = ctx.once(by_column)
    for statement in live_statements(ctx, "write", "read", "delete") if bound else ():
        if ctx.role_at(statement.module, statement.node) != "src":
            continue
        for use in statement.columns if statement.kind == "write" else ():
            known = _bound(bound, statement, use.column)
            words = _refused(known, words_of(ctx, statement, use)) if known is not None else []
            if known is not None and words:
                yield _told(ctx, statement, use, known, words)
        yield from _asked(ctx, statement, bound)


def _bound(bound: dict[tuple[str, str], Admitted], statement: Statement, column: str) -> Admitted | None:
    table = statement.table.lower()
    return bound.get((table, column.lower())) or bound.get((table, snake(column)))


def _refused(known: Admitted, said: list[str]) -> list[str]:
    """The words that are not admitted; other cases of a word may be the same to the database."""
    fold = known.by == "its type enum"
    admitted = {each.lower() for each in known.words} if fold else known.words
    return [
        each for each in said if each and "{" not in each and (each.lower() if fold else each) not in admitted
    ]


def _told(ctx: Context, statement: Statement, use: ColumnUse, known: Admitted, words: list[str]) -> Finding:
    key = f"{statement.table}.{use.column}"
    said = " or ".join(f'"{each}"' for each in words[:3])
    ends = "the write, or the next read, fails" if known.by == "its enum" else "the write fails"
    message = f"{key} is set to {said}, which {known.by} does not admit: {ends}"
    return finding("schema-drift", *at_column(ctx, statement, use), message, key=f"admitted {key} {words[0]}",
                   weight=BARELY, evidence=[known.place] if known.place.path else [])  # fmt: skip


def _asked(ctx: Context, statement: Statement, bound: dict[tuple[str, str], Admitted]) -> Iterator[Finding]:
    """A row that is looked for by a word which an enum lacks; a CHECK only makes that no row is found."""
    for column, node in statement.where_values:
        known = _bound(bound, statement, column)
        word = ir.text_of(node)
        if known is None or word is None or known.by.startswith("its enum") or word in known.words:
            continue
        folded = known.by == "its type enum" and word.lower() in {each.lower() for each in known.words}
        if not folded and "{" not in word and node.line:
            ends = "no row has it" if known.by == "its CHECK" else "the statement fails"
            message = f'{statement.table}.{column} is compared with "{word}", which {known.by} does not admit: {ends}'
            yield finding("schema-drift", statement.module, node, message, weight=BARELY,
                          key=f"admitted {statement.table}.{column} {word}", line=node.line,
                          evidence=[known.place] if known.place.path else [])  # fmt: skip
