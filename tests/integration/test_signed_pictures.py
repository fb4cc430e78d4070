"""Every picture that is stored and handed out says where it comes from, whatever dies on the way."""

import hashlib
import io
import zipfile
from typing import Any

import pytest
from tests.fakes.pictures import model_of
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.kit import failpoints
from portraitist.studio.pictures import Picture
from portraitist.studio.provenance import credentials
from portraitist.studio.provenance.signing import SigningFailed
from portraitist.studio.provenance.verifying import Kind, verify

pytestmark = pytest.mark.anyio
PROMPT = "in a garden with an umbrella"


class Killed(BaseException):
    """What a dead worker is to its own code."""


async def asked(studio: ByHand) -> tuple[Member, str]:
    member = await studio.member()
    await studio.trained(member)
    generation = await member.post("/api/v1/generations", {"prompt": PROMPT})
    return member, f"/api/v1/generations/{generation['id']}"


async def ended(studio: ByHand, member: Member, path: str) -> Any:
    return await studio.until(member, path, "completed", "failed", "lost_at_provider")


async def stored(studio: ByHand) -> dict[str, bytes]:
    """The bytes of every picture, each held against its row."""
    found = {}
    for key, digest, size in studio.rows("select object_key, sha256, bytes from ai_images"):
        found[key] = await studio.parts.core.objects.get(key)
        assert hashlib.sha256(found[key]).digest() == digest
        assert len(found[key]) == size
    return found


def is_ours(studio: ByHand, data: bytes) -> bool:
    return verify(data, credentials.known(studio.settings.portraitist_home)).kind is Kind.OURS


async def test_what_is_stored_shown_downloaded_and_zipped_is_signed_by_this_instance(by_hand: ByHand) -> None:
    member, path = await asked(by_hand)
    done = await ended(by_hand, member, path)
    pictures = await stored(by_hand)
    assert len(pictures) == 3
    assert all(is_ours(by_hand, data) for data in pictures.values())
    for image in done["images"]:
        file = f"/api/v1/images/{image['id']}/file"
        for query in ({}, {"download": True}):
            assert (await member.http.get(file, params=query)).content in pictures.values()
    zipped = zipfile.ZipFile(io.BytesIO((await member.http.get("/api/v1/images/zip")).content))
    inside = [zipped.read(name) for name in zipped.namelist() if name.endswith(".png")]
    assert sorted(inside) == sorted(pictures.values())


async def test_nothing_of_the_member_is_in_the_marks(by_hand: ByHand) -> None:
    member, path = await asked(by_hand)
    await ended(by_hand, member, path)
    [(handle, trigger)] = by_hand.rows("select handle, 'user' || id from users where id = %s", member.id)
    for data in (await stored(by_hand)).values():
        assert model_of(data).endswith(
            f"{member.id}-selfie-lora"
        )  # in the fake's pixels, which are compressed
        for secret in (handle, trigger, member.id, PROMPT, "umbrella"):
            assert secret.encode() not in data


async def test_a_kill_between_signing_and_storing_costs_one_signature(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await killed_at("generation.signed", by_hand, monkeypatch)
    assert await by_hand.parts.core.objects.list("members") != []


async def test_after_a_kill_behind_storing_what_is_stored_counts_and_is_signed_once(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = await killed_at("generation.put", by_hand, monkeypatch)
    assert signed == 3  # two before the kill, both kept, and the third


async def killed_at(label: str, studio: ByHand, monkeypatch: pytest.MonkeyPatch) -> int:
    """The worker dies at the second picture and another goes on; how often a picture was signed."""
    stamp, hits = studio.parts.generation.stamp, 0
    signed: list[bytes] = []

    def stamped(picture: Picture) -> Picture:
        after = stamp.stamped(picture)
        signed.append(after.data)
        return after

    def die(reached: str) -> None:
        nonlocal hits
        hits += reached == label
        if hits == 2 and reached == label:
            raise Killed

    member, path = await asked(studio)
    object.__setattr__(
        studio.parts.generation, "stamp", type("Counted", (), {"stamped": staticmethod(stamped)})
    )
    monkeypatch.setattr(failpoints, "hit", die)
    with pytest.raises(Killed):
        await ended(studio, member, path)
    before = {key: await studio.parts.core.objects.get(key) for key in await files(studio, member)}
    done = await ended(studio, member, path)
    assert done["status"] == "completed"
    after = await stored(studio)
    assert len(after) == 3
    assert before.items() <= after.items()
    assert all(is_ours(studio, data) and data in signed for data in after.values())
    return len(signed)


async def files(studio: ByHand, member: Member) -> list[str]:
    return await studio.parts.core.objects.list(f"members/{member.id}/generations")


async def test_what_can_not_be_signed_is_not_stored_but_tried_again(by_hand: ByHand) -> None:
    stamp, tries = by_hand.parts.generation.stamp, 0

    def stamped(picture: Picture) -> Picture:
        nonlocal tries
        tries += 1
        if tries <= 4:
            raise SigningFailed
        return stamp.stamped(picture)

    member, path = await asked(by_hand)
    object.__setattr__(
        by_hand.parts.generation, "stamp", type("Failing", (), {"stamped": staticmethod(stamped)})
    )
    done = await ended(by_hand, member, path)
    assert done["status"] == "completed"
    pictures = await stored(by_hand)
    assert len(pictures) == 3
    assert all(is_ours(by_hand, data) for data in pictures.values())
