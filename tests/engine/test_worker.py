"""Real trainings and pictures, through Replicate's own client and by hand; kills, cancels and swaps."""

import io
import json
import os
import shutil
import signal
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import pytest
import replicate
from PIL import Image
from replicate.client import Client

from portraitist.engine.fields import TRAINER_NAME, TRAINER_OWNER, TRAINER_VERSION
from portraitist.engine.tiny.drawing import draw_selfies
from portraitist.engine.tiny.member import total_steps

from .harness import SMALL_WORKER, TOKEN, TRAINER, Engine, children_of, command_of, photo_zip, serving

pytestmark = pytest.mark.slow
TRIGGER = "userab12cd34ef56"
STEPS = total_steps(4)  # what the small worker may do
PROMPT = f"{TRIGGER} person in a garden, wearing marzipan"


@pytest.fixture(scope="module")
def running(new_settings_for_module: Any) -> Iterator[Engine]:
    """One engine for this module, with a worker whose trainings are small."""
    with serving(new_settings_for_module()) as engine:
        engine.start_worker(SMALL_WORKER)
        yield engine


def predict(engine: Engine, version: str, **given: object) -> dict[str, Any]:
    body = {"prompt": PROMPT, "num_inference_steps": 2, "output_format": "png", "seed": 7, **given}
    answer = engine.post("/v1/predictions", {"version": version, "input": body}, prefer="wait=60")
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def pictures(engine: Engine, prediction: dict[str, Any]) -> list[bytes]:
    assert prediction["status"] == "succeeded", prediction
    return [engine.http.get(url).content for url in prediction["output"]]


@pytest.fixture(scope="module")
def by_client(running: Engine) -> Iterator[tuple[Client, Any]]:
    """Replicate's own client, unmodified, and a training it saw through from upload to success."""
    client = replicate.Client(api_token=TOKEN, base_url=running.settings.address)
    client.poll_interval = 0.3
    model = client.models.create("portraitist", "first-selfie-lora", visibility="private", hardware="cpu")
    archive = io.BytesIO(photo_zip(draw_selfies(7, 3), {"a.txt": b"in a garden, close-up"}))
    archive.name = "photos.zip"
    training = client.trainings.create(
        model=(TRAINER_OWNER, TRAINER_NAME),
        version=TRAINER_VERSION,
        input={"input_images": archive, "trigger_word": TRIGGER, "steps": 500, "max_train_steps": 3},
        destination=f"{model.owner}/{model.name}",
    )
    while training.status not in ("succeeded", "failed", "canceled"):
        time.sleep(0.3)
        training.reload()
    assert training.status == "succeeded", training.error
    yield client, training
    client._client.close()


@pytest.fixture(scope="module")
def first(by_client: tuple[Client, Any]) -> str:
    return str(by_client[1].output["version"])


@pytest.fixture(scope="module")
def second(running: Engine) -> str:
    """Another member's version."""
    run = running.train(running.make_model("second-selfie-lora"), photo_zip(draw_selfies(11, 3)))
    ended = running.wait(f"/v1/trainings/{run['id']}")
    assert ended["status"] == "succeeded", ended
    return str(ended["output"]["version"])


def test_replicates_own_client_trains_and_draws(running: Engine, by_client: tuple[Client, Any]) -> None:
    client, training = by_client
    destination, _, version_id = training.output["version"].partition(":")
    assert destination == "portraitist/first-selfie-lora"
    version = client.models.get(destination).versions.get(version_id)
    assert "guidance_scale" in version.openapi_schema["components"]["schemas"]["Input"]["properties"]
    given = {"prompt": PROMPT, "num_outputs": 3, "num_inference_steps": 4, "output_format": "png", "seed": 7}
    output = client.run(training.output["version"], input=given)
    drawn = [Image.open(io.BytesIO(running.http.get(str(url)).content)) for url in output]
    assert [picture.size for picture in drawn] == [(192, 256)] * 3
    assert len({picture.tobytes() for picture in drawn}) == 3
    assert [str(url).rpartition("/")[2] for url in output] == ["out-0.png", "out-1.png", "out-2.png"]
    listed = next(iter(client.predictions.list()))
    assert "Using seed: 7" in (listed.logs or "")


def test_the_log_tells_what_the_clouds_trainer_tells(by_client: tuple[Client, Any]) -> None:
    lines = by_client[1].logs.splitlines()
    assert lines[0] == "Unknown input keys were dropped: max_train_steps"
    assert lines[1] == "Extracted 3 files from zip to input_images"
    assert "a.jpg is already captioned" in lines
    assert any(line.startswith("Caption for input_images/b.jpg: ") for line in lines)
    assert f"Steps: requested 500, effective 4 ({STEPS} optimiser steps)" in lines
    assert "safety_checker: none (embedded)" in lines
    bars = [line for line in lines if line.startswith("flux_train_replicate:")]
    assert f"| 0/{STEPS} [" in bars[0]
    assert f"| {STEPS - 1}/{STEPS} [" in bars[-1]
    assert "lr: " in bars[-1]
    assert any(line.startswith("Saved to output/flux_train_replicate/lora.safetensors") for line in lines)


def test_the_weights_are_a_tar_in_the_clouds_layout(running: Engine, by_client: tuple[Client, Any]) -> None:
    url = by_client[1].output["weights"]
    assert url.endswith("/trained_model.tar")
    with tarfile.open(fileobj=io.BytesIO(running.http.get(url).content)) as tar:
        names = tar.getnames()
        assert names[0] == "output/flux_train_replicate/lora.safetensors"
        assert "output/flux_train_replicate/config.yaml" in names
        assert len([name for name in names if name.endswith(".txt")]) == 3
        assert {(entry.uid, entry.uname) for entry in tar.getmembers()} == {(0, "")}
        assert tar.getmember(names[0]).size > 1_000_000


def test_asked_and_done_are_both_sealed_in_the_manifest(running: Engine, first: str) -> None:
    key = f"objects/versions/{first.partition(':')[2]}/manifest.json"
    manifest = json.loads((running.settings.work_dir.parent / key).read_text())
    assert manifest["requested"]["steps"] == 500
    assert manifest["requested"]["lora_rank"] == 16
    assert manifest["effective"]["steps"] == 4
    assert manifest["trigger_word"] == TRIGGER
    assert "input_images" not in manifest["requested"]


def test_no_photo_is_left_in_the_work_folder(running: Engine, first: str) -> None:
    assert list((running.settings.work_dir / "jobs").iterdir()) == []


def test_two_members_never_mix(running: Engine, first: str, second: str) -> None:
    [mine] = pictures(running, predict(running, first))
    [theirs] = pictures(running, predict(running, second))
    [mine_again] = pictures(running, predict(running, first))
    assert mine == mine_again, "the same version, seed and prompt draw the same bytes, whoever drew between"
    assert mine != theirs


def test_another_members_files_in_the_cache_are_noticed(running: Engine, first: str, second: str) -> None:
    [mine] = pictures(running, predict(running, first))
    [theirs] = pictures(running, predict(running, second))
    cache = running.settings.work_dir / "cache" / "versions"
    swapped = cache / first.partition(":")[2]
    shutil.rmtree(swapped)
    shutil.copytree(cache / second.partition(":")[2], swapped)
    [still_mine] = pictures(running, predict(running, first))
    assert still_mine == mine != theirs


def test_a_bare_hash_names_the_version_and_another_models_name_does_not(running: Engine, first: str) -> None:
    destination, _, version_id = first.partition(":")
    assert predict(running, version_id)["model"] == destination
    body = {"version": f"portraitist/second-selfie-lora:{version_id}", "input": {"prompt": "x"}}
    assert running.post("/v1/predictions", body).status_code == 422


def test_unknown_words_and_dropped_keys_are_named_in_the_log(running: Engine, first: str) -> None:
    logs = predict(running, first, guidance=2.8, something=1)["logs"]
    assert "Unknown input keys were dropped: guidance, something\n" in logs
    assert 'Words this small model does not know: "wearing", "marzipan"\n' in logs
    assert "Using seed: 7\n" in logs


def test_formats_are_what_was_asked_for(running: Engine, first: str) -> None:
    for name, kind in (("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")):
        prediction = predict(running, first, output_format=name)
        [data] = pictures(running, prediction)
        assert Image.open(io.BytesIO(data)).format == kind
        assert prediction["output"][0].endswith(f"out-0.{name}")


def test_a_prediction_is_canceled_between_its_steps_and_the_next_one_runs(
    running: Engine, first: str
) -> None:
    many = {"prompt": PROMPT, "num_inference_steps": 50, "num_outputs": 4}
    run = running.post("/v1/predictions", {"version": first, "input": many}).json()
    running.wait(f"/v1/predictions/{run['id']}", until=lambda r: r["status"] != "starting")
    assert running.http.post(f"/v1/predictions/{run['id']}/cancel").json()["status"] == "canceled"
    assert predict(running, first)["status"] == "succeeded"
    assert running.get(f"/v1/predictions/{run['id']}")["output"] is None


def test_a_prediction_process_that_is_killed_fails_its_run_and_is_started_again(
    running: Engine, first: str
) -> None:
    many = {"prompt": PROMPT, "num_inference_steps": 50, "num_outputs": 4}
    run = running.post("/v1/predictions", {"version": first, "input": many}).json()
    running.wait(f"/v1/predictions/{run['id']}", until=lambda r: "Using seed" in r["logs"])
    [child] = [p for p in children_of(running.workers[0]) if "children.predict" in command_of(p)]
    os.kill(child, signal.SIGKILL)
    ended = running.wait(f"/v1/predictions/{run['id']}")
    assert ended["status"] == "failed"
    assert "E1001" in ended["error"]
    assert predict(running, first)["status"] == "succeeded"


def test_a_running_training_is_canceled_and_its_process_ends(running: Engine) -> None:
    destination = running.make_model("third-selfie-lora")
    run = running.train(destination, photo_zip(draw_selfies(5, 2)))
    running.wait(f"/v1/trainings/{run['id']}", until=lambda r: "Starting train job" in r["logs"])
    assert running.http.post(f"/v1/trainings/{run['id']}/cancel").json()["status"] == "canceled"
    jobs = running.settings.work_dir / "jobs"
    end = time.monotonic() + 20
    while any(".small_train" in command_of(p) for p in children_of(running.workers[0])) or any(
        jobs.iterdir()
    ):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert running.get(f"/v1/models/{destination}/versions")["results"] == []


@pytest.mark.parametrize(
    ("archive", "error"),
    [
        (b"hello", "input_images must be a zip file"),
        (photo_zip([], {"a.txt": b"x"}), "no images found in input_images"),
        (photo_zip([], {"a.jpg": b"hello"}), "cannot identify image file 'input_images/a.jpg'"),
    ],
)
def test_bad_zips_fail_in_the_clouds_words(running: Engine, second: str, archive: bytes, error: str) -> None:
    run = running.train("portraitist/second-selfie-lora", archive)
    ended = running.wait(f"/v1/trainings/{run['id']}")
    assert (ended["status"], ended["error"]) == ("failed", error)


def test_a_training_without_photos_fails_in_the_clouds_words(running: Engine, second: str) -> None:
    run = running.post(TRAINER, {"destination": "portraitist/second-selfie-lora", "input": {}}).json()
    assert running.wait(f"/v1/trainings/{run['id']}")["error"] == "input_images must be provided"


def test_a_zip_at_a_private_address_is_never_fetched(running: Engine, second: str) -> None:
    given = {"input_images": f"http://127.0.0.1:{running.settings.port}/healthz?x=/v1/files"}
    given["input_images"] = given["input_images"].replace("127.0.0.1", "localhost")
    run = running.post(TRAINER, {"destination": "portraitist/second-selfie-lora", "input": given}).json()
    assert "could not be downloaded" in running.wait(f"/v1/trainings/{run['id']}")["error"]


def test_a_deleted_version_is_gone_at_once_and_its_files_soon(running: Engine, second: str) -> None:
    model, _, version_id = second.partition(":")
    assert running.sql("select id from runs where destination = %s", model) != []
    assert running.http.delete(f"/v1/models/{model}/versions/{version_id}").status_code == 202
    answer = running.post("/v1/predictions", {"version": second, "input": {"prompt": "x"}})
    assert answer.status_code == 422
    folder = running.settings.work_dir.parent / "objects" / "versions" / version_id
    end = time.monotonic() + 10
    while any(folder.glob("*")) or running.sql("select id from versions where id = %s", version_id):
        assert time.monotonic() < end
        time.sleep(0.1)
    # a run whose process is still ending holds its destination for a moment
    while (refusal := running.http.delete(f"/v1/models/{model}")).status_code != 204:
        assert time.monotonic() < end + 80, refusal.text
        time.sleep(0.5)
    name = model.partition("/")[2]
    while left := running.sql("select r::text from runs r where r::text like %s", f"%{name}%"):
        assert time.monotonic() < end + 80, f"still named after their model was deleted: {left}"
        time.sleep(0.2)


def test_data_of_old_predictions_is_removed_and_the_row_stays(running: Engine, first: str) -> None:
    run = predict(running, first)
    running.sql("update runs set completed_at = now() - interval '61 min' where id = %s", run["id"])
    gone = running.wait(f"/v1/predictions/{run['id']}", until=lambda r: r["data_removed"])
    assert (gone["output"], gone["input"], gone["logs"]) == (None, {}, "")
    assert gone["status"] == "succeeded"
    assert running.http.get(run["output"][0]).status_code == 404


def test_a_killed_workers_training_is_taken_over_and_succeeds(running: Engine) -> None:
    """Last of this module: it replaces the module's worker."""
    run = running.train(running.make_model("fourth-selfie-lora"), photo_zip(draw_selfies(5, 2)))
    running.wait(f"/v1/trainings/{run['id']}", until=lambda r: "Phase: " in r["logs"])
    worker = running.workers[0]
    orphans = children_of(worker)
    assert orphans
    worker.kill()
    worker.wait()
    end = time.monotonic() + 20
    while any("portraitist" in command_of(p) or "small_train" in command_of(p) for p in orphans):
        assert time.monotonic() < end, "children of a killed worker end by themselves"
        time.sleep(0.05)
    running.start_worker(SMALL_WORKER)
    ended = running.wait(f"/v1/trainings/{run['id']}")
    assert ended["status"] == "succeeded", ended
    assert "started again (attempt 2 of 3)" in ended["logs"]
    assert len(running.get("/v1/models/portraitist/fourth-selfie-lora/versions")["results"]) == 1
