"""Which run at the provider is a second one: by token and row, never the row's own, never one being adopted."""

from typing import Any
from uuid import UUID

import pytest

from portraitist.studio.provider import wire
from portraitist.studio.provider.port import RemotePrediction, RemoteTraining
from portraitist.studio.training.domain import Status
from portraitist.studio.training.starts import Start


def start(status: Status, **changes: Any) -> Start:
    usual: dict[str, Any] = {
        "submit_token": "now1",
        "past_tokens": ["old1"],
        "webhook_token": "hook",
        "provider_training_id": None,
        "verify_seed": None,
        "verify_prediction_id": None,
        "past_seeds": [],
        "past_tests": [],
        "twins": [],
    }
    return Start(id=UUID(int=1), status=status, **usual | changes)


def run(token: str, webhook: str | None = None, run_id: str = "run") -> RemoteTraining:
    shown = {"id": run_id, "input": {"input_images": f"https://x/photos-{token}.zip"}, "webhook": webhook}
    return wire.training(shown)


@pytest.mark.parametrize("status", [Status.TRAINING, Status.COMPLETED, Status.FAILED, Status.CANCELED])
@pytest.mark.parametrize("token", ["now1", "old1"])
def test_another_run_with_one_of_our_tokens_is_a_second_one(status: Status, token: str) -> None:
    assert start(status, provider_training_id="own").has_twin(run(token))
    assert start(status, provider_training_id=None).has_twin(run(token))


def test_the_rows_own_run_and_one_already_dealt_with_are_none() -> None:
    assert not start(Status.TRAINING, provider_training_id="run").has_twin(run("now1"))
    assert not start(Status.TRAINING, provider_training_id="own", twins=["run"]).has_twin(run("now1"))


def test_while_it_is_being_sent_only_an_earlier_attempts_run_is_one() -> None:
    sending = start(Status.SUBMITTING)
    assert not sending.has_twin(run("now1"))
    assert not sending.has_twin(run("now1", webhook="https://x/hook"))
    assert sending.has_twin(run("old1"))


def test_a_run_with_other_tokens_is_not_ours() -> None:
    assert not start(Status.TRAINING, provider_training_id="own").has_twin(run("theirs"))
    assert not start(Status.TRAINING, submit_token=None, past_tokens=[], webhook_token=None).has_twin(run(""))


def picture(seed: int | None, run_id: str = "run", outputs: int = 1) -> RemotePrediction:
    return wire.prediction({"id": run_id, "input": {"seed": seed, "num_outputs": outputs}})


def test_another_test_picture_of_the_seed_in_use_is_a_second_one_once_ours_is_known() -> None:
    assert start(Status.VERIFYING, verify_seed=7, verify_prediction_id="own").has_twin_test(picture(7))
    assert not start(Status.VERIFYING, verify_seed=7, verify_prediction_id="run").has_twin_test(picture(7))
    assert not start(Status.VERIFYING, verify_seed=7).has_twin_test(picture(7))
    assert not start(Status.COMPLETED).has_twin_test(picture(None))


@pytest.mark.parametrize("status", [Status.VERIFYING, Status.COMPLETED, Status.VERIFICATION_FAILED])
def test_a_test_picture_of_an_earlier_seed_is_a_second_one_but_for_the_one_that_was_judged(
    status: Status,
) -> None:
    tried = start(status, verify_seed=8, past_seeds=[7], past_tests=["judged"])
    assert tried.has_twin_test(picture(7))
    assert not tried.has_twin_test(picture(7, "judged"))
    assert not tried.has_twin_test(picture(7, outputs=3))
    assert not tried.has_twin_test(picture(9))
