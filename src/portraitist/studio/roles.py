"""The database's roles and migrations: the one part of the studio that logs in as the owner.

`app` is what web and worker log in as. It assumes `dispatch` to look across members at ids, states and times,
`registrar` for an admin's work on accounts, and `breakglass` for an admin's look that the member sees. They are made
here, or their SQL is printed where the owner may not.
"""

from importlib.resources import files
from typing import LiteralString

import psycopg
from psycopg import AsyncConnection, sql

from portraitist.kit import jobs
from portraitist.kit.errors import DatabaseUnavailable
from portraitist.kit.migrate import migrate as apply_migrations

APP = "app"
PLAIN: LiteralString = "nosuperuser nobypassrls nocreatedb nocreaterole noinherit"
MAKE_APP: LiteralString = "create role app login " + PLAIN + " password {password}"
MAKE: dict[str, LiteralString] = {
    "dispatch": "create role dispatch nologin " + PLAIN,
    "registrar": "create role registrar nologin " + PLAIN,
    "breakglass": "create role breakglass nologin " + PLAIN,
}
"""Roles that `app` assumes, and how each is made."""
GRANT: dict[str, LiteralString] = {
    "dispatch": "grant dispatch to app",
    "registrar": "grant registrar to app",
    "breakglass": "grant breakglass to app",
}


class RolesMissing(Exception):
    """The owner may not make roles; `statements` is what an administrator has to run first."""

    def __init__(self, statements: str) -> None:
        super().__init__(
            f"The database's owner may not make roles. Ask its administrator to run:\n{statements}\nand try again."
        )
        self.statements = statements


async def migrate(owner_url: str, *, app_password: str | None) -> list[str]:
    """Roles, tables and those of the jobs; returns the migrations applied now. Safe to run again.

    `app_password` is set on the role `app` (None: left as it is). Raises RolesMissing, DatabaseUnavailable and
    MigrationError.
    """
    await ensure(owner_url, app_password=app_password)
    applied = await apply_migrations(owner_url, files("portraitist.studio") / "migrations")
    for role in (APP, "dispatch"):  # the sweep puts jobs in as the role that looks across members
        await jobs.apply_schema(owner_url, grant_to=role)
    return applied


async def ensure(url: str, *, app_password: str | None) -> None:
    """The roles alone, by whoever may make them: a superuser where the owner may not.

    Raises RolesMissing and DatabaseUnavailable.
    """
    try:
        async with await AsyncConnection.connect(url, autocommit=True) as conn:
            await _ensure_roles(conn, app_password)
    except psycopg.OperationalError as exc:
        raise DatabaseUnavailable(f"The database can't be reached as its owner: {exc}") from exc


async def _ensure_roles(conn: AsyncConnection[tuple[str, ...]], app_password: str | None) -> None:
    wanted = {APP, *MAKE}
    cursor = await conn.execute("select rolname from pg_roles where rolname = any(%s)", (list(wanted),))
    present = {row[0] for row in await cursor.fetchall()}
    try:
        for role in MAKE.keys() - present:
            await conn.execute(MAKE[role])
        if APP not in present:
            await conn.execute(sql.SQL(MAKE_APP).format(password=sql.Literal(app_password)))
        elif app_password is not None:
            await conn.execute(sql.SQL("alter role app password {}").format(sql.Literal(app_password)))
        for role, grant in GRANT.items():
            cursor = await conn.execute("select pg_has_role('app', %s, 'member')", (role,))
            member = await cursor.fetchone()
            if member is None or not member[0]:
                await conn.execute(grant)
    except psycopg.errors.InsufficientPrivilege as exc:
        if wanted <= present:
            return  # an administrator made them and keeps their passwords
        statements = [*MAKE.values(), MAKE_APP.replace("{password}", "'…'"), *GRANT.values()]
        raise RolesMissing(";\n".join(statements) + ";") from exc
