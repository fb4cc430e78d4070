"""The line of the progress bar, from the engine's own log."""

import pytest
from tests.unit.cli.fake_studio import FakeStudio

from portraitist.cli.api import StudioApi
from portraitist.cli.follow import follow_training, remaining, training_line
from portraitist.cli.output import Output
from portraitist.cli.wire import Training

LOG = """flux_train_replicate:  12%|█▏        | 12/100 [00:10<01:40,  1.1s/it, lr: 4.0e-04 loss: 3e-01]
flux_train_replicate:  83%|████████▎ | 83/100 [43:27<09:04,  1.05s/it, lr: 4.0e-04 loss: 2.472e-01]"""


def training(**changes: object) -> Training:
    values = {"id": "t", "status": "training", "phase": "training", "step": 83, "total_steps": 100}
    values |= {"logs_tail": LOG, "error": None, "next_step": None, "version": None, "photos": frozenset()}
    return Training(**{**values, **changes})  # type: ignore[arg-type]


def test_the_time_left_is_the_last_bars_own() -> None:
    assert remaining(LOG) == "09:04"
    assert remaining("Downloading: 3/9") is None
    assert remaining("7%| 1/9 [00:01<1:02:03, 9s/it]") == "1:02:03"


def test_the_bar_stands_where_the_engine_says() -> None:
    assert training_line(training()) == ("Training 83/100, 09:04 left", 0.83)


@pytest.mark.parametrize(
    ("phase", "text"),
    [("queued", "Queued"), ("captioning", "Captioning the photos"), ("something_new", "something_new")],
)
def test_a_phase_without_steps_has_words_and_no_fraction(phase: str, text: str) -> None:
    assert training_line(training(phase=phase, step=None, total_steps=None)) == (text, None)


def test_a_parked_training_says_that_it_is_tried_again() -> None:
    text, fraction = training_line(training(status="extraction_failed", phase="extraction_failed"))
    assert "tries again" in text
    assert fraction is None


@pytest.mark.anyio
async def test_a_training_that_stays_parked_is_not_sat_out(operator: StudioApi, fake: FakeStudio) -> None:
    parked = {"id": "t0", "status": "verification_failed", "phase": "verification_failed", "photos": []}
    fake.trainings.append(parked | {"step": None, "total_steps": None})
    fake.training_script = [{"status": "verification_failed"}] * 20
    found = await operator.training("t0")
    ended = await follow_training(operator, found, Output(), patience_s=0)
    assert ended.status == "verification_failed"
