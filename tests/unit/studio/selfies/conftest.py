"""One judge for each test module: its sandboxes are the real ones."""

from collections.abc import AsyncIterator

import pytest

from portraitist.studio.selfies.judging import Judge


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The event loop lives as long as the judge."""
    return "asyncio"


@pytest.fixture(scope="module")
async def judge(anyio_backend: str) -> AsyncIterator[Judge]:
    """A judge with the limits of the product."""
    async with Judge() as judge:
        yield judge
