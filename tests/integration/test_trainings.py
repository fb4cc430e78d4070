"""A training against a provider that misbehaves: nothing is paid twice, nothing is stuck, no model is lost."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.replicate_cloud import CUT, NO_CREDIT, Fault, problem
from tests.integration.conftest import Member, Studio

pytestmark = pytest.mark.anyio
TRAININGS = "/v1/models/ostris/flux-dev-lora-trainer"


async def ready(studio: Studio, handle: str = "name:anna") -> Member:
    """A member with enough accepted photos."""
    member = await studio.member(handle)
    await member.consent()
    await studio.enter_photos(member)
    return member


async def trained(member: Member) -> Any:
    """A completed training."""
    training = await member.post("/api/v1/trainings")
    return await member.until(f"/api/v1/trainings/{training['id']}", "completed")


async def test_photos_are_refused_without_consent(studio: Studio, astronaut: Path) -> None:
    member = await studio.member("name:anna")
    photo = sorted(astronaut.iterdir())[0]
    answer = await member.http.post("/api/v1/selfies", files=[("files", (photo.name, photo.read_bytes()))])
    assert (answer.status_code, answer.json()["code"]) == (422, "consent_needed")
    assert studio.rows("select count(*) from selfies") == [(0,)]


async def test_nine_photos_are_refused_before_anything_is_spent(studio: Studio) -> None:
    member = await studio.member("name:anna")
    await member.consent()
    await studio.enter_photos(member, 9)
    refusal = await member.post("/api/v1/trainings", expect=422)
    assert refusal["code"] == "too_few_photos"
    assert "9 are accepted" in refusal["detail"]
    assert [where for verb, where in studio.cloud.requests if verb == "POST"] == []


async def test_a_bad_file_is_one_rejected_photo(studio: Studio, tmp_path: Path, astronaut: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "notes.jpg").write_text("not a picture")
    good = sorted(astronaut.iterdir())[0]
    (folder / good.name).write_bytes(good.read_bytes())
    member = await studio.member("name:anna")
    await member.consent()
    judged = {item["file_name"]: item for item in await member.upload(folder)}
    assert judged["notes.jpg"]["reason_code"] == "not_a_picture"
    assert judged[good.name]["status"] == "accepted"


async def test_the_same_key_gives_the_same_training_and_another_key_a_conflict(studio: Studio) -> None:
    studio.cloud.statuses_of_a_training = ["starting", *["processing"] * 10_000]
    member = await ready(studio)
    first = await member.post("/api/v1/trainings", **{"Idempotency-Key": "one-click"})
    again = await member.post("/api/v1/trainings", **{"Idempotency-Key": "one-click"})
    refusal = await member.post("/api/v1/trainings", expect=409)
    assert again["id"] == first["id"]
    assert refusal["code"] == "training_in_hand"


async def test_an_answer_that_was_cut_off_is_found_again_and_not_paid_twice(studio: Studio) -> None:
    studio.cloud.fail_next("POST", TRAININGS, CUT)
    member = await ready(studio)
    done = await trained(member)
    assert studio.cloud.sent("POST", TRAININGS) == 1
    assert done["active"] is True


async def test_a_start_that_surely_did_not_happen_is_made_again(studio: Studio) -> None:
    throttled = problem(429, "Request was throttled. Your rate limit resets in ~1s.")
    studio.cloud.fail_next("POST", TRAININGS, throttled)
    member = await ready(studio)
    await trained(member)
    assert studio.cloud.sent("POST", TRAININGS) == 2
    assert len([run for run in studio.cloud.runs.values() if run.shown["input"].get("steps")]) == 1


async def test_no_credit_waits_with_the_reason_and_without_a_storm(studio: Studio) -> None:
    await studio.stop_worker()
    studio.settings = studio.settings.model_copy(update={"retry_seconds": 3600})
    await studio.start_worker()
    studio.cloud.fail_next("POST", TRAININGS, *[NO_CREDIT] * 50)
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    async with asyncio.timeout(10):
        while (await member.get(f"/api/v1/trainings/{training['id']}"))["error_code"] is None:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    shown = await member.get(f"/api/v1/trainings/{training['id']}")
    assert (shown["status"], shown["error_code"]) == ("queued", "provider_no_credit")
    assert studio.cloud.sent("POST", TRAININGS) == 1


async def test_a_failed_training_says_why_and_keeps_the_earlier_model(studio: Studio) -> None:
    member = await ready(studio)
    first = await trained(member)
    studio.cloud.statuses_of_a_training = ["starting", "processing", "failed"]
    second = await member.post("/api/v1/trainings")
    failed = await member.until(f"/api/v1/trainings/{second['id']}", "failed", "completed")
    assert failed["status"] == "failed"
    assert "Train again" in failed["next_step"]
    models = await member.get("/api/v1/models")
    assert models["active"]["version"] == first["version"]


@pytest.mark.parametrize("output", ["null:null", {"version": "latest"}, {"model": "studio/x"}])
async def test_a_success_without_a_readable_version_is_parked_and_found_on_retry(
    studio: Studio, output: Any
) -> None:
    real = studio.cloud.trained_output
    studio.cloud.trained_output = lambda model, version: output
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    parked = await member.until(f"/api/v1/trainings/{training['id']}", "extraction_failed", "completed")
    assert parked["status"] == "extraction_failed"
    assert (await member.get("/api/v1/models"))["active"] is None

    [run] = [run for run in studio.cloud.runs.values() if run.shown["input"].get("steps")]
    version = studio.cloud.versions[run.destination][0]["id"]
    run.shown["output"] = real(run.destination, version)  # the provider's answer has come right meanwhile
    await member.post(f"/api/v1/trainings/{training['id']}/retry")
    done = await member.until(f"/api/v1/trainings/{training['id']}", "completed", "extraction_failed")
    assert done["active"] is True
    assert studio.cloud.sent("POST", TRAININGS) == 1


async def test_another_members_version_is_never_promoted(studio: Studio) -> None:
    studio.cloud.trained_output = lambda model, version: {
        "version": f"studio/zzzzzzzzzzzz-selfie-lora:{version}"
    }
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    parked = await member.until(f"/api/v1/trainings/{training['id']}", "extraction_failed", "completed")
    assert parked["error_code"] == "version_not_found"
    assert (await member.get("/api/v1/models"))["active"] is None


async def test_a_version_whose_test_picture_fails_is_not_promoted_until_it_renders(studio: Studio) -> None:
    studio.cloud.flagged = {0, 1, 2}
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    parked = await member.until(f"/api/v1/trainings/{training['id']}", "verification_failed", "completed")
    assert parked["status"] == "verification_failed"
    studio.cloud.flagged = set()
    await member.post(f"/api/v1/trainings/{training['id']}/retry")
    done = await member.until(f"/api/v1/trainings/{training['id']}", "completed", "verification_failed")
    assert done["active"] is True


async def test_a_version_that_lacks_a_locked_parameter_is_not_used(studio: Studio) -> None:
    properties = studio.cloud.schema["components"]["schemas"]["Input"]["properties"]
    del properties["lora_scale"]
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    parked = await member.until(f"/api/v1/trainings/{training['id']}", "extraction_failed", "completed")
    assert "lora_scale" in parked["error"]


@pytest.mark.parametrize("stage", ["starting", "processing"])
async def test_a_canceled_training_ends_at_the_provider_too(studio: Studio, stage: str) -> None:
    studio.cloud.statuses_of_a_training = [stage] * 10_000
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{training['id']}"
    await member.until(path, "submitted" if stage == "starting" else "training")
    await member.post(f"{path}/cancel")
    canceled = await member.until(path, "canceled")
    assert canceled["next_step"] == "Train again whenever you like."
    [run] = studio.cloud.runs.values()
    assert run.shown["status"] == "canceled"


async def test_photos_leave_the_provider_and_the_zip_leaves_us_when_it_is_over(studio: Studio) -> None:
    member = await ready(studio)
    await trained(member)
    assert studio.cloud.files == {}
    assert list(studio.objects.rglob("*.zip")) == []


async def test_html_and_hiccups_from_the_provider_only_take_time(studio: Studio) -> None:
    studio.cloud.fail_next(
        "GET", "/v1/trainings/", Fault(), Fault(status=500, body="{", content_type="application/json")
    )
    studio.cloud.fail_next("POST", "/v1/files", Fault(status=503))
    member = await ready(studio)
    training = await member.post("/api/v1/trainings")
    async with asyncio.timeout(60):
        await member.until(f"/api/v1/trainings/{training['id']}", "completed", within=55)


async def test_two_members_never_see_each_other(studio: Studio) -> None:
    anna, ben = await ready(studio), await ready(studio, "name:ben")
    done = await trained(anna)
    asked = await anna.post("/api/v1/generations", {"prompt": "on a beach"})
    made = await anna.until(f"/api/v1/generations/{asked['id']}", "completed")
    version = (await anna.get("/api/v1/models"))["active"]["id"]
    photo = (await anna.get("/api/v1/selfies"))["items"][0]["id"]
    absent = "00000000-0000-4000-8000-000000000000"
    for method, path in [
        ("GET", f"/api/v1/trainings/{done['id']}"),
        ("POST", f"/api/v1/trainings/{done['id']}/cancel"),
        ("POST", f"/api/v1/trainings/{done['id']}/retry"),
        ("GET", f"/api/v1/generations/{made['id']}"),
        ("POST", f"/api/v1/generations/{made['id']}/cancel"),
        ("GET", f"/api/v1/images/{made['images'][0]['id']}"),
        ("GET", f"/api/v1/images/{made['images'][0]['id']}/file"),
        ("POST", f"/api/v1/models/{version}/activate"),
        ("DELETE", f"/api/v1/selfies/{photo}"),
    ]:
        others = await ben.http.request(method, path)
        nobodys = await ben.http.request(method, path.replace(path.split("/")[4], absent))
        assert others.status_code == nobodys.status_code == 404, (method, path)
        assert others.json() | {"request_id": ""} == nobodys.json() | {"request_id": ""}
    assert (await ben.get("/api/v1/images"))["items"] == []
    refusal = await ben.post("/api/v1/generations", {"prompt": "on a beach"}, expect=409)
    assert refusal["code"] == "no_model"
