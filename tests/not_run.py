"""The closing list of tests that could not run here, each with the line that installs what they lack.

A pytest plugin. Such a test skips with a reason that begins with NOT RUN; where CI is set, one of them fails
the run, so a missing tool can't hide behind a green tick.
"""

import os

import pytest

MARK = "NOT RUN: "
NOT_RUN = pytest.StashKey[dict[str, list[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_RUN] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(MARK):
            item.config.stash[NOT_RUN].setdefault(reason.removeprefix(MARK), []).append(item.nodeid)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.stash[NOT_RUN] and os.environ.get("CI") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    if not config.stash[NOT_RUN]:
        return
    terminalreporter.section("NOT RUN")
    for reason, tests in sorted(config.stash[NOT_RUN].items()):
        terminalreporter.line(f"{len(tests)} tests: {reason}")
        for test in tests:
            terminalreporter.line(f"    {test}")
