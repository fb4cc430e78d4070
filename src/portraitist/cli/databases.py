"""Make the databases ready before the parts start: roles, tables, and a word about a server that can't serve.

The studio's own migrations live with the studio; here is only who may run them, and where.
"""

import psycopg

from portraitist.cli import environment
from portraitist.cli.environment import Choices, Databases
from portraitist.cli.errors import BadUsage, PartAway
from portraitist.kit.embedded_postgres import Server, ensure_database, ensure_role
from portraitist.kit.homes import Home
from portraitist.kit.ownership import hand_over
from portraitist.studio.config import ENGINE_ACCOUNT

CONNECT_TIMEOUT_S = 10
# Of a role that owns tables: what it owns, and nothing more.
PLAIN = "nosuperuser nobypassrls nocreatedb nocreaterole noreplication"
OLDEST = 150000  # server_version_num of PostgreSQL 15


async def prepare(home: Home, chosen: Choices, server: Server | None) -> Databases:
    """Every database that the parts need, with its roles and tables; `server` is the embedded PostgreSQL."""
    app, owner = chosen.database_url, chosen.owner_url
    if app is None:
        assert server is not None  # choices: without DATABASE_URL it is embedded
        app, owner = await _embedded(home, server)
    else:
        if owner is not None:
            _connect(owner, "DATABASE_OWNER_URL").close()
            await _migrate(owner, environment.password_of(app))
        check(app)
    wanted = chosen.embedded_engine or (chosen.engine_was_here and _engine_is_needed(app))
    return Databases(app=app, owner=owner, engine=_engine(home, chosen, server) if wanted else None)


async def _embedded(home: Home, server: Server) -> tuple[str, str]:
    """The studio's database in the embedded server, as `app` and as its owner: the superuser makes no table.

    What it owns in a data folder of an earlier release goes to the plain owner first.
    """
    from portraitist.studio import roles  # noqa: PLC0415 - heavy; attaching needs none of it

    name, password = environment.STUDIO_DATABASE, home.secret("database-owner")
    ensure_role(server, environment.OWNER_ROLE, password, options=PLAIN)
    ensure_database(server, name, environment.OWNER_ROLE)
    hand_over(server.url(name), environment.OWNER_ROLE)
    await roles.ensure(server.url(name), app_password=home.secret("database-app"))
    owner = server.url(name, environment.OWNER_ROLE, password)
    await _migrate(owner, None)
    return server.url(name, environment.APP_ROLE, home.secret("database-app")), owner


def _engine_is_needed(app: str) -> bool:
    """Whether a version that may be used again, or a training in hand, lives on the embedded engine."""
    with _connect(app, "DATABASE_URL") as connection:
        connection.execute("set local role dispatch")
        row = connection.execute(
            "select exists (select from trainings where account_id = %s and status not in ('failed', 'canceled'))",
            [ENGINE_ACCOUNT],
        ).fetchone()
    return row is not None and bool(row[0])


def _engine(home: Home, chosen: Choices, server: Server | None) -> str:
    """The embedded engine's own database."""
    if chosen.engine_database_url is not None:
        return chosen.engine_database_url
    assert server is not None  # choices: an embedded engine without a database of its own is embedded too
    password = home.secret("database-engine")
    ensure_role(server, environment.ENGINE_ROLE, password, options=PLAIN)
    ensure_database(server, environment.ENGINE_DATABASE, environment.ENGINE_ROLE)
    return server.url(environment.ENGINE_DATABASE, environment.ENGINE_ROLE, password)


async def _migrate(owner: str, app_password: str | None) -> None:
    from portraitist.studio.roles import RolesMissing, migrate  # noqa: PLC0415 - heavy; attaching needs none of it

    try:
        await migrate(owner, app_password=app_password)
    except RolesMissing as error:
        raise BadUsage(str(error), code="roles_missing") from error


def check(url: str) -> None:
    """One clear sentence for a DATABASE_URL that leads nowhere, to an old server or to an empty database."""
    with _connect(url, "DATABASE_URL") as connection:
        if connection.info.server_version < OLDEST:
            raise BadUsage("The server of DATABASE_URL is older than PostgreSQL 15.", code="old_postgres")
        row = connection.execute("select to_regclass('public.users') is not null").fetchone()
    if row is None or not row[0]:
        raise BadUsage(
            "The database of DATABASE_URL has no tables of the studio yet.",
            next_step="Set DATABASE_OWNER_URL too, and run `portraitist migrate`.",
            code="not_migrated",
        )


def _connect(url: str, variable: str) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise PartAway(
            f"The database of {variable} ({environment.without_password(url)}) can't be used: {reason}",
            next_step=f"Correct {variable}; unset it to use the embedded PostgreSQL. Nothing was changed.",
            code="database_away",
        ) from error
