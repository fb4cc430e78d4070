"""Raw SQL against the studio's database, generated from its catalog: every table, column and kind of statement, tried
by one member on another's rows. A probe that finds or changes anything is a leak; one that is refused is none.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, sql

Conn = Connection[tuple[Any, ...]]
REFUSALS = (
    psycopg.errors.InsufficientPrivilege,  # no grant, or a policy's "with check"
    psycopg.errors.ForeignKeyViolation,
    psycopg.errors.FeatureNotSupported,  # COPY FROM under row-level security
)


@dataclass(frozen=True)
class Table:
    """A table whose rows belong to members, and which of its columns says to whom."""

    name: str
    owner: str
    columns: tuple[str, ...]
    written: tuple[str, ...]
    """Columns that a statement may set: not those that the database computes."""
    key: tuple[str, ...]
    references: tuple[tuple[tuple[str, ...], str], ...]
    """Foreign keys with the member in them: columns, and the table they lead to."""


def member_tables(conn: Conn) -> list[Table]:
    """Every table of the studio that holds members' rows. The job engine's tables hold ids of work only."""
    rows = conn.execute(
        """select c.oid::regclass::text, max(a.attname) filter (where a.attname = 'user_id') from pg_class c
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
               and c.relname not in ('jobs', 'job_workers')
           group by c.oid having bool_or(a.attname = 'user_id') or c.oid = 'users'::regclass order by 1"""
    ).fetchall()
    return [_table(conn, name, owner or "id") for name, owner in rows]


def _table(conn: Conn, name: str, owner: str) -> Table:
    columns = conn.execute(
        """select attname, attgenerated = '' and attidentity = '' from pg_attribute
           where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum""",
        (name,),
    ).fetchall()
    keys = conn.execute(
        """select contype::text, confrelid::regclass::text,
                  array(select attname::text from unnest(conkey) with ordinality k(n, at)
                        join pg_attribute on attrelid = conrelid and attnum = k.n order by k.at)
           from pg_constraint where conrelid = %s::regclass and contype in ('p', 'f') order by conname""",
        (name,),
    ).fetchall()
    primary = next(tuple(names) for kind, _, names in keys if kind == "p")
    references = tuple(
        (tuple(names), target)
        for kind, target, names in keys
        if kind == "f" and owner in names and len(names) > 1
    )
    return Table(
        name,
        owner,
        tuple(column for column, _ in columns),
        tuple(column for column, written in columns if written),
        primary,
        references,
    )


@dataclass(frozen=True)
class Statement:
    """One probe: what is tried, in words, and its SQL. Parameters are `me`, `them`, and `row`, a row of theirs."""

    what: str
    query: sql.Composed


def statements_on(table: Table) -> Iterator[Statement]:
    """Every kind of statement on every column of the table, against another member's rows."""
    owner = sql.Identifier(table.owner)
    name = sql.Identifier(table.name)

    def made(what: str, text: str, **parts: sql.Composable) -> Statement:
        query = sql.SQL(text).format(t=name, o=owner, **parts)
        return Statement(f"{what} {table.name}", query)

    for column in table.columns:
        c = sql.Identifier(column)
        yield made(f"read {column} of", "select {c} from {t} where {o} = %(them)s", c=c)
        yield made(f"find by {column} in", "select 1 from {t} where {o} = %(them)s and {c} is not null", c=c)
        yield made(f"sort by {column} in", "select 1 from {t} where {o} <> %(me)s order by {c}", c=c)
        yield made(f"lock by {column} in", "select {c} from {t} where {o} = %(them)s for update", c=c)
        if column in table.written:
            yield made(f"write {column} of", "update {t} set {c} = {c} where {o} = %(them)s returning 1", c=c)
            yield made(
                f"delete by {column} in",
                "delete from {t} where {o} = %(them)s and ({c} is null or true) returning 1",
                c=c,
            )
    yield made("read all of", "select * from {t} where {o} <> %(me)s")
    yield made("take from", "update {t} set {o} = %(me)s where {o} = %(them)s returning 1")
    yield made("give away in", "update {t} set {o} = %(them)s where {o} = %(me)s returning 1")
    yield made("join to", "select 1 from {t} one join {t} other on one.{o} <> other.{o}")
    written = sql.SQL(", ").join(map(sql.Identifier, table.written))
    first = sql.Identifier(table.written[-1])
    insert = "insert into {t} ({w}) select {w} from jsonb_populate_record(null::{t}, %(row)s) "
    yield made("write in another's name in", insert + "returning 1", w=written)
    yield made("write over in", insert + "on conflict do nothing returning 1", w=written)
    yield made(
        "upsert in",
        insert + "on conflict ({k}) do update set {f} = excluded.{f} returning 1",
        w=written,
        f=first,
        k=sql.SQL(", ").join(map(sql.Identifier, table.key)),
    )
    yield made("empty", "truncate {t}")


def leaks_of(conn: Conn, table: Table, me: str, them: str, row: dict[str, Any]) -> list[str]:
    """Statements by which `me` reaches the other member's rows of this table; `row` is one of those."""
    found = []
    values = {"me": me, "them": them, "row": json.dumps(row)}
    for statement in statements_on(table):
        touched = tried(conn, me, statement.query, values)
        if touched:
            found.append(f"{statement.what}: {touched} rows")
    if count := copied(conn, me, table, them):
        found.append(f"copy {table.name}: {count} rows")
    return found


def tried(conn: Conn, member: str | None, query: sql.Composed, values: dict[str, Any]) -> int:
    """Rows that the statement touches as this member; 0 where it is refused. It is always undone."""
    try:
        with conn.transaction(force_rollback=True):
            act_as(conn, member)
            cursor = conn.execute(query, values)
            return max(cursor.rowcount, 0) if cursor.statusmessage != "TRUNCATE TABLE" else 1
    except REFUSALS:
        return 0
    except psycopg.errors.IntegrityError:
        return 1  # policies are asked first: none of them was in the way


def copied(conn: Conn, member: str | None, table: Table, them: str) -> int:
    """Lines with the other member's id that COPY gives."""
    query = sql.SQL("copy {} ({}) to stdout").format(sql.Identifier(table.name), sql.Identifier(table.owner))
    try:
        with conn.transaction(force_rollback=True):
            act_as(conn, member)
            with conn.cursor().copy(query) as rows:
                return b"".join(bytes(row) for row in rows).count(them.encode())
    except REFUSALS:
        return 0


def act_as(conn: Conn, member: str | None) -> None:
    """As a transaction of the studio begins; None: no member was set."""
    if member is not None:
        conn.execute("select set_config('app.user_id', %s, true)", (member,))


def foreign_hooks(
    conn: Conn, table: Table, me: str, own: dict[str, Any], theirs: dict[str, Any]
) -> list[str]:
    """Foreign keys that let an own row hang on another member's; `own` and `theirs` are rows of the table."""
    found = []
    for columns, target in table.references:
        swapped = own | {c: theirs[c] for c in columns if c != table.owner}
        if any(swapped[c] is None for c in columns) or swapped == own:
            continue
        changes = sql.SQL(", ").join(
            sql.SQL("{c} = (jsonb_populate_record(null::{t}, %(row)s)).{c}").format(
                c=sql.Identifier(c), t=sql.Identifier(table.name)
            )
            for c in columns
            if c != table.owner
        )
        here = sql.SQL(" and ").join(
            sql.SQL("{c} = (jsonb_populate_record(null::{t}, %(own)s)).{c}").format(
                c=sql.Identifier(c), t=sql.Identifier(table.name)
            )
            for c in table.key
        )
        query = sql.SQL("update {t} set {s} where {w} returning 1").format(
            t=sql.Identifier(table.name), s=changes, w=here
        )
        if _goes_through(conn, table, query, {"row": json.dumps(swapped), "own": json.dumps(own)}):
            found.append(f"{table.name} ({', '.join(columns)}) hangs on another member's {target}")
    return found


def _goes_through(conn: Conn, table: Table, query: sql.Composed, values: dict[str, Any]) -> bool:
    """Whether the keys let it pass. Uniqueness is taken out of the way: only the foreign keys are asked."""
    in_the_way: list[str] = []
    drop = sql.SQL("alter table {} drop constraint {} cascade")
    while True:
        try:
            with conn.transaction(force_rollback=True):
                for name in in_the_way:
                    conn.execute(drop.format(sql.Identifier(table.name), sql.Identifier(name)))
                touched = conn.execute(query, values).rowcount
                conn.execute("set constraints all immediate")
                return touched > 0
        except psycopg.errors.UniqueViolation as exc:
            in_the_way.append(str(exc.diag.constraint_name))
        except (psycopg.errors.ForeignKeyViolation, psycopg.errors.CheckViolation):
            return False


def references_without_member(conn: Conn) -> set[str]:
    """Foreign keys between members' tables that don't carry the member: the row they lead to could be anybody's."""
    tables = {table.name: table for table in member_tables(conn)}
    rows = conn.execute(
        """select conname, conrelid::regclass::text, confrelid::regclass::text,
                  array(select attname::text from pg_attribute where attrelid = conrelid and attnum = any(conkey))
           from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace"""
    ).fetchall()
    return {
        name
        for name, source, target, columns in rows
        if source in tables and target in tables and tables[source].owner not in columns
    }


SWEEP = """
do $block$
declare
    probe record;
    touched bigint;
    tried bigint := 0;
    found bigint := 0;
begin
    for probe in
        select p.member, p.query, p.owner, p.value
        from jsonb_to_recordset(current_setting('probes.list')::jsonb)
            as p(member text, query text, owner text, value text)
    loop
        perform set_config('app.user_id', probe.member, true);
        execute probe.query using probe.value;
        get diagnostics touched = row_count;
        tried := tried + 1;
        if (touched > 0) <> (probe.owner = probe.member) then
            found := found + 1;
            perform set_config('probes.leak', probe.member || ' on ' || probe.value || ': ' || probe.query, true);
        end if;
    end loop;
    perform set_config('probes.tried', tried::text, true);
    perform set_config('probes.found', found::text, true);
end $block$
"""
"""Thousands of statements in one round trip, each executed and judged by itself under the policies: somebody else's row
must not be touched, an own one must be."""


SweepProbe = tuple[str, str, str, str]
"""Who asks, the statement, whose row it is, and the row's key."""


def sweep_probes(app: Conn, keys: dict[str, dict[str, list[str]]], tables: list[Table]) -> list[SweepProbe]:
    """Every statement that `app` may make by a row's key, for every row and every member who asks.

    `keys` has the first key column's values by table and member. Own rows are only read: they must stay.
    """
    found = []
    for table in tables:
        for query, reads in _by_key(app, table):
            for owner, values in keys[table.name].items():
                askers = keys[table.name].keys()
                found += [
                    (asker, query, owner, value)
                    for value in values
                    for asker in askers
                    if asker != owner or reads
                ]
    return found


def _by_key(app: Conn, table: Table) -> list[tuple[str, bool]]:
    """Statements by key that the role's grants allow, and whether they only read."""
    key = table.key[0]
    kind = app.execute(
        "select atttypid::regtype::text from pg_attribute where attrelid = %s::regclass and attname = %s",
        (table.name, key),
    ).fetchone()
    assert kind is not None
    where = f"where {key} = $1::{kind[0]}"
    may: dict[str, bool] = dict(
        app.execute(
            """select attname::text, has_column_privilege(attrelid, attnum, 'update') from pg_attribute
               where attrelid = %s::regclass and attnum > 0 and not attisdropped
                   and has_column_privilege(attrelid, attnum, 'select')""",
            (table.name,),
        ).fetchall()
    )
    found = [(f"select {column} from {table.name} {where}", True) for column in may]
    written = [column for column, updated in may.items() if updated and column in table.written]
    found += [(f"update {table.name} set {column} = {column} {where}", False) for column in written]
    if written:
        found.append((f"select 1 from {table.name} {where} for update", False))
    row = app.execute("select has_table_privilege(%s, 'delete')", (table.name,)).fetchone()
    if row is not None and row[0]:
        found.append((f"delete from {table.name} {where}", False))
    return found


def keys_by_member(
    superuser: Conn, tables: list[Table], members: list[str]
) -> dict[str, dict[str, list[str]]]:
    """For each table and member, the values of the key's first column that isn't the member's own name."""
    found: dict[str, dict[str, list[str]]] = {}
    for table in tables:
        query = sql.SQL("select distinct {k}::text from {t} where {o} = %s").format(
            k=sql.Identifier(table.key[0]), t=sql.Identifier(table.name), o=sql.Identifier(table.owner)
        )
        found[table.name] = {
            member: [row[0] for row in superuser.execute(query, (member,))] for member in members
        }
    return found


def sweep(conn: Conn, probes: list[SweepProbe]) -> tuple[int, int, str]:
    """How many probes were tried and how many were leaks, and the last of those."""
    names = ("member", "query", "owner", "value")
    listed = json.dumps([dict(zip(names, probe, strict=True)) for probe in probes])
    with conn.transaction(force_rollback=True):
        conn.execute(
            "select set_config('probes.list', %s, true), set_config('probes.leak', '', true)", (listed,)
        )
        conn.execute(SWEEP)
        row = conn.execute(
            "select current_setting('probes.tried'), current_setting('probes.found'), current_setting('probes.leak')"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), str(row[2])
