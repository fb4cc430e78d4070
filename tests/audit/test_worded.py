"""What findings say, where a reader could hold their words against them; and which have no rank."""

from __future__ import annotations

from collections.abc import Callable

from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit

Auditor = Callable[[dict[str, str]], Audit]

LAYERS = """
from fastapi import FastAPI
import uuid
app = FastAPI()
@app.post("/layers")
def stack(names: list):
    def _one(name):
        return {"name": name}
    return [_one(each) for each in names]
@app.post("/layer")
def single(name: str):
    return _one(name)
@app.post("/third")
def third(name: str):
    return _other(name)
"""
FORGOTTEN = """
from fastapi import FastAPI
import uuid
app = FastAPI()
@app.get("/")
def home():
    return {}
class Keeper:
    @staticmethod
    def number():
        return uuid4().int
"""
PAINTS = """
import Replicate from "replicate";
const replicate = new Replicate();
export async function paint(prompt: string) {
  for (let attempt = 1; attempt <= 3; attempt++) {
    try {
      return await begin(prompt);
    } catch (error) {
      %s
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}
async function begin(prompt: string) {
  return await replicate.predictions.create({ version: "v", input: { prompt } });
}
export async function POST(req: Request) {
  return Response.json(await paint((await req.json()).prompt));
}
"""
LIMITED = """
import replicate
from fastapi import FastAPI, Request
%s
app = FastAPI()
@app.post("/paint")%s
def paint(request: Request, prompt: str):
    return replicate.run("a/b", input={"prompt": prompt})
"""


def _of(audited: Audit, rule: str) -> list[Finding]:
    return [each for each in audited.findings if each.rule == rule]


def test_a_name_of_another_function_is_out_of_reach_not_undefined(audit_files: Auditor) -> None:
    said = {each.message for each in _of(audit_files({"main.py": LAYERS}), "undefined-name")}
    assert said == {
        "_one is used and defined only within stack, out of reach here",
        "_other is used and defined nowhere",
    }


def test_a_missing_name_in_a_function_that_nothing_calls_has_no_rank(audit_files: Auditor) -> None:
    files = {"main.py": FORGOTTEN}
    assert {each.rank for each in _of(audit_files(files), "undefined-name")} == {None}
    files["start.py"] = "from main import Keeper, app\nprint(app, Keeper.number())\n"
    assert {each.rank for each in _of(audit_files(files), "undefined-name")} == {1}


def test_a_missing_name_in_what_a_file_tries_out_by_itself_has_no_rank(audit_files: Auditor) -> None:
    trial = 'if __name__ == "__main__":\n    print(blurred.shape)\n'
    files = {"main.py": LAYERS + trial, "start.py": "from main import app\nprint(app)\n"}
    found = [each for each in _of(audit_files(files), "undefined-name") if "blurred" in each.message]
    assert [each.rank for each in found] == [None]


def test_a_retry_that_chooses_its_errors_is_not_said_to_follow_any(audit_files: Auditor) -> None:
    for way_out, words in (
        ("if (attempt === 3) throw error;", "when anything in this attempt fails"),
        ("if (!isGone(error)) throw error;", "after each error that line 9 lets pass"),
    ):
        found = _of(audit_files({"app/api/paint/route.ts": PAINTS % way_out}), "blind-post-retry")
        assert any(words in each.message for each in found), [each.message for each in found]


def test_a_limit_of_a_library_is_said(audit_files: Auditor) -> None:
    made = "from slowapi import Limiter\nlimiter = Limiter(key_func=str)", '\n@limiter.limit("3/minute")'
    for filled, ends in (("", ""), "without a check that denies"), (made, "but a limit of calls"):
        (found,) = _of(audit_files({"main.py": LIMITED % (filled or ("", ""))}), "missing-auth")
        assert found.message.endswith(ends)


POLAR = """
import { prisma } from "@/lib/prisma";
import { verifySignature } from "@/lib/signed";
import { settle } from "@/lib/orders";
const secret = process.env.POLAR_WEBHOOK_SECRET;
export async function POST(request: Request) {
  const body = await request.text();
  const sent = request.headers.get("polar-signature") || "";
  if (GUARDverifySignature(body, sent, secret)) {
    return Response.json({}, { status: 401 });
  }
  await settle(JSON.parse(body));
  return Response.json({});
}
"""
SETTLES = """
import { prisma } from "@/lib/prisma";
export async function settle(event) {
  await prisma.order.update({ where: { id: event.data.id }, data: { status: "paid" } });
}
"""


def test_a_check_that_is_left_out_is_part_of_what_is_told(audit_files: Auditor) -> None:
    signed = (
        'import { createHmac, timingSafeEqual } from "crypto";\n'
        "export const verifySignature = (body, sent, key) =>\n"
        '  timingSafeEqual(Buffer.from(sent), Buffer.from(createHmac("sha256", key).update(body).digest("hex")));\n'
    )
    ends = []
    for guard in ("secret && !", "!"):
        files = {
            "lib/signed.ts": signed,
            "lib/orders.ts": SETTLES,
            "app/api/webhooks/polar/route.ts": POLAR.replace("GUARD", guard),
        }
        ends += [
            (each.line, each.end_line)
            for each in _of(audit_files(files), "webhook-unverified")
            if "polar" in each.path
        ]
    assert ends == [(6, 10)]
