"""Code that is broken in ways nobody thought of: imports in circles, expressions that are none, damaged sources."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from portraitist.audit import pipeline, rules, vocabulary
from portraitist.audit.cli import app
from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit

Auditor = Callable[[dict[str, str]], Audit]
CASES = sorted((Path(__file__).parent / "cases").rglob("*.txt"))
PIECES = ("{", "}", "(", ")", "[", "]", "`", "'", ":", "=>", "...", "=", "await ", "lambda: ", "\n", "\t")
PAYS = "import Replicate from 'replicate';\nexport async function POST() { return new Replicate().run('a/b', {}); }\n"


@pytest.mark.parametrize(
    "files",
    [
        {"a.ts": "import { app } from './b';\nexport { app };\n",
         "b.ts": "import { app } from './a';\nexport { app };\napp.get('/x', (q, r) => r.json({}));\n"},
        {"main.py": "from routes import router\napp = FastAPI()\napp.include_router(router)\n",
         "routes.py": "from main import router\n@router.post('/x')\ndef f(a):\n    return 1\n"},
    ],
)  # fmt: skip
def test_imports_in_a_circle_end(audit_files: Auditor, files: dict[str, str]) -> None:
    assert audit_files({"package.json": "{}", **files}).context.facts


def test_a_matcher_that_is_no_expression_matches_nothing(audit_files: Auditor) -> None:
    guard = """
import { clerkMiddleware, createRouteMatcher } from "@clerk/nextjs/server";
const open = createRouteMatcher(["/api/(x"]);
export default clerkMiddleware(async (auth, req) => { if (!open(req)) await auth.protect(); });
"""
    audit = audit_files({"package.json": "{}", "middleware.ts": guard, "app/api/y/route.ts": PAYS})
    assert [each.kind for each in audit.context.facts if each.kind == "replicate.call"]


@pytest.mark.parametrize(
    "body",
    [
        "if (!req.cookies.get('session')) return { a: 1 };\n  return [1];",
        "let s = 'aaaa';\n" + "  s = s + s;\n" * 60 + "  if (s) return Response.redirect('/in');",
        "let s = ['a'];\n"
        + "  s = [...s, ...s];\n" * 60
        + "  if (s.length) return Response.redirect('/in');",
        "let s = 'a';\n" + "  s = known() ? s : s;\n" * 60 + "  if (s) return Response.redirect('/in');",
        "if (/^(\\/?[a-z]+)*-$/.test(req.nextUrl.pathname)) return Response.redirect('/in');",
        "if (/a{9999999999}/.test(req.nextUrl.pathname)) return Response.redirect('/in');",
        "if (a40) return Response.redirect('/in');",
    ],
    ids=["answer", "text", "list", "choice", "slow", "huge", "constants"],
)
def test_a_middleware_made_to_grow_is_given_up(audit_files: Auditor, body: str) -> None:
    twice = "".join(f"const a{each + 1} = [a{each}, a{each}];\n" for each in range(40))
    guard = f"const a0 = [];\n{twice}export function middleware(req) {{\n  {body}\n}}\n"
    route = "app/api/" + "made/" * 12 + "route.ts"
    audit = audit_files({"package.json": "{}", "middleware.ts": guard, route: PAYS})
    assert [each.kind for each in audit.context.facts if each.kind == "replicate.call"]


@pytest.mark.parametrize("matcher", ["/api/([a-z]+/?)*-", "/api/a{9999999999}"])
def test_a_matcher_that_is_slow_or_too_large_matches_nothing(audit_files: Auditor, matcher: str) -> None:
    guard = f"""
import {{ clerkMiddleware, createRouteMatcher }} from "@clerk/nextjs/server";
const open = createRouteMatcher(["{matcher}"]);
export default clerkMiddleware(async (auth, req) => {{ if (!open(req)) await auth.protect(); }});
"""
    route = "app/api/" + "made/" * 12 + "route.ts"
    audit = audit_files({"package.json": "{}", "middleware.ts": guard, route: PAYS})
    assert [each.kind for each in audit.context.facts if each.kind == "replicate.call"]


def test_an_answer_of_which_only_the_count_is_taken_is_read(audit_files: Auditor) -> None:
    route = """
import Replicate from "replicate";
import { createClient } from "@supabase/supabase-js";
const db = createClient(process.env.URL!, process.env.KEY!);
export async function POST(request: Request) {
  await new Replicate().run("a/b", { input: {} });
  const { count } = await db.from("pictures").insert({ url: "x" });
  return Response.json({ success: true, count });
}
"""
    assert audit_files({"package.json": "{}", "app/api/y/route.ts": route}).context.facts


@pytest.mark.parametrize("seed", range(4))
def test_damaged_sources_are_read_to_the_end(audit_files: Auditor, seed: int) -> None:
    rng = random.Random(seed)
    for case in rng.sample(CASES, 25):
        files = {"package.json": "{}"}
        for part in re.split(r"^=== ", case.read_text("utf-8"), flags=re.M)[1:]:
            name, _, body = part.partition("\n")
            files[name.strip()] = _damaged(body, rng)
        assert audit_files(files).context.facts is not None


CIRCLES = ('2,{:/h\n<p>r:g-r/0"', "d,{t:{e/k:e[&g]", '<T s=<T0"/>& e&(e}{(e)>\n')
"""What the parser never comes back from by itself, cut down from damaged sources of a kilobyte."""


@pytest.mark.parametrize("circle", CIRCLES)
def test_a_source_that_the_parser_goes_round_in_is_given_up_and_told(
    audit_files: Auditor, circle: str
) -> None:
    files = {"package.json": "{}", "app/api/y/route.ts": PAYS, "page.tsx": f"{circle}\nexport const a = 1;\n"}
    audit = audit_files(files)
    assert audit.incomplete == [("page.tsx", "syntax too damaged to be read")]
    assert ("page.tsx", "syntax too damaged to be read") in [
        (each.path, each.reason) for each in audit.context.unresolved
    ]
    assert any(each.kind == "replicate.call" for each in audit.context.facts)


def test_an_import_from_a_source_that_was_given_up_is_not_called_broken(audit_files: Auditor) -> None:
    route = 'import { keep } from "../../../keep";\n' + PAYS.replace("{}", "{ input: keep }")
    audit = audit_files({"package.json": "{}", "app/api/y/route.ts": route, "keep.tsx": CIRCLES[0]})
    assert not [each for each in audit.findings if each.path == "keep.tsx" or each.rule == "broken-import"]


@pytest.mark.parametrize("suffix", ["js", "ts", "tsx", "py"])
@pytest.mark.parametrize("text", ["`${" * 3000, "[{" * 5000, "f(a, b)\n" * 20_000])
def test_sources_of_any_depth_and_length_end(audit_files: Auditor, text: str, suffix: str) -> None:
    audit = audit_files({"package.json": "{}", "app/api/y/route.ts": PAYS, f"deep.{suffix}": text})
    assert not audit.incomplete


def _differing(lines: int) -> str:
    """Lines of which each starts something, without an end and in other words than its neighbours."""
    rng = random.Random(7)
    return "".join(
        f"/*{rng.choice(['', '', '', 'a', 'q', 'some', 'other', 'words'])}\n" for _ in range(lines)
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slow.py", "/*\n" * 8000),
        ("slow.ts", ("a<b," * 4500 + "\n") * 3),
        ("differs.py", _differing(20_000)),
    ],
)
def test_a_source_made_of_starts_without_an_end_is_given_up_and_told(
    audit_files: Auditor, name: str, text: str
) -> None:
    audit = audit_files({"package.json": "{}", "app/api/y/route.ts": PAYS, name: text})
    assert audit.incomplete == [(name, "syntax too damaged to be read")]
    assert any(each.kind == "replicate.call" for each in audit.context.facts)


def _damaged(text: str, rng: random.Random) -> str:
    """The text with pieces cut out, said twice, or put where they do not belong."""
    for _ in range(rng.randint(0, 5)):
        start = rng.randrange(len(text) + 1)
        end = start + rng.randint(1, 60)
        way = rng.randrange(3)
        middle = "" if way == 0 else text[start:end] * 2 if way == 1 else rng.choice(PIECES) + text[start:end]
        text = text[:start] + middle + text[end:]
    return text


def test_a_rule_that_breaks_is_told_and_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app/api/x").mkdir(parents=True)
    (tmp_path / "package.json").write_text("{}", "utf-8")
    (tmp_path / "app/api/x/route.ts").write_text(PAYS, "utf-8")
    whole = pipeline.audit(tmp_path, vocabulary.load())

    def breaks(ctx: Context) -> Iterator[Finding]:
        yield from whole.findings[:0]
        raise IndexError(ctx.tree.files[9].path)

    monkeypatch.setitem(rules.RULES, "idor", breaks)
    audit = pipeline.audit(tmp_path, vocabulary.load())
    assert audit.findings == whole.findings
    assert any(each.rule == "missing-auth" for each in audit.findings)
    ((rule, why),) = audit.incomplete
    assert rule == "rule idor"
    assert why.startswith("IndexError at test_damaged.py:")
    told = CliRunner().invoke(app, [str(tmp_path)])
    assert told.exit_code == 3
    assert "incomplete: rule idor: IndexError at test_damaged.py:" in told.stderr


def test_an_audit_that_breaks_ends_as_incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise IndexError("no such fact")

    monkeypatch.setattr(pipeline, "audit", breaks)
    told = CliRunner().invoke(app, [str(tmp_path)])
    assert told.exit_code == 3
    assert "IndexError: no such fact" in told.stderr
    assert "the auditor itself failed" in told.stderr


def test_names_that_are_no_pattern_and_callbacks_that_take_nothing_are_read(audit_files: Auditor) -> None:
    route = """
import { createClient } from "@supabase/supabase-js";
import Replicate from "replicate";
const db = createClient(process.env.URL!, process.env.KEY!);
export async function POST(request: Request) {
  const { ids } = await request.json();
  await db.rpc("take", { "a(": 1 });
  ids.map(({ ...id = 1 } = id) => db.from("rows").delete().eq("id", id));
  return Response.json(await new Replicate().run("a/b", { input: {} }));
}
"""
    types = "export type Database = { Functions: { take: { Args: { a: number } } } };\n"
    made = (
        "create table rows (id int);\ncreate function take(a int) returns int as $$ select 1 $$; -- (take\n"
    )
    files = {"app/api/y/route.ts": route, "types.ts": types, "supabase/migrations/1.sql": made}
    assert audit_files({"package.json": "{}", **files}).context.facts
