"""Pictures become ours whatever the download is like, and what is lost is said to be: never a broken picture."""

import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.pictures import model_of
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.cloud import Answer, answered, dripping, endless, plain_png, short
from tests.integration.conftest import Member

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import pictures
from portraitist.studio.images import service as images
from portraitist.studio.provider.port import ProviderUnavailable
from portraitist.studio.provider.replicate import ReplicateProvider

pytestmark = pytest.mark.anyio


@pytest.fixture
async def impatient(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[ByHand]:
    """A studio that gives one download three seconds."""
    async with studio_by_hand(postgres, studio_database, tmp_path, download_seconds=3) as running:
        yield running


async def asked(studio: ByHand) -> tuple[Member, str]:
    member = await studio.member()
    await studio.trained(member)
    generation = await member.post("/api/v1/generations", {"prompt": "in a garden"})
    return member, f"/api/v1/generations/{generation['id']}"


async def ended(studio: ByHand, member: Member, path: str) -> Any:
    return await studio.until(member, path, "completed", "failed", "lost_at_provider")


async def check_what_is_ours(studio: ByHand, member: Member) -> None:
    """Every row has its file, whole and of this member's model; every file has its row."""
    rows = studio.rows("select object_key, sha256 from ai_images")
    for key, digest in rows:
        data = await studio.parts.core.objects.get(key)
        assert hashlib.sha256(data).digest() == digest
        assert model_of(data) == f"studio/{member.id}-selfie-lora"
    files = await studio.parts.core.objects.list(f"members/{member.id}/generations")
    assert sorted(files) == sorted(key for key, _ in rows)


@pytest.mark.parametrize(("seconds", "seen"), [(1.5, [0, 1, 2]), (0.05, [0, 0, 0])])
async def test_pictures_that_take_their_time_appear_one_by_one(
    by_hand: ByHand, seconds: float, seen: list[int]
) -> None:
    member, path = await asked(by_hand)
    there: list[int] = []

    def fetching() -> bool:
        [(count,)] = by_hand.rows("select count(*) from ai_images")
        there.append(count)
        by_hand.clock.move(timedelta(seconds=seconds))
        return True

    by_hand.cloud.may_download = fetching
    done = await ended(by_hand, member, path)
    assert there == seen
    assert len(done["images"]) == 3
    await check_what_is_ours(by_hand, member)


PASSING: dict[str, Callable[[bytes], Answer]] = {
    "short": lambda whole: short(whole[:200], len(whole)),
    "slow": lambda whole: dripping(whole, 0.05),
    "cut without a length": lambda whole: answered(200, whole[:200]),
    "mistyped once": lambda whole: answered(200, b"<html>please wait</html>"),
    "away": lambda whole: answered(503),
}


@pytest.mark.parametrize("kind", PASSING)
async def test_a_download_that_fails_once_is_made_again(impatient: ByHand, kind: str) -> None:
    member, path = await asked(impatient)
    impatient.cloud.downloads = [PASSING[kind](plain_png())]
    done = await ended(impatient, member, path)
    assert (done["status"], done["error_code"]) == ("completed", None)
    assert [image["index"] for image in done["images"]] == [0, 1, 2]
    await check_what_is_ours(impatient, member)


LASTING: dict[str, tuple[Callable[[], list[Answer]], str]] = {
    "endless": (lambda: [endless()], "some_lost"),
    "mistyped": (lambda: [answered(200, b"<html>"), answered(200, b"<html>")], "some_lost"),
    "redirected": (lambda: [answered(302, location="http://169.254.169.254/")], "some_lost"),
    "expired": (lambda: [answered(403)], "some_lost"),
    "gone": (lambda: [answered(404)], "some_lost"),
}


@pytest.mark.parametrize("kind", LASTING)
async def test_one_picture_that_is_lost_takes_no_other_with_it_and_is_named(
    by_hand: ByHand, kind: str
) -> None:
    member, path = await asked(by_hand)
    answers, code = LASTING[kind]
    by_hand.cloud.downloads = answers()
    done = await ended(by_hand, member, path)
    assert (done["status"], done["error_code"]) == ("completed", code)
    assert done["error"] == "1 of 3 pictures could not be fetched."
    assert [image["index"] for image in done["images"]] == [1, 2]
    await check_what_is_ours(by_hand, member)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (answered(404), "lost_at_provider", "lost_at_provider"),
        (answered(403), "lost_at_provider", "lost_at_provider"),
        (answered(200, b"<html>"), "failed", "picture_unusable"),
    ],
)
async def test_when_none_can_be_had_it_says_so_and_what_to_do(
    by_hand: ByHand, answer: Answer, status: str, code: str
) -> None:
    member, path = await asked(by_hand)
    by_hand.cloud.downloads = [answer] * 6
    done = await ended(by_hand, member, path)
    assert (done["status"], done["error_code"], done["images"]) == (status, code, [])
    assert done["next_step"]
    await check_what_is_ours(by_hand, member)


async def test_an_address_elsewhere_is_never_opened(by_hand: ByHand) -> None:
    member, path = await asked(by_hand)
    real = by_hand.cloud._draw

    def elsewhere(run: Any, base_url: str) -> None:
        real(run, base_url)
        run.shown["output"] = [f"https://elsewhere.example/out-{index}.png" for index in range(3)]

    by_hand.cloud._draw = elsewhere  # type: ignore[method-assign]
    done = await ended(by_hand, member, path)
    assert (done["status"], done["error_code"]) == ("failed", "picture_unusable")


@pytest.mark.parametrize(
    ("away", "status"), [(45, "completed"), (59, "completed"), (200, "lost_at_provider")]
)
async def test_an_outage_of_ours_loses_nothing_while_the_provider_still_has_it(
    by_hand: ByHand, away: int, status: str
) -> None:
    by_hand.cloud.statuses_of_a_prediction = ["starting", *["processing"] * 3, "succeeded"]
    member, path = await asked(by_hand)
    await by_hand.until(member, path, "running")
    [run] = by_hand.cloud.predictions()
    while by_hand.cloud.go_on(run, f"{by_hand.settings.replicate_base_url}/"):
        pass
    by_hand.clock.move(timedelta(minutes=away))
    if away > 60:
        by_hand.cloud.forget(run.shown["id"])
    done = await ended(by_hand, member, path)
    assert done["status"] == status
    assert len(done["images"]) == (3 if status == "completed" else 0)


async def test_pictures_that_cannot_be_fetched_for_hours_are_given_up_in_the_end(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: ReplicateProvider, url: str, max_bytes: int) -> bytes:
        raise ProviderUnavailable("away", sent=True)

    member, path = await asked(by_hand)
    began = by_hand.clock.now()
    monkeypatch.setattr(ReplicateProvider, "download", away)
    done = await ended(by_hand, member, path)
    assert done["status"] == "lost_at_provider"
    assert timedelta(minutes=90) < by_hand.clock.now() - began < timedelta(minutes=100)


async def test_planted_bug_another_members_picture_is_caught(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    member, path = await asked(by_hand)
    from tests.fakes.pictures import watermarked_png

    by_hand.cloud.picture = watermarked_png("studio/zzzzzzzzzzzz-selfie-lora", 1, 1)
    await ended(by_hand, member, path)
    with pytest.raises(AssertionError):
        await check_what_is_ours(by_hand, member)


async def test_planted_bug_a_row_with_another_files_hash_is_caught(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = images.keep

    async def careless(objects: Any, key: str, picture: pictures.Picture) -> pictures.Picture:
        kept = await real(objects, key, picture)
        return pictures.Picture(
            kept.data, hashlib.sha256(b"x").digest(), kept.width, kept.height, kept.spread
        )

    monkeypatch.setattr(images, "keep", careless)
    member, path = await asked(by_hand)
    await ended(by_hand, member, path)
    with pytest.raises(AssertionError):
        await check_what_is_ours(by_hand, member)
