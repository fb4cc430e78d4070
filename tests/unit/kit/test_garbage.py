"""What is loaded is not looked through again; what comes and goes afterwards still is collected."""

import gc
import subprocess
import sys
import weakref

from portraitist.kit.garbage import THRESHOLDS, spare_what_is_loaded


class Thing:
    """Holds itself, so that only a collection gets rid of it."""

    def __init__(self) -> None:
        self.itself = self


def check() -> None:
    before = [Thing() for _ in range(100)]
    spare_what_is_loaded()
    assert gc.get_freeze_count() > 1_000
    assert not [each for each in gc.get_objects() if each is before]
    assert gc.get_threshold() == THRESHOLDS
    gone = weakref.ref(Thing())
    gc.collect()
    assert gone() is None


def test_what_is_loaded_is_spared_and_what_comes_later_is_collected() -> None:
    """In a process of its own: it changes the whole process for good."""
    code = "from tests.unit.kit.test_garbage import check; check()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
