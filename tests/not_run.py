"""The closing list of tests that could not run here, each with the line that installs what they lack.

A pytest plugin. Such a test skips with a reason that begins with NOT RUN; where CI is set, one of them fails
the run, so a missing tool can't hide behind a green tick.
"""

import os
from collections import defaultdict

import pytest

MARK = "NOT RUN: "


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(NotRun())


class NotRun:
    """What this run could not do: reasons, each with its tests. Reports reach it from parallel workers too."""

    def __init__(self) -> None:
        self._tests: dict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if reason.startswith(MARK):
                self._tests[reason.removeprefix(MARK)].append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._tests and os.environ.get("CI") and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._tests:
            return
        terminalreporter.section("NOT RUN")
        for reason, tests in sorted(self._tests.items()):
            terminalreporter.line(f"{len(tests)} tests: {reason}")
            for test in tests:
                terminalreporter.line(f"    {test}")
