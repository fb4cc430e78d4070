"""Findings that the repository itself makes up for: they are not printed, or not made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit
from portraitist.audit.rules.gravity import WORTH_PRINTING

from .studios import CLIENTS

Auditor = Callable[[dict[str, str]], Audit]

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
AGED = """
import { db } from "@/lib/clients";
const limit = new Date(Date.now() - 600_000);
async function look() {
  const { data } = await db.from("jobs").select("*").eq("status", "processing");
  for (const job of data) {
    if (new Date(job.COLUMN) < limit) {
      await db.from("jobs").update({ status: "canceled" }).eq("id", job.id);
    }
  }
}
setInterval(look, 120_000);
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


def test_canceled_work_that_a_sweep_ends_is_not_grave(audit_files: Auditor) -> None:
    files = {"app/api/hook/route.ts": HOOK}
    left = _open(audit_files, "canceled", files)
    assert [each.weight >= WORTH_PRINTING for each in left] == [True]
    swept = _open(audit_files, "canceled", {**files, "app/api/cron/route.ts": SWEEP})
    assert [each.weight >= WORTH_PRINTING for each in swept] == [False]


@pytest.mark.parametrize(("column", "grave"), [("last_attempt_at", False), ("rank", True)])
def test_old_work_that_a_timer_ends_is_not_grave(audit_files: Auditor, column: str, grave: bool) -> None:
    aged = AGED.replace("COLUMN", column)
    swept = _open(audit_files, "canceled", {"app/api/hook/route.ts": HOOK, "server/index.ts": aged})
    assert [each.weight >= WORTH_PRINTING for each in swept] == [grave]


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


def test_the_repeats_of_one_file_are_printed_once(audit_files: Auditor) -> None:
    other = TWICE.replace("replicate.run", "replicate.predictions.create", 1)
    for text in (TWICE, other):
        assert sorted(each.rank is None for each in _again(audit_files({"app.py": text}))) == [False, True]


DOOR = """
import os
from fastapi import FastAPI, HTTPException
app = FastAPI()
SERVICE_TOKEN = os.getenv("SERVICE_TOKEN", "let-the-service-in")
stub_mode = os.getenv("STUB_MODE") == "on"
@app.get("/service")
def service(token: str):
    if {test}:
        return {{}}
    raise HTTPException(status_code=401)
"""


def test_a_door_that_a_setting_opens_for_trials_is_not_printed(audit_files: Auditor) -> None:
    """Nobody is let in by the known text where the setting beside it is off."""
    always = audit_files({"main.py": DOOR.format(test="token == SERVICE_TOKEN")}).findings
    assert [each.weight >= WORTH_PRINTING for each in always if each.rule == "secret-in-repo"] == [True]
    trials = audit_files({"main.py": DOOR.format(test="stub_mode and token == SERVICE_TOKEN")}).findings
    assert [each.weight >= WORTH_PRINTING for each in trials if each.rule == "secret-in-repo"] == [False]


def test_what_an_installer_put_into_a_folder_is_not_judged(audit_files: Auditor) -> None:
    """The packages that a record beside them names are no code of the repository; what lies beside them is."""
    files = {
        "lambda/thing/__init__.py": "",
        "lambda/six.py": "",
        "lambda/six-1.0.dist-info/RECORD": "six.py,sha256=abc,40\n",
        "lambda/thing-1.0.dist-info/RECORD": "thing/__init__.py,sha256=abc,40\nthing-1.0.dist-info/RECORD,,\n",
        "lambda/main.py": "import thing\n",
    }
    paths = {each.path for each in audit_files(files).context.tree.files}
    assert paths == {"lambda/main.py"}


def test_a_key_that_counts_up_is_no_key(audit_files: Auditor) -> None:
    """`abc123def456…` has a token's form and is made up."""
    made = {"setup.sh": "echo 'r8_" + "abc123def456ghi789jkl012mno345pqr678s" + "'\n"}
    assert not [each for each in audit_files(made).findings if each.rule == "secret-in-repo"]
    real = {"setup.sh": "echo 'r8_" + "q7Zt2LmW9xKc4VbN8sHd3GfJ6pYr1TeU5aQoB" + "'\n"}
    assert [each for each in audit_files(real).findings if each.rule == "secret-in-repo"]


ASKS_FIRST = """
import Replicate from "replicate";
import { getServerSession } from "next-auth";
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const { data: profile } = await db.from("profiles").select("credits").eq("user_id", session.user.id).single();
  if (profile.credits < 1) return Response.json({}, { status: 402 });
  const webhook = `${process.env.HOOK}?user=${session.user.id}`;
  return Response.json(await new Replicate().predictions.create({ version: "v", input: {}, webhook }));
}
"""
TAKES_LATER = """
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const body = await req.json();
  await db.rpc("deduct_credits", { user_id: body.user });
  return Response.json({});
}
"""


def test_credits_that_a_webhook_takes_are_not_said_to_be_never_taken(audit_files: Auditor) -> None:
    """A setting holds the webhook's address: what is named for one may be it."""
    files = {"lib/clients.ts": CLIENTS, "app/api/gen/route.ts": ASKS_FIRST}
    heard = audit_files({**files, "app/api/picture-generated/route.ts": TAKES_LATER}).findings
    assert [each for each in heard if "taken only when it is done" in each.message]
    assert not [each for each in heard if "never taken" in each.message]


def test_credits_that_another_route_takes_are_never_taken_here(audit_files: Auditor) -> None:
    """A route that is no webhook by its name is not asked."""
    files = {"lib/clients.ts": CLIENTS, "app/api/gen/route.ts": ASKS_FIRST}
    alone = audit_files({**files, "app/api/gifts/route.ts": TAKES_LATER}).findings
    assert [each for each in alone if "never taken" in each.message]


SOLD = """
import { db, replicate } from "@/lib/clients";
export async function POST(req: Request) {
  const { prompt, key } = await req.json();
  const { data, error } = await db.from("licences").select("balance").eq("COLUMN", key).single();
  if (error || data.balance < 1) return Response.json({ error: "no balance" });
  return Response.json(await replicate.predictions.create({ version: "v", input: { prompt } }));
}
"""


@pytest.mark.parametrize(("column", "printed"), [("country", True), ("license_key", False)])
def test_whoever_must_know_a_key_is_asked_something(audit_files: Auditor, column: str, printed: bool) -> None:
    files = {"lib/clients.ts": CLIENTS, "app/api/gen/route.ts": SOLD.replace("COLUMN", column)}
    found = [each for each in audit_files(files).findings if each.rule == "missing-auth"]
    assert [each.rank is not None for each in found if "without a check" in each.message] == [printed]
