"""The matrix of OWASP ASVS 5.0 is whole, each line leads somewhere, and what it names exists."""

import ast
import hashlib
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WAYS = ("test", "manual", "does_not_apply", "open")
PER_LEVEL = {1: 70, 2: 183, 3: 18}  # of ASVS 5.0.0
OF_THE_STANDARD = "e43dfb931a6eefcd3f051733027638b1cbacdea482f78cd1d230a52d20f2ccc3"
"""SHA-256 of the lines `id level`, sorted, as the standard's own CSV (5.0.0, English) has them."""
DEEPER = re.compile(r"(?:5|8|14)\.|15\.4\.")  # where faces are concerned, level 3 counts too


def matrix() -> dict[str, dict[str, Any]]:
    return tomllib.loads((ROOT / "tests/security/asvs.toml").read_text())


def missing_tests(named: list[str]) -> list[str]:
    """Of `path::name`, those that are not there."""
    found: dict[str, set[str]] = {}
    for path in {each.partition("::")[0] for each in named}:
        file = ROOT / path
        tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        found[path] = {node.name for node in tree.body if isinstance(node, functions)}
    return [each for each in named if each.partition("::")[2] not in found[each.partition("::")[0]]]


def test_every_requirement_of_levels_one_and_two_is_there_and_of_three_where_faces_are_concerned() -> None:
    levels = Counter(line["level"] for line in matrix().values())
    assert levels == PER_LEVEL
    lines = sorted(f"{requirement} {line['level']}" for requirement, line in matrix().items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == OF_THE_STANDARD
    for requirement, line in matrix().items():
        assert re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{1,2}", requirement)
        assert line["level"] < 3 or DEEPER.match(requirement), requirement


def test_every_line_has_one_way_and_a_reason() -> None:
    for requirement, line in matrix().items():
        ways = [way for way in WAYS if way in line]
        assert len(ways) == 1, requirement
        assert set(line) == {"level", ways[0]}, requirement
        assert len(line[ways[0]]) > 5, requirement


def test_every_named_test_exists() -> None:
    assert missing_tests([line["test"] for line in matrix().values() if "test" in line]) == []


def test_a_test_that_does_not_exist_is_found() -> None:
    here = "tests/security/test_asvs.py::"
    assert missing_tests([here + "test_every_named_test_exists", here + "test_gone", "tests/gone.py::x"]) == [
        here + "test_gone",
        "tests/gone.py::x",
    ]


def test_what_is_open_is_counted_so_that_it_only_shrinks() -> None:
    assert sorted(id_ for id_, line in matrix().items() if "open" in line) == []


def test_every_page_that_a_step_by_hand_names_exists() -> None:
    for line in matrix().values():
        for page in re.findall(r"(?:docs|src|frontend)/[\w/.-]*\w", line.get("manual", "")):
            assert (ROOT / page).exists(), page
