"""What was erased stays so after a backup was restored: pictures, versions and consents, not accounts alone."""

from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member
from tests.integration.test_privacy_erasure import receipt_of, until_done, with_pictures

pytestmark = pytest.mark.anyio
TABLES = ("erasures", "erasure_receipts", "consents", "selfies", "ai_images", "model_versions", "user_models")


def backed_up(studio: ByHand) -> None:
    studio.run("create schema backup")
    for table in TABLES:
        columns = studio.rows(
            """select string_agg(quote_ident(attname), ', ') from pg_attribute where attrelid = %s::regclass
               and attnum > 0 and attgenerated = ''""",
            table,
        )[0][0]
        studio.run(f"create table backup.{table} as select {columns} from public.{table}")


def set_back(studio: ByHand) -> None:
    """The database is as it was when it was backed up; storage and provider are not."""
    studio.run("set session_replication_role = replica")  # no keys, no triggers
    for table in TABLES:
        studio.run(f"delete from public.{table}")
    for table in TABLES:
        columns = studio.rows(
            """select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
               where attrelid = %s::regclass and attnum > 0""",
            f"backup.{table}",
        )[0][0]
        studio.run(f"insert into public.{table} ({columns}) select {columns} from backup.{table}")
    studio.run("set session_replication_role = default")
    studio.run("drop schema backup cascade")


PARTS = ("picture", "version", "consent")


async def _erase_part(member: Member, part: str) -> str:
    if part == "picture":
        [image, *_] = (await member.get("/api/v1/images"))["items"]
        answer = await member.http.post(f"/api/v1/images/{image['id']}/erase")
    elif part == "version":
        version = (await member.get("/api/v1/models"))["active"]["id"]
        answer = await member.http.delete(f"/api/v1/models/{version}")
    else:
        answer = await member.http.post("/api/v1/consents/withdraw")
    assert answer.status_code == 202, answer.text
    token: str = answer.json()["receipt_token"]
    return token


def _counted(studio: ByHand) -> tuple[Any, ...]:
    return studio.rows(
        """select (select count(*) from ai_images), (select count(*) from model_versions where erased_at is null),
               (select count(*) from selfies), (select count(*) from consents where withdrawn_at is null)"""
    )[0]


@pytest.mark.parametrize("part", PARTS)
async def test_a_restored_backup_brings_back_no_picture_version_or_consent(
    by_hand: ByHand, part: str
) -> None:
    anna, bela = await with_pictures(by_hand), await with_pictures(by_hand, "name:bela")
    before = _counted(by_hand)
    backed_up(by_hand)
    token = await _erase_part(anna, part)
    await until_done(by_hand, token)
    after = _counted(by_hand)
    assert await by_hand.parts.eraser.tombstones.sweep() == 0
    set_back(by_hand)
    assert _counted(by_hand) == before != after

    assert await by_hand.parts.eraser.tombstones.sweep() == 1

    await until_done(by_hand, token)
    assert _counted(by_hand) == after, "under its old id, with its old receipt"
    assert await by_hand.parts.eraser.tombstones.sweep() == 0
    assert len((await bela.get("/api/v1/images"))["items"]) == 3


async def test_a_tombstone_of_whom_the_backup_does_not_know_is_looked_at_once(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    token = await _erase_part(anna, "picture")
    await until_done(by_hand, token)
    by_hand.run("delete from erasure_receipts")
    tombstones = by_hand.parts.eraser.tombstones
    assert await tombstones.sweep() == 0
    assert (await receipt_of(by_hand, token))["stage"] == "done"


async def test_tombstones_name_nobody_and_nothing(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    ids = [
        row[0]
        for row in by_hand.rows("select id::text from ai_images union select id::text from model_versions")
    ]
    for part in PARTS:
        await until_done(by_hand, await _erase_part(anna, part))
    folder = by_hand.settings.portraitist_home / "objects" / "tombstones-of-parts"
    whole = "".join(path.name + path.read_text() for path in folder.iterdir())
    assert len(list(folder.iterdir())) == 3
    assert not [each for each in (*ids, anna.id, "marzipan") if each in whole]
