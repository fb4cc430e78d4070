"""Photos that come in pieces: a line that breaks costs one piece, and nothing that is never finished stays."""

import io
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from skimage import data
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.studio.selfies import uploads

pytestmark = pytest.mark.anyio


def photo() -> bytes:
    """A photo of some hundred kilobytes."""
    out = io.BytesIO()
    Image.fromarray(data.astronaut()).save(out, "PNG")
    return out.getvalue()


async def send(member: Member, upload_id: str, offset: int, piece: bytes) -> tuple[int, Any]:
    answer = await member.http.patch(
        f"/api/v1/uploads/{upload_id}", content=piece, headers={"Upload-Offset": str(offset)}
    )
    return answer.status_code, answer.json()


async def test_a_photo_comes_in_pieces_and_is_judged_with_the_last(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    whole = photo()
    begun = await member.post("/api/v1/uploads", {"file_name": "../../a\\b.png", "length": len(whole)})
    path = f"/api/v1/uploads/{begun['id']}"
    assert (begun["offset"], begun["selfie"]) == (0, None)

    half = len(whole) // 2
    assert (await send(member, begun["id"], 0, whole[:half]))[1]["offset"] == half
    status, refused = await send(member, begun["id"], 0, whole[:half])  # a client that lost the answer
    assert (status, refused["code"]) == (409, "upload_offset")
    assert (await member.get(path))["offset"] == half
    assert (await send(member, begun["id"], half, b"x" * (len(whole) - half + 1)))[1][
        "code"
    ] == "upload_too_long"

    status, done = await send(member, begun["id"], half, whole[half:])
    assert status == 200
    assert done["selfie"]["status"] == "accepted"
    assert done["selfie"]["file_name"] == "b.png"
    assert (await member.http.get(path)).status_code == 404
    assert [row["id"] for row in (await member.get("/api/v1/selfies"))["items"]] == [done["selfie"]["id"]]
    assert await by_hand.parts.core.objects.list(f"members/{member.id}/uploads") == []


async def test_a_piece_that_was_kept_but_not_counted_is_sent_again(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    begun = await member.post("/api/v1/uploads", {"file_name": "x", "length": 8})
    await by_hand.parts.core.objects.put_new(f"members/{member.id}/uploads/{begun['id']}/0", b"cut")
    assert (await send(member, begun["id"], 0, b"noph"))[1]["offset"] == 4
    _, done = await send(member, begun["id"], 4, b"otos")
    assert done["selfie"]["reason_code"] == "not_a_picture"


async def test_what_is_never_finished_goes_with_its_pieces(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    begun = await member.post("/api/v1/uploads", {"file_name": "x", "length": 8})
    kept = await member.post("/api/v1/uploads", {"file_name": "y", "length": 8})
    await send(member, begun["id"], 0, b"half")
    core = by_hand.parts.core
    assert await uploads.clear_old(core.db, core.objects, by_hand.clock) == 0
    by_hand.clock.move(uploads.LIVES + timedelta(seconds=1))
    assert (await send(member, kept["id"], 0, b"late"))[0] == 404
    assert await uploads.clear_old(core.db, core.objects, by_hand.clock) == 1
    assert by_hand.rows("select id from uploads") == []
    assert await core.objects.list(f"members/{member.id}/uploads") == []


async def test_a_member_has_twenty_photos_on_their_way_at_most_and_only_with_consent(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    for _ in range(uploads.MOST_OPEN):
        begun = await member.post("/api/v1/uploads", {"file_name": "x", "length": 8})
    refused = await member.post("/api/v1/uploads", {"file_name": "x", "length": 8}, expect=422)
    assert refused["code"] == "too_many_uploads"
    assert (await member.http.delete(f"/api/v1/uploads/{begun['id']}")).status_code == 204
    await member.post("/api/v1/uploads", {"file_name": "x", "length": 8})
    by_hand.run("update consents set withdrawn_at = now()")
    refused = await member.post("/api/v1/uploads", {"file_name": "x", "length": 8}, expect=422)
    assert refused["code"] == "consent_needed"


async def test_a_piece_over_its_cap_and_a_photo_over_its_length_are_refused(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    await member.post("/api/v1/uploads", {"file_name": "x", "length": 30_000_001}, expect=422)
    begun = await member.post("/api/v1/uploads", {"file_name": "x", "length": 30_000_000})
    status, refused = await send(member, begun["id"], 0, bytes(uploads.MOST_IN_A_PIECE + 1))
    assert (status, refused["code"]) == (413, "body_too_large")
    assert (await member.get(f"/api/v1/uploads/{begun['id']}"))["offset"] == 0
