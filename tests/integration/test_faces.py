"""One face in each photo, where the operator has them counted; and never a silent yes when nobody can say."""

import dataclasses
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from tests.fakes.face_service import CountingFaces
from tests.fakes.serving import served
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.kit.http import GuardedClient
from portraitist.studio.selfies.faces import FaceService, FacesUnknown
from portraitist.studio.selfies.service import SelfieService
from portraitist.studio.selfies.waiting import WaitingPhotos

pytestmark = pytest.mark.anyio


@pytest.fixture
def counting() -> CountingFaces:
    return CountingFaces()


@pytest.fixture
async def faces(counting: CountingFaces) -> AsyncIterator[FaceService]:
    with served(counting) as url:
        client = GuardedClient(allowed=[url])
        yield FaceService(client, f"{url}/count")
        await client.close()


@pytest.fixture
def counted(by_hand: ByHand, faces: FaceService) -> ByHand:
    """A studio whose operator has faces counted."""
    service: SelfieService = by_hand.web.state.selfies
    by_hand.web.state.selfies = dataclasses.replace(service, faces=faces)
    return by_hand


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A photo that is good otherwise."""
    out = io.BytesIO()
    noise = Image.effect_noise((600, 800), 90).convert("RGB")
    noise.save(out, "JPEG", quality=90)
    return out.getvalue()


async def add(member: Member, data: bytes) -> dict[str, Any]:
    answer = await member.http.post("/api/v1/selfies", files=[("files", ("me.jpg", data))])
    assert answer.status_code == 200, answer.text
    item: dict[str, Any] = answer.json()["items"][0]
    return item


def sweep(studio: ByHand, faces: FaceService | None) -> WaitingPhotos:
    core = studio.parts.core
    return WaitingPhotos(core.db, core.objects, faces, core.clock)


async def files(studio: ByHand, member: Member) -> list[str]:
    return await studio.parts.core.objects.list(f"members/{member.id}/selfies")


async def test_how_large_the_face_is_counts_for_the_meter_where_it_is_said(
    counted: ByHand, counting: CountingFaces, photo: bytes
) -> None:
    member = await counted.member(photos=0)
    for heights, framing in (
        ([0.5], {"close": 1, "half": 0, "full": 0}),
        ([1.5], None),
        (["0.5"], None),
        ([0.5, 0.5], None),
        (True, None),
    ):
        counting.answers = [{"faces": 1, "heights": heights}]
        added = await add(member, photo)
        assert added["status"] == "accepted", heights
        seen = await member.get("/api/v1/selfies")
        assert (seen["variety"]["framing"], seen["variety"]["measured"]) == (framing, 1), heights
        await member.http.delete(f"/api/v1/selfies/{added['id']}")


async def test_one_face_is_accepted_and_the_service_sees_the_photo_as_it_is_kept(
    counted: ByHand, counting: CountingFaces, photo: bytes
) -> None:
    member = await counted.member(photos=0)
    assert (await add(member, photo))["status"] == "accepted"
    [(method, kind, sent)] = counting.asked
    assert (method, kind) == ("POST", "image/jpeg")
    [key] = await files(counted, member)
    assert sent == await counted.parts.core.objects.get(key)


@pytest.mark.parametrize(("number", "code"), [(0, "no_face"), (2, "many_faces"), (7, "many_faces")])
async def test_none_or_several_are_turned_away_with_what_to_do(
    counted: ByHand, counting: CountingFaces, photo: bytes, number: int, code: str
) -> None:
    counting.answers = [number]
    member = await counted.member(photos=0)
    told = await add(member, photo)
    assert (told["status"], told["reason_code"]) == ("rejected", code)
    assert "Add one" in told["reason"]
    assert await files(counted, member) == []


async def test_what_is_turned_away_for_another_reason_is_not_sent_anywhere(
    counted: ByHand, counting: CountingFaces
) -> None:
    member = await counted.member(photos=0)
    assert (await add(member, b"no photo"))["status"] == "rejected"
    assert counting.asked == []


async def test_a_photo_waits_while_the_service_is_away_and_is_no_part_of_a_training(
    counted: ByHand, counting: CountingFaces, faces: FaceService, photo: bytes
) -> None:
    counting.answers = [Response(status_code=503)]
    member = await counted.member(photos=9)
    told = await add(member, photo)
    assert told["status"] == "waiting"
    assert "waits" in told["reason"]
    listed = await member.get("/api/v1/selfies")
    assert (listed["accepted"], listed["waiting"], listed["rejected"]) == (9, 1, 0)
    refused = await member.http.post("/api/v1/trainings")
    assert refused.json()["code"] == "too_few_photos"
    assert await sweep(counted, faces).sweep() == 0
    assert await sweep(counted, None).sweep() == 0, "without a service nothing is decided"
    assert (await add(member, photo))["status"] == "waiting", "the same bytes again"

    counting.answers = [1]
    assert await sweep(counted, faces).sweep() == 1
    assert (await member.get("/api/v1/selfies"))["accepted"] == 10
    assert (await member.http.post("/api/v1/trainings")).status_code == 201


async def test_a_waiting_photo_that_shows_two_goes_with_its_file(
    counted: ByHand, counting: CountingFaces, faces: FaceService, photo: bytes
) -> None:
    counting.answers = ["what?"]
    member = await counted.member(photos=0)
    assert (await add(member, photo))["status"] == "waiting"
    assert len(await files(counted, member)) == 1
    counting.answers = [2]
    assert await sweep(counted, faces).sweep() == 1
    [item] = (await member.get("/api/v1/selfies"))["items"]
    assert (item["status"], item["reason_code"]) == ("rejected", "many_faces")
    assert await files(counted, member) == []
    assert await sweep(counted, faces).sweep() == 0


async def test_a_waiting_photo_can_be_removed_and_its_verdict_comes_too_late(
    counted: ByHand, counting: CountingFaces, faces: FaceService, photo: bytes
) -> None:
    counting.answers = [Response(status_code=500)]
    member = await counted.member(photos=0)
    told = await add(member, photo)
    assert (await member.http.delete(f"/api/v1/selfies/{told['id']}")).status_code == 204
    counting.answers = [1]
    assert await sweep(counted, faces).sweep() == 0
    assert counted.rows("select 1 from selfies where user_id = %s", member.id) == []


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=500),
        Response(status_code=204),
        PlainTextResponse("1"),
        PlainTextResponse("{"),
        RedirectResponse("/elsewhere"),
        PlainTextResponse("[" * 50_000),
        PlainTextResponse('{"faces": 1}' + " " * 100_000),
        *(
            [],
            {},
            {"face": 1},
            {"faces": "1"},
            {"faces": 1.0},
            {"faces": True},
            {"faces": -1},
            {"faces": None},
        ),
        {"faces": 10_001},
    ],
    ids=lambda answer: None if isinstance(answer, Response) else str(answer),  # the same in each process
)
async def test_whatever_is_no_number_of_faces_is_no_answer(
    counting: CountingFaces, faces: FaceService, answer: Any
) -> None:
    counting.answers = [answer]
    with pytest.raises(FacesUnknown):
        await faces.count(b"a photo")


async def test_a_service_that_is_not_there_is_no_answer() -> None:
    nowhere = "http://127.0.0.1:9/count"
    client = GuardedClient(allowed=[nowhere])
    with pytest.raises(FacesUnknown):
        await FaceService(client, nowhere).count(b"a photo")
    await client.close()


async def test_planted_bug_a_silent_yes_is_caught(
    counted: ByHand, counting: CountingFaces, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def yes(self: FaceService, jpeg: bytes) -> int:
        return 1

    counting.answers = [Response(status_code=503)]
    monkeypatch.setattr(FaceService, "count", yes)
    member = await counted.member(photos=0)
    with pytest.raises(AssertionError):
        assert (await add(member, photo))["status"] == "waiting"


async def test_where_nobody_counts_nothing_is_assumed_of_faces(by_hand: ByHand, photo: bytes) -> None:
    member = await by_hand.member(photos=0)
    assert (await add(member, photo))["status"] == "accepted"
    told = await member.get("/api/v1/safety")
    assert told["faces_counted"] is False
    assert any("Nobody counts" in line for line in told["in_words"])


async def test_a_judged_photo_keeps_its_verdict_even_against_the_program(by_hand: ByHand) -> None:
    """The database lets a verdict be given to waiting photos alone."""
    member = await by_hand.member(photos=1)
    async with by_hand.parts.core.db.member(member.id) as tx:
        assert await tx.run("update selfies set status = 'rejected', reason_code = 'x', reason = 'x'") == 0
