"""What a superuser made is handed to a plain role: everything of ours, nothing of the system, once."""

from collections.abc import Callable

import psycopg
import pytest

from portraitist.kit.embedded_postgres import Server, ensure_role
from portraitist.kit.ownership import hand_over

OLD = """
    create type mood as enum ('glad', 'sad');
    create type pair as (a int, b int);
    create domain percent as int check (value between 0 and 100);
    create sequence counted;
    create table things (id bigint generated always as identity, n serial, mood mood, share percent, user_id text);
    create table parts (id int) partition by range (id);
    create table parts_low partition of parts for values from (0) to (10);
    create view glad_things as select * from things where mood = 'glad';
    create function twice(n int) returns int language sql security definer return n * 2;
    create schema "Side room";
    create table "Side room"."Odd ""name" (id int);
    alter table things enable row level security;
    alter table things force row level security;
    create policy own on things to reader using (user_id = current_user);
    create policy look_up on things for select to current_user, reader using (true);
    create policy everybody on things for delete to public using (true);
    grant select on things to reader;
"""
OWNERS = """
    select rolname, relname from pg_class join pg_roles r on r.oid = relowner
    where relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'pg_toast')
    union all select rolname, proname from pg_proc join pg_roles r on r.oid = proowner
    where pronamespace = 'public'::regnamespace
    union all select rolname, typname from pg_type join pg_roles r on r.oid = typowner
    where typnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'pg_toast')
    union all select rolname, nspname from pg_namespace join pg_roles r on r.oid = nspowner
    where nspname = 'Side room'
"""


@pytest.fixture
def old(postgres: Server, make_database: Callable[..., str]) -> str:
    """The URL of a database in which the superuser made everything."""
    for role in ("plain", "reader"):
        ensure_role(postgres, role, "secret", options="nosuperuser")
    url = postgres.url(make_database())
    with psycopg.connect(url) as conn:
        conn.execute(OLD)  # type: ignore[arg-type]
    return url


def owners(url: str) -> set[tuple[str, str]]:
    with psycopg.connect(url) as conn:
        return set(conn.execute(OWNERS).fetchall())


def test_everything_of_ours_belongs_to_the_plain_role_afterwards(old: str) -> None:
    before = owners(old)
    assert {owner for owner, _ in before} == {"postgres"}
    assert hand_over(old, "plain") > 0
    assert owners(old) == {("plain", name) for _, name in before}


def test_policies_made_for_the_superuser_name_the_plain_role_and_others_stay(old: str) -> None:
    hand_over(old, "plain")
    with psycopg.connect(old) as conn:
        found = dict(conn.execute("select policyname, roles::text[] from pg_policies").fetchall())
        grants = conn.execute("select relacl::text from pg_class where relname = 'things'").fetchone()
    assert {name: set(roles) for name, roles in found.items()} == {
        "own": {"reader"},
        "look_up": {"plain", "reader"},
        "everybody": {"public"},
    }
    assert grants is not None
    assert "reader=r/plain" in grants[0]
    assert "postgres" not in grants[0]


def test_handing_over_again_changes_nothing(old: str) -> None:
    hand_over(old, "plain")
    assert hand_over(old, "plain") == 0


def test_a_role_that_does_not_exist_gets_nothing_at_all(old: str) -> None:
    before = owners(old)
    with pytest.raises(psycopg.errors.UndefinedObject):
        hand_over(old, "nobody_like_that")
    assert owners(old) == before
