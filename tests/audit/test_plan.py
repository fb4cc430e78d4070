"""Section 9 of the report: each ranked risk gets the fix of what was found, not only of its rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit import vocabulary
from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit
from portraitist.audit.report import judgement
from portraitist.audit.report.fixes import VARIANTS, fix_of
from portraitist.audit.rules import RULES

Auditor = Callable[[dict[str, str]], Audit]


def _finding(rule: str, message: str, fix: str = "") -> Finding:
    return Finding(rule, "a.ts", 1, 1, message, "key", "", (), 60, fix=fix)


def test_every_fix_has_a_text() -> None:
    fixes = vocabulary.load().fixes
    assert {f"{rule}.{name}" for rule, _, name in VARIANTS} <= set(fixes)
    assert set(RULES) <= set(fixes)


@pytest.mark.parametrize(
    ("rule", "message", "fix"),
    [
        ("missing-auth", "POST /api/x reaches run without a check that denies", "missing-auth"),
        ("missing-auth", 'the policy "Own" lets members set credits of their own row', "missing-auth.column"),
        ("credit-before-check", "POST /api/x gives credits and nothing on the way looks at a payment",
         "credit-before-check.gift"),
        ("stuck-status", "canceled of the provider is not handled", "stuck-status.ends"),
        ("stuck-status", "only the webhook ever changes the state of jobs set here", "stuck-status"),
    ],
)  # fmt: skip
def test_the_fix_is_that_of_the_words(rule: str, message: str, fix: str) -> None:
    assert fix_of(_finding(rule, message)) == fix


OPEN = """
import Replicate from "replicate";
const replicate = new Replicate();
export async function POST(request: Request) {
  return Response.json(await replicate.run("a/b", { input: await request.json() }));
}
"""


def _bullets(audit: Audit) -> list[str]:
    section = judgement.plan(audit.context, audit.findings)
    return [row.text for block in section.blocks for row in block.rows]


def test_a_plan_of_few_fixes_names_every_place(audit_files: Auditor) -> None:
    bullets = _bullets(audit_files({f"app/api/{name}/route.ts": OPEN for name in ("one", "two", "three")}))
    assert bullets[0] == "- Training hyperparameters stay unchanged."
    assert all(any(f"app/api/{name}/" in each for each in bullets) for name in ("one", "two", "three"))
    assert len(bullets) == len(set(bullets)) <= judgement.BULLETS


def test_a_plan_has_a_bullet_for_each_fix_and_not_for_each_rule(audit_files: Auditor) -> None:
    sql = """
create table profiles (id uuid primary key, role text);
alter table profiles enable row level security;
create policy "own" on profiles for update using (auth.uid() = id);
"""
    bullets = _bullets(audit_files({"supabase/migrations/1.sql": sql, "app/api/one/route.ts": OPEN}))
    assert [each for each in bullets if "guard" in each] and [each for each in bullets if "UPDATE" in each]


def test_a_finding_that_names_its_fix_keeps_it() -> None:
    found = _finding("missing-auth", 'the policy "Own" lets members set credits', fix="missing-auth.token")
    assert fix_of(found) == "missing-auth.token"


def test_the_plan_of_an_open_policy_speaks_of_the_policy(audit_files: Auditor) -> None:
    sql = """
create table profiles (id uuid primary key, role text);
alter table profiles enable row level security;
create policy "own" on profiles for update using (auth.uid() = id);
"""
    audit = audit_files({"supabase/migrations/1.sql": sql})
    printed = [each for each in audit.findings if each.rank is not None]
    assert [fix_of(each) for each in printed] == ["missing-auth.column"]
