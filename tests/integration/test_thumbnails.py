"""Small copies of accepted photos: for their member, and for nobody else."""

import io
from pathlib import Path

import pytest
from PIL import Image
from tests.integration.by_hand import ByHand

pytestmark = pytest.mark.anyio


async def test_an_accepted_photo_has_a_small_copy_and_a_rejected_one_has_none(
    by_hand: ByHand, astronaut: Path, tmp_path: Path
) -> None:
    anna, ben = await by_hand.member(photos=0), await by_hand.member("name:ben", photos=0)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "good.png").write_bytes((astronaut / "selfie_02.png").read_bytes())
    (tmp_path / "a" / "no.jpg").write_bytes(b"no photo")
    good, rejected = await anna.upload(tmp_path / "a")
    answer = await anna.http.get(f"/api/v1/selfies/{good['id']}/thumbnail")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"] == "private, no-store"
    with Image.open(io.BytesIO(answer.content)) as small:
        assert 0 < max(small.size) <= 320
        assert len(answer.content) < (astronaut / "selfie_02.png").stat().st_size / 4
    variety = (await anna.get("/api/v1/selfies"))["variety"]
    assert (variety["measured"], variety["lights"], variety["places"], variety["framing"]) == (1, 1, 1, None)
    kept = "select status, mean_luma is null, ground is null from selfies order by status"
    assert by_hand.rows(kept) == [("accepted", False, False), ("rejected", True, True)]
    for client, photo in ((anna, rejected), (ben, good)):
        refused = await client.http.get(f"/api/v1/selfies/{photo['id']}/thumbnail")
        assert (refused.status_code, refused.json()["code"]) == (404, "selfie_not_found")
