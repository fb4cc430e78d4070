"""Our own house, audited: one writer for each table, no open way to the provider, no setting that nobody explains.

The page docs/audit-report.md must say what the code says now; lines may move, these facts may not.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from portraitist.audit import pipeline, vocabulary
from portraitist.audit.pipeline import Audit
from portraitist.audit.report import markdown
from portraitist.audit.report.claims import Citations
from portraitist.audit.report.machine import level

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "audit-report.md"
STUDIO = "src/portraitist/studio/"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    if not (ROOT / ".git").exists():
        pytest.skip("NOT RUN: needs a git checkout (git clone)")
    return pipeline.audit(_script().tracked(ROOT, tmp_path_factory.mktemp("own")), vocabulary.load())


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_report", ROOT / "bench" / "audit_report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def writers(audit: Audit) -> dict[str, set[str]]:
    """By table: the slices of the studio that insert, update or delete its rows."""
    found: dict[str, set[str]] = {}
    for each in audit.context.statements:
        spelled = each.kind == "delete" or (each.kind == "write" and each.columns)
        if spelled and each.module.path.startswith(STUDIO):
            slice_ = each.module.path.removeprefix(STUDIO).partition("/")[0]
            found.setdefault(each.table, set()).add(slice_)
    return found


def test_every_table_of_the_studio_has_one_slice_that_writes_it(own: Audit) -> None:
    found = writers(own)
    assert {"trainings", "generation_trackers", "ai_images", "user_models", "selfies"} <= set(found)
    assert {table: slices for table, slices in found.items() if len(slices) > 1} == {}


def test_a_second_writer_would_be_noticed(tmp_path: Path) -> None:
    for slice_ in ("training", "gallery"):
        (tmp_path / STUDIO / slice_).mkdir(parents=True)
        (tmp_path / STUDIO / slice_ / "repository.py").write_text(
            'async def save(tx):\n    await tx.execute("update trainings set status = %s", ["x"])\n'
        )
    assert writers(pipeline.audit(tmp_path, vocabulary.load())) == {"trainings": {"training", "gallery"}}


def test_both_paid_calls_are_known_and_only_the_worker_reaches_them(own: Audit) -> None:
    paid = {each.api for each in own.context.creates()}
    assert paid == {
        "POST /v1/models/{model}/versions/{version_id}/trainings",
        "POST /v1/predictions",
    }
    assert {each.call.api for each in own.context.flows} == paid
    assert [each.entry for each in own.context.flows if each.route is not None and each.route.is_http] == []
    assert [each for each in own.findings if each.rule == "missing-auth"] == []


def test_every_variable_without_a_default_is_explained(own: Audit) -> None:
    facts = own.context.facts
    known = {each.key for each in facts if each.kind in {"env.default", "env.set", "env.declared"}}
    read = {each.key for each in facts if each.kind == "env.read" and each.role == "src"}
    explained = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert len(read) > 30
    assert [each for each in sorted(read - known) if f"`{each}`" not in explained] == []


def test_no_finding_of_the_level_error(own: Audit) -> None:
    assert [
        f"{each.rule} {each.place} {each.message}" for each in own.findings if level(each) == "error"
    ] == []


def test_the_page_says_what_the_code_says(own: Audit) -> None:
    report = markdown.report(own.context, own.findings, Citations(own.context.tree))
    now, written = _steady(report), _steady(PAGE.read_text("utf-8"))
    assert written == now, "docs/audit-report.md is old: python bench/audit_report.py"


def _steady(report: str) -> set[str]:
    """The provider's paths, the entries of flows and the ranked risks that a report names."""
    found = re.findall(r"`((?:GET|POST|DELETE) /v1/[^`]*|SCRIPT [^`]*|JOB [^`]*)`|\*\*([\w-]+)\*\*", report)
    return {one or other for one, other in found}
