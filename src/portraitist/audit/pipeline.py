"""From a folder to an audit: read, parse, link, collect facts, judge. Output formats are in `report`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from portraitist.audit import ir
from portraitist.audit.extract import javascript, python
from portraitist.audit.extract.base import TooDamagedError
from portraitist.audit.facts import everything, other_names, other_places
from portraitist.audit.facts.base import Context
from portraitist.audit.link.evaluate import Evaluator
from portraitist.audit.link.imports import Resolver
from portraitist.audit.link.module import Module
from portraitist.audit.link.program import Program
from portraitist.audit.mirrors import set_aside
from portraitist.audit.model import Finding, Unresolved
from portraitist.audit.rules import RULES, judge
from portraitist.audit.source import SourceFile, Tree, read_tree
from portraitist.audit.vocabulary import Vocabulary

Progress = Callable[[int, int], None]

RECURSION = 20_000
"""Frames that deep but honest sources need; converters stop at their own depth long before."""
KEPT = 2_000_000
"""Objects of earlier audits, some 300 MB, that may stay before a process that audits again takes time to free them."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything found: the context with its facts, and the findings, most severe first."""

    context: Context
    findings: list[Finding]
    incomplete: list[tuple[str, str]]


def audit(
    root: Path, words: Vocabulary, progress: Progress | None = None, rules: Collection[str] = RULES
) -> Audit:
    """Reads the repository at `root` and judges it by these rules; writes nothing and runs nothing of it.

    `progress` is called with files done and files in all. Raises nothing for any content of the files.
    """
    with _roomy():
        tree = read_tree(root, words)
        tree = replace(tree, files=set_aside(tree.files, tree.paths))
        modules, unread = _parse(tree, progress)
        program = Program(modules, Resolver(tree.files))
        context = Context(tree, program, Evaluator(program), words)
        context.unresolved.extend(
            Unresolved("file", path, 1, reason) for path, reason in [*tree.skipped, *unread]
        )
        everything.collect(context)
        findings = judge(context, rules)
        other_places.add(context)
        other_names.add(context)
    broken = [(f"rule {name}", f"{why}, a fault of the auditor") for name, why in context.unjudged]
    return Audit(context, findings, [*tree.unread, *unread, *_unreadable_facts(context, modules), *broken])


@contextmanager
def _roomy() -> Iterator[None]:
    """Deep recursion, and no garbage collection: everything built here lives until the report is out.

    What earlier audits of this process left frozen is let go first, where that is much.
    """
    before, collecting = sys.getrecursionlimit(), gc.isenabled()
    if collecting and gc.get_freeze_count() > KEPT:
        gc.unfreeze()
        gc.collect()
    sys.setrecursionlimit(max(before, RECURSION))
    gc.disable()
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
        if collecting:
            gc.freeze()
            gc.enable()


def _parse(tree: Tree, progress: Progress | None) -> tuple[list[Module], list[tuple[str, str]]]:
    """The modules of all code, and the files that the parser gave up, with the reason; those are empty modules."""
    code = [each for each in tree.files if each.language in {"javascript", "python"}]
    modules: list[Module] = []
    unread: list[tuple[str, str]] = []
    for done, file in enumerate(code, 1):
        try:
            modules.append(parse(file))
        except TooDamagedError:
            last = file.text.count("\n") + 1
            modules.append(Module(file, ir.Other(1, last, [], "program"), [(1, last)]))
            unread.append((file.path, "syntax too damaged to be read"))
        if progress is not None:
            progress(done, len(code))
    return modules, unread


def parse(file: SourceFile) -> Module:
    """The module of one source file. Raises `TooDamagedError`."""
    data = file.text.encode("utf-8", "replace")
    body, errors = python.parse(data) if file.language == "python" else javascript.parse(data, file.suffix)
    return Module(file, body, errors)


def _unreadable_facts(context: Context, modules: list[Module]) -> list[tuple[str, str]]:
    """Files whose broken syntax overlaps code that carries a fact."""
    kinds = {"replicate.call", "http", "payload", "db.write", "db.null"}
    lines: dict[str, list[tuple[int, int]]] = {}
    for fact in context.facts:
        if fact.kind in kinds and fact.role in {"src", "script"}:
            lines.setdefault(fact.path, []).append((fact.line, fact.end_line))
    found: list[tuple[str, str]] = []
    for module in modules:
        for start, end in module.errors:
            if any(first <= end and start <= last for first, last in lines.get(module.path, [])):
                found.append((module.path, f"syntax not readable at line {start}"))
                break
    return found
