"""The database's roles and migrations: the one part of the studio that logs in as the owner.

`app` is what web and worker log in as; `dispatch` is what they assume to look across members at ids, states and
times. Both are made here, or their SQL is printed where the owner may not make roles.
"""

from importlib.resources import files
from typing import LiteralString

import psycopg
from psycopg import AsyncConnection, sql

from portraitist.kit import jobs
from portraitist.kit.errors import DatabaseUnavailable
from portraitist.kit.migrate import migrate as apply_migrations

APP, DISPATCH = "app", "dispatch"
MAKE_DISPATCH: LiteralString = (
    "create role dispatch nologin nosuperuser nobypassrls nocreatedb nocreaterole noinherit"
)
MAKE_APP: LiteralString = (
    "create role app login nosuperuser nobypassrls nocreatedb nocreaterole noinherit password {password}"
)
GRANT: LiteralString = "grant dispatch to app"


class RolesMissing(Exception):
    """The owner may not make roles; `statements` is what an administrator has to run first."""

    def __init__(self, statements: str) -> None:
        super().__init__(
            f"The database's owner may not make roles. Ask its administrator to run:\n{statements}\nand try again."
        )
        self.statements = statements


async def migrate(owner_url: str, *, app_password: str | None) -> list[str]:
    """Roles, tables and the job engine's schema; returns the migrations applied now. Safe to run again.

    `app_password` is set on the role `app` (None: left as it is). Raises RolesMissing, DatabaseUnavailable and
    MigrationError.
    """
    try:
        async with await AsyncConnection.connect(owner_url, autocommit=True) as conn:
            await _ensure_roles(conn, app_password)
    except psycopg.OperationalError as exc:
        raise DatabaseUnavailable(f"The database can't be reached as its owner: {exc}") from exc
    applied = await apply_migrations(owner_url, files("portraitist.studio") / "migrations")
    await jobs.apply_schema(owner_url, grant_to=APP)
    return applied


async def _ensure_roles(conn: AsyncConnection[tuple[str, ...]], app_password: str | None) -> None:
    cursor = await conn.execute("select rolname from pg_roles where rolname = any(%s)", ([APP, DISPATCH],))
    present = {row[0] for row in await cursor.fetchall()}
    try:
        if DISPATCH not in present:
            await conn.execute(MAKE_DISPATCH)
        if APP not in present:
            await conn.execute(sql.SQL(MAKE_APP).format(password=sql.Literal(app_password)))
        elif app_password is not None:
            await conn.execute(sql.SQL("alter role app password {}").format(sql.Literal(app_password)))
        cursor = await conn.execute("select pg_has_role('app', 'dispatch', 'member')")
        member = await cursor.fetchone()
        if member is None or not member[0]:
            await conn.execute(GRANT)
    except psycopg.errors.InsufficientPrivilege as exc:
        if {APP, DISPATCH} <= present:
            return  # an administrator made them and keeps their passwords
        statements = [MAKE_DISPATCH, MAKE_APP.replace("{password}", "'…'"), GRANT]
        raise RolesMissing(";\n".join(statements) + ";") from exc
