"""A studio that has members and sessions is upgraded by its plain owner, whom row-level security holds too."""

import asyncio
import shutil
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import psycopg
from tests.studio_database import APP_PASSWORD, OWNER, OWNER_PASSWORD

from portraitist.kit.embedded_postgres import Server, ensure_role
from portraitist.kit.migrate import migrate
from portraitist.studio import roles

LAST_BEFORE = "0034"
MEMBERS = """insert into users (id, handle, subject_word, created_at)
    select repeat(letter, 12), letter, 'person', now() from unnest(array['a', 'b']) letter"""
SESSIONS = """insert into sessions (user_id, id, token_hash, label, created_at, seen_at, expires_at)
    select id, gen_random_uuid(), sha256(id::bytea), 'x', now(), now(), now() from users"""


def test_members_and_sessions_of_before_are_taken_along(
    postgres: Server, make_database: Callable[..., str], tmp_path: Path
) -> None:
    ensure_role(postgres, OWNER, OWNER_PASSWORD, options="nosuperuser nobypassrls")
    name = make_database(owner=OWNER)
    owner = postgres.url(name, OWNER, OWNER_PASSWORD)
    asyncio.run(roles.ensure(postgres.url(name), app_password=APP_PASSWORD))
    with as_file(files("portraitist.studio") / "migrations") as folder:
        for path in folder.iterdir():
            if path.name[:4] <= LAST_BEFORE:
                shutil.copy(path, tmp_path)
    asyncio.run(migrate(owner, tmp_path))
    with psycopg.connect(postgres.url(name)) as superuser:
        superuser.execute(MEMBERS)
        superuser.execute(SESSIONS)

    assert asyncio.run(roles.migrate(owner, app_password=None))

    with psycopg.connect(postgres.url(name)) as superuser:
        assert superuser.execute("select count(distinct audit_subject) from users").fetchone() == (2,)
        kept = superuser.execute("select count(*) from sessions where proved_at = created_at").fetchone()
        assert kept == (2,)
