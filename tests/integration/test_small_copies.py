"""Small copies of pictures: asked for by a look, made once, signed, gone with their picture; for nobody else."""

import asyncio
import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.kit import failpoints
from portraitist.studio.images.copies import JOB
from portraitist.studio.images.tasks import Purge
from portraitist.studio.provenance import credentials
from portraitist.studio.provenance.verifying import Kind, verify

pytestmark = pytest.mark.anyio


@pytest.fixture
async def anna(by_hand: ByHand) -> Member:
    """A member with three pictures."""
    member = await by_hand.member()
    await by_hand.trained(member)
    asked = await member.post("/api/v1/generations", {"prompt": "in a garden"})
    await by_hand.until(member, f"/api/v1/generations/{asked['id']}", "completed")
    return member


async def pictures(member: Member) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await member.get("/api/v1/images"))["items"]
    return items


async def small(member: Member, image: dict[str, Any], expect: int = 200) -> tuple[str, bytes]:
    answer = await member.http.get(f"/api/v1/images/{image['id']}/small")
    assert answer.status_code == expect, answer.text
    return answer.headers["content-type"], answer.content


async def make(studio: ByHand) -> int:
    """Run the jobs that looks have left; how many."""
    waiting = studio.rows("delete from jobs where kind = %s returning id, user_id", JOB)
    for generation_id, user_id in waiting:
        await studio.parts.copies.make(generation_id, user_id)
    return len(waiting)


def copies_stored(studio: ByHand) -> int:
    return len(list((studio.settings.portraitist_home / "objects/members").rglob("*-small.webp")))


async def test_the_first_look_shows_the_picture_and_the_next_a_signed_small_copy(
    by_hand: ByHand, anna: Member
) -> None:
    [first, second, _] = await pictures(anna)
    assert [kind for kind, _ in (await small(anna, first), await small(anna, second))] == 2 * ["image/png"]
    assert await make(by_hand) == 1, "one job for the three of a generation"
    kind, copy = await small(anna, first)
    assert kind == "image/webp"
    assert verify(copy, credentials.known(by_hand.settings.portraitist_home)).kind is Kind.OURS
    with Image.open(io.BytesIO(copy)) as seen:
        assert seen.size == (first["width"], first["height"])
    assert copies_stored(by_hand) == 3
    await small(anna, second)
    assert await make(by_hand) == 0, "nothing is made twice"
    file = await anna.http.get(f"/api/v1/images/{first['id']}/file")
    assert hashlib.sha256(file.content).hexdigest() == first["sha256"], "the picture itself is as it was"


async def test_a_copy_that_the_storage_has_lost_is_no_broken_picture(by_hand: ByHand, anna: Member) -> None:
    [first, *_] = await pictures(anna)
    await small(anna, first)
    await make(by_hand)
    for [key] in by_hand.rows("select object_key from ai_images"):
        await by_hand.parts.core.objects.delete(f"{key.removesuffix('.png')}-small.webp")
    assert (await small(anna, first))[0] == "image/png"


async def test_pictures_have_a_colour_before_anybody_has_looked_and_old_ones_after(
    by_hand: ByHand, anna: Member
) -> None:
    colours = [image["colour"] for image in await pictures(anna)]
    assert all(colour.startswith("#") and len(colour) == 7 for colour in colours)
    by_hand.run("update ai_images set tint = null")
    [first, *_] = await pictures(anna)
    assert first["colour"] is None
    await small(anna, first)
    await make(by_hand)
    assert None not in [image["colour"] for image in await pictures(anna)]


async def test_a_kill_between_storing_and_entering_costs_nothing(
    by_hand: ByHand, anna: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(name: str) -> None:
        if name == "copies.put":
            raise Killed

    [first, *_] = await pictures(anna)
    await small(anna, first)
    with monkeypatch.context() as dying:
        dying.setattr(failpoints, "hit", kill)
        with pytest.raises(Killed):
            await make(by_hand)
    assert copies_stored(by_hand) == 1
    assert (await small(anna, first))[0] == "image/png"
    await make(by_hand)
    assert (await small(anna, first))[0] == "image/webp"
    assert copies_stored(by_hand) == 3


async def test_it_goes_with_its_picture_by_time_and_at_once(by_hand: ByHand, anna: Member) -> None:
    [first, second, _] = await pictures(anna)
    await small(anna, first)
    await make(by_hand)
    await anna.post("/api/v1/images/delete", {"ids": [first["id"]]})
    by_hand.clock.moved += timedelta(days=7, seconds=1)
    await Purge(by_hand.parts.core.db, by_hand.parts.core.objects, by_hand.clock).sweep()
    assert copies_stored(by_hand) == 2
    answer = await anna.http.post(f"/api/v1/images/{second['id']}/erase")
    assert answer.status_code < 300, answer.text
    for [erasure_id, user_id] in by_hand.rows("select id::text, user_id from erasures"):
        await by_hand.parts.eraser.advance(erasure_id, user_id)
    assert copies_stored(by_hand) == 1


async def test_a_picture_erased_while_its_copy_is_made_leaves_no_copy(
    by_hand: ByHand, anna: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first, *_] = await pictures(anna)
    await small(anna, first)

    def erased(name: str) -> None:
        if name == "copies.put":
            by_hand.run("update ai_images set deleted_at = now(), purging_at = now()")

    monkeypatch.setattr(failpoints, "hit", erased)
    await make(by_hand)
    assert copies_stored(by_hand) == 0


async def test_nobody_else_has_it_and_two_workers_make_one(by_hand: ByHand, anna: Member) -> None:
    [first, *_] = await pictures(anna)
    bela = await by_hand.member("name:bela", photos=0)
    await small(bela, first, expect=404)
    assert by_hand.rows("select 1 from jobs where kind = %s", JOB) == []
    await small(anna, first)
    [(generation_id,)] = by_hand.rows("select id::text from generation_trackers")
    await asyncio.gather(*(by_hand.parts.copies.make(generation_id, anna.id) for _ in range(2)))
    assert copies_stored(by_hand) == 3
    await by_hand.parts.copies.make(generation_id, bela.id)
    assert (await small(anna, first))[0] == "image/webp"
