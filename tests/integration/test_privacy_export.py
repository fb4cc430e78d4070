"""The export holds everything of a member's and nothing of anybody else's, can be gone on with, and is read back."""

import io
import json
import zipfile
from typing import Any

import httpx2
import jsonschema  # type: ignore[import-untyped]  # it has none
import pytest
from tests.integration.by_hand import ByHand
from tests.integration.shooting import shoot
from tests.integration.test_maya import chat, said
from tests.integration.test_privacy_erasure import with_pictures

from portraitist.studio.privacy import archive, export
from portraitist.studio.privacy.archive import Entry

pytestmark = pytest.mark.anyio
EXPORT = "/api/v1/account/export"


async def exported(http: httpx2.AsyncClient, **headers: str) -> httpx2.Response:
    answer = await http.get(
        EXPORT, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert answer.is_success, answer.text
    return answer


def opened(answer: httpx2.Response) -> zipfile.ZipFile:
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    assert found.testzip() is None
    return found


def lines(found: zipfile.ZipFile, table: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in found.read(f"rows/{table}.jsonl").splitlines()]


async def test_everything_of_the_members_is_in_it_and_nothing_of_anybody_elses(by_hand: ByHand) -> None:
    anna, bela = await with_pictures(by_hand), await with_pictures(by_hand, "name:bela")

    answer = await exported(anna.http)

    assert int(answer.headers["content-length"]) == len(answer.content)
    found = opened(answer)
    names = [name.split("/")[0] for name in found.namelist()]
    assert (names.count("photos"), names.count("pictures"), names.count("models")) == (10, 3, 1)
    for (key,) in by_hand.rows("select object_key from ai_images where user_id = %s", anna.id):
        assert await by_hand.parts.core.objects.get(key) in [
            found.read(name) for name in found.namelist() if name.startswith("pictures/")
        ]
    whole = b"".join(name.encode() + found.read(name) for name in found.namelist())
    assert anna.id.encode() in whole
    assert bela.id.encode() not in whole


async def test_every_line_is_as_the_schema_says(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    found = opened(await exported(anna.http))
    schema = json.loads(found.read("schema.json"))
    checked = 0
    for table, shape in schema["$defs"].items():
        for line in lines(found, table):
            jsonschema.validate(line, shape)
            checked += 1
    assert checked > 20
    [broken] = lines(found, "users")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken | {"subject_word": 7}, schema["$defs"]["users"])


async def test_what_was_made_in_one_moment_is_in_its_order(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    talk = await chat(anna)
    for words in ("by the sea", "warmer", "in the snow"):
        await said(anna, talk, words)
    await shoot(anna, every_shot=True)
    found = opened(await exported(anna.http))
    assert [line["place"] for line in lines(found, "maya_messages")] == [0, 1, 2, 3, 4, 5]
    assert [line["position"] for line in lines(found, "photo_set_items")] == list(range(24))
    assert [line["index"] for line in lines(found, "ai_images")] == [0, 1, 2]


async def test_read_back_into_tables_it_is_what_the_studio_has(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    found = opened(await exported(anna.http))
    [(subject,)] = by_hand.rows("select audit_subject from users where id = %s", anna.id)
    by_hand.run("create schema back")
    for table, left_out in export.LEFT_OUT.items():
        by_hand.run(f"create table back.{table} as select * from public.{table} with no data")
        for line in lines(found, table):
            by_hand.run(
                f"insert into back.{table} select * from jsonb_populate_record(null::back.{table}, %s)",
                json.dumps(line),
            )
        owner = {"users": "id", "audit_events": "subject"}.get(table, "user_id")
        whose = anna.id if owner != "subject" else subject
        shown = f"to_jsonb(t) - '{{{','.join(left_out)}}}'::text[]"
        [(ours, theirs)] = by_hand.rows(
            f"""select (select array_agg(x order by x::text) from (select {shown} x from {table} t
                    where {owner} = %s) o),
                (select array_agg(x order by x::text) from (select {shown} x from back.{table} t) b)""",
            whose,
        )
        assert ours == theirs, table


async def test_every_table_with_members_rows_is_exported_or_said_why_not(by_hand: ByHand) -> None:
    tables = by_hand.rows(
        """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
           where a.attname = 'user_id' and c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
               and c.relname <> 'jobs'"""
    )
    assert {name for (name,) in tables} | {"users", "audit_events"} == set(export.LEFT_OUT) | set(
        export.NOT_IN_IT
    )


async def test_no_secret_is_in_it(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    content = (await exported(anna.http)).content
    secrets = by_hand.rows(
        """select webhook_token from trainings union select submit_token from trainings
           union select webhook_token from generation_trackers union select encode(token_hash, 'hex') from api_tokens"""
    )
    assert secrets
    for (secret,) in secrets:
        assert secret.encode() not in content


@pytest.mark.parametrize("at", [1, 30, 1000, -1])
async def test_what_was_cut_off_is_gone_on_with_at_any_byte(by_hand: ByHand, at: int) -> None:
    anna = await with_pictures(by_hand)
    whole = await exported(anna.http)
    start = at % len(whole.content)

    rest = await exported(anna.http, Range=f"bytes={start}-", If_Range=whole.headers["etag"])

    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {start}-{len(whole.content) - 1}/{len(whole.content)}"
    assert whole.content[:start] + rest.content == whole.content


async def test_after_a_change_it_begins_anew(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    whole = await exported(anna.http)
    await anna.http.patch("/api/v1/me", json={"subject_word": "astronaut"})

    again = await exported(anna.http, Range="bytes=1000-", If_Range=whole.headers["etag"])

    assert again.status_code == 200
    assert lines(opened(again), "users")[0]["subject_word"] == "astronaut"


async def test_beyond_its_end_there_is_nothing(by_hand: ByHand) -> None:
    anna = await by_hand.member(photos=0)
    answer = await anna.http.get(EXPORT, headers={"Range": "bytes=99999999-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_beyond")


async def test_a_file_that_is_gone_is_left_out_and_the_length_is_right(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    [(key,)] = by_hand.rows("select object_key from selfies where user_id = %s limit 1", anna.id)
    await by_hand.parts.core.objects.delete(key)

    answer = await exported(anna.http)

    assert int(answer.headers["content-length"]) == len(answer.content)
    assert sum(name.startswith("photos/") for name in opened(answer).namelist()) == 9


@pytest.mark.parametrize("limit", [2**31 - 1, 5000])
async def test_the_length_is_known_before_also_of_very_long_ones(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """A zip of more than 2 GiB has longer places in it; here that begins at 5,000 bytes."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    entries = [Entry(f"files/{number}.bin", None, content=b"x" * 700) for number in range(20)]

    async def size(entry: Entry) -> int:
        return entry.length

    told, gone = await archive.length_of(iter(entries), size)
    pieces = archive.stream(iter(entries), gone, io.BytesIO(), by_hand.parts.core.objects)
    assert len(b"".join([piece async for piece in pieces])) == told


async def test_memory_stays_the_same_however_much_there_is(by_hand: ByHand) -> None:
    """Pieces are sent as they are read: none is longer than what the storage gives at once."""
    anna = await by_hand.member(photos=0)
    key = f"members/{anna.id}/generations/g/0.png"
    await by_hand.parts.core.objects.put_new(key, b"x" * 20_000_000)
    entries = [Entry("pictures/a.png", None, key=key, size=20_000_000)]
    pieces = archive.stream(iter(entries), frozenset(), io.BytesIO(), by_hand.parts.core.objects)
    longest = max([len(piece) async for piece in pieces])
    assert longest < 4_000_000
