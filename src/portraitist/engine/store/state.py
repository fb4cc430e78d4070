"""The tables `secrets`, `workers` and `measurements`: what the engine knows about itself."""

from datetime import timedelta

from psycopg.rows import scalar_row

from portraitist.engine.store import Tx

WEBHOOK_SECRET = "webhook_secret"  # noqa: S105 (a row's name, not its value)
LINK_KEY = "link_key"
SECONDS_PER_STEP = "seconds_per_step"


async def secret(tx: Tx, name: str, fresh: str) -> str:
    """A secret's value; `fresh` becomes it if there is none yet."""
    await tx.execute(
        "insert into secrets (name, value) values (%s, %s) on conflict do nothing", (name, fresh)
    )
    query = "select value from secrets where name = %s"
    value = await (await tx.cursor(row_factory=scalar_row).execute(query, (name,))).fetchone()
    return str(value)


async def seen(tx: Tx, worker_id: str) -> None:
    """A worker's sign of life; workers not seen for a day are forgotten."""
    query = "insert into workers (id) values (%s) on conflict (id) do update set seen_at = now()"
    await tx.execute(query, (worker_id,))
    await tx.execute("delete from workers where seen_at < now() - interval '1 day'")


async def gone(tx: Tx, worker_id: str) -> None:
    """A worker stops in good order."""
    await tx.execute("delete from workers where id = %s", (worker_id,))


async def worker_alive(tx: Tx, within: timedelta) -> bool:
    """Whether any worker gave a sign of life of late."""
    query = "select exists (select from workers where seen_at > now() - %s)"
    return bool(await (await tx.cursor(row_factory=scalar_row).execute(query, (within,))).fetchone())


async def measure(tx: Tx, name: str, value: float) -> None:
    """Store a measurement; the last one counts."""
    query = (
        "insert into measurements (name, value) values (%s, %s) on conflict (name)"
        " do update set value = excluded.value, measured_at = now()"
    )
    await tx.execute(query, (name, value))


async def measured(tx: Tx, name: str) -> float | None:
    """The last measurement, if it is not older than a day: machines change."""
    query = "select value from measurements where name = %s and measured_at > now() - interval '1 day'"
    return await (await tx.cursor(row_factory=scalar_row).execute(query, (name,))).fetchone()
