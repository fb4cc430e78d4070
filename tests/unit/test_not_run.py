"""A test that lacks its tool is named at the end, and fails the run where CI is set."""

from collections.abc import Callable
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


@pytest.fixture(params=[[], ["-n", "2"]], ids=["one process", "parallel workers"])
def run(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Callable[[], pytest.RunResult]:
    pytester.makepyfile(SKIPPING)
    return lambda: pytester.runpytest_subprocess("-p", "tests.not_run", *request.param)


def test_a_missing_tool_is_named_with_the_line_that_installs_it(
    run: Callable[[], pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*NOT RUN*", "1 tests: needs a browser (apt-get install chromium)"])


def test_with_ci_set_a_missing_tool_fails_the_run(
    run: Callable[[], pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert run().ret == 1
