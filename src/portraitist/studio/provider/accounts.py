"""The one writer of `provider_accounts`: which account a training and a version belong to. Never its token."""

from datetime import datetime

from portraitist.studio.db import Tx


async def register(tx: Tx, account_id: str, base_url: str, username: str, now: datetime) -> None:
    """Know the configured account; an embedded engine may come back at another address."""
    await tx.run(
        """insert into provider_accounts (id, base_url, username, created_at) values (%s, %s, %s, %s)
           on conflict (id) do update set base_url = excluded.base_url""",
        (account_id, base_url, username, now),
    )
