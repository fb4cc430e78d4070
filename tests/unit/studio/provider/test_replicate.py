"""The adapter against a cloud that misbehaves: reads are patient, creates are sent once, the token stays home."""

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.fakes.pictures import model_of
from tests.fakes.replicate_cloud import CUT, NO_CREDIT, THROTTLED, Fault, ReplicateCloud, problem
from tests.fakes.schemas import trained_version_schema
from tests.fakes.serving import served

from portraitist.kit.http import GuardedClient, Response
from portraitist.studio.architecture import (
    GENERATION,
    ValidatedPrediction,
    map_schema,
    seal_prediction,
    seal_training,
)
from portraitist.studio.provider.port import (
    ProviderError,
    ProviderNoCredit,
    ProviderNotFound,
    ProviderRateLimited,
    ProviderRefused,
    ProviderUnavailable,
    ProviderUntrustedAddress,
)
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import Limits, Pauses

USER = "ab12cd34ef56"
MODEL = f"{USER}-selfie-lora"
HASH = "0f" * 32
BAD_GATEWAY = Fault()
PAGE_INSTEAD_OF_JSON = Fault(200, "<html>Checking your browser…</html>")
AGES_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pauses(self) -> Pauses:
        return Pauses(jitter=lambda: 0.0, sleep=self.sleep, monotonic=lambda: self.now)


@dataclass
class Bench:
    cloud: ReplicateCloud
    provider: ReplicateProvider
    time: Time
    base_url: str


@pytest.fixture(scope="module")
def switchboard() -> Iterator[tuple[dict[str, ReplicateCloud], str]]:
    """One server for all tests; each puts its own cloud behind it."""
    behind: dict[str, ReplicateCloud] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await behind["cloud"](scope, receive, send)

    with served(app) as base_url:
        yield behind, base_url


@contextlib.asynccontextmanager
async def connected(base_url: str, time: Time) -> AsyncIterator[ReplicateProvider]:
    http = GuardedClient(allowed=[base_url])
    provider = ReplicateProvider(
        http, base_url=base_url, token="r8_token", pauses=time.pauses(), limits=Limits(read_s=20)
    )
    yield provider
    await provider.close()


@pytest.fixture
async def bench(switchboard: tuple[dict[str, ReplicateCloud], str]) -> AsyncIterator[Bench]:
    behind, base_url = switchboard
    cloud = behind["cloud"] = ReplicateCloud()
    cloud.models[f"studio/{MODEL}"] = {"owner": "studio", "name": MODEL, "visibility": "private"}
    cloud.versions[f"studio/{MODEL}"] = [{"id": HASH, "openapi_schema": trained_version_schema()}]
    time = Time()
    async with connected(base_url, time) as provider:
        yield Bench(cloud, provider, time, base_url)


def prediction(seed: int = 7) -> ValidatedPrediction:
    return seal_prediction(
        user_id=USER,
        owner="studio",
        model=MODEL,
        version_id=HASH,
        schema=map_schema(trained_version_schema()),
        prompt=f"user{USER} person in a garden",
        seed=seed,
        profile=GENERATION,
    )


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [BAD_GATEWAY, PAGE_INSTEAD_OF_JSON, CUT, Fault(503), Fault(500)])
async def test_a_read_survives_three_faults_in_a_row_with_growing_waits(bench: Bench, fault: Fault) -> None:
    bench.cloud.fail_next("GET", "/v1/account", fault, fault, fault)
    assert (await bench.provider.account()).username == "studio"
    assert bench.time.slept == [0.125, 0.25, 0.5]


@pytest.mark.anyio
async def test_a_read_gives_up_after_its_attempts(bench: Bench) -> None:
    bench.cloud.fail_next("GET", "/v1/account", *[BAD_GATEWAY] * 9)
    with pytest.raises(ProviderUnavailable, match="HTTP 502"):
        await bench.provider.account()
    assert bench.cloud.sent("GET", "/v1/account") == 5


@pytest.mark.anyio
async def test_a_read_waits_as_long_as_the_throttle_says(bench: Bench) -> None:
    bench.cloud.fail_next("GET", "/v1/account", THROTTLED)
    await bench.provider.account()
    assert bench.time.slept == [2.0]


@pytest.mark.anyio
@pytest.mark.parametrize(("asked", "handed_on"), [("9", 9), ("86400", 300)])
async def test_a_throttle_longer_than_a_read_may_wait_is_handed_on_and_capped(
    bench: Bench, asked: str, handed_on: float
) -> None:
    bench.cloud.fail_next("GET", "/v1/account", problem(429, "slow", **{"retry-after": asked}))
    with pytest.raises(ProviderRateLimited) as caught:
        await bench.provider.account()
    assert caught.value.retry_after_s == handed_on
    assert bench.time.slept == []


@pytest.mark.anyio
async def test_a_read_ends_with_its_deadline_whatever_attempts_are_left(bench: Bench) -> None:
    bench.cloud.fail_next("GET", "/v1/account", *[problem(429, "resets in ~7s.")] * 9)
    with pytest.raises(ProviderRateLimited):
        await bench.provider.account()
    assert bench.time.slept == [7.0, 7.0]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (NO_CREDIT, ProviderNoCredit),
        (problem(403, "no"), ProviderRefused),
        (problem(404, "no"), ProviderNotFound),
        (problem(422, "no"), ProviderRefused),
        (Fault(301, "", headers={"location": "https://elsewhere.example"}), ProviderRefused),
    ],
)
async def test_a_refusal_is_not_asked_again(bench: Bench, fault: Fault, error: type[ProviderError]) -> None:
    bench.cloud.fail_next("GET", "/v1/account", fault)
    with pytest.raises(error):
        await bench.provider.account()
    assert bench.cloud.sent("GET", "/v1/account") == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "error", "sent"),
    [
        (BAD_GATEWAY, ProviderUnavailable, True),
        (PAGE_INSTEAD_OF_JSON, ProviderUnavailable, True),
        (Fault(201, '{"status": "starting"}', "application/json"), ProviderUnavailable, True),
        (Fault(201, "[]", "application/json"), ProviderUnavailable, True),
        (CUT, ProviderUnavailable, True),
        (THROTTLED, ProviderRateLimited, None),
        (NO_CREDIT, ProviderNoCredit, None),
        (problem(401, "token"), ProviderRefused, None),
        (problem(422, "bad"), ProviderRefused, None),
    ],
)
async def test_a_create_is_sent_once_whatever_happens(
    bench: Bench, fault: Fault, error: type[ProviderError], sent: bool | None
) -> None:
    bench.cloud.fail_next("POST", "/v1/predictions", fault, fault)
    with pytest.raises(error) as caught:
        await bench.provider.create_prediction(prediction(), webhook=None)
    assert bench.cloud.sent("POST", "/v1/predictions") == 1
    assert getattr(caught.value, "sent", None) is sent
    assert bench.time.slept == []


@pytest.mark.anyio
async def test_nobody_listening_is_known_not_to_have_been_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with connected(base_url, Time()) as provider:
            with pytest.raises(ProviderUnavailable) as caught:
                await provider.create_prediction(prediction(), webhook=None)
    assert caught.value.sent is False


@pytest.mark.anyio
async def test_a_prediction_cut_off_after_its_start_is_found_again_in_the_list(bench: Bench) -> None:
    bench.cloud.lists_lag = True
    bench.cloud.fail_next("POST", "/v1/predictions", CUT)
    with pytest.raises(ProviderUnavailable):
        await bench.provider.create_prediction(prediction(seed=123), webhook=None)
    assert await bench.provider.list_predictions(AGES_AGO) == []
    bench.cloud.lists_catch_up()
    (found,) = await bench.provider.list_predictions(AGES_AGO)
    assert (found.version, found.input["seed"]) == (HASH, 123)


@pytest.mark.anyio
async def test_a_training_cut_off_after_its_start_is_known_by_its_webhook_and_photos(bench: Bench) -> None:
    bench.cloud.fail_next("POST", "/v1/models", CUT)
    training = seal_training(USER, "studio", "https://studio.example/zip?t=one")
    with pytest.raises(ProviderUnavailable):
        await bench.provider.create_training(training, webhook="https://studio.example/hook?t=one")
    (found,) = await bench.provider.list_trainings(AGES_AGO)
    assert found.input["input_images"] == "https://studio.example/zip?t=one"
    assert found.webhook == "https://studio.example/hook?t=one"


@pytest.mark.anyio
async def test_a_list_is_followed_over_its_pages_at_our_own_address(bench: Bench) -> None:
    bench.cloud.page_size = 2
    runs = [await bench.provider.create_prediction(prediction(seed), webhook=None) for seed in range(5)]
    listed = await bench.provider.list_predictions(AGES_AGO)
    assert [run.id for run in listed] == [run.id for run in reversed(runs)]
    assert bench.cloud.sent("GET", "/v1/predictions") == 3


@pytest.mark.anyio
async def test_a_list_of_trainings_ends_where_its_time_ends(bench: Bench) -> None:
    bench.cloud.page_size = 2
    training = seal_training(USER, "studio", "https://studio.example/zip")
    runs = [await bench.provider.create_training(training, webhook=None) for _ in range(6)]
    assert runs[3].created_at is not None
    listed = await bench.provider.list_trainings(runs[3].created_at)
    assert [run.id for run in listed] == [runs[5].id, runs[4].id, runs[3].id]
    assert bench.cloud.sent("GET", "/v1/trainings") == 2


@pytest.mark.anyio
async def test_an_odd_item_does_not_hide_the_rest_of_a_list(bench: Bench) -> None:
    body = '{"results": [null, {"id": 7}, {"id": "run1", "status": "melting"}], "next": 5}'
    bench.cloud.fail_next("GET", "/v1/predictions", Fault(200, body, "application/json"))
    assert [run.id for run in await bench.provider.list_predictions(AGES_AGO)] == ["run1"]


@pytest.mark.anyio
async def test_a_public_model_of_that_name_is_not_used(bench: Bench) -> None:
    bench.cloud.models[f"studio/{MODEL}"]["visibility"] = "public"
    with pytest.raises(ProviderRefused, match="not private"):
        await bench.provider.ensure_model("studio", MODEL)


@pytest.mark.anyio
async def test_a_model_is_made_once_and_then_only_looked_at(bench: Bench) -> None:
    for _ in range(3):
        await bench.provider.ensure_model("studio", "zoe000000000-selfie-lora")
    assert bench.cloud.models["studio/zoe000000000-selfie-lora"]["visibility"] == "private"
    assert bench.cloud.sent("POST", "/v1/models") == 1


@pytest.mark.anyio
async def test_a_model_that_somebody_else_makes_meanwhile_is_taken(bench: Bench) -> None:
    not_yet = Fault(404, '{"detail": "Not found."}', "application/problem+json")
    bench.cloud.fail_next("GET", f"/v1/models/studio/{MODEL}", not_yet)
    await bench.provider.ensure_model("studio", MODEL)
    assert bench.cloud.sent("POST", "/v1/models") == 1  # refused: it is there


@pytest.mark.anyio
async def test_pictures_that_the_safety_checker_left_keep_their_index_and_owner(bench: Bench) -> None:
    bench.cloud.flagged = {1}
    run = await bench.provider.create_prediction(prediction(), webhook=None)
    while not run.status.is_terminal:
        run = await bench.provider.get_prediction(run.id)
    assert [index for index, _ in run.output_urls] == [0, 2]
    png = await bench.provider.download(run.output_urls[1][1], 10_000_000)
    assert model_of(png) == f"studio/{MODEL}"
    bench.cloud.outputs.clear()
    with pytest.raises(ProviderNotFound):
        await bench.provider.download(run.output_urls[1][1], 10_000_000)


class Recorder(GuardedClient):
    """Guarded HTTP that goes nowhere and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def request(self, method: str, url: str, **options: Any) -> Response:
        self.asked.append((url, dict(options["headers"] or {})))
        return Response(200, {}, b"png")


def provider_on(recorder: Recorder) -> ReplicateProvider:
    return ReplicateProvider(
        recorder, base_url="https://api.replicate.com", token="r8_token", pauses=Time().pauses()
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url", ["https://replicate.delivery/a/out-0.png", "https://pbxt.replicate.delivery:443/out-0.png"]
)
async def test_outputs_are_fetched_without_the_token(url: str) -> None:
    recorder = Recorder()
    assert await provider_on(recorder).download(url, 10) == b"png"
    assert recorder.asked == [(url, {})]


@pytest.mark.anyio
async def test_the_providers_own_origin_gets_the_token() -> None:
    recorder = Recorder()
    await provider_on(recorder).download("https://api.replicate.com/v1/files/x/download", 10)
    assert recorder.asked[0][1] == {"authorization": "Bearer r8_token"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "http://replicate.delivery/out-0.png",
        "https://replicate.delivery:8443/out-0.png",
        "https://evilreplicate.delivery/out-0.png",
        "https://replicate.delivery.evil.example/out-0.png",
        "https://replicate.delivery@evil.example/out-0.png",
        "https://evil.example\\@replicate.delivery/out-0.png",
        "https://evil.example#.replicate.delivery",
        "http://api.replicate.com/v1/files/x",
        "https://api.replicate.com:444/v1/files/x",
        "//replicate.delivery/out-0.png",
        "file:///etc/passwd",
        "https://[/",
        "https://replicate.delivery:99999/",
        "",
    ],
)
async def test_no_other_address_is_asked_at_all(url: str) -> None:
    recorder = Recorder()
    with pytest.raises(ProviderUntrustedAddress):
        await provider_on(recorder).download(url, 10)
    assert recorder.asked == []


@pytest.mark.anyio
async def test_an_id_cannot_lead_to_another_path() -> None:
    recorder = Recorder()
    with pytest.raises(ProviderUnavailable):
        await provider_on(recorder).get_training("../account?x=#y")
    assert recorder.asked[0][0] == "https://api.replicate.com/v1/trainings/..%2Faccount%3Fx%3D%23y"


@pytest.mark.anyio
@pytest.mark.parametrize("nothing", ["", ".", ".."])
async def test_no_id_is_not_found_without_asking(nothing: str) -> None:
    recorder = Recorder()
    with pytest.raises(ProviderNotFound):
        await provider_on(recorder).get_training(nothing)
    assert recorder.asked == []


@pytest.mark.anyio
async def test_a_webhook_of_the_cloud_verifies_with_the_accounts_secret(bench: Bench) -> None:
    from portraitist.studio.provider.signatures import verify_webhook

    run = await bench.provider.create_prediction(prediction(), webhook="https://studio.example/hook")
    now = datetime.now(UTC)
    headers, body = bench.cloud.signed_webhook(run.id, now)
    secret = await bench.provider.webhook_secret()
    assert verify_webhook(secret, headers, body, now)
    assert not verify_webhook(secret, headers, body, now + timedelta(minutes=6))
