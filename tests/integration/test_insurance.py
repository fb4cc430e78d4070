"""The copy of the weights: whole or not at all, made again when it broke off, in the way of nothing."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.cloud import answered, short, weights_tar

from portraitist.studio.training import weights_file
from portraitist.studio.training.weights_file import NotWeights, check

pytestmark = pytest.mark.anyio


def archive(by_hand: ByHand) -> Any:
    [row] = by_hand.rows("select status, object_key, bytes, sha256, tries, reason from weights_archives")
    return row


async def test_the_weights_are_copied_whole_and_checked(by_hand: ByHand) -> None:
    member = await by_hand.member()
    done = await by_hand.trained(member)
    assert archive(by_hand)[0] == "wanted"  # promoted already: nothing waits for the copy
    await by_hand.copy_weights()
    status, key, size, digest, _, reason = archive(by_hand)
    stored = await by_hand.parts.core.objects.get(key)
    assert (status, reason, size) == ("stored", None, len(stored))
    assert stored == weights_tar(done["version"].split(":")[1])
    assert digest == hashlib.sha256(stored).digest()


async def test_a_copy_that_breaks_off_is_made_again(by_hand: ByHand) -> None:
    member = await by_hand.member()
    await by_hand.trained(member)
    [whole] = [data for key, data in by_hand.cloud.outputs.items() if key.endswith(".tar")]
    by_hand.cloud.downloads = [answered(200, whole[:900]), answered(200, b"<html>")]
    for tries in (1, 2):
        await by_hand.copy_weights()
        assert (archive(by_hand)[0], archive(by_hand)[4]) == ("wanted", tries)
        assert not [key for key in await by_hand.parts.core.objects.list("members") if key.endswith(".tar")]
    by_hand.cloud.downloads = [
        short(whole[:900], len(whole))
    ]  # the connection's own check; read again at once
    await by_hand.copy_weights()
    assert archive(by_hand)[0] == "stored"


async def test_planted_bug_a_copy_that_is_not_looked_at_is_caught(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_file, "check", lambda data: None)
    with pytest.raises(AssertionError):
        await test_a_copy_that_breaks_off_is_made_again(by_hand)


async def test_weights_that_are_gone_are_said_to_be_lost_and_the_model_works(by_hand: ByHand) -> None:
    member = await by_hand.member()
    done = await by_hand.trained(member)
    by_hand.cloud.outputs.clear()
    began = by_hand.clock.now()
    while archive(by_hand)[0] == "wanted":
        await by_hand.copy_weights()
    assert archive(by_hand)[0] == "lost"
    assert archive(by_hand)[5]
    assert by_hand.clock.now() - began < timedelta(minutes=10)
    assert (await member.get("/api/v1/models"))["active"]["version"] == done["version"]


@pytest.mark.parametrize("status", [401, 402])
async def test_weights_that_an_account_cannot_have_for_a_week_are_not_given_up(
    by_hand: ByHand, status: int
) -> None:
    await by_hand.trained(await by_hand.member())
    began = by_hand.clock.now()
    while by_hand.clock.now() - began < timedelta(days=7):
        by_hand.cloud.downloads = [answered(status, b"{}")]
        await by_hand.copy_weights()
    assert archive(by_hand)[0] == "wanted"
    assert archive(by_hand)[4] < 20  # ever more rarely, once a day in the end
    by_hand.cloud.downloads = []
    await by_hand.copy_weights()
    assert archive(by_hand)[0] == "stored"


async def test_two_workers_that_copy_at_once_leave_one_file(by_hand: ByHand) -> None:
    member = await by_hand.member()
    done = await by_hand.trained(member)
    from dataclasses import replace

    other = replace(by_hand.parts.insurance, _one=asyncio.Semaphore(1))
    copies = [each.copy(done["id"], member.id) for each in (by_hand.parts.insurance, other) * 3]
    await asyncio.gather(*copies)
    assert archive(by_hand)[0] == "stored"


async def test_an_output_without_weights_is_nothing_to_insure(by_hand: ByHand) -> None:
    by_hand.cloud.trained_output = lambda model, version: {"version": f"{model}:{version}"}
    await by_hand.trained(await by_hand.member())
    assert by_hand.rows("select count(*) from weights_archives") == [(0,)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: b"PK\x03\x04",
        lambda whole: whole[:1600],
        lambda whole: whole.replace(b"lora.safetensors", b"lora.safetensorz"),
        lambda whole: whole.replace(b'"data_offsets": [0, 64]', b'"data_offsets": [0, 96]'),
        lambda whole: whole.replace(b'{"lora"', b'["lora"'),
    ],
)
def test_what_is_no_whole_archive_of_weights_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    whole = weights_tar("x")
    check(whole)
    with pytest.raises(NotWeights):
        check(spoil(whole))
