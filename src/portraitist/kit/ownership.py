"""Hands what a superuser once made in a database to a plain role, so that no table has an almighty owner.

Works on any schema, by the catalog alone; who the plain role is, and when it takes over, the caller says.
"""

from typing import LiteralString

import psycopg
from psycopg import sql

# ALTER … OWNER for everything in this database that somebody else owns. Left out: what an extension owns, and what
# follows something else by itself (a column's sequence, a table's row type, an array type).
_HAND_OVER: LiteralString = """
    with things (catalog, id, kind, name, schema, owner) as (
        select 'pg_class'::regclass, oid,
               case relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view'
                            when 'f' then 'foreign table' else 'table' end,
               oid::regclass::text, relnamespace, relowner
        from pg_class where relkind in ('r', 'p', 'S', 'v', 'm', 'f')
        union all
        select 'pg_proc'::regclass, oid, 'routine', oid::regprocedure::text, pronamespace, proowner from pg_proc
        union all
        select 'pg_type'::regclass, t.oid, case typtype when 'd' then 'domain' else 'type' end,
               t.oid::regtype::text, typnamespace, typowner
        from pg_type t left join pg_class c on c.oid = typrelid
        where typtype in ('e', 'd', 'r') or c.relkind = 'c'
        union all
        select 'pg_namespace'::regclass, oid, 'schema', quote_ident(nspname), oid, nspowner
        from pg_namespace where nspname <> 'public'
    )
    select 'alter ' || kind || ' ' || name || ' owner to ' || quote_ident(%(owner)s)
    from things join pg_namespace n on n.oid = schema
    where owner <> %(owner)s::regrole and nspname not like 'pg\\_%%' and nspname <> 'information_schema'
        and not exists (select from pg_depend d
                        where d.classid = catalog and d.objid = id and d.objsubid = 0
                            and (d.deptype in ('e', 'i') or d.deptype = 'a' and kind = 'sequence'))
"""
# A policy made `to current_user` names the role that made it, and ALTER … OWNER leaves that as it is.
_RENAME_IN_POLICIES: LiteralString = """
    select 'alter policy ' || quote_ident(polname) || ' on ' || polrelid::regclass || ' to ' ||
           (select string_agg(distinct case when r.rolsuper then quote_ident(%(owner)s) else quote_ident(r.rolname) end,
                              ', ') from pg_roles r where r.oid = any(polroles))
    from pg_policy where exists (select from pg_roles r where r.oid = any(polroles) and r.rolsuper)
"""


def hand_over(superuser_url: str, owner: str) -> int:
    """Make `owner` the owner of everything in the superuser's database, whole or not at all; says how much changed.

    `owner` is an existing role. Policies that name a superuser name `owner` then. Running it again changes nothing.
    """
    with psycopg.connect(superuser_url, connect_timeout=10) as conn:
        conn.execute("select pg_advisory_xact_lock(hashtextextended('hand over', 0))")
        statements = [
            row[0]
            for query in (_HAND_OVER, _RENAME_IN_POLICIES)
            for row in conn.execute(query, {"owner": owner}).fetchall()
        ]
        for statement in statements:
            conn.execute(sql.SQL(statement))  # made of the catalog's own names, quoted by the server
    return len(statements)
