"""The photos' two ways to the provider: our own short-lived link where the outside reaches us, else its Files API."""

import dataclasses
import re
import time
from datetime import timedelta

import pytest
from tests.integration.conftest import Studio
from tests.integration.test_trainings import ready

from portraitist.studio.links import LinkSigner

pytestmark = pytest.mark.anyio


def images_of_the_training(studio: Studio) -> str:
    [url] = [
        run.shown["input"]["input_images"]
        for run in studio.cloud.runs.values()
        if "input_images" in run.shown["input"]
    ]
    return str(url)


async def test_without_a_public_address_the_zip_travels_through_the_providers_files(studio: Studio) -> None:
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    await member.until(f"/api/v1/trainings/{training['id']}", "completed")
    assert studio.cloud.sent("POST", "/v1/files") == 1
    assert "/v1/files/" in images_of_the_training(studio)


async def test_with_an_https_address_the_provider_gets_our_own_link_that_dies_with_the_training(
    studio: Studio,
) -> None:
    studio.cloud.statuses_of_a_training = ["starting", *["processing"] * 10_000]
    studio.settings = studio.settings.model_copy(update={"public_url": "https://studio.example"})
    await studio.stop_worker()
    await studio.start_worker()
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{training['id']}"
    await member.until(path, "training")

    link = images_of_the_training(studio)
    assert link.startswith("https://studio.example/transfer/members/")
    assert studio.cloud.sent("POST", "/v1/files") == 0
    local = link.removeprefix("https://studio.example")
    fetched = await studio.http.get(local)
    assert fetched.status_code == 200
    assert fetched.content.startswith(b"PK")
    for forged in (
        local[:-1] + ("0" if local[-1] != "0" else "1"),
        re.sub(r"expires=\d+", "expires=9999999999", local),
    ):
        assert (await studio.http.get(forged)).status_code == 404

    await member.post(f"{path}/cancel")
    await member.until(path, "canceled")
    assert (await studio.http.get(local)).status_code == 404


def test_a_link_is_dead_after_its_time_and_there_is_none_without_https() -> None:
    signer = LinkSigner("secret", "https://studio.example")
    now = time.time()
    signature = signer.sign("members/a/photos.zip", int(now) + 60)
    assert signer.holds("members/a/photos.zip", int(now) + 60, signature, now)
    assert not signer.holds("members/a/photos.zip", int(now) + 60, signature, now + 61)
    assert not signer.holds("members/b/photos.zip", int(now) + 60, signature, now)
    assert not dataclasses.replace(signer, secret="other").holds(
        "members/a/photos.zip", int(now) + 60, signature, now
    )
    for address in ("", "http://localhost:8700"):
        assert dataclasses.replace(signer, public_url=address).url_for("k", timedelta(days=1)) is None
