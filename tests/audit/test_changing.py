"""Files that change under the auditor's hands, and trees that belong to somebody else.

A change is made at the worst moment: between the listing and the opening, or between the size and the bytes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from portraitist.audit.cli import app

ROUTE = """import Replicate from "replicate";
export async function POST() { return new Replicate().run("a/b", { input: {} }); }
"""
NOBODY = 65534


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "r"
    (root / "app/api/x").mkdir(parents=True)
    (root / "app/api/x/route.ts").write_text(ROUTE)
    (root / "package.json").write_text("{}")
    (root / "moving.ts").write_text("export const a = 1;\n")
    return root


def _audit(root: Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(root)])
    return result.exit_code, result.stdout, result.stderr


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("change", [Path.unlink, _link, _pipe, _folder])
def test_a_file_that_turns_into_something_else_before_it_is_opened_is_named_and_not_followed(
    tree: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    opened = os.open

    def late(path: Path, flags: int) -> int:
        if path.name == "moving.ts":
            change(path)
        return opened(path, flags)

    monkeypatch.setattr("portraitist.audit.source.os.open", late)
    code, text, errors = _audit(tree)
    assert code == 3
    assert "moving.ts" in errors
    assert text.count("\n## ") == 8
    assert "root:" not in text
    assert "POST /api/x" in text


@pytest.mark.parametrize("after", ["export const a = 1;\n" * 500, "", "export const b = 2;\n"])
def test_a_file_that_grows_shrinks_or_is_rewritten_while_it_is_read_is_not_believed(
    tree: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    status, moving = os.fstat, (tree / "moving.ts").stat().st_ino
    pending = [True]

    def late(handle: int) -> os.stat_result:
        found = status(handle)
        if found.st_ino == moving and pending and pending.pop():
            (tree / "moving.ts").write_text(after)
            os.utime(tree / "moving.ts", ns=(1, 1))
        return found

    monkeypatch.setattr("portraitist.audit.source.os.fstat", late)
    code, text, errors = _audit(tree)
    assert code == 3
    assert "moving.ts: changed while it was read" in errors
    assert "POST /api/x" in text


def test_no_file_stays_open_after_a_change(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    test_a_file_that_turns_into_something_else_before_it_is_opened_is_named_and_not_followed(
        tree, monkeypatch, _folder
    )
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A tree of root's that others may read and nobody may write, where another user can reach it."""
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: needs root, to become another user (run the suite as root)")
    root = Path(tempfile.mkdtemp())
    (root / "app/api/x").mkdir(parents=True)
    (root / "app/api/x/route.ts").write_text(ROUTE)
    (root / "package.json").write_text("{}")
    (root / "private.ts").write_text("export const a = 1;\n")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield root
    shutil.rmtree(root)


def _as_nobody(root: Path) -> tuple[int, str]:
    """Exit code and report of an audit that runs as another user, in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        code, text, errors = _audit(root)
        os.write(write, f"{code}\n{text}{errors}".encode()[:60_000])
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "r", encoding="utf-8", errors="replace") as answer:
        said, _, text = answer.read().partition("\n")
    return int(said or -1), text


def test_another_user_can_audit_a_tree_that_it_may_only_read(foreign: Path) -> None:
    assert _audit(foreign)[0] == 0  # loads every module before the user changes
    code, text = _as_nobody(foreign)
    assert code == 0
    assert "POST /api/x" in text


def test_another_user_is_told_which_file_it_may_not_read(foreign: Path) -> None:
    assert _audit(foreign)[0] == 0
    (foreign / "private.ts").chmod(0o400)
    code, text = _as_nobody(foreign)
    assert code == 3
    assert "private.ts: Permission denied" in text
