"""Failpoints kill where they are told to, and nowhere outside of tests."""

import os
import signal
import subprocess
import sys

PROGRAM = """
from portraitist.kit import failpoints
for _ in range(3):
    failpoints.hit("step")
    print("alive", flush=True)
"""


def ran(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PORTRAITIST_")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_labelled_step_is_nothing_unless_it_is_named() -> None:
    assert ran().stdout.count("alive") == 3


def test_a_named_step_kills_at_the_hit_that_is_named() -> None:
    done = ran(PORTRAITIST_FAILPOINTS="other,step:2", PORTRAITIST_TESTING="1")
    assert (done.returncode, done.stdout.count("alive")) == (-signal.SIGKILL, 1)
    assert "failpoint step" in done.stderr


def test_failpoints_are_refused_outside_of_tests() -> None:
    done = ran(PORTRAITIST_FAILPOINTS="step")
    assert done.returncode == 1
    assert "FailpointsRefused" in done.stderr
