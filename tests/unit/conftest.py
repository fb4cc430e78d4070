"""What unit tests of several folders need: logs that are as they were."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """For tests that configure logging: the root's handlers, its level and structlog are put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
