"""What is true and does nobody harm is not printed: what nothing reads, nobody sends, or only its own id opens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.pipeline import Audit

from .studios import CLIENTS

Auditor = Callable[[dict[str, str]], Audit]

POLICY = """
create table profiles (id uuid primary key, name text, plan text check (plan in ('free', 'pro')), role text);
alter table profiles enable row level security;
create policy "Own row" on profiles for update using (auth.uid() = id);
"""
SHOWS = """
import { db } from "@/lib/clients";
export async function GET() {
  return Response.json(await db.from("profiles").select("WORDS").eq("id", 1));
}
"""
FILLS_IN = """
"use client";
import { db } from "@/lib/clients";
export default function Save({ id, role }) {
  const save = async () => await db.from("profiles").update({ role }).eq("id", id);
  return <button onClick={save} />;
}
"""
HOOK = """
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const key = new URL(req.url).searchParams.get("key");
  const prediction = await req.json();
  const { data: job } = await db.from("jobs").select("*").eq("id", key).single();
  if (WORDS) return Response.json({}, { status: 404 });
  await db.from("jobs").update({ status: prediction.status, output: prediction.output }).eq("id", job.id);
  return Response.json({});
}
"""
TASK = """
import Replicate from "replicate";
import { db } from "@/lib/clients";
async function finish(id: string) {
  try {
    await new Replicate().run("a/b", { input: { id } });
    await db.from("looks").update({ lookStatus: "ready" }).eq("id", id);
  } catch (error) {
    await db.from("looks").update({ lookStatus: "lost" }).eq("id", id);
  }
}
export async function POST(req: Request) {
  const { id } = await req.json();
  await db.from("looks").update({ lookStatus: "processing" }).eq("id", id);
  void finish(id);
  return Response.json({ id });
}
"""
PAGE = "export const Look = ({ look }) => <p>{look.WORDS}</p>;"
MIDDLEWARE = """
import { NextResponse, type NextRequest } from "next/server";
export async function middleware(request: NextRequest) {
  const { data: { user } } = await createServerClient().auth.getUser();
  if (!user) return NextResponse.redirect(new URL("/login", request.url));
  return NextResponse.next();
}
"""
CALLED = """
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const { id } = await req.json();
  console.log(id, "WORDS");
  return Response.json({});
}
"""
SCHEMA = "model User {\n  id String @id\n  email String\n}\n"
CHANGES = """
import { prisma } from "@/lib/prisma";
export async function PATCH(req: Request) {
  const { id, email, isActive } = await req.json();
  const data = { email };
  if (isActive !== undefined) data.isActive = Boolean(isActive);
  return Response.json(await prisma.user.update({ where: { id }, data }));
}
"""
PAINTS = """
import { replicate } from "@/lib/clients";
export async function POST() {
  return Response.json(await replicate.run("a/b", { input: {} }));
}
"""


def _printed(audit: Audit, rule: str, words: str) -> list[bool]:
    """Of the findings of a rule that hold some words, whether each is printed."""
    found = [each for each in audit.findings if each.rule == rule and words in each.message]
    return [each.rank is not None for each in found]


@pytest.mark.parametrize(
    ("read", "page", "printed"),
    [("plan", "", True), ("name", "", False), ("name, role", "", True), ("name, role", FILLS_IN, False)],
)
def test_columns_that_nothing_asks_are_set_in_vain(
    audit_files: Auditor, read: str, page: str, printed: bool
) -> None:
    """A role that a page lets members fill in is what they do for a living."""
    files = {
        "lib/clients.ts": CLIENTS,
        "db/first.sql": POLICY,
        "app/api/me/route.ts": SHOWS.replace("WORDS", read),
    }
    audit = audit_files({**files, "app/save/page.tsx": page} if page else files)
    assert _printed(audit, "missing-auth", "their own row") == [printed]


@pytest.mark.parametrize(("original", "printed"), [("me", False), ("you", True)])
def test_a_copy_of_the_code_asks_for_no_column(audit_files: Auditor, original: str, printed: bool) -> None:
    own, other = SHOWS.replace("WORDS", "plan"), SHOWS.replace("profiles", "others").replace("WORDS", "plan")
    files = {"lib/clients.ts": CLIENTS, "db/first.sql": POLICY}
    audit = audit_files({**files, "deployment/routes/me.ts": own, f"server/routes/{original}.ts": other})
    assert _printed(audit, "missing-auth", "their own row") == [printed]


@pytest.mark.parametrize(
    ("test", "printed"),
    [
        ("!job || job.external_id !== prediction.id", False),
        ("!job || (job.external_id && job.external_id !== prediction.id)", True),
        ("!job", True),
    ],
)
def test_a_webhook_that_keeps_to_the_stored_id_is_not_printed(
    audit_files: Auditor, test: str, printed: bool
) -> None:
    files = {"lib/clients.ts": CLIENTS, "app/api/webhooks/replicate/route.ts": HOOK.replace("WORDS", test)}
    assert _printed(audit_files(files), "webhook-unverified", "no signature is checked") == [printed]


@pytest.mark.parametrize(("member", "printed"), [("lookStatus", True), ("name", False)])
def test_a_state_that_nothing_reads_keeps_nobody_waiting(
    audit_files: Auditor, member: str, printed: bool
) -> None:
    page = PAGE.replace("WORDS", member)
    files = {"lib/clients.ts": CLIENTS, "app/api/look/route.ts": TASK, "app/page.tsx": page}
    assert _printed(audit_files(files), "stuck-status", "a restart leaves it") == [printed]


@pytest.mark.parametrize(("word", "printed"), [("stripe-signature", True), ("heard", False)])
def test_a_webhook_that_nobody_is_told_of_is_shut_out_in_vain(
    audit_files: Auditor, word: str, printed: bool
) -> None:
    files = {"lib/clients.ts": CLIENTS, "middleware.ts": MIDDLEWARE, "app/api/paint/route.ts": PAINTS}
    audit = audit_files({**files, "app/api/webhooks/posts/route.ts": CALLED.replace("WORDS", word)})
    assert (True in _printed(audit, "webhook-missing-handler", "not signed in")) is printed


@pytest.mark.parametrize(("sent", "printed"), [("{ id: 1, isActive: true }", True), ("{ id: 1 }", False)])
def test_a_column_that_no_page_sends_is_never_written(audit_files: Auditor, sent: str, printed: bool) -> None:
    page = (
        f'export const save = () => fetch("/api/users", {{ method: "PATCH", body: JSON.stringify({sent}) }});'
    )
    files = {
        "lib/clients.ts": CLIENTS,
        "prisma/schema.prisma": SCHEMA,
        "app/api/users/route.ts": CHANGES + PAINTS,
    }
    audit = audit_files({**files, "app/page.tsx": page})
    assert _printed(audit, "schema-drift", "isActive") == [printed]


PAYS_IN = """
import { db } from "@/lib/clients";
async function settle({ paymentId }) {
  ASKED
  if (paid.status !== "approved") return;
  await db.from("payments").insert({ payment_id: String(paymentId), user_id: paid.user });
}
export async function POST(request: Request) {
  const body = await request.json().catch(() => null);
  await settle({ paymentId: body?.data?.id });
  return Response.json({});
}
"""


@pytest.mark.parametrize(
    ("asked", "printed"),
    [
        ("const paid = { status: 'approved', user: paymentId };", True),
        ("const paid = await (await fetch(`https://pay.example/v1/payments/${paymentId}`)).json();", False),
        (
            "const paid = await (await fetch(`https://pay.example/v1/${paymentId}`, { method: 'POST' })).json();",
            True,
        ),
        ("const paid = await cache.get(`paid:${paymentId}`);", True),
    ],
)
def test_a_webhook_that_asks_for_what_it_is_told_of_believes_nobody(
    audit_files: Auditor, asked: str, printed: bool
) -> None:
    files = {"lib/clients.ts": CLIENTS, "app/api/webhooks/payments/route.ts": PAYS_IN.replace("ASKED", asked)}
    assert (True in _printed(audit_files(files), "webhook-unverified", "believes whoever")) is printed
