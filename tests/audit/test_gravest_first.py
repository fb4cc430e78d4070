"""Which of several findings comes first, which place stands for those alike, and which doors are meant to be open."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit
from portraitist.audit.rules.gravity import WORTH_PRINTING

from .studios import CLIENTS

Auditor = Callable[[dict[str, str]], Audit]

PAYS = """
import { replicate } from "@/lib/clients";
export async function POST() {
  return Response.json(await replicate.run("a/b", { input: {} }));
}
"""
TRAINS = """
import { replicate } from "@/lib/clients";
export async function POST() {
  return Response.json(await replicate.trainings.create("a", "b", "c", { destination: "a/x", input: {} }));
}
"""
GIFT = """
import { getServerSession } from "next-auth";
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const { plan } = await req.json();
  await db.from("profiles").update({ subscription_tier: plan }).eq("id", session.user.id);
  return Response.json({});
}
"""
CLICKS = """
import { db } from "@/lib/clients";
export async function GET(req: Request) {
  const id = new URL(req.url).searchParams.get("id");
  const { data } = await db.from("campaigns").select("*").eq("id", id).single();
  await db.from("campaigns").update({ NAME: data.NAME + 1 }).eq("id", id);
  return Response.redirect(data.target);
}
"""
OWNED = """
import { getServerSession } from "next-auth";
import { db } from "@/lib/clients";
export async function POST() {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  await db.from("campaigns").insert({ user_id: session.user.id, clicks: 0, price: 0 });
  return Response.json({});
}
"""


def _printed(audit: Audit) -> list[Finding]:
    return sorted((each for each in audit.findings if each.rank is not None), key=lambda each: each.rank or 0)


def test_open_work_and_gifts_stand_before_a_committed_key(audit_files: Auditor) -> None:
    key = "r8_" + "K7dPq2Zw9LmXc4Vt6Bn1Hs8Jf3Gy5Rk0Ea2Ui"
    audit = audit_files({
        "lib/clients.ts": CLIENTS,
        "lib/key.ts": f'export const token = "{key}";',
        "app/api/x/route.ts": PAYS + 'export { token } from "@/lib/key";',
        "app/api/credits/route.ts": GIFT,
    })  # fmt: skip
    assert [each.rule for each in audit.findings][:3] == [
        "missing-auth",
        "credit-before-check",
        "secret-in-repo",
    ]


def test_of_open_ways_alike_the_training_comes_first(audit_files: Auditor) -> None:
    audit = audit_files({
        "lib/clients.ts": CLIENTS,
        "app/api/a/route.ts": PAYS,
        "app/api/demo/route.ts": PAYS,
        "app/api/z/route.ts": TRAINS,
    })  # fmt: skip
    open_ways = [each.path for each in _printed(audit) if each.rule == "missing-auth"]
    assert open_ways == ["app/api/z/route.ts", "app/api/a/route.ts", "app/api/demo/route.ts"]


def test_a_counter_of_visits_is_meant_to_be_open(audit_files: Auditor) -> None:
    ranks = []
    for name in ("clicks", "price"):
        audit = audit_files({
            "lib/clients.ts": CLIENTS,
            "app/api/campaigns/route.ts": OWNED,
            "app/api/go/route.ts": CLICKS.replace("NAME", name),
            "app/api/x/route.ts": PAYS,
        })  # fmt: skip
        found = [
            each
            for each in audit.findings
            if each.path == "app/api/go/route.ts" and each.rule == "missing-auth"
        ]
        ranks += [each.rank is not None for each in found]
    assert ranks == [False, True]


def test_a_poll_that_writes_what_the_provider_says_is_not_printed(audit_files: Auditor) -> None:
    poll = """
import { db, replicate } from "@/lib/clients";
export async function POST(req: Request) {
  const { id } = await req.json();
  const { data } = await db.from("campaigns").select("*").eq("id", id).single();
  const run = await replicate.predictions.get(data.run);
  await db.from("campaigns").update({ state: run.status }).eq("id", id);
  return Response.json(run);
}
"""
    files = {
        "lib/clients.ts": CLIENTS,
        "app/api/campaigns/route.ts": OWNED,
        "app/api/x/route.ts": PAYS,
        "app/api/state/route.ts": poll,
    }
    found = [each for each in audit_files(files).findings if each.path == "app/api/state/route.ts"]
    assert [each.rank for each in found if each.rule == "missing-auth"] == [None]


def test_one_route_of_two_servers_is_told_once(audit_files: Auditor) -> None:
    server = """
const express = require("express");
const Replicate = require("replicate");
const app = express();
app.post("/api/generate", async (req, res) => {
  res.json(await new Replicate().run("MODEL", { input: {} }));
});
app.listen(3000);
"""
    audit = audit_files({
        "server.js": server.replace("MODEL", "a/b"),
        "backend/server.js": server.replace("MODEL", "a/c").replace("run(", 'predictions.create("x", '),
    })  # fmt: skip
    found = [each for each in audit.findings if each.rule == "missing-auth"]
    assert len(found) == 2
    assert len([each for each in found if each.rank is not None]) == 1


def test_what_is_set_for_the_answer_alone_is_no_change(audit_files: Auditor) -> None:
    models = """
from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Video(Base):
    __tablename__ = "videos"
    id = Column(String, primary_key=True)
    user_id = Column(String)
    seen = Column(Integer)
"""
    routes = """
from fastapi import Depends, FastAPI
from models import Video

app = FastAPI()


@app.get("/videos/{video_id}")
def show(video_id: str, db=Depends(get_db)):
    video = db.query(Video).filter(Video.id == video_id).first()
    video.seen = 3
    STORE
    return video
"""
    said = []
    for store in ("db.commit()", "pass"):
        found = audit_files({"models.py": models, "main.py": routes.replace("STORE", store)}).findings
        said += [each.message.split()[2] for each in found if each.rule == "missing-auth"]
    assert said == ["changes", "reads"]


MIDDLEWARE = """
import { NextResponse } from "next/server";
import { userOf } from "@/lib/who";
export async function middleware(request) {
  const user = await userOf(request);
  if (!user && request.nextUrl.pathname.startsWith("/dashboard")) {
    return NextResponse.redirect(new URL("/login", request.url));
  }
  return NextResponse.next();
}
"""
ACTION = """"use server";
import { replicate } from "@/lib/clients";
export async function enhance(image: string) {
  return replicate.run("a/b", { input: { image } });
}
"""


@pytest.mark.parametrize(
    ("path", "printed"), [("app/gallery/page.tsx", True), ("app/api/better/route.ts", False)]
)
def test_an_action_that_only_the_api_calls_is_not_printed(
    audit_files: Auditor, path: str, printed: bool
) -> None:
    guarded = """
import { enhance } from "@/lib/actions";
import { auth } from "@/auth";
export async function POST(request: Request) {
  if (!(await auth())) return new Response("", { status: 401 });
  return Response.json(await enhance("a"));
}
"""
    page = 'import { enhance } from "@/lib/actions";\nexport default () => <form action={enhance} />;'
    files = {"lib/clients.ts": CLIENTS, "lib/actions.ts": ACTION, path: page if printed else guarded}
    found = [each for each in audit_files(files).findings if each.path == "lib/actions.ts"]
    assert [each.rank is not None for each in found if each.rule == "missing-auth"] == [printed]


def test_an_action_below_a_guarded_page_is_not_printed(audit_files: Auditor) -> None:
    printed = []
    for folder in ("app/dashboard/enhance", "app/gallery"):
        page = 'import { enhance } from "./actions";\nexport default () => enhance("a");'
        files = {
            "middleware.ts": MIDDLEWARE,
            "lib/clients.ts": CLIENTS,
            "lib/who.ts": "export const userOf = async (request: Request) => null;",
            f"{folder}/actions.ts": ACTION,
            f"{folder}/page.tsx": page,
        }
        found = [each for each in audit_files(files).findings if each.path == f"{folder}/actions.ts"]
        printed += [each.rank is not None for each in found if each.rule == "missing-auth"]
    assert printed == [False, True]


def test_a_switch_is_meant_for_all(audit_files: Auditor) -> None:
    route = """
let stopped = VALUE;
export async function GET() {
  return Response.json({ stopped });
}
export async function POST(request: Request) {
  const body = await request.json();
  stopped = body.stopped;
  return Response.json({ stopped });
}
"""
    grave = []
    for value in ("false", '""'):
        audit = audit_files({"app/api/stop/route.ts": route.replace("VALUE", value)})
        found = [each for each in audit.findings if each.rule == "shared-mutable-default"]
        grave += [each.weight >= WORTH_PRINTING for each in found]
    assert grave == [False, True]


def test_one_of_several_that_is_left_out_is_told_so(audit_files: Auditor) -> None:
    route = """
import { db, replicate } from "@/lib/clients";
export async function POST() {
  for (const each of [1, 2, 3]) {
    const output = await replicate.run("a/b", { input: { each } });
    const { error } = await db.from("posts").insert({ each, picture: output });
    if (error) {
      console.error(error);
      NEXT
    }
  }
  return Response.json({});
}
"""
    said = []
    for after in ("continue;", ""):
        audit = audit_files({"lib/clients.ts": CLIENTS, "app/api/x/route.ts": route.replace("NEXT", after)})
        said += [
            each.message for each in audit.findings if each.message.startswith("a failed write to posts")
        ]
    assert [each.endswith("what was made for it is left") for each in said] == [True, False]


CHANGES = """
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const { id, price } = await req.json();
  await db.from("campaigns").update({ price }).eq("id", id);
  return Response.json({});
}
"""


def test_a_word_within_another_makes_no_door_for_all(audit_files: Auditor) -> None:
    files = {
        "lib/clients.ts": CLIENTS,
        "app/api/campaigns/route.ts": OWNED,
        "app/api/stop/route.ts": CHANGES,
        "app/api/survey/route.ts": CHANGES,
        "app/api/x/route.ts": PAYS,
    }
    found = [each for each in audit_files(files).findings if " changes campaigns by " in each.message]
    assert {each.path: each.rank is not None for each in found} == {
        "app/api/stop/route.ts": True,
        "app/api/survey/route.ts": False,
    }


def test_an_offices_route_that_asks_for_a_word_or_is_for_all_does_not_ask_nobody(
    audit_files: Auditor,
) -> None:
    routes = """
from fastapi import APIRouter, FastAPI, HTTPException
import psycopg

app = FastAPI()


@app.delete("/api/admin/orders")
def clear(secret: str):
    ASKED
    with psycopg.connect() as connection:
        connection.execute("DELETE FROM orders WHERE state = 'new'")


@app.get("/api/admin/news")
def news():
    TOLD
    with psycopg.connect() as connection:
        return connection.execute("SELECT id, text FROM news").fetchall()
"""
    asked = 'if secret != "cleanup-2026":\n        raise HTTPException(status_code=401)'
    counts = []
    for first, second in (("pass", "pass"), (asked, '"""News (public endpoint)."""')):
        code = routes.replace("ASKED", first).replace("TOLD", second)
        found = [each for each in audit_files({"main.py": code}).findings if "asks nobody" in each.message]
        counts.append(sum(each.weight >= WORTH_PRINTING for each in found))
    assert counts == [2, 0]  # the list stands beside the change of its file, where the same guard is missing


def test_an_upsert_that_updates_nothing_changes_nobodys_row(audit_files: Auditor) -> None:
    route = """
import { PrismaClient } from "@prisma/client";
const prisma = new PrismaClient();
export async function POST(req: Request) {
  const { email, name } = await req.json();
  return Response.json(await prisma.user.upsert({ where: { email }, update: { UPDATED }, create: { email, name } }));
}
"""
    counts = []
    for updated in ("name", ""):
        found = audit_files({"app/api/keep/route.ts": route.replace("UPDATED", updated)}).findings
        counts.append(sum("changes user" in each.message.lower() for each in found))
    assert counts == [1, 0]


def test_what_is_signed_where_nothing_comes_is_not_printed(audit_files: Auditor) -> None:
    keys = """
import os
import jwt


def token_of(user_id):
    return jwt.encode({"sub": user_id}, os.getenv("JWT_SECRET", "a-secret-of-all"), algorithm="HS256")
"""
    main = """
from fastapi import FastAPI
from keys import token_of

app = FastAPI()


@app.post("/enter")
def enter(name: str):
    return ANSWER
"""
    printed = []
    for answer in ("token_of(name)", "name"):
        audit = audit_files({"keys.py": keys, "main.py": main.replace("ANSWER", answer)})
        found = [each for each in audit.findings if "what it signs" in each.message]
        printed += [each.rank is not None for each in found]
    assert printed == [True, False]
