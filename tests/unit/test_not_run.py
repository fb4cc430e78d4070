"""A test that lacks its tool is named at the end, and fails the run where CI is set."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SKIPPING = """
import pytest

def test_in_a_browser():
    pytest.skip("NOT RUN: needs a browser (apt-get install chromium)")

def test_elsewhere():
    pytest.skip("another platform's")
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def run(pytester: pytest.Pytester) -> pytest.RunResult:
    pytester.makepyfile(SKIPPING)
    return pytester.runpytest_subprocess("-p", "tests.not_run")


def test_a_missing_tool_is_named_with_the_line_that_installs_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = run(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*NOT RUN*", "1 tests: needs a browser (apt-get install chromium)"])


def test_with_ci_set_a_missing_tool_fails_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert run(pytester).ret == 1
