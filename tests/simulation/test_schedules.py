"""Random schedules, every label with every fate, and long outages: nothing lost, doubled or mixed up.

A failure names its seed; `drawn(seed)` gives the very same run again. More of them: bench/crash_schedules.py.
"""

import hashlib
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import portraitist
from portraitist.studio.generation.domain import Status as Drawing
from portraitist.studio.training.domain import Status
from tests.simulation.checker import violations
from tests.simulation.plans import LABELS, SCRIPTED, Action, Plan, at_label, drawn, long_outage
from tests.simulation.schedules import judged_in_parallel
from tests.simulation.world import World, simulated

SEEDS = 2_000
pytestmark = pytest.mark.usefixtures("simulation")


def test_random_schedules_keep_every_invariant() -> None:
    for _, found in judged_in_parallel(range(SEEDS)):
        assert not found


@pytest.mark.parametrize("what", ["kill", *SCRIPTED])
@pytest.mark.parametrize("label", LABELS)
def test_at_every_label_everything_may_happen(label: str, what: str) -> None:
    hits: Counter[str] = Counter()
    found = violations(simulated(at_label(label, what), lambda world: hits.update(world.hits)))
    assert hits[label], f"{label} was not reached"
    assert not found, found


def test_a_killed_worker_costs_nothing_but_time() -> None:
    for label in (label for label in LABELS if not label.startswith("twins.")):
        evidence = simulated(at_label(label, "kill"))
        assert [row.status for row in evidence.trainings] == [Status.COMPLETED], label
        assert [row.status for row in evidence.generations] == [Drawing.COMPLETED] * 2, label
        paid = [run for run in evidence.runs if run.kind == "trainings" and run.cancelled_at is None]
        assert len(paid) == 1, label


def test_nothing_is_lost_in_45_minutes_without_us() -> None:
    for seed in range(20):
        evidence = simulated(long_outage(seed))
        assert not violations(evidence)
        assert {row.status for row in evidence.trainings} == {Status.COMPLETED}, seed
        assert {row.status for row in evidence.generations} == {Drawing.COMPLETED}, seed


def test_a_token_that_is_refused_for_a_moment_loses_no_picture() -> None:
    for seed in range(10):
        plan = replace(drawn(seed), faulty=0.25, kinds=("401", "402"))
        assert not violations(simulated(plan)), seed


def test_the_same_seed_gives_the_same_run() -> None:
    for seed in (3, 5, 8):
        assert traced(seed) == traced(seed)


def traced(seed: int) -> str:
    digest = hashlib.sha256()

    def look(world: World) -> None:
        digest.update(f"{world.scheduler.steps} {world.clock.now()} {world.hits}".encode())

    evidence = simulated(drawn(seed), look)
    for rows in (evidence.trainings, evidence.generations, evidence.runs):
        digest.update(repr(rows).encode())
    return digest.hexdigest()


def test_the_list_of_labels_is_the_source_s() -> None:
    """Of what is simulated; other slices kill at their labels in their own tests."""
    source = Path(portraitist.__file__).parent
    texts = (path.read_text() for path in source.rglob("*.py"))
    found = {label for text in texts for label in re.findall(r'failpoints\.hit\("([^"]+)"\)', text)}
    ours = {label.partition(".")[0] for label in LABELS}
    assert {label for label in found if label.partition(".")[0] in ours} == set(LABELS)


def test_random_schedules_meet_what_they_are_for() -> None:
    statuses: Counter[str] = Counter()
    for seed in range(SEEDS, SEEDS + 60):
        evidence = simulated(drawn(seed))
        statuses.update(row.status for row in evidence.trainings)
        statuses.update(row.status for row in evidence.generations)
    assert statuses[Status.COMPLETED] > 60
    assert {Status.CANCELED, Status.FAILED, Status.EXTRACTION_FAILED} <= set(statuses)


def test_a_member_alone_is_served_without_any_fault() -> None:
    plan = Plan(1, ((Action(0, "train"), Action(10, "generate")),))
    evidence = simulated(plan)
    assert not violations(evidence)
    assert len(evidence.images) == 3
