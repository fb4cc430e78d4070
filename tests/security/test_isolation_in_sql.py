"""What PostgreSQL itself refuses: other members' rows, owner's powers, and holes that a migration might open.

Each checker here has a planted hole that it must find: a checker that finds nothing proves nothing.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import Server

DEFINER_FUNCTIONS = {
    "member_of_token",
    "enrol_local_member",
    "work_of_webhook",
    "member_of_session",
    "member_of_passkey",
    "member_of_identity",
    "member_of_email",
    "account_of_email",
    "enrol_account",
    "spend_link",
}
DISPATCH_MAY_READ = {
    "trainings": {
        "id",
        "user_id",
        "status",
        "next_check_at",
        "leased_until",
        "attempt",
        "submit_token",
        "created_at",
        "account_id",
        "admitted_at",
        "provider_training_id",
        "submitted_at",
        "cancel_requested_at",
        "error_code",
        "revision",
        "step",
        "total_steps",
        "phase",
        "succeeded_at",
        "finished_at",
        "photos_cleared_at",
        "logs_cleared_at",
        "provider_seconds",
    },
    "generation_trackers": {
        "id",
        "user_id",
        "status",
        "next_check_at",
        "leased_until",
        "attempt",
        "created_at",
        "account_id",
        "admitted_at",
        "provider_prediction_id",
        "submitted_at",
        "cancel_requested_at",
        "error_code",
        "revision",
        "finished_at",
        "provider_seconds",
    },
    "webhook_deliveries": {"received_at"},
    "uploads": {"id", "user_id", "expires_at"},
    "selfies": {"id", "user_id", "status", "created_at"},
    "ai_images": {"id", "user_id", "deleted_at", "created_at"},
    "preview_timers": {"user_id", "strikes_at"},
    "legal_holds": {"user_id", "released_at"},
    "photo_timers": {"user_id", "keeps", "done_for"},
    "photo_sets": {"id", "user_id", "status", "resumes_at", "leased_until"},
    "photo_set_items": {"set_id", "status", "generation_id"},
    "erasures": {"id", "user_id", "stage", "next_check_at", "leased_until"},
    "mails": {"id", "user_id", "next_check_at", "leased_until"},
    "pushes": {"id", "user_id", "next_check_at", "leased_until"},
    "weights_archives": {
        "training_id",
        "user_id",
        "status",
        "next_check_at",
        "leased_until",
        "parts_cleared_at",
    },
}


@pytest.fixture
def owner(postgres: Server, studio_database: str) -> Iterator[Connection[tuple[Any, ...]]]:
    with psycopg.connect(postgres.url(studio_database), autocommit=True) as conn:
        yield conn


@pytest.fixture
def app(postgres: Server, studio_database: str) -> Iterator[Connection[tuple[Any, ...]]]:
    with psycopg.connect(postgres.url(studio_database, "app", APP_PASSWORD), autocommit=True) as conn:
        yield conn


def member_tables(conn: Connection[tuple[Any, ...]]) -> list[str]:
    """Tables of the studio with a user_id, and the members themselves."""
    rows = conn.execute(
        """select table_name from information_schema.columns join information_schema.tables
               using (table_schema, table_name)
           where table_schema = 'public' and table_type = 'BASE TABLE' and column_name = 'user_id'
               and table_name not in ('jobs', 'job_workers')
           union select 'users' order by 1"""
    ).fetchall()
    return [row[0] for row in rows]


def unprotected_tables(conn: Connection[tuple[Any, ...]]) -> set[str]:
    """Members' tables without forced row-level security or without a policy with check."""
    rows = conn.execute(
        """select c.relname, c.relrowsecurity and c.relforcerowsecurity,
                  exists (select from pg_policy p where p.polrelid = c.oid and p.polwithcheck is not null)
           from pg_class c where c.relname = any(%s) and c.relnamespace = 'public'::regnamespace""",
        (member_tables(conn),),
    ).fetchall()
    return {name for name, forced, checked in rows if not (forced and checked)}


def unsafe_views(conn: Connection[tuple[Any, ...]]) -> set[str]:
    """Views that show rows as their owner sees them."""
    rows = conn.execute(
        """select relname from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace
           and not coalesce('security_invoker=true' = any(reloptions), false)"""
    ).fetchall()
    return {row[0] for row in rows}


def unlisted_definers(conn: Connection[tuple[Any, ...]]) -> set[str]:
    """SECURITY DEFINER functions off the list, or on it with a search_path that isn't pinned."""
    rows = conn.execute(
        """select proname, coalesce('search_path=pg_catalog' = any(proconfig), false) from pg_proc
           where prosecdef and pronamespace = 'public'::regnamespace"""
    ).fetchall()
    return {name for name, pinned in rows if name not in DEFINER_FUNCTIONS or not pinned}


def dispatch_reads(conn: Connection[tuple[Any, ...]]) -> dict[str, set[str]]:
    """Columns of members' tables that the sweeper's role can read."""
    found: dict[str, set[str]] = {}
    for table in member_tables(conn):
        rows = conn.execute(
            """select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped
               and has_column_privilege('dispatch', attrelid, attnum, 'select')""",
            (table,),
        ).fetchall()
        if rows:
            found[table] = {row[0] for row in rows}
    return found


def enrol(conn: Connection[tuple[Any, ...]], user_id: str) -> None:
    conn.execute("select enrol_local_member(%s, %s, 'person', now())", (user_id, f"name:{user_id}"))


def act_as(conn: Connection[tuple[Any, ...]], user_id: str) -> None:
    conn.execute("select set_config('app.user_id', %s, false)", (user_id,))


A, B = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


@pytest.fixture
def two_members(app: Connection[tuple[Any, ...]]) -> Connection[tuple[Any, ...]]:
    """Both have a consent; the connection acts as nobody."""
    for user_id in (A, B):
        enrol(app, user_id)
        act_as(app, user_id)
        app.execute(
            """insert into consents (user_id, id, wording_version, wording_sha256, given_at)
               values (%s, gen_random_uuid(), 'v', sha256('text'), now())""",
            (user_id,),
        )
    act_as(app, "")
    return app


def test_without_a_member_no_row_of_any_members_table_shows(
    two_members: Connection[tuple[Any, ...]], owner: Connection[tuple[Any, ...]]
) -> None:
    for table in member_tables(owner):
        count = two_members.execute(
            sql.SQL("select count(*) from {}").format(sql.Identifier(table))
        ).fetchone()
        assert count == (0,), table


def test_a_member_sees_only_own_rows(two_members: Connection[tuple[Any, ...]]) -> None:
    act_as(two_members, A)
    assert two_members.execute("select distinct user_id from consents").fetchall() == [(A,)]
    assert two_members.execute("select id from users").fetchall() == [(A,)]


def test_a_member_cannot_write_in_anothers_name(two_members: Connection[tuple[Any, ...]]) -> None:
    act_as(two_members, A)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        two_members.execute(
            """insert into consents (user_id, id, wording_version, wording_sha256, given_at)
               values (%s, gen_random_uuid(), 'v', sha256('text'), now())""",
            (B,),
        )
    assert (
        two_members.execute("update consents set withdrawn_at = now() where user_id = %s", (B,)).rowcount == 0
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        two_members.execute("update consents set user_id = %s", (B,))


def test_a_photo_cannot_hang_on_anothers_consent_nor_on_none(
    two_members: Connection[tuple[Any, ...]], owner: Connection[tuple[Any, ...]]
) -> None:
    foreign = owner.execute("select id from consents where user_id = %s", (B,)).fetchone()
    assert foreign is not None
    act_as(two_members, A)
    insert = """insert into selfies (user_id, id, consent_id, file_name, source_sha256, status, reason_code, reason,
                created_at) values (%s, gen_random_uuid(), %s, 'x', sha256('x'), 'rejected', 'c', 'r', now())"""
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        two_members.execute(insert, (A, foreign[0]))
    with pytest.raises(psycopg.errors.NotNullViolation):
        two_members.execute(insert, (A, None))


def test_a_model_with_half_a_name_cannot_be_stored(two_members: Connection[tuple[Any, ...]]) -> None:
    act_as(two_members, A)
    with pytest.raises(psycopg.errors.CheckViolation):
        two_members.execute(
            """insert into user_models (user_id, trigger_word, replicate_model_id, updated_at)
               values (%s, %s, 'studio/x', now())""",
            (A, f"user{A}"),
        )


def test_web_and_worker_are_neither_owner_nor_able_to_pass_the_policies(
    app: Connection[tuple[Any, ...]], owner: Connection[tuple[Any, ...]]
) -> None:
    attributes = app.execute(
        "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolinherit from pg_roles where rolname = 'app'"
    ).fetchone()
    assert attributes == (False, False, False, False, False)
    for statement in (
        "alter table selfies disable row level security",
        "drop policy own_rows on selfies",
        "create table loot (x int)",
        "truncate selfies",
        "update schema_migrations set name = 'x'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(sql.SQL(statement))  # type: ignore[arg-type]


def test_the_sweepers_role_reads_ids_states_and_times_only(
    app: Connection[tuple[Any, ...]], owner: Connection[tuple[Any, ...]]
) -> None:
    assert dispatch_reads(owner) == DISPATCH_MAY_READ
    app.execute("set role dispatch")
    for column in ("prompt", "words", "raw_output"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(sql.SQL("select {} from generation_trackers").format(sql.Identifier(column)))
    for table in ("selfies", "ai_images", "consents", "users"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))


def test_every_members_table_view_and_function_is_closed(owner: Connection[tuple[Any, ...]]) -> None:
    assert unprotected_tables(owner) == set()
    assert unsafe_views(owner) == set()
    assert unlisted_definers(owner) == set()


def test_planted_holes_are_found(owner: Connection[tuple[Any, ...]]) -> None:
    owner.execute("create table diaries (user_id text, text text)")
    owner.execute("alter table selfies no force row level security")
    owner.execute("drop policy own_rows on ai_images")
    owner.execute("create view all_selfies as select * from selfies")
    owner.execute("create function peek() returns text language sql security definer as 'select 1::text'")
    owner.execute("grant select (prompt) on generation_trackers to dispatch")

    assert unprotected_tables(owner) == {"diaries", "selfies", "ai_images"}
    assert unsafe_views(owner) == {"all_selfies"}
    assert unlisted_definers(owner) == {"peek"}
    assert dispatch_reads(owner) != DISPATCH_MAY_READ
