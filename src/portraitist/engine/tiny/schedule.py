"""Learning rate and weight averaging over a training, as pure functions of progress. No optimiser lives here."""

import math


def rate(step: int, fraction: float, *, warm_up: int, hold: float, floor: float = 0.02) -> float:
    """Factor of the learning rate: linear warm-up, constant until `hold` of the run, then half a cosine to `floor`.

    `fraction` is how much of the run is done, 0 to 1, by whatever clock the caller keeps.
    """
    rise = min(1.0, (step + 1) / warm_up)
    if fraction < hold:
        return rise
    left = 0.5 * (1 + math.cos(math.pi * min(1.0, (fraction - hold) / (1 - hold))))
    return rise * (floor + (1 - floor) * left)


def decay(step: int, top: float) -> float:
    """Weight of the past in the running average of weights; small at first, so that the start is forgotten."""
    return min(top, (1 + step) / (10 + step))
