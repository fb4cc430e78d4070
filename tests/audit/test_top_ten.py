"""What the report prints of the findings: the grave ones first, nothing twice, nothing petty in a row."""

from __future__ import annotations

from collections.abc import Callable

from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit
from portraitist.audit.rules.gravity import WORTH_PRINTING

Auditor = Callable[[dict[str, str]], Audit]

PAYS = """
import Replicate from "replicate";
const replicate = new Replicate();
export async function POST(request: Request) {
  return Response.json(await replicate.run("a/b", { input: {} }));
}
"""
ONE_FOR_ALL = """
import Replicate from "replicate";
import { auth } from "@clerk/nextjs/server";
export async function POST() {
  const { userId } = await auth();
  if (!userId) return new Response("", { status: 401 });
  const destination = "somebody/all-of-us";
  return Response.json(await new Replicate().trainings.create("a", "b", "c", { destination, input: {} }));
}
"""
"""A training that asks who calls, and sends everybody's to one model."""


def _printed(audit: Audit, rule: str) -> list[Finding]:
    return [each for each in audit.findings if each.rule == rule and each.rank is not None]


def test_a_light_rule_is_printed_once(audit_files: Auditor) -> None:
    lost = "".join(f'import {{ {each} }} from "./{each}";\n' for each in ("first", "second", "third"))
    audit = audit_files({"app/api/x/route.ts": lost + PAYS})
    assert len([each for each in audit.findings if each.rule == "broken-import"]) == 3
    assert len(_printed(audit, "broken-import")) == 1


def test_what_the_environments_section_tells_is_not_printed_as_a_risk(audit_files: Auditor) -> None:
    page = "export const a = process.env.FIRST;"
    audit = audit_files({".env.example": "OTHER=\n", "app/page.tsx": page, "app/api/x/route.ts": PAYS})
    assert [each.key for each in audit.findings if each.rule == "env-undeclared"] == ["FIRST"]
    assert not _printed(audit, "env-undeclared")
    assert [each.key for each in audit.context.of("env.undeclared")] == ["FIRST"]


def test_scripts_beside_a_product_are_not_printed(audit_files: Auditor) -> None:
    script = 'import { gone } from "./gone";\nconsole.log(gone);'
    audit = audit_files({"scripts/fill.ts": script, "app/api/x/route.ts": PAYS})
    assert [each.rank for each in audit.findings if each.rule == "broken-import"] == [None]


def test_scripts_alone_are_the_product(audit_files: Auditor) -> None:
    script = 'import { gone } from "./gone";\nconsole.log(gone);'
    assert _printed(audit_files({"scripts/fill.ts": script + PAYS}), "broken-import")


def test_what_has_nothing_to_do_with_the_provider_weighs_less(audit_files: Auditor) -> None:
    lost = 'import { gone } from "./gone";\nexport default () => gone;'
    audit = audit_files({"app/about/page.tsx": lost, "app/api/x/route.ts": PAYS})
    assert [each.rank for each in audit.findings if each.rule == "broken-import"] == [None]


def test_the_same_sentence_is_printed_once(audit_files: Auditor) -> None:
    lost = 'import { gone } from "@/lib/here";\nconsole.log(gone);'
    files = {
        "lib/here.ts": "export const here = 1;",
        "app/api/x/route.ts": lost + PAYS,
        "app/api/y/route.ts": lost + PAYS,
    }
    audit = audit_files(files)
    assert len([each for each in audit.findings if each.rule == "broken-import"]) == 2
    printed = _printed(audit, "broken-import")
    assert [[at.path for at in each.evidence] for each in printed] == [["app/api/y/route.ts"]]


def test_a_secret_is_told_once_for_its_line(audit_files: Auditor) -> None:
    key = "r8_" + "K7dPq2Zw9LmXc4Vt6Bn1Hs8Jf3Gy5Rk0Ea2Ui"
    code = 'headers = {\n    "Authorization": "Token ' + key + '",\n}\n'
    found = [each for each in audit_files({"app.py": code}).findings if each.rule == "secret-in-repo"]
    assert [each.line for each in found] == [2]


def test_a_handlers_key_to_another_service_is_no_check_of_its_caller(audit_files: Auditor) -> None:
    hook = """
export async function POST(request: Request) {
  const prediction = await request.json();
  const { accessToken } = (await load(prediction.id)) || {};
  if (accessToken && prediction.output) await keep(accessToken, prediction.output);
  return Response.json({});
}
declare function load(id: string): Promise<any>;
declare function keep(token: string, output: string): Promise<void>;
"""
    found = _printed(audit_files({"app/api/webhooks/replicate/route.ts": hook}), "webhook-unverified")
    assert [each.message.endswith("no signature is checked") for each in found] == [True]


def test_one_hole_is_printed_under_one_rule(audit_files: Auditor) -> None:
    audit = audit_files({"app/api/train/route.ts": ONE_FOR_ALL})
    assert _printed(audit, "shared-destination")
    assert [each.rule for each in audit.findings if each.rule == "hardcoded-owner"]
    assert not _printed(audit, "hardcoded-owner")


def test_who_asks_nobody_is_not_told_of_the_owner_too(audit_files: Auditor) -> None:
    made = """
import { createClient } from "@supabase/supabase-js";
const db = createClient(process.env.URL!, process.env.SUPABASE_SERVICE_ROLE_KEY!);
"""
    own = """
import { getServerSession } from "next-auth";
export async function POST(req: Request) {
  const session = await getServerSession();
  if (!session) return Response.json({}, { status: 401 });
  await db.from("jobs").insert({ user_id: session.user.id, status: "new" });
  await db.from("jobs").select("*").eq("user_id", session.user.id);
}
"""
    anybodys = """
export async function PUT(req: Request) {
  const { id, status } = await req.json();
  await db.from("jobs").update({ status }).eq("id", id);
}
"""
    here = "app/api/change/route.ts"
    files = {"app/api/jobs/route.ts": made + own, here: made + anybodys, "app/api/x/route.ts": PAYS}
    found = [each for each in audit_files(files).findings if each.path == here]
    assert {each.rule for each in found} >= {"missing-auth", "idor"}
    assert {each.rule for each in found if each.rank is not None} == {"missing-auth"}


def test_where_a_failed_run_is_given_back_the_failed_start_is_named(audit_files: Auditor) -> None:
    start = """
import Replicate from "replicate";
import { prisma } from "@/lib/db";
import { auth } from "@clerk/nextjs/server";
export async function POST(request: Request) {
  const { userId } = await auth();
  if (!userId) return Response.json({}, { status: 401 });
  const user = await prisma.user.findUnique({ where: { id: userId } });
  if (user.credits < 5) return Response.json({}, { status: 402 });
  await prisma.user.update({ where: { id: userId }, data: { credits: user.credits - 5 } });
  const webhook = "https://x.example/api/webhooks/replicate";
  const run = await new Replicate().predictions.create({ model: "a/b", input: {}, webhook });
  await prisma.image.create({ data: { runId: run.id, userId, status: "starting" } });
  return Response.json({});
}
"""
    hook = """
import { prisma } from "@/lib/db";
export async function POST(request: Request) {
  const { id, status } = await request.json();
  if (status === "failed") {
    const image = await prisma.image.update({ where: { runId: id }, data: { status: "failed" } });
    GIVE
  }
  return Response.json({});
}
"""
    give = "await prisma.user.update({ where: { id: image.userId }, data: { credits: { increment: 5 } } });"
    here, there = "app/api/generate/route.ts", "app/api/webhooks/replicate/route.ts"
    endings = []
    for inside in (give, ""):
        audit = audit_files({here: start, there: hook.replace("GIVE", inside)})
        found = [each for each in audit.findings if each.rule == "credit-before-check" and each.path == here]
        endings += [each.message.partition("not given back when it ")[2] for each in found]
    assert endings == ["cannot be started: only a run that fails later gives them back", "fails"]


def test_a_browsers_key_of_no_known_form_is_not_printed(audit_files: Auditor) -> None:
    role = (
        "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiAic3VwYWJhc2UiLCAicmVmIjogImZpeHR1cmVmaXh0dXJlZml4dHVyZSI"
        "sICJyb2xlIjogInNlcnZpY2Vfcm9sZSIsICJpYXQiOiAxfQ.c2lnbmF0dXJlLW9mLWEtZml4dHVyZQ"
    )
    files = {
        "app/hooks/assets.ts": '"use client";\nexport const sent = { apiKey: "MhBs-77kU1z9fG6Tof-E59" };',
        "app/page.tsx": 'import { sent } from "./hooks/assets";\nexport default () => sent.apiKey;',
        "app/setup.sql": "select 1; -- postgres://app:q8Zk2LmNw0@db.of-somebody.net:5432/app",
        "lib/admin.sql": f"-- {role}",
    }
    found = [each for each in audit_files(files).findings if each.rule == "secret-in-repo"]
    assert [each.path for each in found] == ["lib/admin.sql", "app/setup.sql", "app/hooks/assets.ts"]
    assert [each.rank is not None for each in found] == [True, True, False]
    assert found[0].message == "a service-role token of the database is committed (redacted)"


def test_what_a_stranger_can_do_stands_before_what_is_lost_and_before_states(audit_files: Auditor) -> None:
    lost = 'import { gone } from "./gone";\nconsole.log(gone);'
    audit = audit_files({"app/api/train/route.ts": lost + ONE_FOR_ALL, "app/api/x/route.ts": PAYS})
    order = [each.rule for each in audit.findings if each.rank is not None]
    assert order == ["missing-auth", "shared-destination", "broken-import"]


def test_a_path_of_nobody_is_not_told_beside_the_open_action(audit_files: Auditor) -> None:
    action = """"use server";
import { createClient } from "@/lib/server";
import { supabaseAdmin } from "@/lib/admin";
export async function signedAddress(name: string) {
  const supabase = await createClient();
  const { data: { user } } = await supabase.auth.getUser();
  return supabaseAdmin.storage.from("training_data").createSignedUploadUrl(`${user?.id}/${Date.now()}_${name}`);
}
"""
    admin = """
import { createClient } from "@supabase/supabase-js";
export const supabaseAdmin = createClient(process.env.URL!, process.env.SUPABASE_SERVICE_ROLE_KEY!);
"""
    guarded = PAYS.replace("(request: Request) {", "(request: Request) {\n  const { userId } = await auth();\n"
                           "  if (!userId) return Response.json({}, { status: 401 });")  # fmt: skip
    guarded = 'import { auth } from "@clerk/nextjs/server";' + guarded
    server = """
import { createServerClient } from "@supabase/ssr";
export const createClient = async () => createServerClient(process.env.URL!, process.env.ANON_KEY!, {});
"""
    page = 'import { signedAddress } from "./actions";\nexport default () => signedAddress("a");'
    files = {
        "lib/admin.ts": admin,
        "lib/server.ts": server,
        "app/page.tsx": page,
        "app/api/x/route.ts": guarded,
    }
    audit = audit_files(files | {"app/actions.ts": action})
    here = [each for each in audit.findings if each.path == "app/actions.ts"]
    assert {each.rule for each in here} == {"missing-auth", "null-composite"}
    assert [each.rule for each in here if each.rank is not None] == ["missing-auth"]


SESSION = """
import { createServerClient } from "@supabase/ssr";
export const createClient = async () => createServerClient(process.env.URL!, process.env.ANON_KEY!, {});
"""
DELETES = """
import { createClient } from "@/lib/server";
export async function GET() {
  const db = await createClient();
  const { data: { user } } = await db.auth.getUser();
  if (!user) return Response.json({}, { status: 401 });
  await db.from("images").insert({ user_id: user.id, name: "a" });
  return Response.json(await db.from("images").select("*").eq("user_id", user.id).eq("name", "a"));
}
export async function DELETE(request: Request) {
  const db = await createClient();
  const { data: { user } } = await db.auth.getUser();
  if (!user) return Response.json({}, { status: 401 });
  const { id } = await request.json();
  await db.from("images").delete().eq("id", id);
  return Response.json({});
}
"""
ALL_RIGHTS = """
import { createClient as make } from "@supabase/supabase-js";
export const createClient = async () => make(process.env.URL!, process.env.SUPABASE_SERVICE_ROLE_KEY!);
"""


def test_rows_that_the_database_may_keep_are_not_grave(audit_files: Auditor) -> None:
    """A visitor's own client is bound by policies, which the repository need not hold."""
    files = {"app/api/images/route.ts": DELETES, "app/api/x/route.ts": PAYS}
    grave = []
    for server in (ALL_RIGHTS, SESSION):
        found = audit_files(files | {"lib/server.ts": server}).findings
        assert [each.rule for each in found if each.rule == "idor"] == ["idor"]
        grave.append([each.weight >= WORTH_PRINTING for each in found if each.rule == "idor"])
    assert grave == [[True], [False]]


def test_a_public_variable_that_no_page_reads_comes_later(audit_files: Auditor) -> None:
    page = '"use client";\nexport default () => fetch("https://x.example/" + process.env.NEXT_PUBLIC_REPLICATE_TOKEN);'
    server = "export const GET = () => fetch('https://x.example/' + process.env.NEXT_PUBLIC_REPLICATE_TOKEN);"
    weights = []
    for files in ({"app/api/y/route.ts": server}, {"app/api/y/route.ts": server, "app/page.tsx": page}):
        found = audit_files(files | {"app/api/x/route.ts": PAYS}).findings
        weights.append(max(each.weight for each in found if each.rule == "client-exposed-token"))
    assert weights[0] < 60 < weights[1]


def test_a_public_variable_that_nothing_bundles_is_not_printed(audit_files: Auditor) -> None:
    page = '"use client";\nexport default () => fetch("https://x.example/" + process.env.NEXT_PUBLIC_REPLICATE_TOKEN);'
    ranks = []
    for library in ("express", "next", "vite"):
        manifest = {"package.json": f'{{"dependencies": {{"{library}": "^5.0.0"}}}}'}
        found = audit_files(manifest | {"app/y/page.tsx": page, "app/api/x/route.ts": PAYS}).findings
        ranks += [each.rank is not None for each in found if each.rule == "client-exposed-token"]
    assert ranks == [False, True, True]


def test_a_route_that_stores_what_its_owner_wrote_is_not_printed(audit_files: Auditor) -> None:
    admin = """
import { createClient } from "@supabase/supabase-js";
export const admin = createClient(process.env.URL!, process.env.SUPABASE_SERVICE_ROLE_KEY!);
"""
    guarded = """
import { getServerSession } from "next-auth";
export async function GET() {
  if (!(await getServerSession())) return Response.json({}, { status: 401 });
  return Response.json({});
}
"""
    route = """
import { admin } from "@/lib/admin";
export async function POST(request: Request) {
  return Response.json(await admin.storage.from("faces").upload("a.txt", WHAT));
}
"""
    printed = []
    for what in ("await request.blob()", 'new Blob(["a try"])'):
        files = {"lib/admin.ts": admin, "app/api/mine/route.ts": guarded, "app/api/x/route.ts": PAYS}
        audit = audit_files(files | {"app/api/try/route.ts": route.replace("WHAT", what)})
        printed.append([each.path for each in _printed(audit, "missing-auth")])
    assert printed == [["app/api/x/route.ts", "app/api/try/route.ts"], ["app/api/x/route.ts"]]


def test_an_address_that_only_stands_in_for_a_copy_is_told_as_that(audit_files: Auditor) -> None:
    kept = """
import Replicate from "replicate";
import { prisma } from "@/lib/db";
import { upload } from "@/lib/files";
import { auth } from "@clerk/nextjs/server";
export async function POST(request: Request) {
  const { userId } = await auth();
  if (!userId) return Response.json({}, { status: 401 });
  const output = await new Replicate().run("a/b", { input: {} });
  const stored = await upload(output[0]);
  await prisma.image.create({ data: { userId, imageUrl: WHAT } });
  return Response.json({});
}
"""
    ends = []
    for what in ("output[0]", "stored ?? output[0]"):
        audit = audit_files({"app/api/x/route.ts": kept.replace("WHAT", what)})
        found = [each for each in audit.findings if each.key.endswith("imageUrl")]
        ends += [(each.message.partition("temporary address")[2], each.rank is not None) for each in found]
    assert ends == [
        ("", False),
        (" where no copy takes its place", True),
    ]  # the first may be stored elsewhere


def test_a_model_of_another_language_defines_no_table_of_a_page(audit_files: Auditor) -> None:
    model = """
from sqlalchemy import Column, String
from sqlalchemy.orm import declarative_base
Base = declarative_base()
class User(Base):
    __tablename__ = "users"
    id = Column(String, primary_key=True)
"""
    page = """
import { createClient } from "@supabase/supabase-js";
import Replicate from "replicate";
const db = createClient(process.env.URL!, process.env.KEY!);
export async function POST(request: Request) {
  await db.from("users").upsert({ email: (await request.json()).email });
  return Response.json(await new Replicate().run("a/b", { input: {} }));
}
"""
    audit = audit_files({"api/models.py": model, "site/app/api/x/route.ts": page})
    assert [each.rank for each in audit.findings if each.rule == "schema-drift"] == [None]


def test_a_router_that_no_file_serves_is_not_printed(audit_files: Auditor) -> None:
    router = """
import replicate
from fastapi import APIRouter
faces = APIRouter()
@faces.post("/faces")
def draw(prompt: str):
    return replicate.run("a/b", input={"prompt": prompt})
"""
    main = """
from fastapi import FastAPI
from health import checks
app = FastAPI()
app.include_router(checks)
"""
    health = "from fastapi import APIRouter\nchecks = APIRouter()\n"
    for served, printed in (("", 0), ("from faces import faces\napp.include_router(faces)\n", 1)):
        audit = audit_files({"faces.py": router, "health.py": health, "main.py": main + served})
        assert len(_printed(audit, "missing-auth")) == printed


def _ranks(audit: Audit, rule: str) -> list[int | None]:
    return [each.rank for each in audit.findings if each.rule == rule]


def _worth(audit: Audit, rule: str) -> list[bool]:
    """Whether the findings of a rule are grave enough to be printed, disputed or not."""
    return [each.weight >= WORTH_PRINTING for each in audit.findings if each.rule == rule]


def test_six_letters_of_a_key_are_not_printed(audit_files: Auditor) -> None:
    answer = "Response.json({ key: process.env.REPLICATE_API_TOKEN?.slice(0, SOME) })"
    route = f"export async function GET() {{\n  return {answer};\n}}"
    few = audit_files({"app/api/x/route.ts": route.replace("SOME", "6"), "app/api/y/route.ts": PAYS})
    many = audit_files({"app/api/x/route.ts": route.replace("SOME", "8"), "app/api/y/route.ts": PAYS})
    assert _ranks(few, "client-exposed-token") == [None]
    assert [each is not None for each in _ranks(many, "client-exposed-token")] == [True]


NOTED = """
import { PrismaClient } from "@prisma/client";
import Replicate from "replicate";
const prisma = new PrismaClient();
export async function POST(request: Request) {
  const { id } = await request.json();
  await prisma.session.update({ where: { id }, data: { COLUMN } }).catch((error) => console.warn(error));
  return Response.json(await new Replicate().run("a/b", { input: {} }));
}
"""


def test_a_lost_time_stamp_is_not_printed(audit_files: Auditor) -> None:
    stamp = audit_files({"app/api/x/route.ts": NOTED.replace("COLUMN", "updatedAt: new Date()")})
    state = audit_files({"app/api/x/route.ts": NOTED.replace("COLUMN", "prompt: id")})
    assert _worth(stamp, "fallback-swallow") == [False]
    assert _worth(state, "fallback-swallow") == [True]


BESIDE = """
import { PrismaClient } from "@prisma/client";
import Replicate from "replicate";
const prisma = new PrismaClient();
export async function POST(request: Request) {
  const output: any = await new Replicate().run("a/b", { input: {} });
  FIRST
  try {
    await prisma.caption.create({ data: { of: output[0] } });
  } catch (error) {
    console.warn("no caption", error);
  }
  return Response.json({ success: true });
}
"""


def test_what_is_added_beside_a_kept_result_is_not_printed(audit_files: Auditor) -> None:
    kept = "await prisma.image.create({ data: { url: output[0] } });"
    beside = audit_files({"app/api/x/route.ts": BESIDE.replace("FIRST", kept)})
    alone = audit_files({"app/api/x/route.ts": BESIDE.replace("FIRST", "")})
    assert not any(_worth(beside, "fallback-swallow"))
    assert any(_worth(alone, "fallback-swallow"))


HEARD = """
export async function POST(request: Request) {
  const body = await request.json();
  console.log("heard", body.id);
  DEED
  return Response.json({ received: true });
}
"""


def test_a_webhook_that_only_logs_is_not_printed(audit_files: Auditor) -> None:
    kept = 'import { prisma } from "@/lib/prisma";' + HEARD.replace(
        "DEED", "await prisma.job.update({ where: { id: body.id }, data: { status: body.status } });"
    )
    path = "app/api/webhooks/replicate/route.ts"
    client = 'import { createClient } from "@/lib/supabase";' + HEARD.replace(
        "DEED", "const db = await createClient();"
    )
    for heard in (HEARD.replace("DEED", ""), client):
        assert _ranks(audit_files({path: heard}), "webhook-unverified") == [None]
    assert [each is not None for each in _ranks(audit_files({path: kept}), "webhook-unverified")] == [True]


def test_a_webhook_that_hands_on_to_what_only_logs_is_not_printed(audit_files: Auditor) -> None:
    path = "app/api/webhooks/replicate/route.ts"
    handed = HEARD.replace("DEED", "await note(body);")
    ranks = []
    for deed in ('console.log("done", body.id)', "jobs.set(body.id, body.status)"):
        helper = f"const jobs = new Map();\nconst note = async (body) => {{ {deed}; }};\n"
        ranks += _ranks(audit_files({path: helper + handed}), "webhook-unverified")
    assert [each is not None for each in ranks] == [False, True]


def test_an_owners_tool_and_a_route_that_asks_nobody_take_no_credits(audit_files: Auditor) -> None:
    asks = 'import { getServerSession } from "next-auth";' + PAYS.replace(
        "  return", "  if (!(await getServerSession())) return Response.json({}, { status: 401 });\n  return"
    )
    files = {"schema.sql": "create table profiles (id uuid primary key, credits integer);"}
    for path, text in (("admin/a", asks), ("b", PAYS), ("c", asks)):
        files[f"app/api/{path}/route.ts"] = text
    found = [each for each in audit_files(files).findings if "asks for credits or a limit" in each.message]
    assert len(found) == 3
    assert [each.path for each in found if each.rank is not None] == ["app/api/c/route.ts"]


def test_one_destination_is_printed_once(audit_files: Auditor) -> None:
    other = ONE_FOR_ALL.replace('"somebody/all-of-us"', "process.env.DESTINATION")
    audit = audit_files({"app/api/a/route.ts": ONE_FOR_ALL, "app/api/b/route.ts": other})
    assert len([each for each in audit.findings if each.rule == "shared-destination"]) > 1
    assert len(_printed(audit, "shared-destination")) == 1


STORED = """
import sqlite3
import replicate
import storage
db = sqlite3.connect("x")
db.execute("create table pictures (id text, output_url text)")
def copied(url):
    try:
        return storage.upload(url)
    except Exception:
        return None
def make(id):
    output = replicate.run("a/b", input={})
    db.execute("insert into pictures (id, output_url) values (?, ?)", (id, copied(output[0]) or output[0]))
make("1")
"""


def test_an_address_that_nobody_reads_is_not_printed(audit_files: Auditor) -> None:
    read = STORED + 'print(db.execute("select output_url from pictures").fetchall())\n'
    assert not any(_ranks(audit_files({"main.py": STORED}), "temporary-url-persisted"))
    assert any(_ranks(audit_files({"main.py": read}), "temporary-url-persisted"))


EDGE = """
import Replicate from "npm:replicate";
function whoAsks(token: string) {
  const payload = JSON.parse(atob(token.split(".")[1]));
  return { id: payload.sub };
}
Deno.serve(async (req) => {
  const who = whoAsks(req.headers.get("Authorization") ?? "");
  if (!who.id) return new Response("", { status: 401 });
  return Response.json(await new Replicate().run("a/b", { input: { prompt: who.id } }));
});
"""


def test_a_token_that_the_platform_checks_is_not_printed(audit_files: Auditor) -> None:
    files = {"supabase/functions/paint/index.ts": EDGE, "supabase/config.toml": 'project_id = "x"\n'}
    off = {**files, "supabase/config.toml": "[functions.paint]\nverify_jwt = false\n"}
    for given, printed in ((files, False), (off, True)):
        believed = [each for each in audit_files(given).findings if "unsigned" in each.message]
        assert [each.weight >= WORTH_PRINTING for each in believed] == [printed]
