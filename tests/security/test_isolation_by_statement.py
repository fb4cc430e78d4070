"""Every table × column × kind of statement, raw, by one member on another's rows, and by the roles that look across
members; generated from the catalog. Each kind of hole is planted once, and found.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.security.conftest import FullTemplate
from tests.security.sql_probes import (
    Conn,
    Table,
    act_as,
    foreign_hooks,
    keys_by_member,
    leaks_of,
    member_tables,
    references_without_member,
    sweep,
    sweep_probes,
    tried,
)
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import Server

NO_ROWS = {
    "one_time_links": "links are the admin's until they are spent",
    "mails": "nothing is told while no mail server is set",
    "erasures": "whoever is being erased can't be given anything else to look for",
    "preview_timers": "the operator has set no time for previews (tests/integration/test_previews_timer.py)",
    "legal_holds": "whoever is held shows nothing to look for (tests/integration/test_legal_hold.py)",
}
"""Tables in which the two members have nothing, and why; the statements are tried all the same."""

MAY_WRITE = {
    "dispatch": {
        ("trainings", "update", "leased_until"),
        ("trainings", "update", "admitted_at"),
        ("generation_trackers", "update", "leased_until"),
        ("generation_trackers", "update", "admitted_at"),
        ("trainings", "update", "next_check_at"),
        ("trainings", "update", "phase"),
        ("trainings", "update", "step"),
        ("trainings", "update", "total_steps"),
        ("generation_trackers", "update", "next_check_at"),
        ("weights_archives", "update", "leased_until"),
        ("erasures", "update", "leased_until"),
        ("mails", "update", "leased_until"),
        ("photo_sets", "update", "leased_until"),
        ("pushes", "update", "leased_until"),
        ("webhook_deliveries", "delete", ""),
    },
    "registrar": {
        ("users", "update", "role"),
        ("users", "update", "disabled_at"),
        ("sessions", "delete", ""),
        ("api_tokens", "delete", ""),
        ("one_time_links", "delete", ""),
        ("one_time_links", "insert", ""),
        ("legal_holds", "insert", ""),
        ("legal_holds", "update", "released_by"),
        ("legal_holds", "update", "released_at"),
        ("break_glass", "insert", ""),
        ("break_glass", "update", "ended_at"),
    },
}
"""What the roles that look across members may change, by table, kind and column."""

FACES_AND_WORDS = {
    "trainings": {"raw_output", "logs_tail", "photos_key", "photos_url", "requested", "destination"},
    "generation_trackers": {"words", "prompt", "raw_output", "seed", "requested", "unknown_words"},
    "ai_images": {"object_key", "sha256", "words", "saved", "favourite", "generation_id"},
    "selfies": {"object_key", "file_name", "sha256", "source_sha256", "dhash", "width", "height", "reason"},
    "users": {"handle", "subject_word"},
}
"""What those roles must not be able to read, besides whole tables that they know nothing of."""
UNKNOWN_TO_BOTH = {"consents", "model_versions", "user_models", "training_selfies", "passwords"}
UNKNOWN_TO_BOTH |= {"passkeys", "recovery_codes", "identities"}
UNKNOWN_TO_BOTH |= {"notices", "notice_ways", "push_subscriptions"}


@pytest.fixture
def owner(postgres: Server, full_database: str) -> Iterator[Conn]:
    with psycopg.connect(postgres.url(full_database), autocommit=True) as conn:
        yield conn


@pytest.fixture
def app(postgres: Server, full_database: str) -> Iterator[Conn]:
    with psycopg.connect(postgres.url(full_database, "app", APP_PASSWORD), autocommit=True) as conn:
        yield conn


@pytest.fixture
def members(full_template: FullTemplate) -> tuple[str, str]:
    return full_template.members[0].id, full_template.members[1].id


def rows_of(conn: Conn, table: Table, member: str) -> list[dict[str, Any]]:
    query = sql.SQL("select to_jsonb(t) from {t} t where {o} = %s").format(
        t=sql.Identifier(table.name), o=sql.Identifier(table.owner)
    )
    return [row[0] for row in conn.execute(query, (member,))]


def leaks(app: Conn, owner: Conn, members: tuple[str, str], only: str = "") -> list[str]:
    """Over every table (or one), what the first member reaches of the second's."""
    me, them = members
    found = []
    for table in member_tables(owner):
        if only not in ("", table.name):
            continue
        theirs = rows_of(owner, table, them)
        found += leaks_of(app, table, me, them, theirs[0] if theirs else {table.owner: them})
    return found


def test_no_statement_of_any_kind_reaches_another_members_rows(
    app: Conn, owner: Conn, members: tuple[str, str]
) -> None:
    for table in member_tables(owner):
        if table.name not in NO_ROWS:
            assert rows_of(owner, table, members[1]), (
                f"the second member has nothing in {table.name}: make something in full_members.py, "
                "or say in NO_ROWS why not"
            )
    assert leaks(app, owner, members) == []


def test_own_rows_are_reached_by_the_same_statements(
    app: Conn, owner: Conn, members: tuple[str, str]
) -> None:
    """The probes would find nothing either if they could find nothing at all."""
    for table in member_tables(owner):
        if table.name not in NO_ROWS:
            query = sql.SQL("select * from {t} where {o} = %(them)s").format(
                t=sql.Identifier(table.name), o=sql.Identifier(table.owner)
            )
            assert tried(app, members[0], query, {"them": members[0]}) > 0, table.name


@pytest.mark.parametrize("member", [None, "", "nobody", "%", "' or true --"])
def test_without_a_member_or_with_a_wrong_one_nothing_shows(
    app: Conn, owner: Conn, member: str | None
) -> None:
    for table in member_tables(owner):
        query = sql.SQL("select * from {t}").format(t=sql.Identifier(table.name))
        assert tried(app, member, query, {}) == 0, table.name


def test_no_own_row_can_hang_on_another_members(owner: Conn, members: tuple[str, str]) -> None:
    """The keys say it by themselves: tried as the superuser, whom no policy holds."""
    swaps = 0
    for table in member_tables(owner):
        own, theirs = (rows_of(owner, table, member) for member in members)
        if own and theirs:
            swaps += len(table.references)
            assert foreign_hooks(owner, table, members[0], own[0], theirs[0]) == []
    assert swaps > 8
    assert references_without_member(owner) == set()


def test_thousands_of_statements_in_one_round_trip_are_each_judged(
    app: Conn, owner: Conn, members: tuple[str, str]
) -> None:
    tables = member_tables(owner)
    probes = sweep_probes(app, keys_by_member(owner, tables, list(members)), tables)
    tried_, found, last = sweep(app, probes)
    assert (tried_, found, last) == (len(probes), 0, "")
    assert tried_ > 2_000
    assert {who == whose for who, _, whose, _ in probes} == {True, False}


def attempts(conn: Conn, table: Table) -> Iterator[tuple[str, str, sql.Composed]]:
    """(kind, column, statement) for each kind on each column."""
    t = sql.Identifier(table.name)
    for column in table.columns:
        c = sql.Identifier(column)
        yield "select", column, sql.SQL("select {c} from {t} limit 1").format(c=c, t=t)
        yield "update", column, sql.SQL("update {t} set {c} = null where false").format(c=c, t=t)
    yield "delete", "", sql.SQL("delete from {t} where false").format(t=t)
    yield (
        "insert",
        "",
        sql.SQL("insert into {t} ({c}) select null where false").format(
            t=t, c=sql.Identifier(table.columns[0])
        ),
    )
    yield "truncate", "", sql.SQL("truncate {t}").format(t=t)


def reached_as(conn: Conn, role: str, tables: list[Table]) -> set[tuple[str, str, str]]:
    """What the role gets done, by table, kind and column."""
    found = set()
    for table in tables:
        for kind, column, query in attempts(conn, table):
            try:
                with conn.transaction(force_rollback=True):
                    conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
                    conn.execute(query)
            except psycopg.errors.InsufficientPrivilege:
                continue
            except psycopg.errors.GeneratedAlways:
                continue
            found.add((table.name, kind, column))
    return found


@pytest.mark.parametrize("role", ["dispatch", "registrar"])
def test_roles_that_look_across_members_see_no_face_and_no_word_and_change_what_they_must(
    app: Conn, owner: Conn, role: str
) -> None:
    reached = reached_as(app, role, member_tables(owner))
    assert {each for each in reached if each[1] != "select"} == MAY_WRITE[role]
    read = {(table, column) for table, kind, column in reached if kind == "select"}
    assert {table for table, _ in read} & UNKNOWN_TO_BOTH == set()
    for table, hidden in FACES_AND_WORDS.items():
        assert {column for name, column in read if name == table} & hidden == set()


HOLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a missing policy": ("ai_images", ("alter table ai_images disable row level security",)),
    "a policy that forgets the member": (
        "selfies",
        ("create policy all_of_them on selfies to app using (true)",),
    ),
    "a policy that reads right and writes wrong": (
        "consents",
        (
            "drop policy own_rows on consents",
            "create policy own_rows on consents to app using (user_id = current_member()) with check (true)",
        ),
    ),
    "a table that its owner may pass": (
        "generation_trackers",
        (
            "alter table generation_trackers owner to app",
            "alter table generation_trackers no force row level security",
        ),
    ),
    "a wider role": ("albums", ("alter role app bypassrls",)),
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_planted_hole_is_found(app: Conn, owner: Conn, members: tuple[str, str], hole: str) -> None:
    table, statements = HOLES[hole]
    try:
        for statement in statements:
            owner.execute(statement.encode())
        assert leaks(app, owner, members, table) != []
    finally:
        owner.execute(b"alter role app nobypassrls")


def test_a_view_that_runs_as_its_owner_is_found(app: Conn, owner: Conn, members: tuple[str, str]) -> None:
    owner.execute(b"create view pictures as select * from ai_images")
    owner.execute(b"grant select on pictures to app")
    query = sql.SQL("select 1 from pictures where user_id = %(them)s")
    assert tried(app, members[0], sql.Composed([query]), {"them": members[1]}) > 0
    from tests.security.test_isolation_in_sql import unsafe_views

    assert unsafe_views(owner) == {"pictures"}


def test_a_key_without_the_member_is_found(owner: Conn, members: tuple[str, str]) -> None:
    owner.execute(
        b"alter table generation_trackers drop constraint generation_trackers_user_id_model_version_id_fkey"
    )
    owner.execute(
        b"alter table generation_trackers add constraint loose foreign key (model_version_id) "
        b"references model_versions (id)"
    )
    assert references_without_member(owner) == {"loose"}


@pytest.mark.parametrize("grant", ["select (prompt)", "update (status)", "delete"])
def test_a_wider_grant_to_a_role_is_found(app: Conn, owner: Conn, grant: str) -> None:
    owner.execute(f"grant {grant} on generation_trackers to dispatch".encode())
    with pytest.raises(AssertionError):
        test_roles_that_look_across_members_see_no_face_and_no_word_and_change_what_they_must(
            app, owner, "dispatch"
        )


def test_a_planted_hole_is_found_by_the_sweep(app: Conn, owner: Conn, members: tuple[str, str]) -> None:
    tables = member_tables(owner)
    probes = sweep_probes(app, keys_by_member(owner, tables, list(members)), tables)
    owner.execute(b"create policy all_of_them on ai_images for select to app using (true)")
    _, found, last = sweep(app, probes)
    assert found > 0
    assert "ai_images" in last


def test_a_statement_that_fails_leaves_no_member_behind(app: Conn, members: tuple[str, str]) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), app.transaction():
        act_as(app, members[0])
        app.execute("select 1 / 0")
    assert app.execute("select count(*) from ai_images").fetchone() == (0,)
