"""Tables and buckets that browsers ask directly and nothing keeps: no policies at all, or such as everybody passes.

Part of `missing-auth`; policies that let strangers change rows, and stored functions, are in `open_database`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import Finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_database
from portraitist.audit.rules.open_ways.open_data import PEOPLE
from portraitist.audit.rules.open_ways.open_database import clause_of, command_of, for_everybody, shown

_MADE = re.compile(
    sql.first("create")
    + r"\s+table\s+(?:if\s+not\s+exists\s+)?(?:\"?(?P<schema>\w+)\"?\s*\.\s*)?\"?(?P<table>\w+)\"?\s*\(",
    re.I,
)
_KEY_OF_PAGES = re.compile(r"^(NEXT_PUBLIC|VITE|EXPO_PUBLIC|REACT_APP|NUXT_PUBLIC|PUBLIC)_SUPABASE_\w*KEY")
_SWITCHED_BY_CODE = re.compile(
    rf"{sql.first('format')}\s*\([^;]*row\s+level\s+security|{sql.first('event')}\s+trigger", re.I
)
_PRIVATE = re.compile(
    r"(^|_)(payments?|transactions?|orders?|credits?|balances?|wallets?|subscriptions?|messages?|api_?keys?|tokens?|secrets?"
    r"|trainings?|uploads?|selfies?|purchases?|invoices?)$",
    re.I,
)
_TELLS = re.compile(r"^(email|phone|stripe_\w+|credits?|balance|api_key|address|full_name)$")
_OWN_FILE = re.compile(
    r"auth\s*\.\s*uid|\bowner(_id)?\b|foldername|auth\s*\.\s*jwt|is_admin|current_setting", re.I
)
_SIGNED_IN = re.compile(r"\(?\s*(select\s+)?auth\s*\.\s*uid\s*\(\s*\)\s*\)?\s+is\s+not\s+null", re.I)
"""What asks for a session, and for nobody's in particular."""
_OF_BUCKET = re.compile(r"bucket_id\s*=\s*'(?P<bucket>[^']+)'", re.I)
_OF_NOBODY = re.compile(r"(^|\band)[\s(]*false\b", re.I)
_OR = re.compile(r"\bor\b", re.I)


def without_policies(ctx: Context) -> Iterator[Finding]:
    """Tables of members without row-level security, rows that everybody reads, buckets whose files anybody changes.

    Only where pages have the key of a Supabase database and its files speak of who asks. What was switched on by hand
    is not known.
    """
    if not ctx.once(open_database.speaks_of_askers):
        return
    yield from _read_by_all(ctx)
    yield from _buckets(ctx)
    public = any(_KEY_OF_PAGES.match(each.key) for each in ctx.of("env.read"))
    if public and not _SWITCHED_BY_CODE.search(ctx.once(open_database.all_sql)):
        yield from _bare(ctx)


def _bare(ctx: Context) -> Iterator[Finding]:
    """Tables of members, or of what is theirs, that are made without a policy and not taken from the browsers."""
    told: set[str] = set()
    for file in ctx.once(open_database.sql_files):
        for match in _MADE.finditer(file.text):
            table = match.group("table")
            if (match.group("schema") or "public") != "public" or table.lower() in told:
                continue
            told.add(table.lower())
            owned = {snake(each) for each in columns_of(ctx, table)} & ctx.words.owner_columns
            if not (owned or PEOPLE.search(table)) or open_database.has_policies(ctx, table):
                continue
            if re.search(
                rf"\b(drop\s+table[^;]*|revoke\b[^;]*\bon\b[^;]*|rename\s+to\s+\"?)\b{re.escape(table)}\b",
                ctx.once(open_database.all_sql),
                re.I,
            ):
                continue
            message = (
                f"{table} has no row-level security: whoever has the page's key reads and changes all rows"
            )
            yield open_database.policy_at(file, match.start(), message, f"bare {table}", 58)


def _read_by_all(ctx: Context) -> Iterator[Finding]:
    """Policies that let everybody read rows of members, by the table's name or by columns that tell of a person."""
    for (name, table), (file, match) in open_database.of_public(ctx).items():
        rest = match.group("rest")
        if command_of(rest) not in {"select", "all"} or clause_of(rest, "using").lower() != "true":
            continue
        if not for_everybody(rest):
            continue
        columns = {snake(each) for each in columns_of(ctx, table)}
        kept = _PRIVATE.search(table) or (
            PEOPLE.search(table) and any(_TELLS.match(each) for each in columns)
        )
        if not kept or not (columns & ctx.words.owner_columns or PEOPLE.search(table)):
            continue
        if command_of(rest) == "all" and open_database.is_mistaken(ctx, match, "all"):
            continue  # told by those who change rows
        weight = 58 if open_database.is_mistaken(ctx, match, "select") else BARELY
        message = f'the policy "{shown(match)}" lets everybody read all rows of {table}'
        yield open_database.policy_at(file, match.start(), message, f"read {table} {name}", weight)


def _buckets(ctx: Context) -> Iterator[Finding]:
    """Policies on stored objects that ask for a bucket alone, or for nothing."""
    for (name, table), (file, match) in open_database.of_storage(ctx).items():
        rest = match.group("rest")
        command = command_of(rest)
        tests = f"{clause_of(rest, 'using')} {clause_of(rest, 'with check')}"
        tests = _SIGNED_IN.sub("authenticated", tests)
        if table != "objects" or command == "select" or _OWN_FILE.search(tests) or not for_everybody(rest):
            continue
        bucket = found.group("bucket") if (found := _OF_BUCKET.search(tests)) else "every bucket"
        strangers = for_everybody(rest, open_database.STRANGERS) and "authenticated" not in tests
        if (command == "insert" and not strangers) or (_OF_NOBODY.search(tests) and not _OR.search(tests)):
            continue
        does = {"insert": "add files to", "delete": "delete files of"}.get(command, "change files of")
        who = "everybody" if strangers else "every member"
        weight = 56 if not strangers else 58 if command == "insert" else 66
        message = f'the policy "{shown(match)}" lets {who} {does} {bucket}, whoever\'s they are'
        yield open_database.policy_at(file, match.start(), message, f"files {bucket} {name}", weight)
