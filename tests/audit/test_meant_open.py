"""What is open to everybody and harms nobody stays in the JSON: the printed list leaves it out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit
from portraitist.audit.rules.gravity import WORTH_PRINTING

Auditor = Callable[[dict[str, str]], Audit]

DB = """
import { PrismaClient } from "@prisma/client";
export const prisma = new PrismaClient();
"""
SCHEMA = """
model User {
  id        String @id
  name      String
  userId    String?
  templates Template[]
}
model Template {
  id         String @id
  userId     String
  title      String
  usageCount Int
  status     String
  createdAt  DateTime
}
"""
GUARDED = """
import { prisma } from "@/lib/db";
import { auth } from "@clerk/nextjs/server";
export async function POST() {
  const { userId } = await auth();
  if (!userId) return Response.json({}, { status: 401 });
  return Response.json(await prisma.template.create({ data: { userId, title: "a" } }));
}
"""
COUNTED = """
import { prisma } from "@/lib/db";
export async function GET(request: Request, { params }: { params: { id: string } }) {
  await prisma.template.update({ where: { id: params.id }, data: { DATA } });
  return Response.json({});
}
"""
SWEPT = """
import { prisma } from "@/lib/db";
export async function POST() {
  await prisma.template.deleteMany({ where: { status: "pending"AGE } });
  return Response.json({});
}
"""


def _found(audit: Audit, said: str) -> list[Finding]:
    return [each for each in audit.findings if each.rule == "missing-auth" and said in each.message]


def _printed(audit: Audit, said: str) -> list[bool]:
    return [each.rank is not None for each in _found(audit, said)]


def _next(audit_files: Auditor, path: str, route: str) -> Audit:
    files = {"lib/db.ts": DB, "prisma/schema.prisma": SCHEMA, "app/api/mine/route.ts": GUARDED}
    return audit_files({**files, path: route})


@pytest.mark.parametrize(
    ("data", "printed"),
    [
        ("usageCount: { increment: 1 }", False),
        ("plays: sql`coalesce(${plays}, 0) + 1`", False),
        ("plays: sql`${plays} * 2`", True),
        ('usageCount: { increment: 1 }, title: "taken"', True),
        ('title: "taken"', True),
    ],
)
def test_a_count_of_uses_alone_is_not_printed(audit_files: Auditor, data: str, printed: bool) -> None:
    audit = _next(audit_files, "app/api/templates/[id]/route.ts", COUNTED.replace("DATA", data))
    assert _printed(audit, "changes Template") == [printed]


@pytest.mark.parametrize(("age", "grave"), [("", True), (", createdAt: { lt: hourAgo() }", False)])
def test_a_sweep_of_what_is_old_is_not_grave(audit_files: Auditor, age: str, grave: bool) -> None:
    audit = _next(audit_files, "app/api/clean/route.ts", SWEPT.replace("AGE", age))
    assert [each.weight >= WORTH_PRINTING for each in _found(audit, "by its state")] == [grave]


@pytest.mark.parametrize(
    ("sql", "printed"),
    [
        ("select 1;", True),
        ("update users set plan = 'pro';", False),
        ("insert into users (id, plan) values (1, 'pro');", False),
        ("create function f() returns void as $$ update users set plan = 'pro'; $$ language sql;", True),
    ],
)
def test_a_column_that_is_set_by_hand_is_not_printed_as_missing(
    audit_files: Auditor, sql: str, printed: bool
) -> None:
    route = """
import { createClient } from "@supabase/supabase-js";
const db = createClient(process.env.URL!, process.env.SUPABASE_SERVICE_ROLE_KEY!);
export async function POST() {
  return Response.json(await db.from("users").select("plan").eq("id", 1));
}
"""
    made = "create table users (id bigint primary key, name text);"
    audit = audit_files({"app/api/plan/route.ts": route, "db/1.sql": made, "fix-plans.sql": sql})
    found = [each for each in audit.findings if each.rule == "schema-drift" and "plan" in each.message]
    assert [each.rank is not None for each in found] == [printed]
