"""Findings that the repository itself makes up for: they are not printed, or not made."""

from __future__ import annotations

from collections.abc import Callable

from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit
from portraitist.audit.rules.gravity import WORTH_PRINTING

Auditor = Callable[[dict[str, str]], Audit]

CLIENTS = """
import Replicate from "replicate";
import { createClient } from "@supabase/supabase-js";
export const replicate = new Replicate();
export const db = createClient(process.env.URL!, process.env.SUPABASE_SERVICE_ROLE_KEY!);
"""
START = """
import { db, replicate } from "@/lib/clients";
export async function POST() {
  const webhook = "https://a.example/api/hook";
  const begun = await replicate.predictions.create({ version: "v", input: {}, webhook });
  await db.from("jobs").insert({ prediction_id: begun.id, status: "processing" });
  return Response.json({ id: begun.id });
}
"""
HOOK = """
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const { id, status, output } = await req.json();
  if (status === "succeeded") {
    await db.from("jobs").update({ status: "done", output }).eq("prediction_id", id);
  } else if (status === "failed") {
    await db.from("jobs").update({ status: "failed" }).eq("prediction_id", id);
  }
  return Response.json({});
}
"""
SWEEP = """
import { db } from "@/lib/clients";
export async function GET() {
  const { data } = await db.from("jobs").select("id").in("status", ["processing"]).lt("created_at", "2026-01-01");
  await db.from("jobs").update({ status: "canceled" }).in("id", data.map((each) => each.id));
  return Response.json({});
}
"""
DEAF_HOOK = """
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const { id, status, output } = await req.json();
  if (status !== "succeeded") return Response.json({});
  await db.from("jobs").update({ status: "done", output }).eq("prediction_id", id);
  return Response.json({});
}
"""
STATUS = """
import { replicate } from "@/lib/clients";
export async function GET(req: Request) {
  const found = await replicate.predictions.get(new URL(req.url).searchParams.get("id")!);
  return Response.json({ status: found.status });
}
"""
CLOSE = """
import { db } from "@/lib/clients";
async function store(id: string, status: string) {
  await db.from("jobs").update({ status }).eq("prediction_id", id);
}
export async function close(event: { id: string; status: string }) {
  await store(event.id, event.status);
}
"""
CLOSING_HOOK = """
import { close } from "@/lib/close";
export async function POST(req: Request) {
  await close(await req.json());
  return Response.json({});
}
"""
CLOSING_STATUS = """
import { replicate } from "@/lib/clients";
import { close } from "@/lib/close";
export async function GET(req: Request) {
  const found = await replicate.predictions.get(new URL(req.url).searchParams.get("id")!);
  await close(found);
  return Response.json({ status: found.status });
}
"""
LOOP = """
import replicate
from flask import Flask
app = Flask(__name__)
@app.post("/train")
def train():
    for attempt in range(3):
        try:
            return replicate.trainings.create(version="v", input={}, destination="a/b").id
        except replicate.exceptions.ReplicateError as error:
            print(error)
"""
TWICE = """
import replicate
from flask import Flask
app = Flask(__name__)
@app.post("/first")
def first():
    for attempt in range(3):
        try:
            return str(replicate.run("a/b", input={"prompt": "a"}))
        except Exception as error:
            print(error)
@app.post("/second")
def second():
    try:
        return str(replicate.run("a/b", input={"prompt": "b"}))
    except Exception:
        return str(replicate.run("a/b", input={"prompt": "b"}))
"""


def _open(audit_files: Auditor, said: str, files: dict[str, str]) -> list[Finding]:
    """The findings on states whose message holds some words, in a studio of these further files."""
    every = {"lib/clients.ts": CLIENTS, "app/api/start/route.ts": START, **files}
    return [
        each for each in audit_files(every).findings if each.rule == "stuck-status" and said in each.message
    ]


def test_canceled_work_that_a_sweep_ends_is_not_printed(audit_files: Auditor) -> None:
    files = {"app/api/hook/route.ts": HOOK}
    left = _open(audit_files, "canceled", files)
    assert [each.rank is None for each in left] == [False]
    swept = _open(audit_files, "canceled", {**files, "app/api/cron/route.ts": SWEEP})
    assert [each.rank is None for each in swept] == [True]


def test_failures_that_a_route_asks_for_are_not_said_to_stay_open(audit_files: Auditor) -> None:
    files = {"app/api/hook/route.ts": DEAF_HOOK}
    deaf = _open(audit_files, "passed over", files)
    assert [("stays open" in each.message, each.weight < WORTH_PRINTING) for each in deaf] == [(True, False)]
    asked = _open(audit_files, "passed over", {**files, "app/api/state/route.ts": STATUS})
    assert [("stays open" in each.message, each.weight < WORTH_PRINTING) for each in asked] == [(False, True)]


def test_a_state_is_not_the_webhooks_alone_where_a_route_runs_the_same_update(audit_files: Auditor) -> None:
    files = {"lib/close.ts": CLOSE, "app/api/hook/route.ts": CLOSING_HOOK, "app/api/state/route.ts": STATUS}
    assert _open(audit_files, "only the webhook", files)
    assert not _open(audit_files, "only the webhook", {**files, "app/api/state/route.ts": CLOSING_STATUS})


def _again(audit: Audit) -> list[Finding]:
    return [each for each in audit.findings if each.rule == "blind-post-retry"]


def test_a_repeat_after_the_providers_own_error_is_not_printed(audit_files: Auditor) -> None:
    assert [each.rank is None for each in _again(audit_files({"app.py": LOOP}))] == [True]
    for caught in ("Exception", "(replicate.exceptions.ReplicateError, TimeoutError)"):
        wider = LOOP.replace("replicate.exceptions.ReplicateError", caught)
        assert [each.rank is None for each in _again(audit_files({"app.py": wider}))] == [False]


def test_one_call_of_a_file_that_is_repeated_twice_is_printed_once(audit_files: Auditor) -> None:
    assert sorted(each.rank is None for each in _again(audit_files({"app.py": TWICE}))) == [False, True]
    other = TWICE.replace("replicate.run", "replicate.predictions.create", 1)
    assert [each.rank is None for each in _again(audit_files({"app.py": other}))] == [False, False]
