"""The gallery as a member uses it: saving, albums, search, deleting and undoing, downloads of many."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.kit.objects import ObjectStore, StorageUnavailable
from portraitist.studio.images.tasks import Purge

pytestmark = pytest.mark.anyio
IMAGES, ALBUMS = "/api/v1/images", "/api/v1/albums"


@pytest.fixture
async def anna(by_hand: ByHand) -> Member:
    """A member with six pictures: three in a garden, then three on a beach."""
    member = await by_hand.member()
    await by_hand.trained(member)
    for words in ("in a garden, soft morning light", "on a beach at dusk"):
        asked = await member.post("/api/v1/generations", {"prompt": words})
        await by_hand.until(member, f"/api/v1/generations/{asked['id']}", "completed")
        by_hand.clock.moved += timedelta(minutes=1)
    return member


async def listed(member: Member, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await member.get(IMAGES, **params))["items"]
    return items


async def patch(member: Member, path: str, body: Any, expect: int = 200) -> Any:
    answer = await member.http.patch(path, json=body)
    assert answer.status_code == expect, answer.text
    return answer.json()


async def delete(member: Member, path: str, expect: int = 200) -> Any:
    answer = await member.http.delete(path)
    assert answer.status_code == expect, answer.text
    return answer.json() if answer.content else None


def purge(studio: ByHand) -> Purge:
    return Purge(studio.parts.core.db, studio.parts.core.objects, studio.clock)


async def test_a_heart_saves_a_preview_and_letting_go_of_it_takes_the_heart(anna: Member) -> None:
    [first, *rest] = await listed(anna)
    assert not any(image["saved"] for image in (first, *rest))
    hearted = await patch(anna, f"{IMAGES}/{first['id']}", {"favourite": True})
    assert (hearted["saved"], hearted["favourite"]) == (True, True)
    assert [image["id"] for image in await listed(anna, saved=True)] == [first["id"]]
    assert [image["id"] for image in await listed(anna, favourite=True)] == [first["id"]]
    assert len(await listed(anna, saved=False)) == 5
    let_go = await patch(anna, f"{IMAGES}/{first['id']}", {"saved": False})
    assert (let_go["saved"], let_go["favourite"]) == (False, False)


async def test_search_finds_words_of_the_prompt_how_they_begin_and_looks(
    by_hand: ByHand, anna: Member
) -> None:
    for words, count in {
        "garden": 3,
        "gard": 3,
        "Morning LIGHT": 3,
        "beach": 3,
        "beach garden": 0,
        "'); --": 0,
    }.items():
        assert len(await listed(anna, q=words)) == count, words
    assert len(await listed(anna, q="  ")) == 6
    by_hand.run("update ai_images set look = 'golden-hour' where words like 'on a beach%%'")
    for look, count in {"golden-hour": 3, "golden": 0, "no\0look": 0}.items():
        assert len(await listed(anna, look=look)) == count, look


async def test_any_moment_with_its_zone_is_understood_or_refused_as_unreadable(anna: Member) -> None:
    for since, status in (
        ("2020-01-01T00:00:00Z", 200),
        ("1636-08-06T03:23:32-19:08", 200),  # farther away than PostgreSQL knows zones
        ("0001-01-01T00:00:00Z", 200),
        ("0001-01-01T00:00:00+10:00", 422),
        ("9999-12-31T23:59:59-10:00", 422),
        ("2020-01-01T00:00:00", 422),
    ):
        answer = await anna.http.get("/api/v1/images", params={"since": since})
        assert answer.status_code == status, (since, answer.text)
    late = {"since": "2020-01-01T00:00:00Z", "until": "2020-01-01T00:00:00+23:00"}
    assert (await anna.get("/api/v1/images", **late))["items"] == []


async def test_pages_neither_repeat_nor_hide_a_picture_while_others_come_and_go(
    by_hand: ByHand, anna: Member
) -> None:
    everything = [image["id"] for image in await listed(anna)]
    first = await anna.get(IMAGES, limit=2)
    asked = await anna.post("/api/v1/generations", {"prompt": "in the snow"})
    await by_hand.until(anna, f"/api/v1/generations/{asked['id']}", "completed")
    await delete(anna, f"{IMAGES}/{first['items'][1]['id']}")
    seen, cursor = [image["id"] for image in first["items"]], first["next"]
    while cursor:
        page = await anna.get(IMAGES, limit=3, cursor=cursor)
        seen += [image["id"] for image in page["items"]]
        cursor = page["next"]
    assert seen == everything
    refused = await anna.http.get(IMAGES, params={"cursor": "made-up"})
    assert (refused.status_code, refused.json()["code"]) == (400, "cursor_invalid")


async def test_an_album_keeps_what_is_put_in_and_survives_undo(anna: Member) -> None:
    pictures = await listed(anna)
    album = await anna.post(ALBUMS, {"name": "  Summer  by the sea "}, expect=201)
    assert album["name"] == "Summer by the sea"
    ids = [image["id"] for image in pictures[:3]]
    filled = await anna.post(f"{ALBUMS}/{album['id']}/images", {"ids": ids})
    assert (filled["pictures"], filled["cover_id"]) == (3, ids[0])
    assert [(i["id"], i["saved"]) for i in await listed(anna, album=album["id"])] == [(i, True) for i in ids]

    await delete(anna, f"{IMAGES}/{ids[0]}")
    assert (await anna.get(f"{ALBUMS}/{album['id']}"))["pictures"] == 2
    await anna.post(f"{IMAGES}/{ids[0]}/restore")
    assert [image["id"] for image in await listed(anna, album=album["id"])] == ids
    left = await delete(anna, f"{ALBUMS}/{album['id']}/images/{ids[1]}")
    assert (left["pictures"], len(await listed(anna))) == (2, 6)

    await delete(anna, f"{ALBUMS}/{album['id']}", expect=204)
    assert len(await listed(anna)) == 6
    gone = await anna.http.get(IMAGES, params={"album": album["id"]})
    assert (gone.status_code, gone.json()["code"]) == (404, "album_not_found")


async def test_the_same_key_makes_one_album_and_the_same_name_is_refused(anna: Member) -> None:
    made = [await anna.post(ALBUMS, {"name": "Work"}, **{"Idempotency-Key": "one-click"}) for _ in range(2)]
    assert made[0]["id"] == made[1]["id"]
    refused = await anna.post(ALBUMS, {"name": "Work"}, expect=409)
    assert (refused["code"], bool(refused["next_step"])) == ("album_exists", True)
    other = await anna.post(ALBUMS, {"name": "Play"})
    assert (await patch(anna, f"{ALBUMS}/{other['id']}", {"name": "Work"}, 409))["code"] == "album_exists"
    names = [album["name"] for album in (await anna.get(ALBUMS))["items"]]
    assert sorted(names) == [
        "Play",
        "Work",
    ]  # made at the same moment of the test's clock, so in either order
    first = await anna.get(ALBUMS, limit=1)
    second = await anna.get(ALBUMS, limit=1, cursor=first["next"])
    assert [second["items"][0]["name"], second["next"]] == [names[1], None]


async def test_a_deleted_picture_is_gone_at_once_and_can_be_had_back_for_a_week(
    by_hand: ByHand, anna: Member
) -> None:
    [first, second, *_] = await listed(anna)
    deleted = await delete(anna, f"{IMAGES}/{first['id']}")
    assert deleted["undo_until"]
    assert (await anna.http.get(f"{IMAGES}/{first['id']}/file")).status_code == 404
    generation = await anna.get(f"/api/v1/generations/{first['generation_id']}")
    assert first["id"] not in {image["id"] for image in generation["images"]}
    assert [image["id"] for image in await listed(anna, deleted=True)] == [first["id"]]

    by_hand.clock.moved += timedelta(days=6, hours=23)
    assert await purge(by_hand).sweep() == 0
    restored = await anna.post(f"{IMAGES}/restore", {"ids": [first["id"]]})
    assert restored["items"][0]["undo_until"] is None
    assert len(await listed(anna)) == 6
    unknown = "3f0c2c1e-8a52-4a6e-9d3c-6f1f6f2b7a10"
    await anna.post(f"{IMAGES}/delete", {"ids": [second["id"], unknown]}, expect=404)
    assert len(await listed(anna)) == 6, "all or none"


async def test_after_a_week_file_and_row_are_gone_for_good(by_hand: ByHand, anna: Member) -> None:
    [first, *_] = await listed(anna)
    [(key,)] = by_hand.rows("select object_key from ai_images where id = %s", first["id"])
    album = await anna.post(ALBUMS, {"name": "Work"})
    await anna.post(f"{ALBUMS}/{album['id']}/images", {"ids": [first["id"]]})
    await delete(anna, f"{IMAGES}/{first['id']}")
    by_hand.clock.moved += timedelta(days=7, seconds=1)
    assert (await anna.http.post(f"{IMAGES}/{first['id']}/restore")).status_code == 404
    assert await purge(by_hand).sweep() == 1
    assert by_hand.rows("select 1 from ai_images where id = %s", first["id"]) == []
    assert by_hand.rows("select 1 from album_images") == []
    assert await by_hand.parts.core.objects.head(key) is None
    assert await purge(by_hand).sweep() == 0


class CutOff(ObjectStore):
    """A storage that fails at the second picture's file, before or after it is gone."""

    def __init__(self, real: ObjectStore, after: bool) -> None:
        self.real, self.after, self.calls = real, after, 0

    async def delete(self, key: str) -> None:
        self.calls += key.endswith(".png")
        is_second = self.calls == 2 and key.endswith(".png")
        if is_second and not self.after:
            raise StorageUnavailable("cut")
        await self.real.delete(key)
        if is_second:
            raise StorageUnavailable("cut")


@pytest.mark.parametrize("after", [False, True], ids=["before the file", "after the file"])
async def test_a_removal_that_was_cut_off_is_gone_on_with_and_can_not_be_undone(
    by_hand: ByHand, anna: Member, after: bool
) -> None:
    ids = [image["id"] for image in (await listed(anna))[:3]]
    await anna.post(f"{IMAGES}/delete", {"ids": ids})
    by_hand.clock.moved += timedelta(days=8)
    objects = by_hand.parts.core.objects
    with pytest.raises(StorageUnavailable):
        await Purge(by_hand.parts.core.db, CutOff(objects, after), by_hand.clock).sweep()
    by_hand.clock.moved -= timedelta(days=8)  # a machine whose clock is behind must not bring them back
    assert (await anna.http.post(f"{IMAGES}/restore", json={"ids": ids})).status_code == 404
    by_hand.clock.moved += timedelta(days=8)
    assert await purge(by_hand).sweep() == 2
    rows = {key for (key,) in by_hand.rows("select object_key from ai_images")}
    files = {key for key in await objects.list(f"members/{anna.id}") if key.endswith(".png")}
    assert (len(rows), rows) == (3, files)


async def test_a_zip_has_every_picture_under_a_name_a_person_likes_and_what_is_known_of_it(
    by_hand: ByHand, anna: Member
) -> None:
    pictures = await listed(anna, q="garden")
    answer = await anna.http.get(f"{IMAGES}/zip", params={"q": "garden"})
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    about = json.loads(archive.read("pictures.json"))
    assert [each["id"] for each in about] == [image["id"] for image in pictures]
    day = pictures[0]["created_at"][:10]
    assert {each["file"] for each in about} == {
        f"{day} in a garden soft morning light {number}.png" for number in (1, 2, 3)
    }
    for each, image in zip(about, pictures, strict=True):
        file = await anna.http.get(f"{IMAGES}/{image['id']}/file", params={"download": True})
        assert archive.read(each["file"]) == file.content
        assert each["words"] == "in a garden, soft morning light"
        assert each["file"] in file.headers["content-disposition"]


async def test_a_zip_of_some_has_those_alone_and_leaves_out_what_is_gone(
    by_hand: ByHand, anna: Member
) -> None:
    ids = [image["id"] for image in (await listed(anna))[:2]]
    [(key,)] = by_hand.rows("select object_key from ai_images where id = %s", ids[0])
    await by_hand.parts.core.objects.delete(key)
    answer = await anna.http.get(f"{IMAGES}/zip", params={"id": ids})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert [each["id"] for each in json.loads(archive.read("pictures.json"))] == ids[1:]
    assert len(archive.namelist()) == 2


async def test_others_see_and_change_nothing(by_hand: ByHand, anna: Member) -> None:
    ben = await by_hand.member("name:ben")
    image = (await listed(anna))[0]["id"]
    album = (await anna.post(ALBUMS, {"name": "Mine"}))["id"]
    own = (await ben.post(ALBUMS, {"name": "Mine"}))["id"]
    assert await listed(ben) == []
    for method, path, body in (
        ("PATCH", f"{IMAGES}/{image}", {"saved": True}),
        ("DELETE", f"{IMAGES}/{image}", None),
        ("POST", f"{IMAGES}/{image}/restore", None),
        ("POST", f"{IMAGES}/delete", {"ids": [image]}),
        ("POST", f"{ALBUMS}/{own}/images", {"ids": [image]}),
        ("POST", f"{ALBUMS}/{album}/images", {"ids": [image]}),
        ("PATCH", f"{ALBUMS}/{album}", {"name": "Ours"}),
        ("DELETE", f"{ALBUMS}/{album}", None),
        ("GET", f"{IMAGES}?album={album}", None),
        ("GET", f"{IMAGES}/zip?album={album}", None),
    ):
        answer = await ben.http.request(method, path, json=body)
        assert answer.status_code == 404, (method, path)
    empty = await ben.http.get(f"{IMAGES}/zip", params={"id": image})
    assert zipfile.ZipFile(io.BytesIO(empty.content)).namelist() == ["pictures.json"]
    assert len(await listed(anna, saved=False)) == 6
