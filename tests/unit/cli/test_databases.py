"""The embedded server's databases: made by the superuser, owned by plain roles, old ones taken over whole."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portraitist.cli import databases, environment
from portraitist.cli.environment import Databases, choices
from portraitist.kit.embedded_postgres import EmbeddedPostgres, Server, ensure_database
from portraitist.kit.homes import Home
from portraitist.studio import roles

OWNERS = """
    select relname, rolname, rolsuper from pg_class join pg_roles r on r.oid = relowner
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'S', 'v')
    union all select proname, rolname, rolsuper from pg_proc join pg_roles r on r.oid = proowner
    where pronamespace = 'public'::regnamespace
    union all select datname, rolname, rolsuper from pg_database join pg_roles r on r.oid = datdba
    where datname = current_database()
"""
# What an owner can do beyond owning, and which roles it may become.
POWERS = """
    select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
           or exists (select from pg_auth_members where member = oid) from pg_roles where rolname = %s
"""
SHAPE = """
    select relname, relowner::regrole::text,
           coalesce((select array_agg(grant_ order by grant_) from unnest(relacl::text[]) grant_), '{}')
    from pg_class where relnamespace = 'public'::regnamespace
    union all select proname, proowner::regrole::text, coalesce(proacl::text[], '{}') from pg_proc
    where pronamespace = 'public'::regnamespace
    union all select tablename || '.' || policyname, null, roles::text[] from pg_policies
    order by 1, 2
"""
SERVER_OF_ITS_OWN = "portraitist-session-"
MEMBER = "abcdefghijkl"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for servers of the test's own; under root they run as another user who must pass through."""
    folder = Path(tempfile.mkdtemp(prefix=f"{SERVER_OF_ITS_OWN}{os.getpid()}-databases-"))
    folder.chmod(0o711)
    yield folder
    for home in folder.glob("home*"):
        EmbeddedPostgres(home, state_root=folder / "state").stop()
    shutil.rmtree(folder)


def server_in(home: Home) -> Server:
    fast = {"fsync": "off"}
    return EmbeddedPostgres(home.path, state_root=home.path.parent / "state", settings=fast).start()


def prepare(home: Home, server: Server, **environ: str) -> Databases:
    return asyncio.run(databases.prepare(home, choices(environ, engine_was_here=True), server))


def rows(url: str, query: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query, values).fetchall()  # type: ignore[call-overload,no-any-return]


def test_no_table_function_or_database_belongs_to_a_superuser(folder: Path) -> None:
    home = Home(folder / "home")
    server = server_in(home)
    made = prepare(home, server)
    assert made.owner is not None
    assert made.engine is not None
    for url, owner in ((made.owner, environment.OWNER_ROLE), (made.engine, environment.ENGINE_ROLE)):
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        found = rows(server.url(str(name)), OWNERS)
        assert {(role, almighty) for _, role, almighty in found} == {(owner, False)}
        assert rows(server.url("postgres"), POWERS, owner) == [(False,)]
        assert rows(url, "select session_user::text, current_user::text") == [(owner, owner)]


def test_a_data_folder_whose_tables_the_superuser_owned_is_taken_over_whole(folder: Path) -> None:
    fresh, old = Home(folder / "home-fresh"), Home(folder / "home-old")
    like_new = rows(prepare(fresh, server_in(fresh)).owner or "", SHAPE)
    server = server_in(old)
    superuser = server.url(environment.STUDIO_DATABASE)
    ensure_database(server, environment.STUDIO_DATABASE, "postgres")
    asyncio.run(roles.migrate(superuser, app_password="from before"))
    rows(superuser, "select enrol_local_member(%s, 'folder:/photos', 'person', now())", MEMBER)
    assert rows(superuser, SHAPE) != like_new
    for _ in range(2):  # taking over again changes nothing
        made = prepare(old, server)
        assert rows(made.owner or "", SHAPE) == like_new
    again = "select enrol_local_member('zzzzzzzzzzzz', 'folder:/photos', 'person', now())"
    assert rows(made.app, again) == [(MEMBER,)]


TRAINED_HERE = """
    insert into provider_accounts (id, base_url, username, created_at)
        values ('engine', 'http://e', 'portraitist', now()) on conflict do nothing;
    insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
                           provider_training_id, candidate_version, next_check_at, created_at)
    values ('abcdefghijkl', gen_random_uuid(), '{status}', 'engine', 'userabcdefghijkl',
            'portraitist/abcdefghijkl-selfie-lora', 't', '{{}}',
            gen_random_uuid()::text, repeat('a', 64), now(), now())
"""


def test_with_another_provider_the_engine_gets_its_database_only_for_what_lives_on_it(folder: Path) -> None:
    home = Home(folder / "home")
    server = server_in(home)
    cloud = {"REPLICATE_API_TOKEN": "r8", "REPLICATE_USERNAME": "ada"}
    made = prepare(home, server, **cloud)
    assert made.engine is None
    rows(made.app, "select enrol_local_member(%s, 'folder:/photos', 'person', now())", MEMBER)
    with psycopg.connect(server.url(environment.STUDIO_DATABASE)) as conn:
        conn.execute(TRAINED_HERE.format(status="failed"))  # type: ignore[arg-type]
    assert prepare(home, server, **cloud).engine is None
    with psycopg.connect(server.url(environment.STUDIO_DATABASE)) as conn:
        conn.execute(TRAINED_HERE.format(status="completed"))  # type: ignore[arg-type]
    assert prepare(home, server, **cloud).engine is not None
