"""What the report prints once although several rules or columns tell of it, and what nothing can reach."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.pipeline import Audit

from .studios import CLIENTS

Auditor = Callable[[dict[str, str]], Audit]

JOBS = """
import { getServerSession } from "next-auth";
import { db, replicate } from "@/lib/clients";
export async function POST(req: Request) {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const { id } = await req.json();
  await db.from("jobs").insert({ user_id: session.user.id, status: "new" });
  await db.from("jobs").select("*").eq("user_id", session.user.id);
  return Response.json(await replicate.predictions.create({ version: "v", input: {} }));
}
"""
HOOK = """
import { db } from "@/lib/clients";
export async function POST(req: Request) {
  const body = await req.json();
  await db.from("jobs").update({ status: body.status }).eq("id", body.job_id);
  return Response.json({});
}
"""


def test_an_unsigned_webhook_is_not_told_of_the_owner_too(audit_files: Auditor) -> None:
    here = "app/api/hooks/kie/route.ts"
    files = {"lib/clients.ts": CLIENTS, "app/api/jobs/route.ts": JOBS, here: HOOK}
    found = [each for each in audit_files(files).findings if each.path == here]
    assert {each.rule for each in found} >= {"webhook-unverified", "idor"}
    assert len([each for each in found if each.rank is not None]) == 1


KEPT = """
import { getServerSession } from "next-auth";
import { db, replicate } from "@/lib/clients";
const pay = async () => replicate.run("a/b", { input: {} });
export async function POST(req: Request) {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const output = await pay();
  const url = output[0];
  await db.from("images").insert({
    image_url: url,
    user_id: session.user.id,
    prompt: "a",
    size: 1,
    seed: 2,
    result_url: SECOND,
  });
  return Response.json({});
}
"""


def test_two_columns_that_get_one_variable_are_told_once(audit_files: Auditor) -> None:
    weights = {}
    for second in ("url", "output[1]"):
        files = {"lib/clients.ts": CLIENTS, "app/api/x/route.ts": KEPT.replace("SECOND", second)}
        found = [each for each in audit_files(files).findings if each.rule == "temporary-url-persisted"]
        weights[second] = {each.key: each.weight for each in found}
    assert weights["url"]["images.image_url"] > weights["url"]["images.result_url"]
    assert weights["output[1]"]["images.image_url"] == weights["output[1]"]["images.result_url"]


UNCOPIED = """
import { getServerSession } from "next-auth";
import { db, replicate } from "@/lib/clients";
export async function POST(req: Request) {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const output = await replicate.run("a/b", { input: {} });
  let url = output[0];
  const other = output[1];
  try {
    const file = await fetch(url);
    await db.storage.from("made").upload("a.png", await file.blob());
    url = db.storage.from("made").getPublicUrl("a.png").data.publicUrl;
  } catch (error) {
    console.error(error);
  }
  await db.from("images").insert({ user_id: session.user.id, image_url: url });
  await db.from("gallery").insert({
    user_id: session.user.id,
    picture_url: SECOND,
  });
  return Response.json({});
}
"""


def test_what_two_rows_of_a_file_keep_is_told_once(audit_files: Auditor) -> None:
    for second in ("url", "other"):
        files = {"lib/clients.ts": CLIENTS, "app/api/x/route.ts": UNCOPIED.replace("SECOND", second)}
        found = [each for each in audit_files(files).findings if each.rule == "temporary-url-persisted"]
        assert {each.key for each in found} >= {"images.image_url", "gallery.picture_url"}
        assert len([each for each in found if each.rank is not None]) == 1


STORES = """
import { db, replicate } from "@/lib/clients";
import { upload } from "@/lib/files";
export async function keep(row: { image_url: string }) {
  await db.from("images").insert(row);
}
export async function paint() {
  const made = await replicate.run("a/b", { input: {} });
  await keep({ image_url: (await upload(made[0])) ?? made[0] });
}
export async function forgotten() {
  const made = await replicate.run("a/c", { input: {} });
  await keep({
    image_url: (await upload(made[0])) ?? made[0],
  });
}
"""
PAINT = """
import { getServerSession } from "next-auth";
import { paint } from "@/lib/stores";
export async function POST() {
  if (!(await getServerSession())) return Response.json({}, { status: 401 });
  return Response.json(await paint());
}
"""


def test_what_stands_in_a_function_that_nothing_reaches_is_not_printed(audit_files: Auditor) -> None:
    files = {"lib/clients.ts": CLIENTS, "lib/stores.ts": STORES, "app/api/x/route.ts": PAINT}
    printed = [each for each in audit_files(files).findings if each.rank is not None]
    assert [each.line for each in printed if each.rule == "temporary-url-persisted"] == [9]
    used = {**files, "app/api/x/route.ts": PAINT.replace("paint", "forgotten")}
    printed = [each for each in audit_files(used).findings if each.rank is not None]
    assert [each.line for each in printed if each.rule == "temporary-url-persisted"] == [14]


def test_a_secret_in_two_places_is_told_once(audit_files: Auditor) -> None:
    key = "r8_" + "Qz7" * 12 + "k"
    audit = audit_files({"a/.env": f"KEY={key}\n", "b/.env": f"THE_SECRET={key}\n"})
    found = [each for each in audit.findings if each.rule == "secret-in-repo"]
    assert len(found) == 2
    assert [each.path for each in found if each.rank is not None] == ["a/.env"]


@pytest.mark.parametrize(
    ("path", "line", "secret", "name"),
    [  # what is committed, the piece that must not be said, and the name that is
        ("a.json", '{"pem": "-----BEGIN PRIVATE KEY-----\\nMI' + "ab12" * 12 + '==\\n"}', "ab12ab12", "pem"),
        (".env", "SESSION_SECRET=Zm9vYmFyYmF6Zm9v12345QQ==", "Zm9vYmFyYmF6Zm9v12345QQ", "SESSION_SECRET"),
        ("notes.md", "c2VjcmV0IGtleQ81927==, r8_" + "Qz7" * 12 + "k", "c2VjcmV0IGtleQ81927", ""),
        ("a.ts", 'const key = process.env.KEY || "r8_' + "Qz7" * 12 + 'k";', "Qz7Qz7", "key"),
    ],
)  # fmt: skip
def test_no_piece_of_a_secret_is_taken_for_its_name(
    audit_files: Auditor, path: str, line: str, secret: str, name: str
) -> None:
    [found] = [each for each in audit_files({path: line + "\n"}).findings if each.rule == "secret-in-repo"]
    assert secret not in f"{found.message} {found.key}"
    assert found.message == f"a secret{' in ' + name if name else ''} is committed (redacted)"


def test_a_secret_within_an_address_is_told_once(audit_files: Auditor) -> None:
    key = "2Jr3_bfqE9Z-k998wuKCIDlW3a8"
    env = f"CLOUDINARY_API_SECRET={key}\nCLOUDINARY_URL=cloudinary://512635148385397:{key}@a\n"
    found = [each for each in audit_files({".env.cloudinary": env}).findings if each.rule == "secret-in-repo"]
    assert [(each.line, each.rank) for each in found] == [(1, 1), (2, None)]


OPEN_ROUTES = """
const express = require("express");
const Replicate = require("replicate");
const app = express();
app.post("/one", async (req, res) => res.json(await new Replicate().run("a/b", { input: req.body })));
app.post("/two", async (req, res) => res.json(await new Replicate().run("a/c", { input: req.body })));
app.listen(3000);
"""


def test_open_ways_of_one_file_are_told_once(audit_files: Auditor) -> None:
    found = [each for each in audit_files({"server.js": OPEN_ROUTES}).findings if each.rule == "missing-auth"]
    assert len(found) == 2
    [told] = [each for each in found if each.rank is not None]
    assert next(each for each in found if each.rank is None).place in told.evidence
