"""Failpoints: dead where they are armed, nothing anywhere else, and never armed outside a test."""

import subprocess
import sys

import pytest

from portraitist.kit import failpoints
from portraitist.kit.failpoints import FailpointsRefused, arm, hit

SCRIPT = """
from portraitist.kit.failpoints import arm, hit
arm({spec!r}, testing=True)
for number in range(5):
    print(number, flush=True)
    hit("here")
    hit("there")
"""


def run(spec: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(spec=spec)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.split()


def test_the_process_dies_at_the_armed_hit_and_only_there() -> None:
    assert run("") == (0, ["0", "1", "2", "3", "4"])
    assert run("elsewhere") == (0, ["0", "1", "2", "3", "4"])
    assert run("here") == (-9, ["0"])
    assert run("elsewhere, there:3") == (-9, ["0", "1", "2"])


def test_a_server_for_people_does_not_start_with_failpoints() -> None:
    with pytest.raises(FailpointsRefused):
        arm("here", testing=False)
    hit("here")
    assert failpoints._armed == {}
