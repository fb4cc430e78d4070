"""Taking a control out of the code turns its test red: a test that stays green proves nothing.

Each control of `controls.toml` is taken out of a copy of the sources, and its test runs against that copy. Everyday
mode takes the quick ones; `PORTRAITIST_ALL_CONTROLS=1` all of them (about five seconds each).
"""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAILED = 1  # pytest's exit code for tests that ran and failed; others mean that nothing was proven
TIMEOUT_S = 600


@dataclass(frozen=True)
class Control:
    """One control and how it is taken out."""

    name: str
    file: str
    take_out: str
    put_in: str
    test: str
    quick: bool = False


def controls() -> list[Control]:
    listed = tomllib.loads((ROOT / "tests/security/controls.toml").read_text())["control"]
    return [Control(**each) for each in listed]


def wanted() -> list[Control]:
    every = os.environ.get("PORTRAITIST_ALL_CONTROLS") == "1"
    return [each for each in controls() if every or each.quick]


def outcome(control: Control | None, test: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The test's run against a copy of the sources, with the control taken out of it if one is given."""
    source = folder / "src" / "portraitist"
    shutil.copytree(
        ROOT / "src" / "portraitist", source, ignore=shutil.ignore_patterns("checkpoint", "__pycache__")
    )
    if control is not None:
        file = source / control.file
        file.write_text(file.read_text().replace(control.take_out, control.put_in))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("control", wanted(), ids=lambda control: control.name)
def test_without_the_control_its_test_is_red(control: Control, tmp_path: Path) -> None:
    done = outcome(control, control.test, tmp_path)
    assert done.returncode == FAILED, done.stdout[-3000:] + done.stderr[-1000:]


def test_with_every_control_in_place_the_copy_is_green(tmp_path: Path) -> None:
    quick = next(each for each in controls() if each.quick)
    done = outcome(None, quick.test, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]


def test_at_least_twenty_controls_stand_in_the_code_once_and_their_tests_exist() -> None:
    listed = controls()
    assert len(listed) >= 20
    assert len({each.name for each in listed}) == len(listed)
    for each in listed:
        assert (ROOT / "src/portraitist" / each.file).read_text().count(each.take_out) == 1, each.name
        path, _, name = each.test.partition("::")
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        tree = ast.parse((ROOT / path).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, functions)}, each.name
