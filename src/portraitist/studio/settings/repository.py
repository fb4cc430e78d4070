"""The one writer of `settings`. SQL only."""

from datetime import datetime

from psycopg.types.json import Jsonb

from portraitist.studio.db import RegistrarTx, Tx


async def stored(tx: Tx) -> dict[str, str]:
    """Every stored value by its key."""
    cursor = await tx.conn.execute("select key, value from settings")
    return {row["key"]: str(row["value"]) for row in await cursor.fetchall()}


async def store(tx: RegistrarTx, key: str, value: str, now: datetime) -> None:
    """The value of a key from now on."""
    await tx.run(
        """insert into settings (key, value, changed_at) values (%s, %s, %s)
           on conflict (key) do update set value = excluded.value, changed_at = excluded.changed_at""",
        (key, Jsonb(value), now),
    )
