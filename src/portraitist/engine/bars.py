"""Lines of a run's logs in the exact shape of the cloud's trainer and sampler. Pure but for tqdm's arithmetic.

Facts: recorded logs of `ostris/flux-dev-lora-trainer` and ai-toolkit's source: the training bar counts from
zero, so its last line reads N-1/N.
"""

from collections.abc import Iterable

from tqdm.std import tqdm

JOB = "flux_train_replicate"


def training_bar(done: int, total: int, elapsed_s: float, loss: float, rate: float) -> str:
    """The bar after `done` steps of `total`; before the first step it has neither rate nor loss."""
    if done == 0:
        return str(tqdm.format_meter(0, total, 0, prefix=JOB, ncols=None))
    postfix = f"lr: {rate:.1e} loss: {loss:.3e}"
    return str(tqdm.format_meter(done - 1, total, elapsed_s, prefix=JOB, postfix=postfix, ncols=None))


def sampler_bar(done: int, total: int, elapsed_s: float) -> str:
    """The bar of a prediction; clients read their progress from it."""
    return str(tqdm.format_meter(done, total, elapsed_s, ncols=None))


def unknown_words(words: Iterable[str]) -> str:
    """The line that names what the model cannot draw. Its beginning is stable: clients show it."""
    return "Words this small model does not know: " + ", ".join(f'"{word}"' for word in words)


def steps_line(requested: int, effective: int, optimiser_steps: int, minutes: float | None) -> str:
    """What was asked and what is done."""
    time = f"; about {minutes:.1f} minutes expected" if minutes is not None else ""
    return f"Steps: requested {requested}, effective {effective} ({optimiser_steps} optimiser steps{time})"
