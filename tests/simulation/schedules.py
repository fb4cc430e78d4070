"""Many random schedules on several cores; what is wrong comes back with its seed."""

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.checker import violations
from tests.simulation.installing import installed
from tests.simulation.plans import drawn
from tests.simulation.world import simulated

Finding = tuple[int, list[str]]  # seed, violations
AT_ONCE = 50


def judged(seeds: Sequence[int]) -> list[Finding]:
    """Run these schedules here; the seeds that broke an invariant."""
    gc.disable()  # everything of a schedule is dropped with it; one collection per batch is enough
    try:
        with installed():
            found = [(seed, violations(simulated(drawn(seed)))) for seed in seeds]
    finally:
        gc.enable()
        gc.collect()
    return [finding for finding in found if finding[1]]


def judged_in_parallel(seeds: range, processes: int | None = None) -> Iterator[tuple[int, list[Finding]]]:
    """Batches as they come: how many schedules are done by then, and what was found in the batch."""
    batches = [seeds[first : first + AT_ONCE] for first in range(0, len(seeds), AT_ONCE)]
    os.environ["PYTHONHASHSEED"] = "0"  # for the children: sets in the product have an order too
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context)
    try:
        yield from _counted(pool.map(judged, batches), batches)
    finally:  # whoever has seen enough does not wait for the rest
        pool.shutdown(cancel_futures=True)


def _counted(
    results: Iterable[list[Finding]], batches: Sequence[range]
) -> Iterator[tuple[int, list[Finding]]]:
    done = 0
    for batch, found in zip(batches, results, strict=True):
        done += len(batch)
        yield done, found
