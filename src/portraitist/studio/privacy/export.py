"""Everything that the studio holds of a member as one zip, made while it is sent: rows as JSON lines with a schema, and
files. The rows are read at one moment and kept in a temporary file; files are read as they are sent.

The same things give the same bytes, so what was cut off is gone on with at any byte. What is left out stands in
`LEFT_OUT` and `NOT_IN_IT`; sizes and bytes of the zip itself are `archive`'s.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Any, Final, LiteralString

from psycopg import sql

from portraitist.kit.objects import ObjectStore
from portraitist.studio.db import UserTx
from portraitist.studio.privacy.archive import Entry

AT_ONCE = 500
IN_MEMORY = 2**20  # of the rows; more than that is on the disk

_RUN = ("webhook_token", "next_check_at", "leased_until", "revision")
LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    "users": (),
    "consents": (),
    "passwords": ("hash",),
    "mails": ("next_check_at", "leased_until", "tries"),
    "identities": ("used_at",),
    "passkeys": ("public_key", "sign_count", "used_at"),
    "recovery_codes": ("digest",),
    "sessions": ("token_hash", "seen_at", "proved_at"),
    "api_tokens": ("token_hash", "used_at", "proved_at"),
    "one_time_links": ("token_hash",),
    "selfies": (),
    "uploads": (),
    "trainings": (*_RUN, "submit_token", "past_tokens", "photos_url", "photos_file_id"),
    "training_selfies": (),
    "model_versions": (),
    "user_models": (),
    "weights_archives": ("next_check_at", "leased_until"),
    "generation_trackers": (*_RUN, "search"),
    "ai_images": ("search",),
    "photo_sets": ("leased_until", "revision"),
    "photo_set_items": (),
    "albums": (),
    "album_images": (),
    "maya_chats": (),
    "maya_messages": (),
    "concept_cards": (),
    "maya_shots": (),
    "maya_styles": (),
    "maya_memory": (),
    "maya_usage": (),
    "webhook_deliveries": (),
    "photo_timers": (),
    "preview_timers": (),
    "notices": (),
    "notice_ways": (),
    "push_subscriptions": ("p256dh", "auth"),
    "pushes": ("next_check_at", "leased_until", "tries"),
    "break_glass": (),
    "break_glass_views": (),
    "audit_events": (),
}
"""The tables that are exported, and their columns that are not: secrets, and what changes by looking at it."""
NOT_IN_IT: Final[Mapping[str, str]] = {
    "erasures": "work in hand, told by its receipt",
    "legal_holds": "an operator's duty; why is not the member's to know",
}

_FILES: Final[Mapping[str, tuple[str, str, str]]] = {
    "selfies": ("photos", "id", "jpg"),
    "ai_images": ("pictures", "id", "png"),
    "weights_archives": ("models", "training_id", "tar"),
}
"""Tables whose rows name a file: the folder it lies in here, the column it is called by, and its kind."""
_README = """\
Everything that this studio holds of you.

rows/       one file per table, one line of JSON per row; schema.json says what each may hold;
            audit_events is what was recorded about you
photos/     the photos that you gave and that were accepted
pictures/   the pictures that were made for you
models/     copies of what was trained on your photos

Passwords, tokens and sessions are secrets that the studio keeps as digests only; they are not in here.
"""
_JSON_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "timestamp with time zone": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "boolean": {"type": "boolean"},
    "smallint": {"type": "integer"},
    "integer": {"type": "integer"},
    "bigint": {"type": "integer"},
    "double precision": {"type": "number"},
    "bytea": {"type": "string", "pattern": r"^\\x[0-9a-f]*$"},
    "text[]": {"type": "array", "items": {"type": "string"}},
    "integer[]": {"type": "array", "items": {"type": "integer"}},
    "jsonb": {},
    "text": {"type": "string"},
}


@dataclass(frozen=True)
class Rows:
    """Where the lines of one table lie in the temporary file."""

    table: str
    start: int
    length: int


@dataclass
class Snapshot:
    """The member's rows at one moment. `tag` changes when anything in them does. Close it."""

    spool: "SpooledTemporaryFile[bytes]"
    tables: list[Rows]
    schema: bytes
    tag: str

    def entries(self) -> Iterator[Entry]:
        """Everything that the zip holds, in order; files by their keys."""
        yield Entry("README.txt", None, content=_README.encode())
        yield Entry("schema.json", None, content=self.schema)
        for rows in self.tables:
            yield Entry(f"rows/{rows.table}.jsonl", None, span=(rows.start, rows.length))
        for rows in self.tables:
            if rows.table in _FILES:
                yield from self._files(rows)

    def _files(self, rows: Rows) -> Iterator[Entry]:
        folder, name, kind = _FILES[rows.table]
        at = rows.start
        while at < rows.start + rows.length:
            self.spool.seek(at)  # others read of it in between
            line = self.spool.readline()
            at += len(line)
            row = json.loads(line)
            if row["object_key"] is not None:
                when = datetime.fromisoformat(row["created_at"]).astimezone(UTC)
                yield Entry(
                    f"{folder}/{row[name]}.{kind}", when, key=row["object_key"], size=row.get("bytes")
                )

    def close(self) -> None:
        """Let the temporary file go."""
        self.spool.close()


async def snapshot(tx: UserTx) -> Snapshot:
    """Every row of the member's, read by one statement: as they are at one moment."""
    spool: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # closed by whoever has it
    digest = hashlib.sha256()
    lengths = dict.fromkeys(LEFT_OUT, 0)
    await tx.conn.execute(sql.SQL("declare export no scroll cursor for ") + _every_row())
    while True:
        cursor = await tx.conn.execute(f"fetch {AT_ONCE} from export")
        rows = await cursor.fetchall()
        for row in rows:
            line = json.dumps(row["row"], ensure_ascii=False, sort_keys=True).encode() + b"\n"
            spool.write(line)
            digest.update(row["table"].encode() + line)
            lengths[row["table"]] += len(line)
        if len(rows) < AT_ONCE:
            break
    schema = await _schema(tx)
    digest.update(schema + _README.encode())
    tables, at = [], 0
    for table, length in lengths.items():
        tables.append(Rows(table, at, length))
        at += length
    return Snapshot(spool, tables, schema, digest.hexdigest()[:32])


async def sized(entry: Entry, objects: ObjectStore) -> int | None:
    """How many bytes an entry has; None where its file is gone by now."""
    if entry.key is None or entry.size is not None:
        return entry.length
    found = await objects.head(entry.key)
    return None if found is None else found.size


def _every_row() -> sql.Composed:
    """All tables as (place, name, row), in an order that is the same each time."""
    one: LiteralString = (
        'select {place} as place, {name} as "table", to_jsonb(t) - {left_out}::text[] as row, t::text as whole '
        "from {table} t"
    )
    parts = [
        sql.SQL(one).format(place=place, name=table, left_out=list(left_out), table=sql.Identifier(table))
        for place, (table, left_out) in enumerate(LEFT_OUT.items())
    ]
    # what was made in one moment has places of its own: a question before its answer, cards, shots, pictures
    order = sql.SQL(
        """ order by place, row->>'created_at', row->>'set_id',
            coalesce(row->'place', row->'position', row->'index'), row->>'id', whole"""
    )
    every = sql.SQL(" union all ").join(parts)
    return sql.SQL('select "table", row from (') + every + sql.SQL(") as every") + order


async def _schema(tx: UserTx) -> bytes:
    """A JSON schema for the lines of each table, made of the database's own catalog."""
    cursor = await tx.conn.execute(
        """select attrelid::regclass::text as "table", attname as name, format_type(atttypid, null) as type, attnotnull
           from pg_attribute where attrelid::regclass::text = any(%s) and attnum > 0 and not attisdropped
           order by 1, attnum""",
        (list(LEFT_OUT),),
    )
    defs: dict[str, Any] = {}
    for column in await cursor.fetchall():
        if column["name"] in LEFT_OUT[column["table"]]:
            continue
        shape = defs.setdefault(column["table"], {"type": "object", "properties": {}, "required": []})
        kind = _JSON_TYPES.get(column["type"], {})
        if "type" in kind and not column["attnotnull"]:
            kind = {**kind, "type": [kind["type"], "null"]}
        shape["properties"][column["name"]] = kind
        shape["required"].append(column["name"])
    for shape in defs.values():
        shape["additionalProperties"] = False
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}
    return json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1).encode()
