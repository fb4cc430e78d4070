"""The auditor only reads, answers the same twice, and survives whatever a repository holds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from portraitist.audit import source
from portraitist.audit.cli import app
from portraitist.audit.facts.sql import statements
from portraitist.audit.model import KINDS, ROLES
from portraitist.audit.pipeline import Audit
from portraitist.audit.report.claims import words
from portraitist.audit.rules import RULES

from .conftest import CASES, unpack

Auditor = Callable[[dict[str, str]], Audit]
SHAPES = sorted((CASES / "shapes").glob("*.txt"))
GENERATE = """import Replicate from "replicate";
export async function POST() { return new Replicate().run("a/b", { input: {} }); }
"""


def _run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


def _digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        total.update(f"{path.relative_to(root)}\0{info.st_mode}\0{info.st_mtime_ns}\0".encode())
        if path.is_file() and not path.is_symlink():
            total.update(path.read_bytes())
    return total.hexdigest()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for case in SHAPES:
        unpack(case, root / case.stem)
    return root


def test_nothing_under_the_audited_folder_changes(repository: Path, tmp_path: Path) -> None:
    before = _digest(repository)
    assert (
        _run(repository, "--json", tmp_path / "out.json", "--sarif", tmp_path / "out.sarif", "--excerpts")[0]
        == 0
    )
    assert _digest(repository) == before


def test_two_runs_and_two_checkouts_answer_byte_for_byte_the_same(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "copy"
    shutil.copytree(repository, other)
    answers = [(_run(each)[1], _run(each, "--json", "-")[1]) for each in (repository, repository, other)]
    assert answers[0] == answers[1] == answers[2]


def _in_a_process(root: Path, seed: str) -> bytes:
    """What another interpreter with this hash seed prints as JSON."""
    command = [sys.executable, "-m", "portraitist.audit", str(root), "--json", "-"]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


def test_another_interpreter_with_another_hash_seed_answers_the_same(repository: Path) -> None:
    assert len({_in_a_process(repository, seed) for seed in ("1", "2")}) == 1


TWO_SOURCES = {
    "lib/provider.ts": """
const headers = { Authorization: `Bearer ${process.env.REPLICATE_API_TOKEN}` };
const models = "https://api.replicate.com/v1/models/black-forest-labs";
export async function portrait(prompt: string, fast: boolean) {
  if (fast) {
    const made = await fetch(`${models}/flux-schnell/predictions`, {
      method: "POST", headers, body: JSON.stringify({ input: { prompt } }),
    });
    const prediction = await made.json();
    return { image: prediction.output[0] };
  }
  const made = await fetch(`${models}/flux-dev/predictions`, {
    method: "POST", headers, body: JSON.stringify({ input: { prompt } }),
  });
  const prediction = await made.json();
  return { image: prediction.output[0] };
}
""",
    "app/api/portrait/route.ts": """
import { portrait } from "../../../lib/provider";
export async function POST(request: Request) {
  const { prompt, fast } = await request.json();
  return Response.json(await portrait(prompt, fast));
}
""",
    "app/api/kept/route.ts": """
import Replicate from "replicate";
import { saveImage, savePrompt, saveSeed } from "../../../lib/rows";
export async function POST(request: Request) {
  const made: any = await new Replicate().run("black-forest-labs/flux-dev", { input: {} });
  const copy = await keep(made[0]);
  try {
    await saveImage(copy);
    await savePrompt(copy);
    await saveSeed(copy);
  } catch (error) {
    console.error("could not save", error);
  }
  return Response.json({ success: true, copy });
}
""",
    "lib/rows.ts": """
import { PrismaClient } from "@prisma/client";
const prisma = new PrismaClient();
export async function saveImage(key: string) { await prisma.image.create({ data: { key } }); }
export async function savePrompt(key: string) { await prisma.prompt.create({ data: { key } }); }
export async function saveSeed(key: string) { await prisma.seed.create({ data: { key } }); }
""",
}


def test_of_two_sources_of_one_finding_every_run_names_the_same(tmp_path: Path) -> None:
    unpack_files(tmp_path, TWO_SOURCES)
    outputs = [_in_a_process(tmp_path, str(seed)) for seed in range(1, 9)]
    found = json.loads(outputs[0])["findings"]
    assert {"temporary-url-persisted", "fallback-swallow"} <= {each["rule"] for each in found}
    assert any("(saveImage)" in each["message"] for each in found)
    assert len(set(outputs)) == 1


def test_output_inside_the_audited_folder_is_refused(repository: Path) -> None:
    for option in ("--out", "--json", "--sarif"):
        assert _run(repository, option, repository / "report.md")[0] == 2
    assert not (repository / "report.md").exists()


def test_a_system_call_trace_shows_no_write_under_the_folder(repository: Path, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("NOT RUN: needs strace (apt-get install strace)")
    trace = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-o",
        str(trace),
        "-e",
        "trace=open,openat,creat,unlink,unlinkat,rename,renameat2,mkdir,utimensat,execve,connect",
    ]
    subprocess.run(
        [*command, sys.executable, "-m", "portraitist.audit", str(repository)],
        check=True,
        capture_output=True,
    )
    lines = [each for each in trace.read_text("utf-8").splitlines() if str(repository) in each]
    assert lines
    assert not [
        each
        for each in lines
        if "O_WRONLY" in each or "O_RDWR" in each or "O_CREAT" in each or "unlink" in each or "mkdir" in each
    ]
    assert "connect(" not in trace.read_text("utf-8")


def test_a_read_only_copy_of_another_owner_can_be_audited(repository: Path) -> None:
    for path in [repository, *repository.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert _run(repository)[0] == 0
    finally:
        for path in [repository, *repository.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_the_report_has_the_nine_sections_and_stays_under_its_words(repository: Path) -> None:
    _, text, _ = _run(repository)
    titles = [line[3:] for line in text.splitlines() if line.startswith("#")]
    assert [each.partition(")")[0] for each in titles] == [str(number) for number in range(1, 10)]
    assert words(text) < 2500
    assert "Training hyperparameters stay unchanged" in text


def test_an_empty_folder_is_reported_and_every_section_says_so(tmp_path: Path) -> None:
    code, text, _ = _run(tmp_path)
    assert code == 0
    assert text.count("\n## ") == 8
    assert "server/model-training-service.ts" in text


@pytest.mark.parametrize(
    "sought", ["version", "rsio", "$set", "modèle", "Props", "set_on", "ß9", "versionset", "output"]
)
def test_the_words_of_a_file_answer_whether_its_text_holds_one_as_the_text_does(sought: str) -> None:
    texts = [
        "const version = `${Props}.x`; // version, modèle",
        "a.$set({ set_on: 'ß9' })\r\nversion set",
        "",
        "OUTPUT\u212a \ud800",
    ]
    for text in texts:
        file = source.SourceFile("a.ts", "src", "javascript", text)
        assert (sought in file.words) == (sought in text)
        assert (sought in file.lowered_words) == (sought in text.lower())


def test_a_column_that_the_schema_calls_otherwise_than_the_code_is_claimed_by_what_the_line_shows(
    tmp_path: Path,
) -> None:
    (tmp_path / "schema.ts").write_text(
        'import { mysqlTable, int, varchar } from "drizzle-orm/mysql-core";\n'
        'export const models = mysqlTable("models", {\n'
        '  id: int("id"), status: varchar("loraVersionStatus", { length: 9 }),\n});\n'
    )
    (tmp_path / "app" / "api").mkdir(parents=True)
    (tmp_path / "app" / "api" / "route.ts").write_text(
        'import { db } from "../../db";\nimport { models } from "../../schema";\n'
        'export async function POST() {\n  await db.update(models)\n    .set({ status: "active" });\n}\n'
    )
    _, text, _ = _run(tmp_path, "--json", "-")
    said = json.loads(text)
    assert any(
        each["key"] == "models.loraVersionStatus" and each["kind"] == "db.write" for each in said["facts"]
    )
    assert said["dropped"] == []


def test_no_printed_claim_cites_a_line_without_its_token(repository: Path) -> None:
    _, text, _ = _run(repository, "--json", "-")
    assert json.loads(text)["dropped"] == []


def test_a_path_that_is_no_folder_and_a_broken_vocabulary_are_usage_errors(tmp_path: Path) -> None:
    assert _run(tmp_path / "nothing")[0] == 2
    bad = tmp_path / "bad.toml"
    bad.write_text("[lists]\nunheard_of = ['x']\n", "utf-8")
    assert _run(tmp_path, "--vocabulary", bad)[0] == 2


def test_a_finding_fails_the_run_only_at_the_asked_level_and_not_when_it_is_known(tmp_path: Path) -> None:
    root, known = tmp_path / "r", tmp_path / "known.json"
    unpack_files(root, {"package.json": "{}", "app/api/x/route.ts": GENERATE})
    assert _run(root, "--json", known)[0] == 0
    assert _run(root, "--fail-on", "error")[0] == 1
    assert _run(root, "--fail-on", "error", "--baseline", known)[0] == 0
    moved = "// one more line\n\n" + GENERATE
    unpack_files(root, {"app/api/x/route.ts": moved})
    assert _run(root, "--fail-on", "error", "--baseline", known)[0] == 0


def test_the_rules_to_judge_by_can_be_chosen(tmp_path: Path) -> None:
    root = tmp_path / "r"
    unpack_files(
        root, {"package.json": "{}", "app/api/x/route.ts": GENERATE + "\nsk(process.env.NOT_SET);\n"}
    )

    def rules(*options: str) -> set[str]:
        return {each["rule"] for each in json.loads(_run(root, "--json", "-", *options)[1])["findings"]}

    everything = rules()
    assert {"missing-auth", "undefined-name"} <= everything
    assert rules("--select", "missing-auth, idor") == {"missing-auth"}
    assert rules("--ignore", "missing-auth") == everything - {"missing-auth"}
    assert _run(root, "--fail-on", "error", "--ignore", "missing-auth")[0] == 0
    report = _run(root, "--select", "idor")[1]
    assert "Judged by idor only.\n\nNo risk was found by the rules." in report
    assert json.loads(_run(root, "--json", "-", "--select", "idor")[1])["rules"] == ["idor"]
    assert "rules" not in json.loads(_run(root, "--json", "-")[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--select", "mising-auth"), "did you mean missing-auth?"),
        (("--ignore", "zzz"), "rules are clears-working-model"),
        (("--select", "idor", "--ignore", "idor"), "no rule is left"),
    ],
)
def test_a_rule_that_nobody_knows_is_a_usage_error(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    code, out, problem = _run(tmp_path, *options)
    assert (code, out) == (2, "")
    assert said in " ".join(problem.replace("│", " ").split())


def unpack_files(root: Path, files: dict[str, str]) -> None:
    """Writes files under a folder."""
    for name, body in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(body, "utf-8")


def test_a_users_vocabulary_names_a_guard_without_code(tmp_path: Path) -> None:
    root, more = tmp_path / "r", tmp_path / "more.toml"
    unpack_files(
        root,
        {"package.json": "{}", "app/api/x/route.ts": GENERATE.replace("{ return", "{ bouncer(); return")},
    )
    more.write_text('guards = ["bouncer"]\n', "utf-8")
    assert _run(root, "--fail-on", "error")[0] == 1
    assert _run(root, "--fail-on", "error", "--vocabulary", more)[0] == 0


def test_sarif_holds_a_fingerprint_and_a_code_flow_for_the_finding(tmp_path: Path) -> None:
    root, out = tmp_path / "r", tmp_path / "out.sarif"
    unpack_files(root, {"package.json": "{}", "app/api/x/route.ts": GENERATE})
    _run(root, "--sarif", out)
    run = json.loads(out.read_text("utf-8"))["runs"][0]
    result = next(each for each in run["results"] if each["ruleId"] == "missing-auth")
    assert result["partialFingerprints"]["portraitistAudit/v1"]
    assert result["codeFlows"][0]["threadFlows"][0]["locations"]


HOSTILE = {
    "deep.ts": "const x = " + "(" * 5000 + "1" + ")" * 5000 + ";\n",
    "deep.py": "x = " + "[" * 3000 + "]" * 3000 + "\n",
    "chain.js": "a" + ".b()" * 4000 + ";\n",
    "sum.js": "const t = " + " + ".join(["'x'"] * 3000) + ";\n",
    "sum.py": "t = " + " + ".join(["x"] * 3000) + "\n",
    "elif.py": "if a == 1:\n    pass\n" + "".join(f"elif a == {n}:\n    pass\n" for n in range(1500)),
    "else.js": "if (a) {}" + " else if (a) {}" * 1500 + "\n",
    "minified.js": "var a=1;" * 200_000,
    "broken.ts": "export async function POST( { { ] } replicate.run('a/b' <<<<<<< HEAD\n",
    "broken.py": "def f(:\n  replicate.run('a/b'\n\x00\n",
    "empty.tsx": "export default function P() { return <div>{}{/* nothing */}<p {...{}}>&nbsp;{' '}</p></div>; }\n"
    "() => (); x = ;\n",
    "self.ts": "import { a } from './self';\nexport const a = a;\nexport function f() { return f(); }\n"
    "const o: any = { ...o, x: f() };\n",
    "ring_a.ts": "export * from './ring_b';\nexport { z } from './ring_b';\n",
    "ring_b.ts": "export * from './ring_a';\nexport { z } from './ring_a';\n",
    "cycle.py": "from cycle import x\nx = x\ndef f(a=x):\n    return f(f(a))\n",
    "sql.ts": "db.query(`SELECT " + "(" * 2000 + " FROM t`);\nsql`UPDATE a SET b = ${'x'`" + "\n",
    "class.ts": "class A extends A { x = this.x; m() { return this.m().m().m(); } }\nnew A().m();\n",
    "pipe|`tick`\n.ts": "fetch('https://api.replicate.com/v1/predictions', "
    "{method: 'POST', body: '| <script>`` |'});\n",
}


@pytest.mark.parametrize(
    "name", sorted(HOSTILE), ids=[each.encode("unicode_escape").decode() for each in sorted(HOSTILE)]
)
def test_hostile_source_neither_crashes_nor_hangs_it(name: str, tmp_path: Path) -> None:
    unpack_files(tmp_path / "r", {name: HOSTILE[name], "package.json": "{}"})
    code, text, _ = _run(tmp_path / "r")
    assert code in {0, 3}
    assert text.count("\n## ") == 8


def test_links_pipes_odd_encodings_and_unreadable_files_are_survived(tmp_path: Path) -> None:
    root = tmp_path / "r"
    unpack_files(root, {"a/b/x.ts": GENERATE, "package.json": "{"})
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "passwd.ts").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe.ts")
    (root / "utf16.ts").write_bytes(GENERATE.encode("utf-16"))
    (root / "latin.py").write_bytes(b"x = '\xe9\xff'\nimport replicate\nreplicate.run('a/b', input={})\n")
    code, text, _ = _run(root, "--json", "-")
    facts = json.loads(text)["facts"]
    assert code == 0
    assert "root:" not in text
    assert {each["path"] for each in facts if each["kind"] == "replicate.call"} == {
        "a/b/x.ts",
        "latin.py",
        "utf16.ts",
    }


def test_a_file_that_cannot_be_read_makes_the_run_incomplete_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack_files(tmp_path / "r", {"app/api/x/route.ts": GENERATE, "gone.ts": "", "package.json": "{}"})
    read = source._read
    monkeypatch.setattr(
        source, "_read", lambda path: read(path.with_name("nowhere") if path.name == "gone.ts" else path)
    )
    code, text, errors = _run(tmp_path / "r")
    assert (code, text.count("\n## ")) == (3, 8)
    assert "gone.ts" in errors


def test_an_import_of_a_file_that_is_not_parsed_is_survived(tmp_path: Path) -> None:
    big = "var a = 1;" * 3000
    files = {
        "package.json": "{}",
        "index.ts": "import './lib.js';\n",
        "lib.js": big,
        "huge.js": "//" + "x" * 2_100_000,
    }
    unpack_files(tmp_path / "r", files)
    assert _run(tmp_path / "r")[0] == 0


def test_markdown_from_names_and_values_cannot_leave_its_span(audit_files: Auditor, tmp_path: Path) -> None:
    evil = "x`](http://evil) | <img src=x>"
    unpack_files(
        tmp_path / "r",
        {"app/api/x/route.ts": GENERATE.replace("{ input: {} }", f'{{ input: {{ "{evil}": 1 }} }}')},
    )
    _, text, _ = _run(tmp_path / "r")
    assert "x`]" not in text
    assert "| <img" not in text


def test_broken_syntax_over_a_fact_makes_the_run_incomplete(tmp_path: Path) -> None:
    unpack_files(
        tmp_path / "r",
        {"main.py": "import replicate\ndef f():\n    replicate.run('a/b', input={'p': 1 2 3})\nf()\n"},
    )
    assert _run(tmp_path / "r")[0] == 3


def test_the_json_speaks_the_closed_vocabulary_and_every_line_of_it_exists(repository: Path) -> None:
    told = json.loads(_run(repository, "--json", "-")[1])
    assert list(told) == ["schema", "root", "files_read", "facts", "findings", "dropped", "unresolved"]
    assert (told["schema"], told["root"]) == ("portraitist-audit/1", None)
    lines = {
        str(each.relative_to(repository)): each.read_text("utf-8").count("\n") + 1
        for each in repository.rglob("*")
        if each.is_file()
    }
    assert {each["kind"] for each in told["facts"]} <= KINDS
    assert {each["role"] for each in told["facts"]} <= set(ROLES)
    assert {each["rule"] for each in told["findings"]} <= set(RULES)
    ranks = sorted(each["rank"] for each in told["findings"] if each["rank"] is not None)
    assert ranks == list(range(1, len(ranks) + 1))
    assert len(ranks) <= 10
    outside = [
        f"{each['path']}:{each['line']}-{each['end_line']}"
        for each in (*told["facts"], *told["findings"])
        if not 1 <= each["line"] <= each["end_line"] <= lines[each["path"]]
    ]
    assert outside == []


def test_a_joined_tables_columns_are_not_taken_for_the_first_tables() -> None:
    read, joined = statements(
        "select m.id, note, o.price from models m left join orders o on o.model_id = m.id"
    )
    assert (read.table, [column.name for column in read.columns]) == ("models", ["id", "note"])
    assert joined.table == "orders"
