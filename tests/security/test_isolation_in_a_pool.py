"""Two members share one connection: what was set for one is gone before the other comes. `bench/isolation_probes.py`
runs a million of these cycles in its long mode.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.security.conftest import FullTemplate
from tests.security.pool import cycles
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import Server
from portraitist.studio.db import StudioDatabase, UserTx

pytestmark = pytest.mark.anyio


async def test_two_members_through_one_connection_see_their_own(
    postgres: Server, full_database: str, full_template: FullTemplate
) -> None:
    url = postgres.url(full_database, "app", APP_PASSWORD)
    assert await cycles(url, [member.id for member in full_template.members], 300) == 0


async def test_a_member_set_for_the_whole_connection_is_found(
    postgres: Server,
    full_database: str,
    full_template: FullTemplate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The planted bug: `set_config(…, false)` outlives its transaction."""

    @asynccontextmanager
    async def member(self: StudioDatabase, user_id: str, *, once: bool = False) -> AsyncIterator[UserTx]:
        async with self.pool.transaction() as conn:
            await conn.execute("select set_config('app.user_id', %s, false)", (user_id,))
            yield UserTx(conn, user_id)

    monkeypatch.setattr(StudioDatabase, "member", member)
    url = postgres.url(full_database, "app", APP_PASSWORD)
    with pytest.raises(AssertionError, match="remembers its last member"):
        await cycles(url, [member.id for member in full_template.members], 100)
