"""The API's shapes and refusals, on an engine whose worker sleeps."""

import re
import socket
import subprocess
import sys
from datetime import datetime

import httpx2
import pytest

from portraitist.engine.fields import TRAINER_VERSION

from .harness import TRAINER, Engine

MISSING = "0" * 64


def test_both_authorization_schemes_are_accepted_and_others_refused(api: Engine) -> None:
    token = api.settings.token.get_secret_value()
    for header in (f"Bearer {token}", f"Token {token}"):
        answer = api.http.get("/v1/account", headers={"authorization": header})
        assert answer.json()["username"] == "portraitist"
    for header in ("Bearer wrong", f"Basic {token}", "", token):
        answer = api.http.get("/v1/account", headers={"authorization": header})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Unauthenticated"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/account",
        "/v1/models",
        "/v1/trainings",
        "/v1/predictions",
        "/v1/files",
        "/v1/webhooks/default/secret",
    ],
)
def test_nothing_of_the_api_answers_without_a_token(api: Engine, path: str) -> None:
    assert httpx2.get(api.settings.address + path, trust_env=False).status_code == 401


def test_every_answer_is_not_to_be_stored_and_tells_the_limit(api: Engine) -> None:
    for path in ("/v1/account", "/v1/nothing", "/healthz"):
        headers = api.http.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert int(headers["ratelimit-remaining"]) > 0
        assert int(headers["ratelimit-reset"]) <= 60


def test_health_says_that_no_worker_lives_and_what_this_engine_is(api: Engine) -> None:
    answer = api.http.get("/healthz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["detail"] == "no worker is alive"
    assert body["safety_checker"] == "none (embedded)"
    assert body["picture_size"] == "192x256"
    assert body["steps_budget"] == 4


def test_a_model_is_made_once(api: Engine) -> None:
    body = {"owner": "portraitist", "name": "a-selfie-lora", "visibility": "private", "hardware": "cpu"}
    made = api.post("/v1/models", body)
    assert made.status_code == 201
    assert made.json()["latest_version"] is None
    assert made.json()["is_official"] is False
    again = api.post("/v1/models", body)
    assert again.status_code == 409
    assert again.json()["errors"][0]["detail"] == "A model with that name and owner already exists."


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"owner": "somebody"}, 403),
        ({"hardware": "gpu-t4"}, 400),
        ({"name": "No Spaces"}, 422),
        ({"x": 1}, 422),
    ],
)
def test_a_model_with_bad_values_is_refused(api: Engine, change: dict[str, object], status: int) -> None:
    body = {"owner": "portraitist", "name": "a", "visibility": "private", "hardware": "cpu", **change}
    assert api.post("/v1/models", body).status_code == status


def test_models_are_listed_searched_edited_and_deleted(api: Engine) -> None:
    for name in ("one", "two"):
        api.make_model(name)
    assert [m["name"] for m in api.get("/v1/models")["results"]] == ["two", "one"]
    for words in ("tw", '"tw"'):  # the JavaScript client quotes
        found = api.http.request("QUERY", "/v1/models", content=words, headers={"content-type": "text/plain"})
        assert [m["name"] for m in found.json()["results"]] == ["two"]
    changed = api.http.patch("/v1/models/portraitist/one", json={"description": "mine"}).json()
    assert changed["description"] == "mine"
    assert api.http.delete("/v1/models/portraitist/one").status_code == 204
    assert api.http.get("/v1/models/portraitist/one").status_code == 404


def test_models_come_in_pages_of_a_hundred_both_ways(api: Engine) -> None:
    api.sql(
        "insert into models (owner, name, visibility, hardware, created_at)"
        " select 'portraitist', 'm' || n, 'private', 'cpu', now() + n * interval '1 s'"
        " from generate_series(0, 249) n"
    )
    seen, url = [], "/v1/models"
    while url:
        page = api.get(url)
        seen.append([model["name"] for model in page["results"]])
        url, back = page["next"], page["previous"]
    assert [len(names) for names in seen] == [100, 100, 50]
    assert [name for names in seen for name in names] == [f"m{n}" for n in range(249, -1, -1)]
    assert [model["name"] for model in api.get(back)["results"]] == seen[1]


def test_the_trainer_is_there_with_its_version_and_schema(api: Engine) -> None:
    model = api.get("/v1/models/ostris/flux-dev-lora-trainer")
    assert model["visibility"] == "public"
    assert model["latest_version"]["id"] == TRAINER_VERSION
    version = api.get(f"/v1/models/ostris/flux-dev-lora-trainer/versions/{TRAINER_VERSION}")
    inputs = version["openapi_schema"]["components"]["schemas"]["TrainingInput"]["properties"]
    assert {"input_images", "trigger_word", "steps", "lora_rank", "autocaption"} <= set(inputs)
    assert api.http.delete("/v1/models/ostris/flux-dev-lora-trainer").status_code == 404


def test_a_new_training_has_the_clouds_shape(api: Engine) -> None:
    destination = api.make_model("a")
    run = api.train(destination, b"no zip, nobody looks")
    assert re.fullmatch(r"[0-9a-z]{26}", run["id"])
    assert run["status"] == "starting"
    assert run["output"] is None
    assert run["logs"] == ""
    assert run["model"] == "ostris/flux-dev-lora-trainer"
    assert run["version"] == TRAINER_VERSION
    assert "destination" not in run
    assert run["urls"]["get"].endswith(f"/v1/predictions/{run['id']}")
    assert all(isinstance(url, str) for url in run["urls"].values())
    assert "/download?expiry=" in run["input"]["input_images"]
    assert "signature=" in run["input"]["input_images"]
    later = api.get(f"/v1/trainings/{run['id']}")
    assert later["urls"]["get"].endswith(f"/v1/trainings/{run['id']}")
    assert api.get(f"/v1/predictions/{run['id']}")["id"] == run["id"]


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"destination": "portraitist/none"}, 404, "The specified training destination does not exist"),
        ({"destination": "somebody/a"}, 404, "The specified training destination does not exist"),
        ({"input": {"steps": 1}}, 422, "Input validation failed"),
        ({"webhook": "http://example.org/"}, 422, "Not a valid HTTPS URL"),
        ({"max_train_steps": 1}, 422, "Additional property max_train_steps is not allowed"),
        ({"input": None}, 422, "input"),
    ],
)
def test_a_training_with_bad_values_is_refused(
    api: Engine, change: dict[str, object], status: int, text: str
) -> None:
    api.make_model("a")
    body = {"destination": "portraitist/a", "input": {"steps": 3}, **change}
    answer = api.post(TRAINER, body)
    assert answer.status_code == status
    assert text in answer.text
    assert api.get("/v1/trainings")["results"] == []


def test_a_training_by_another_trainer_is_refused(api: Engine) -> None:
    api.make_model("a")
    answer = api.post(
        TRAINER.replace(TRAINER_VERSION, MISSING), {"destination": "portraitist/a", "input": {}}
    )
    assert answer.status_code == 422
    assert answer.json()["title"] == "Invalid version or not permitted"


def test_a_file_of_ours_that_is_gone_is_refused_at_once(api: Engine) -> None:
    api.make_model("a")
    url = f"{api.settings.address}/v1/files/YWJjZGVmZ2hpamtsbW5vcA"
    answer = api.post(TRAINER, {"destination": "portraitist/a", "input": {"input_images": url}})
    assert answer.json()["invalid_fields"][0]["field"] == "input.input_images"


@pytest.mark.parametrize(
    "version",
    [
        MISSING,
        f"portraitist/a:{MISSING}",
        "portraitist/a",
        "portraitist/a:latest",
        "null:null",
        TRAINER_VERSION,
    ],
)
def test_a_prediction_without_a_sealed_version_is_refused(api: Engine, version: str) -> None:
    answer = api.post("/v1/predictions", {"version": version, "input": {"prompt": "x"}})
    assert answer.status_code == 422
    assert answer.json()["title"] == "Invalid version or not permitted"


def test_invalid_fields_are_all_named_at_once(api: Engine) -> None:
    given = {"prompt": "x", "num_outputs": 9, "lora_weights": "a/b", "output_format": "gif"}
    answer = api.post("/v1/predictions", {"version": MISSING, "input": given})
    assert answer.status_code == 422
    fields = {field["field"] for field in answer.json()["invalid_fields"]}
    assert fields == {"input.num_outputs", "input.lora_weights", "input.output_format"}


def test_a_body_that_is_no_json_is_a_bad_request(api: Engine) -> None:
    answer = api.http.post("/v1/predictions", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["status"] == 400


def test_a_get_with_a_content_type_and_no_body_is_fine(api: Engine) -> None:
    assert api.http.get("/v1/models", headers={"content-type": "application/json"}).status_code == 200


def test_a_training_is_canceled_before_it_starts_and_canceling_again_is_harmless(api: Engine) -> None:
    run = api.train(api.make_model("a"), b"x")
    for _ in range(2):
        answer = api.http.post(f"/v1/trainings/{run['id']}/cancel")
        assert answer.status_code == 200
        assert answer.json()["status"] == "canceled"
    assert api.http.post(f"/v1/trainings/{'0' * 26}/cancel").status_code == 404


def test_a_model_is_not_deleted_under_a_waiting_training(api: Engine) -> None:
    run = api.train(api.make_model("a"), b"x")
    assert api.http.delete("/v1/models/portraitist/a").status_code == 400
    api.http.post(f"/v1/trainings/{run['id']}/cancel")
    assert api.http.delete("/v1/models/portraitist/a").status_code == 204


def test_secrets_of_an_input_are_not_echoed(api: Engine) -> None:
    api.make_model("a")
    body = {"destination": "portraitist/a", "input": {"wandb_api_key": "very-secret"}}
    answer = api.post(TRAINER, body)
    assert answer.json()["input"]["wandb_api_key"] == "[REDACTED]"
    assert "very-secret" not in str(api.sql("select * from runs"))


def test_a_file_is_stored_described_listed_and_deleted(api: Engine) -> None:
    data = b"some bytes"
    answer = api.http.post(
        "/v1/files",
        files={
            "content": ("a.txt", data, "text/plain"),
            "metadata": ("blob", b'{"a": 1}', "application/json"),
        },
    )
    file = answer.json()
    assert answer.status_code == 201
    assert file["size"] == len(data)
    assert file["metadata"] == {"a": 1}
    assert {"name", "etag", "checksums", "content_type", "expires_at"} <= set(file)
    assert [f["id"] for f in api.get("/v1/files")["results"]] == [file["id"]]
    assert api.get(f"/v1/files/{file['id']}")["checksums"]["sha256"] == file["checksums"]["sha256"]
    assert api.http.delete(f"/v1/files/{file['id']}").status_code == 204
    assert api.http.get(f"/v1/files/{file['id']}").status_code == 404
    assert not list((api.settings.work_dir.parent / "objects").rglob("*.*"))


def test_a_signed_link_serves_the_file_without_a_token_and_a_forged_one_does_not(api: Engine) -> None:
    api.make_model("a")
    run = api.train("portraitist/a", b"the zip")
    link = run["input"]["input_images"]
    assert httpx2.get(link, trust_env=False).content == b"the zip"
    for forged in (link.replace("expiry=1", "expiry=2"), link.replace("signature=", "signature=A")):
        assert httpx2.get(forged, trust_env=False).status_code == 404


def test_a_file_over_100_megabytes_is_refused_before_it_is_read(api: Engine) -> None:
    head = (
        b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer engine-test-token\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 200000000\r\n\r\n"
    )
    with socket.create_connection((api.settings.host, api.settings.port), timeout=5) as wire:
        wire.sendall(head)
        reply = b""
        while b"100MB" not in reply and (chunk := wire.recv(4096)):
            reply += chunk
    assert b" 413 " in reply.split(b"\r\n")[0]
    assert b"Files must be less than 100MB in size" in reply


def test_an_output_has_no_address_that_can_be_guessed(api: Engine) -> None:
    assert api.http.get("/outputs/none/out-0.png").status_code == 404
    assert api.http.get("/outputs/..%2f..%2f/out-0.png").status_code == 404


def test_unknown_paths_and_methods_answer_as_problems(api: Engine) -> None:
    assert api.http.get("/v1/nothing").json() == {
        "detail": "The requested resource could not be found.",
        "status": 404,
        "title": "Not found",
    }
    assert api.http.put("/v1/account").status_code == 405
    assert api.http.get("/docs").status_code == 404


@pytest.fixture
def version(api: Engine) -> str:
    """A version that is only a row: enough to be asked for while no worker lives."""
    run = api.train(api.make_model("a"), b"x")
    api.sql(
        "insert into versions (id, owner, name, training_id, ready_at) values (%s, 'portraitist', 'a', %s, now())",
        MISSING,
        run["id"],
    )
    return f"portraitist/a:{MISSING}"


def test_a_waited_prediction_that_is_not_done_answers_202_starting(api: Engine, version: str) -> None:
    answer = api.post("/v1/predictions", {"version": version, "input": {"prompt": "x"}}, prefer="wait=1")
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.json()["status"] == "starting"


def test_a_prediction_may_bring_its_own_deadline(api: Engine, version: str) -> None:
    body = {"version": version, "input": {"prompt": "x"}}
    run = api.post("/v1/predictions", body, **{"cancel-after": "1m"}).json()
    made, deadline = (datetime.fromisoformat(run[key]) for key in ("created_at", "deadline"))
    assert (deadline - made).total_seconds() == pytest.approx(60, abs=0.01)
    assert api.post("/v1/predictions", body, **{"cancel-after": "soon"}).status_code == 422


def test_predictions_are_listed_between_two_moments(api: Engine, version: str) -> None:
    body = {"version": version, "input": {"prompt": "x"}}
    first, second = (api.post("/v1/predictions", body).json() for _ in range(2))
    later = api.http.get("/v1/predictions", params={"created_after": second["created_at"]}).json()
    # The stored moment has microseconds, the shown one milliseconds: the second is always in.
    assert second["id"] in [run["id"] for run in later["results"]]
    before = api.http.get("/v1/predictions", params={"created_before": first["created_at"]}).json()
    assert before["results"] == []
    assert api.get("/v1/predictions?source=web")["results"] == []
    assert api.get("/v1/models/portraitist/a")["run_count"] == 2


def test_a_model_with_a_version_is_not_deleted(api: Engine, version: str) -> None:
    api.http.post(f"/v1/trainings/{api.get('/v1/trainings')['results'][0]['id']}/cancel")
    assert api.http.delete("/v1/models/portraitist/a").status_code == 400


def test_a_deleted_version_is_unknown_at_once(api: Engine, version: str) -> None:
    assert api.http.delete(f"/v1/models/portraitist/a/versions/{MISSING}").status_code == 202
    assert api.http.get(f"/v1/models/portraitist/a/versions/{MISSING}").status_code == 404
    assert api.get("/v1/models/portraitist/a")["latest_version"] is None
    answer = api.post("/v1/predictions", {"version": version, "input": {"prompt": "x"}})
    assert answer.json()["title"] == "Invalid version or not permitted"


def test_the_api_process_stays_free_of_torch() -> None:
    check = "import portraitist.engine.main, sys; assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
