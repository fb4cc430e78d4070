"""What the database leaves open where browsers ask it directly: stored functions, row policies. Of `missing-auth`.

Reads the SQL files in the order of their paths; what was changed in the database by hand is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.open_ways.handed_text import executed, who_may_call

_NAME = r"(?:\"?(?P<schema>\w+)\"?\s*\.\s*)?\"?(?P<{}>\w+)\"?"
_POLICY = re.compile(
    sql.first("create")
    + r"\s+policy\s+(?P<policy>\"[^\"]+\"|\w+)\s+on\s+"
    + _NAME.format("table")
    + r"(?P<rest>[^;]*);",
    re.I,
)
_DROPPED = re.compile(
    sql.first("drop")
    + r"\s+policy\s+(?:if\s+exists\s+)?(?P<policy>\"[^\"]+\"|\w+)\s+on\s+"
    + _NAME.format("table"),
    re.I,
)
_ALL_DROPPED = re.compile(r"\bpg_policies\b.*\bdrop\s+policy\b", re.I | re.S)
_ASKS = re.compile(
    r"\bauth\s*\.\s*\w+|current_setting|session_user|current_user|request\.jwt|is_admin\s*\(", re.I
)
_TO = re.compile(r"\bto\s+(?P<roles>[\w\",\s]+?)(?=\s+(?:using|with\s+check)\b|\s*$)", re.I)
_FOR = re.compile(r"\bfor\s+(all|select|insert|update|delete)\b", re.I)
EVERYBODY = frozenset({"public", "anon", "authenticated"})
STRANGERS = EVERYBODY - {"authenticated"}
_OWN_ROW = re.compile(r"^\(*(?:\(?\s*(?:select\s+)?auth\s*\.\s*uid\s*\(\s*\)\s*\)?\s*=\s*\"?\w+\"?"
                      r"|\"?\w+\"?\s*=\s*\(?\s*(?:select\s+)?auth\s*\.\s*uid\s*\(\s*\)\s*\)?)\)*$", re.I)  # fmt: skip
_MONEY = re.compile(r"(^|_)(credits?|balance|coins|credits?_(balance|remaining|left)|token_balance)$", re.I)
_RANK = re.compile(
    r"^(is_admin|is_premium|is_pro|role|plan|tier|subscription_(tier|status|plan)|user_role|plan_type)$", re.I
)
ACCOUNTS = re.compile(
    r"(^|_)(users?|profiles?|accounts?|members?|customers?|wallets?|credits?|tokens|balances?|subscriptions?|quotas?)$",
    re.I,
)

_STAMPS = re.compile(r"updated_?at|timestamp|moddatetime|modified|touch", re.I)
"""Triggers that only note when a row was changed."""


@dataclass(frozen=True, slots=True)
class Read:
    """One SQL file: its text without comments."""

    path: str
    text: str

    def line(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


Policies = dict[tuple[str, str], tuple[Read, re.Match[str]]]
"""By name and table: the file that a policy stands in, and its words."""


def left_open(ctx: Context) -> Iterator[Finding]:
    """Functions with their owner's rights that change rows, or give secrets, of whoever they are told; open policies.

    Also functions that execute whatever text they are handed (`handed_text`).
    Only where browsers ask the database themselves, as Supabase's do: there everything in its public schema can be
    called by anybody who has the page.
    """
    if ctx.once(speaks_of_askers):
        yield from _functions(ctx)
        yield from _policies(ctx)


def speaks_of_askers(ctx: Context) -> bool:
    """Whether some file asks the database who asks, as Supabase's do."""
    known = re.compile(rf"{sql.first('auth')}\s*\.\s*(uid|role|jwt|users)\b", re.I)
    return any(known.search(each.text) for each in ctx.once(sql_files))


def all_sql(ctx: Context) -> str:
    """The text of all SQL files, in the order of their paths."""
    return "\n".join(each.text for each in ctx.once(sql_files))


def _functions(ctx: Context) -> Iterator[Finding]:
    latest: dict[str, tuple[Read, re.Match[str]]] = {}
    asking: set[str] = set()
    for file in ctx.once(sql_files):
        for match in sql.STORED_FUNCTION.finditer(file.text):
            name = match.group("name").lower()
            latest[name] = (file, match)
            if _ASKS.search(match.group("body")):
                asking.add(name)
    for name, (file, match) in latest.items():
        if name in asking or (match.group("schema") or "public") != "public" or not _has_rights(match):
            continue
        if executed(match.group("params"), match.group("body")) and not _is_gone(ctx, match):
            if who := who_may_call(ctx.once(all_sql), name):
                message = f"{who} may call {name}: it executes the text that it is handed, with all rights"
                yield policy_at(file, match.start(), message, name, 92)
            continue
        if not _is_callable(ctx, match):
            continue
        changed = [
            each for each in sql.statements(match.group("body")) if each.kind != "read" and _alters(each)
        ]
        member = _member(ctx, match.group("params"))
        if changed and member:
            table = changed[0].table
            columns = {one.name for each in changed for one in each.columns}
            message = f"anybody may call {name}: it changes {table} for the {member} that it is told, with all rights"
            weight = 84 if any(_MONEY.search(each) for each in columns) else 64
            yield policy_at(file, match.start(), message, name, weight)
        elif member and _SECRETS.search(match.group("body")) and _GIVES_TEXT.search(match.group("head")):
            message = (
                f"whoever calls {name} is given a secret of the {member} that it is told, with all rights"
            )
            yield policy_at(file, match.start(), message, name, 80)


_SECRETS = re.compile(
    r"\bdecrypted_secrets\b|\b(pgp_(sym|pub)_)?decrypt(_iv)?\s*\("
    r"|\bselect\s+(\w+\.)?\w*(api_?key|(access|refresh|auth|api)_token|secret|passw\w*)\b(?!_?(id|name|hint))[^;]*\bfrom\b",
    re.I | re.S,
)
"""What a function reads that only its owner may know: decrypted, or a column of keys."""
_GIVES_TEXT = re.compile(r"\breturns\s+(?!(void|bool(ean)?|trigger|integer|bigint|uuid)\b)", re.I)


def _alters(statement: sql.SqlStatement) -> bool:
    """Whether a statement does more than add a row that says nothing of worth."""
    return not statement.insert or any(_MONEY.search(each.name) for each in statement.columns)


def _has_rights(match: re.Match[str]) -> bool:
    """Whether a function runs with its owner's rights, and can be called by its name."""
    around = match.group("head") + match.group("tail")
    triggered = re.search(r"returns\s+\"?(event_)?trigger", around, re.I)
    return re.search(r"security\s+definer", around, re.I) is not None and not triggered


def _is_callable(ctx: Context, match: re.Match[str]) -> bool:
    """Whether everybody was left the right to call a function."""
    name = re.escape(match.group("name"))
    taken = re.compile(rf"\bon\s+(all\s+functions\b|(function|routine)\s+[^;]*\b{name}\b)", re.I)
    default, revoked, _ = ctx.once(_taken_back)
    if default or any(taken.search(each) for each in revoked):
        return False
    return not _is_gone(ctx, match)


def _is_gone(ctx: Context, match: re.Match[str]) -> bool:
    """Whether a function was dropped and made by no file after that."""
    name = re.escape(match.group("name"))
    again = re.compile(rf"\bfunction\s+(\w+\.)?{name}\b", re.I)
    ends = [end for each, end in ctx.once(_taken_back)[2] if each == match.group("name").lower()]
    return bool(ends) and again.search(ctx.once(all_sql), ends[-1]) is None


def _taken_back(ctx: Context) -> tuple[bool, list[str], list[tuple[str, int]]]:
    """Whether new functions are nobody's by default, what is revoked, and each function that is dropped and where."""
    whole = ctx.once(all_sql)
    default = rf"{sql.first('alter')}\s+default\s+privileges\b[^;]*\brevoke\b[^;]*\bfunctions\b"
    drops = re.finditer(rf"{sql.first('drop')}\s+function\s+(?:if\s+exists\s+)?(?:\w+\.)?(\w+)", whole, re.I)
    return (
        re.search(default, whole, re.I) is not None,
        re.findall(rf"{sql.first('revoke')}\b[^;]*", whole, re.I),
        [(each.group(1).lower(), each.end()) for each in drops],
    )


def _member(ctx: Context, params: str) -> str:
    """The parameter that says whose rows are meant, "" where there is none."""
    for each in params.split(","):
        words = [one for one in each.split() if one.lower() not in {"in", "inout"}]
        name = snake(words[0].strip('"')) if len(words) > 1 else ""
        bare = re.sub(r"^(p|in|_|target|arg)?_+|_(param|in|input|arg)$", "", name)
        if {name, bare} & (ctx.words.owner_columns | {"userid", "user_uuid"}):
            return name
    return ""


def keeps_to_owner(ctx: Context, table: str, command: str) -> bool:
    """Whether row policies let members do something with rows of a table, and all of them with their own alone."""
    rests = [
        match.group("rest")
        for (_, known), (_, match) in of_public(ctx).items()
        if known == table.lower() and for_everybody(match.group("rest"))
    ]
    meant = [each for each in rests if command_of(each) in {command, "all"}]
    return bool(meant) and all(_OWN_ROW.match(clause_of(each, "using")) for each in meant)


def lets_anybody(ctx: Context, table: str, command: str) -> bool:
    """Whether a row policy lets everybody through who need not be signed in, and was hardly meant so."""
    for (_, known), (_, match) in of_public(ctx).items():
        if known != table.lower() or command_of(match.group("rest")) not in {command, "all"}:
            continue
        rest = match.group("rest")
        test = clause_of(rest, "with check" if command_of(rest) == "insert" else "using")
        strangers = for_everybody(rest, STRANGERS) and test.lower() == "true"
        if strangers and command_of(rest) != "select" and is_mistaken(ctx, match, command_of(rest)):
            return True
    return False


def has_policies(ctx: Context, table: str) -> bool:
    """Whether the repository's files say who may touch a table's rows, or that nobody may without being told so."""
    return any(known == table.lower() for _, known in of_public(ctx)) or is_switched_on(ctx, table)


def is_switched_on(ctx: Context, table: str) -> bool:
    """Whether row-level security is switched on for a table."""
    return table.lower() in ctx.once(_switched_on)


_SWITCHED = re.compile(
    sql.first("alter")
    + r"\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?(?:\"?public\"?\s*\.\s*)?\"?(?P<table>\w+)\"?\s+"
    r"(?:force|enable)\s+row\s+level",
    re.I,
)


def _switched_on(ctx: Context) -> set[str]:
    return {found["table"].lower() for each in ctx.once(sql_files) for found in _SWITCHED.finditer(each.text)}


def sql_files(ctx: Context) -> list[Read]:
    return [
        Read(each.path, sql.strip_comments(each.text))
        for each in ctx.tree.files
        if each.language == "sql" and each.role in LIVE_ROLES
    ]


def of_public(ctx: Context) -> Policies:
    """The policies of the schema that browsers ask, by their name and table."""
    return ctx.once(_standing).get("public", {})


def of_storage(ctx: Context) -> Policies:
    """The policies of stored files."""
    return ctx.once(_standing).get("storage", {})


def _standing(ctx: Context) -> dict[str, Policies]:
    """The policies that hold after all files, by their schema."""
    found: dict[str, Policies] = {}
    for file in (each for each in ctx.once(sql_files) if "policy" in each.text.lower()):
        if _ALL_DROPPED.search(file.text):
            found.clear()
        events = [*_POLICY.finditer(file.text), *_DROPPED.finditer(file.text)]
        for match in sorted(events, key=lambda each: each.start()):
            key = (shown(match).lower(), match.group("table").lower())
            own = found.setdefault((match.group("schema") or "public").lower(), {})
            if match.re is _DROPPED:
                own.pop(key, None)
            else:
                own[key] = (file, match)
    return found


def command_of(rest: str) -> str:
    return (found.group(1) if (found := _FOR.search(rest)) else "all").lower()


def keeps_strangers_from(ctx: Context, table: str, command: str) -> bool:
    """Whether row-level security lets nobody without a session change a row: all policies ask who it is."""
    if not is_switched_on(ctx, table):
        return False
    rests = (match.group("rest") for (_, on), (_, match) in of_public(ctx).items() if on == table.lower())
    return all(
        _ASKS.search(each) or not for_everybody(each)
        for each in rests
        if command_of(each) in {command, "all"}
    )


def _policies(ctx: Context) -> Iterator[Finding]:
    for (name, table), (file, match) in of_public(ctx).items():
        command = command_of(match.group("rest"))
        if not for_everybody(match.group("rest")) or command == "select":
            continue
        test = clause_of(match.group("rest"), "with check" if command == "insert" else "using")
        if test.lower() == "true" and is_mistaken(ctx, match, command):
            does = (
                "change"
                if command in {"all", "update"}
                else "add to"
                if command == "insert"
                else "delete from"
            )
            whom = "it holds for visitors too" if _TO.search(match.group("rest")) else "it names no role"
            message = f'the policy "{shown(match)}" lets everybody {does} {table}: {whom} and tests nothing'
            yield policy_at(
                file, match.start(), message, f"{table} {name}", 80 if command != "insert" else 60
            )
        elif command in {"all", "update"} and _OWN_ROW.match(test):
            yield from _own_worth(ctx, file, match)


def is_mistaken(ctx: Context, match: re.Match[str], command: str) -> bool:
    """Whether an open policy was hardly meant so: by a name that promises less, or by rows that belong to somebody."""
    name, table = match.group("policy").lower(), match.group("table")
    if re.search(r"service|system|admin|\bown\b|their", name):
        return True
    columns = {snake(each) for each in columns_of(ctx, table)}
    owned = bool(columns & ctx.words.owner_columns) or ACCOUNTS.search(table) is not None
    meant = re.search(r"\b(any(one|body)|authenticated|public|every(one|body)|all)\b", name)
    return owned and not meant and command != "insert"


def _own_worth(ctx: Context, file: Read, match: re.Match[str]) -> Iterator[Finding]:
    """A member's own row with a balance or a rank in it, all of whose columns the member may set."""
    table, rest = match.group("table"), match.group("rest")
    columns = [
        each
        for each in sorted(columns_of(ctx, table))
        if _MONEY.search(snake(each)) or _RANK.search(snake(each))
    ]
    checked = clause_of(rest, "with check")
    if not ACCOUNTS.search(table) or not columns or any(each in checked for each in columns):
        return
    name = re.escape(table)
    kept = rf"\b(revoke|grant)\s+[^;]*\bupdate\b[^;]*\bon\s+(table\s+)?(\w+\.)?\"?{name}\b"
    trigger = rf"\bbefore\s+[^;]*\bupdate\b[^;]*\bon\s+(?:\w+\.)?\"?{name}\b[^;]*\bexecute\s+\w+\s+([\w.]+)"
    whole = ctx.once(all_sql)
    before = [each for each in re.findall(trigger, whole, re.I) if not _STAMPS.search(each)]
    if before or re.search(kept, whole, re.I):
        return
    message = (
        f'the policy "{shown(match)}" lets members set {", ".join(columns[:3])} of their own row in {table}'
    )
    yield policy_at(file, match.start(), message, f"{table} {shown(match)}", 82)


def for_everybody(rest: str, everybody: frozenset[str] = EVERYBODY) -> bool:
    """Whether a policy that widens access holds for roles that a browser may have."""
    to = _TO.search(rest)
    roles = {each.strip(' "\n').lower() for each in to.group("roles").split(",")} if to else everybody
    return bool(roles & everybody) and not re.search(r"\bas\s+restrictive\b", rest, re.I)


def clause_of(rest: str, word: str) -> str:
    """What stands in the parentheses after `using` or `with check`, without blanks around it."""
    found = re.search(word.replace(" ", r"\s+") + r"\s*\(", rest, re.I)
    if found is None:
        return ""
    depth, at = 1, found.end()
    while at < len(rest) and depth:
        depth += {"(": 1, ")": -1}.get(rest[at], 0)
        at += 1
    return rest[found.end() : at - 1].strip()


def shown(match: re.Match[str]) -> str:
    """A policy's name without quotes, as a message shows it."""
    return match.group("policy").strip('"')


def policy_at(file: Read, offset: int, message: str, key: str, weight: int) -> Finding:
    line = file.line(offset)
    return Finding("missing-auth", file.path, line, line, message, key, "", (), weight)
