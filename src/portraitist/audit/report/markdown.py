"""The whole report: nine sections and only those, under 2,500 words; excerpts on request."""

from __future__ import annotations

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding
from portraitist.audit.report import inventory, judgement, sequences
from portraitist.audit.report.claims import Citations, code, render

MAX_EXCERPT = 80
"""Lines of one excerpt at most."""


def report(ctx: Context, findings: list[Finding], citations: Citations, *, excerpts: bool = False) -> str:
    """The markdown report. `citations` collects the claims that were dropped."""
    sections = [
        inventory.inventory(ctx, findings, citations),
        inventory.duplicates(ctx, citations),
        inventory.data_model(ctx, citations),
        sequences.training(ctx, citations),
        sequences.weights(ctx, citations),
        sequences.generation(ctx, citations),
        judgement.environment(ctx, citations),
        judgement.risks(findings, ctx.judged),
        judgement.plan(ctx, findings),
    ]
    text = render(sections, citations)
    return text + _excerpts(ctx, findings) if excerpts else text


def _excerpts(ctx: Context, findings: list[Finding]) -> str:
    """The cited lines of the ranked risks, under the last section; they do not count as words of it."""
    parts: list[str] = []
    for each in findings:
        module = ctx.program.modules.get(each.path)
        if each.rank is None or module is None or each.rule == "secret-in-repo":
            continue
        last = min(each.end_line, each.line + MAX_EXCERPT - 1, len(module.lines))
        body = "\n".join(
            f"    {number:>5}  {module.text(number)[:160]}" for number in range(each.line, last + 1)
        )
        parts.append(f"\n{each.rank}. {code(f'{each.path}:{each.line}', 200)}\n\n{body}\n")
    return "\nExcerpts of the ranked risks:\n" + "".join(parts) if parts else ""
