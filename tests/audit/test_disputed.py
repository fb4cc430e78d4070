"""What is true and can be argued about stays out of the printed ten, and its plain twin is in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.pipeline import Audit

from .studios import CLIENTS

Auditor = Callable[[dict[str, str]], Audit]

DOOR = """
import { replicate } from "@/lib/clients";
import { look } from "@/lib/look";
export async function POST(request: Request) {
  await look(request);
  return Response.json(await replicate.run("a/b", { input: {} }));
}
"""
DECLARED = """
import { replicate } from "@/lib/clients";
// WORDS
export async function POST(request: Request) {
  return Response.json(await replicate.run("a/b", { input: {} }));
}
"""
LOOKS = """
export async function look(request: Request) {
  WORDS
}
"""
OWNED = """
import { getServerSession } from "next-auth";
import { db } from "@/lib/clients";
export async function POST(request: Request) {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const { id } = await request.json();
  WORDS
  return Response.json(await db.from("jobs").select("title").eq("id", id));
}
export async function GET() {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  await db.from("jobs").insert({ user_id: session.user.id, title: "a" });
  return Response.json(await db.from("jobs").select("*").eq("user_id", session.user.id));
}
"""
FLAT = """
import { getServerSession } from "next-auth";
import { upload } from "@/lib/files";
import { db, replicate } from "@/lib/clients";
export async function POST() {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const output = await replicate.run("a/b", { input: {} });
  const copied = await upload(output[0]);
  await db.from("images").insert({ image_url: WORDS, user_id: session.user.id });
  return Response.json(await db.from("images").select("image_url").eq("user_id", session.user.id));
}
"""
SWALLOWED = """
import { getServerSession } from "next-auth";
import { db, replicate } from "@/lib/clients";
export async function POST() {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  const made = await replicate.predictions.create({ version: "v", input: {} });
  // WORDS
  await db.from("images").insert({ prediction_id: made.id, user_id: session.user.id });
  return Response.json(made);
}
"""
TEACHES = {"lib/clients.ts": CLIENTS, "app/api/pay/route.ts": DOOR.replace("await look(request);", "")}


def _printed(audit: Audit, rule: str, path: str) -> list[bool]:
    return [each.rank is not None for each in audit.findings if each.rule == rule and each.path == path]


@pytest.mark.parametrize(
    ("rule", "path", "text", "plain", "debatable"),
    [
        (
            "missing-auth",
            "app/api/x/route.ts",
            DOOR,
            "console.log(request.url)",
            "return helper.verifyToken(request)",
        ),
        ("missing-auth", "app/api/x/route.ts", DECLARED, "the door", "public endpoint: visitors may ask"),
        ("idor", "app/api/x/route.ts", OWNED, "", "console.log(session.user.role);"),
        ("temporary-url-persisted", "app/api/x/route.ts", FLAT, "copied ?? output[0]", "output[0]"),
        ("fallback-swallow", "app/api/x/route.ts", SWALLOWED, "the row", "best effort: nobody needs the row"),
    ],
)
def test_what_can_be_argued_about_is_not_printed(
    audit_files: Auditor, rule: str, path: str, text: str, plain: str, debatable: str
) -> None:
    ranks = []
    for words in (plain, debatable):
        files = {**TEACHES, "lib/look.ts": LOOKS.replace("WORDS", words), path: text.replace("WORDS", words)}
        ranks.append(_printed(audit_files(files), rule, path))
    assert [any(each) for each in ranks] == [True, False]
    assert ranks[1], "it is in the JSON all the same"


RETRIES = """
import Replicate from "replicate";
const replicate = new Replicate();
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error: any) {
      const once = error instanceof Error && (error as any).response?.status === WORDS;
      if (!once || attempt === 3) throw error;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}
export async function POST() {
  return Response.json(await again(() => replicate.predictions.create({ version: "v", input: {} })));
}
"""


def test_a_repeat_of_what_was_refused_for_its_number_is_not_printed(audit_files: Auditor) -> None:
    for words, printed in (("503", True), ("429", False)):
        ranks = _printed(
            audit_files({"app/api/x/route.ts": RETRIES.replace("WORDS", words)}),
            "blind-post-retry",
            "app/api/x/route.ts",
        )
        assert any(ranks) is printed
