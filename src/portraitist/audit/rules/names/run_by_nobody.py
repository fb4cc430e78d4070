"""Code in which a missing name hurts nobody: what a file tries out by itself, functions that nothing calls.

Asked by the doubts about `undefined-name`: such a finding is true, and stays without a rank. Python's alone.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import last_name

_CALLED = re.compile(r"^__\w+__$|^(main|handler|lambda_handler|application|app|run|setup|predict)$")
"""Names by which something outside the repository calls."""


def is_run_by_nobody(ctx: Context, finding: Finding) -> bool:
    """Whether a line is what a file that others import does when it is run itself, or is in an uncalled function."""
    module = ctx.program.modules.get(finding.path)
    if module is None or module.language != "python":
        return False
    if any(_is_own_trial(each) and each.line <= finding.line <= each.end for each in module.all(ir.If)):
        return bool(ctx.reached.importers.get(module.path))
    func = module.function_at(finding.line)
    while func is not None and func.within is not None:
        func = func.within
    return func is not None and _is_uncalled(ctx, module, func)


def _is_own_trial(branch: ir.If) -> bool:
    test = branch.test
    return isinstance(test, ir.Bin) and isinstance(test.left, ir.Name) and test.left.id == "__name__"


def _is_uncalled(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether a function's name stands nowhere but at its head; no method of a class that is derived from another."""
    owner = func.parent
    derived = isinstance(owner, ir.Class) and bool(owner.bases or owner.decorators)
    started = any(last_name(each) not in {"staticmethod", "classmethod"} for each in func.decorators)
    if started or derived or not func.name or _CALLED.search(func.name):
        return False
    word = re.compile(rf"\b{re.escape(func.name)}\b")
    own = word.findall(module.file.text)
    others = (
        each for each in ctx.tree.files if each.path != module.path and each.language in {"python", "config"}
    )
    return len(own) == 1 and not any(func.name in each.text and word.search(each.text) for each in others)
