"""The clock, the ports, and the rule that importing the kit does nothing."""

import subprocess
import sys
from datetime import UTC, timedelta

from portraitist.kit.clock import SystemClock
from portraitist.kit.ports import free_port, port_in_use


def test_the_clock_is_in_utc_and_does_not_go_back() -> None:
    first, second = SystemClock().now(), SystemClock().now()
    assert first.tzinfo is UTC
    assert timedelta(0) <= second - first < timedelta(seconds=5)


def test_a_free_port_is_free() -> None:
    assert not port_in_use("127.0.0.1", free_port())


def test_importing_the_kit_opens_starts_and_prints_nothing() -> None:
    code = (
        "import pkgutil, threading, portraitist.kit as kit\n"
        "names = [m.name for m in pkgutil.iter_modules(kit.__path__)]\n"
        "for name in names: __import__(f'portraitist.kit.{name}')\n"
        "assert threading.active_count() == 1 and len(names) > 10"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
