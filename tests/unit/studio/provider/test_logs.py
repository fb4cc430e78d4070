"""Only the training's own bar is progress."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.provider.logs import Phase, Progress, parse_progress, unknown_words

BEFORE = """2024-09-10T05:10:35Z | INFO  | [ Initiating ] chunk_size=150M dest=. url=https://x/FLUX.1-dev/files.tar
Downloaded base weights in 26.2 seconds
"""
CAPTIONS = (
    BEFORE
    + """Extracted 12 files from zip to input_images
Caption for input_images/a.jpg: a photo of flux_train_replicate:  50%|█| 500/1000
b.jpg is already captioned
"""
)
LATENTS = (
    CAPTIONS
    + """# Running job: flux_train_replicate
Caching latents: 100%|██████████| 12/12 [00:01<00:00]
flux_train_replicate:   0%|          | 0/1000 [00:00<?, ?it/s]
"""
)
BAR = "flux_train_replicate:  83%|████████▎ | 2482/3000 [43:27<09:04,  1.05s/it, lr: 4.0e-04 loss: 2.472e-01]"


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ("", Progress(Phase.PREPARING, 0, 0)),
        (BEFORE, Progress(Phase.PREPARING, 0, 0)),
        (CAPTIONS, Progress(Phase.CAPTIONING, 0, 0)),
        (LATENTS, Progress(Phase.TRAINING, 0, 1000)),
        (LATENTS + BAR, Progress(Phase.TRAINING, 2482, 3000)),
        (LATENTS + BAR + "\nCaching latents: 100%|█| 12/12\n", Progress(Phase.TRAINING, 2482, 3000)),
        (LATENTS + BAR + "\rflux_train_replicate:  90%|███", Progress(Phase.TRAINING, 2482, 3000)),
        (
            LATENTS + BAR + "\nSaved to output/flux_train_replicate/lora.safetensors\noutput/\n",
            Progress(Phase.PACKAGING, 2482, 3000),
        ),
        ("step 5/10\n40%|████      | 4/10 [00:01<00:02]", Progress(Phase.PREPARING, 0, 0)),
        ("flux_train_replicate: 0%| | 0/0", Progress(Phase.PREPARING, 0, 0)),
    ],
)
def test_phase_and_bar_are_those_of_the_training(logs: str, expected: Progress) -> None:
    assert parse_progress(logs) == expected


@pytest.mark.parametrize(("step", "percent"), [(0, 0), (5, 0), (500, 50), (999, 99), (1000, 99)])
def test_a_training_is_never_finished_by_its_bar(step: int, percent: int) -> None:
    assert parse_progress(f"flux_train_replicate: 100%|█| {step}/1000 [x]").percent == percent


@given(
    st.text()
    | st.lists(
        st.sampled_from(["flux_train_replicate:", " 1%|", "█| ", "5/0", "7/9", "\n", "\r", "٣/٤"])
    ).map("".join)
)
def test_any_log_has_a_progress_below_the_end(logs: str) -> None:
    progress = parse_progress(logs)
    assert 0 <= progress.percent <= 99
    assert 0 <= progress.step <= progress.total or progress.total == 0


def test_unknown_words_are_listed_once_in_their_order() -> None:
    logs = 'Using seed: 3\nWords this small model does not know: "soft", "morning", "soft"\n 2%| | 1/40'
    assert unknown_words(logs) == ("soft", "morning")
    assert unknown_words('prompt: Words this small model does not know: "x"') == ()
    assert unknown_words("") == ()
