"""What every provider must do for the studio, whoever runs it.

A module that gives a fixture `endpoint` and imports these tests runs them against its server. Where a server that
really trains is dear to start, it may give another one as `training_endpoint`. Collected only where imported.
"""

import contextlib
import io
import secrets
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from PIL import Image
from tests.fakes.schemas import trained_version_schema

from portraitist.kit.http import GuardedClient
from portraitist.studio.architecture import (
    GENERATION,
    TRAINER_VERSION,
    VERIFY,
    LockedParameters,
    ValidatedPrediction,
    destination,
    map_schema,
    model_name,
    seal_prediction,
    seal_training,
    trigger_word,
)
from portraitist.studio.provider.logs import parse_progress
from portraitist.studio.provider.port import (
    Provider,
    ProviderNotFound,
    ProviderOutputTooLarge,
    ProviderRefused,
    ProviderUnauthorized,
    ProviderUntrustedAddress,
    RemotePrediction,
    RemoteStatus,
    RemoteTraining,
    RemoteVersion,
)
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import Pauses
from portraitist.studio.provider.wire import TrainedVersion, parse_trained_version


@dataclass(frozen=True)
class Endpoint:
    """A server to test: its address without /v1, its account, and how patient to be with it."""

    base_url: str
    token: str
    username: str
    photos: tuple[bytes, ...]
    """At least ten JPEG files that a training may have."""
    patience_s: float = 10.0
    poll_s: float = 0.01


@pytest.fixture
def training_endpoint(endpoint: Endpoint) -> Endpoint:
    return endpoint


@contextlib.asynccontextmanager
async def connected(
    endpoint: Endpoint, *, token: str | None = None, path: str = ""
) -> AsyncIterator[Provider]:
    http = GuardedClient(allowed=[endpoint.base_url])
    provider = ReplicateProvider(
        http,
        base_url=endpoint.base_url + path,
        token=endpoint.token if token is None else token,
        pauses=Pauses(jitter=lambda: 0.5),
    )
    try:
        yield provider
    finally:
        await provider.close()


def new_user() -> str:
    return secrets.token_hex(6)


def photo_zip(photos: tuple[bytes, ...]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, photo in enumerate(photos):
            archive.writestr(f"{number:02}.jpg", photo)
    return stream.getvalue()


async def started(provider: Provider, endpoint: Endpoint, user_id: str) -> RemoteTraining:
    """A model, an uploaded zip and a training on it."""
    await provider.ensure_model(endpoint.username, model_name(user_id))
    file = await provider.upload_file("photos.zip", photo_zip(endpoint.photos), "application/zip")
    return await provider.create_training(seal_training(user_id, endpoint.username, file.url), webhook=None)


async def ended(
    read: Callable[[str], Awaitable[RemoteTraining]] | Callable[[str], Awaitable[RemotePrediction]],
    run_id: str,
    endpoint: Endpoint,
) -> RemoteTraining | RemotePrediction:
    """The run as it stands at its end."""
    end = time.monotonic() + endpoint.patience_s
    while not (run := await read(run_id)).status.is_terminal:
        assert time.monotonic() < end, f"{run.status} after {endpoint.patience_s} seconds: {run.logs[-500:]}"
        await anyio.sleep(endpoint.poll_s)
    return run


def sealed(user_id: str, version: RemoteVersion, seed: int, profile: LockedParameters) -> ValidatedPrediction:
    return seal_prediction(
        user_id=user_id,
        owner=version.owner,
        model=version.name,
        version_id=version.id,
        schema=map_schema(version.openapi_schema),
        prompt=f"{trigger_word(user_id)} person in a garden",
        seed=seed,
        profile=profile,
    )


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
async def test_the_account_is_found_with_and_without_the_version_in_the_address(
    endpoint: Endpoint, path: str
) -> None:
    async with connected(endpoint, path=path) as provider:
        assert (await provider.account()).username == endpoint.username


@pytest.mark.anyio
async def test_a_wrong_token_is_refused_as_such(endpoint: Endpoint) -> None:
    async with connected(endpoint, token="r8_wrong") as provider:
        with pytest.raises(ProviderUnauthorized):
            await provider.account()
        with pytest.raises(ProviderUnauthorized):
            await provider.ensure_model(endpoint.username, model_name(new_user()))


@pytest.mark.anyio
async def test_the_webhook_secret_is_one_that_signatures_can_be_checked_with(endpoint: Endpoint) -> None:
    async with connected(endpoint) as provider:
        assert (await provider.webhook_secret()).startswith("whsec_")


@pytest.mark.anyio
async def test_a_model_can_be_asked_for_twice_and_deleted_twice(endpoint: Endpoint) -> None:
    async with connected(endpoint) as provider:
        name = model_name(new_user())
        for _ in range(2):
            await provider.ensure_model(endpoint.username, name)
        assert await provider.list_versions(endpoint.username, name) == []
        for _ in range(2):
            await provider.delete_model(endpoint.username, name)


@pytest.mark.anyio
async def test_a_file_can_be_uploaded_and_deleted_twice(endpoint: Endpoint) -> None:
    async with connected(endpoint) as provider:
        file = await provider.upload_file("photos.zip", photo_zip(endpoint.photos), "application/zip")
        assert file.id
        assert file.url.startswith("http")
        for _ in range(2):
            await provider.delete_file(file.id)


@pytest.mark.anyio
async def test_a_training_without_its_model_is_not_found(endpoint: Endpoint) -> None:
    async with connected(endpoint) as provider:
        training = seal_training(new_user(), endpoint.username, "https://studio.example/photos.zip")
        with pytest.raises(ProviderNotFound):
            await provider.create_training(training, webhook=None)


@pytest.mark.anyio
async def test_what_does_not_exist_is_not_found(endpoint: Endpoint) -> None:
    async with connected(endpoint) as provider:
        for read in (provider.get_training, provider.get_prediction):
            with pytest.raises(ProviderNotFound):
                await read("a" * 26)
        name = model_name(new_user())
        with pytest.raises(ProviderNotFound):
            await provider.get_version(endpoint.username, name, "0f" * 32)


@pytest.mark.anyio
async def test_a_version_that_does_not_exist_draws_nothing(endpoint: Endpoint) -> None:
    user_id = new_user()
    version = RemoteVersion("0f" * 32, endpoint.username, model_name(user_id), trained_version_schema(), None)
    async with connected(endpoint) as provider:
        with pytest.raises(ProviderRefused) as caught:
            await provider.create_prediction(sealed(user_id, version, 1, GENERATION), webhook=None)
    assert caught.value.http_status in {404, 422}


@pytest.mark.anyio
async def test_a_canceled_training_stays_canceled(endpoint: Endpoint) -> None:
    async with connected(endpoint) as provider:
        run = await started(provider, endpoint, new_user())
        await provider.cancel_training(run.id)
        assert (await ended(provider.get_training, run.id, endpoint)).status is RemoteStatus.CANCELED
        assert (await provider.cancel_training(run.id)).status is RemoteStatus.CANCELED


@pytest.mark.anyio
async def test_addresses_elsewhere_are_not_opened(endpoint: Endpoint) -> None:
    async with connected(endpoint) as provider:
        for url in (
            "http://169.254.169.254/latest/meta-data",
            "https://replicate.delivery.example/out-0.png",
        ):
            with pytest.raises(ProviderUntrustedAddress):
                await provider.download(url, 1_000)


@pytest.mark.anyio
async def test_a_member_goes_from_photos_to_pictures_of_their_own_model(training_endpoint: Endpoint) -> None:
    endpoint = training_endpoint
    user_id, before = new_user(), datetime.now(UTC) - timedelta(seconds=5)
    async with connected(endpoint) as provider:
        version = await _trained(provider, endpoint, user_id, before)
        seed = secrets.randbelow(1_000_000)
        run = await provider.create_prediction(sealed(user_id, version, seed, GENERATION), webhook=None)
        done = await ended(provider.get_prediction, run.id, endpoint)
        assert isinstance(done, RemotePrediction)
        assert done.status is RemoteStatus.SUCCEEDED, done.error
        assert [index for index, _ in done.output_urls] == [0, 1, 2]
        await _assert_pictures(provider, done)
        listed = [found for found in await provider.list_predictions(before) if found.id == run.id]
        assert [found.input["seed"] for found in listed] == [seed]
        assert (await provider.cancel_prediction(run.id)).status is RemoteStatus.SUCCEEDED
        test_picture = await provider.create_prediction(sealed(user_id, version, seed, VERIFY), webhook=None)
        shown = await ended(provider.get_prediction, test_picture.id, endpoint)
        assert isinstance(shown, RemotePrediction)
        assert len(shown.output_urls) == 1
        for _ in range(2):
            await provider.delete_version(version.owner, version.name, version.id)


async def _trained(provider: Provider, endpoint: Endpoint, user_id: str, before: datetime) -> RemoteVersion:
    run = await started(provider, endpoint, user_id)
    assert run.id in [found.id for found in await provider.list_trainings(before)]
    assert run.id not in [found.id for found in await provider.list_trainings(before + timedelta(days=1))]
    done = await ended(provider.get_training, run.id, endpoint)
    assert isinstance(done, RemoteTraining)
    assert done.status is RemoteStatus.SUCCEEDED, f"{done.error}\n{done.logs[-2_000:]}"
    assert 0 < parse_progress(done.logs).percent <= 99
    found = parse_trained_version(done.output, destination(endpoint.username, user_id))
    assert isinstance(found, TrainedVersion), f"{found} from {done.output}"
    assert found.version_id != TRAINER_VERSION
    version = await provider.get_version(found.owner, found.name, found.version_id)
    assert version.id == found.version_id
    assert [one.id for one in await provider.list_versions(found.owner, found.name)] == [version.id]
    return version


async def _assert_pictures(provider: Provider, run: RemotePrediction) -> None:
    pictures = [await provider.download(url, 20_000_000) for _, url in run.output_urls]
    assert len(set(pictures)) == 3
    for data in pictures:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert abs(picture.width / picture.height - 3 / 4) < 0.05
    with pytest.raises(ProviderOutputTooLarge):
        await provider.download(run.output_urls[0][1], len(pictures[0]) - 1)
    assert await _in_parts(provider, run.output_urls[0][1], len(pictures[0]) // 3) == pictures[0]


async def _in_parts(provider: Provider, url: str, size: int) -> bytes:
    """A file as it comes in parts, or all at once where the provider serves no ranges."""
    whole = b""
    while True:
        part = await provider.download_part(url, len(whole), size, 20_000_000)
        whole = whole + part.data if part.first else part.data
        if part.is_last:
            return whole
