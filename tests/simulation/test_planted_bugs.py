"""A test of the tests: one planted bug per invariant, and the checker must name that invariant."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from portraitist.studio import architecture
from portraitist.studio.generation import repository as generations
from portraitist.studio.generation.domain import Generation
from portraitist.studio.generation.domain import Status as Drawing
from portraitist.studio.generation.tasks import GenerationTasks
from portraitist.studio.images import service as images
from portraitist.studio.pictures import Picture
from portraitist.studio.provider.port import FilePart, RemoteTraining
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.training import late_zips, repository, tasks
from portraitist.studio.training import service as training_service
from portraitist.studio.training.domain import Status, Timing, Training
from portraitist.studio.training.tasks import TrainingTasks
from portraitist.studio.training.weights import Insurance
from portraitist.studio.webhooks import keys
from portraitist.studio.webhooks import repository as webhooks
from tests.fakes.weights import weights_tar
from tests.simulation import repositories as memory
from tests.simulation.checker import CHECKS, violations
from tests.simulation.plans import Action, Plan, at_label, drawn
from tests.simulation.rates import MemoryLimits
from tests.simulation.remote import MemoryObjects
from tests.simulation.store import MemoryTx, UserModel
from tests.simulation.world import World, simulated

pytestmark = pytest.mark.usefixtures("simulation")
QUIET = Plan(4, ((Action(0, "train"), Action(30, "generate")), (Action(1, "train"), Action(40, "generate"))))
Bug = Callable[[], Any]


@contextmanager
def a_second_training_may_start() -> Iterator[None]:
    """I1: neither the service nor the index looks whether one is running."""

    async def nothing(tx: MemoryTx) -> None:
        return None

    with (
        mock.patch.object(repository, "in_hand", nothing),
        mock.patch.object(memory, "PAID_FOR", frozenset()),
    ):
        yield


@contextmanager
def a_new_training_clears_the_model() -> Iterator[None]:
    """I2: the working model is taken away when the next training begins."""
    real = training_service.start

    async def start(tx: MemoryTx, **named: Any) -> Training:
        if tx.user_id in tx.tables.user_models:
            tx.tables.user_models[tx.user_id] = UserModel(tx.user_id, "", None)
        return await real(tx, **named)  # type: ignore[arg-type]

    with mock.patch.object(training_service, "start", start):
        yield


@contextmanager
def the_newest_version_of_anybody_is_promoted() -> Iterator[None]:
    """I3: a look-up without the member in its where."""

    async def activate(tx: MemoryTx, version: Any, trigger_word: str, now: datetime) -> None:
        newest = min(tx.tables.versions.values(), key=lambda row: row.created_at)
        tx.tables.user_models[tx.user_id] = UserModel(tx.user_id, trigger_word, newest.id)

    with mock.patch.object(repository, "activate", activate):
        yield


@contextmanager
def one_model_draws_for_all() -> Iterator[None]:
    """I4: the first member's model is taken for everybody."""
    real, first = architecture.seal_prediction, []

    def seal(**named: Any) -> Any:
        sealed = real(**named)
        first.append(sealed.version)
        object.__setattr__(sealed, "version", first[0])
        return sealed

    with mock.patch.object(architecture, "seal_prediction", seal):
        yield


@contextmanager
def an_unanswered_start_is_sent_again() -> Iterator[None]:
    """I5: nobody looks in the provider's list, neither at once nor for twins."""

    async def nothing(*args: Any) -> None:
        return None

    def again(training: Training, now: datetime, timing: Timing) -> Training:
        return training.not_sent(now, timedelta(0), "start_lost", "again")

    with (
        mock.patch.object(TrainingTasks, "_find", nothing),
        mock.patch.object(Training, "lost_start", again),
        mock.patch.object(Timing, "grace", timedelta(0)),
        mock.patch.object(repository, "starts", _no_rows),
    ):
        yield


@contextmanager
def a_success_is_taken_for_a_failure() -> Iterator[None]:
    """I6: what can't be read at once is written off."""

    def succeeded(training: Training, output: Any, started_at: Any, now: datetime) -> Training:
        return training.failed("training_failed", "The training failed.", now)

    with mock.patch.object(Training, "succeeded", succeeded):
        yield


@contextmanager
def only_the_first_picture_is_stored() -> Iterator[None]:
    """I7: completed before everything is there."""
    real = GenerationTasks._store

    async def store(tasks: GenerationTasks, generation: Generation, provider: Any) -> Generation:
        output = generation.raw_output
        first = dataclasses.replace(generation, raw_output=output[:1])
        after = await real(tasks, first, provider)
        return dataclasses.replace(after, raw_output=output)

    with mock.patch.object(GenerationTasks, "_store", store):
        yield


@contextmanager
def a_row_without_its_file() -> Iterator[None]:
    """I8: the row is entered, the file never put."""

    async def keep(objects: Any, key: str, picture: Picture) -> Picture:
        return picture

    with mock.patch.object(images, "keep", keep):
        yield


@contextmanager
def nobody_looks_for_late_zips() -> Iterator[None]:
    """I8: what a dying worker stored after another had ended the training stays there."""

    async def none(*args: Any) -> int:
        return 0

    with mock.patch.object(late_zips.photos, "delete_zips", none):
        yield


@contextmanager
def a_deleted_picture_keeps_its_file() -> Iterator[None]:
    """I8: its row goes, its file does not."""
    real = MemoryObjects.delete

    async def delete(objects: MemoryObjects, key: str) -> None:
        if "/generations/" not in key:
            await real(objects, key)

    with mock.patch.object(MemoryObjects, "delete", delete):
        yield


@contextmanager
def a_waiting_row_is_forgotten() -> Iterator[None]:
    """I11: the sweep overlooks rows that are being verified."""
    real = memory.Trainings.claim_due

    async def claim_due(tx: MemoryTx, now: datetime, until: datetime, limit: int) -> Any:
        due = await real(tx, now, until, limit)
        return [row for row in due if tx.tables.trainings[row.id].status is not Status.VERIFYING]

    with mock.patch.object(repository, "claim_due", claim_due):
        yield


@contextmanager
def a_failure_without_a_word() -> Iterator[None]:
    """I12: failed, and the member is not told why."""

    def failed(training: Training, code: str, message: str, now: datetime) -> Training:
        return training.to(Status.FAILED, now)

    with mock.patch.object(Training, "failed", failed):
        yield


@contextmanager
def weights_are_left_at_the_provider() -> Iterator[None]:
    """copies: promoted, and nobody thinks of the weights."""

    async def nothing(*args: Any) -> None:
        return None

    with mock.patch.object(Insurance, "want", nothing):
        yield


@contextmanager
def another_training_s_weights_are_kept() -> Iterator[None]:
    """copies: what lies there is not what this training made."""

    async def first(provider: Any, url: str, first: int, size: int, most: int) -> FilePart:
        return FilePart(0, weights_tar("somebody's"), is_last=True)

    with mock.patch.object(ReplicateProvider, "download_part", first):
        yield


@contextmanager
def anybody_may_sign() -> Iterator[None]:
    """webhooks: the signature is not looked at."""
    with mock.patch.object(keys, "verify_webhook", lambda *args: True):
        yield


@contextmanager
def the_run_in_the_body_is_not_compared() -> Iterator[None]:
    """webhooks: whoever has a signature may wake any row."""
    real = webhooks.subject

    async def careless(*args: Any) -> Any:
        found = await real(*args)
        return found and dataclasses.replace(found, provider_id=None)

    with mock.patch.object(webhooks, "subject", careless):
        yield


@contextmanager
def generations_go_where_there_is_room() -> Iterator[None]:
    """accounts: not to the account that has the version."""
    real = generations.insert

    async def insert(tx: MemoryTx, generation: Generation, key: str | None) -> bool:
        return await real(tx, dataclasses.replace(generation, account_id="elsewhere"), key)  # type: ignore[arg-type]

    with mock.patch.object(generations, "insert", insert):
        yield


@contextmanager
def a_row_changes_its_account_under_its_run() -> Iterator[None]:
    """accounts: the next training's account is written on the one that runs."""
    real = memory.Trainings.save

    async def save(tx: MemoryTx, after: Training, leased_until: datetime | None) -> Training | None:
        saved = await real(tx, after, leased_until)
        if saved is not None and saved.status is Status.TRAINING:
            tx.tables.trainings[saved.id] = dataclasses.replace(saved, account_id="second")
        return saved

    with mock.patch.object(repository, "save", save):
        yield


@contextmanager
def the_bar_follows_the_clock() -> Iterator[None]:
    """progress: nearly done after a minute, whatever the provider's log says."""
    real = tasks._with_progress

    def with_progress(training: Training, remote: RemoteTraining) -> Training:
        return dataclasses.replace(real(training, remote), step=990, total_steps=1_000)

    with mock.patch.object(tasks, "_with_progress", with_progress):
        yield


@contextmanager
def the_bar_reaches_its_end_before_the_model_is_tested() -> Iterator[None]:
    """progress: 100 % as soon as the last step is done."""
    percent = property(lambda row: None if row.step is None else 100 * row.step // row.total_steps)
    with mock.patch.object(Training, "percent", percent):
        yield


@contextmanager
def each_worker_counts_for_itself() -> Iterator[None]:
    """rates: a bucket in every process."""
    real = World._provider

    def provider(world: World, *args: Any, **named: Any) -> ReplicateProvider:
        world.limits = MemoryLimits(world.scheduler)
        return real(world, *args, **named)

    with mock.patch.object(World, "_provider", provider):
        yield


@contextmanager
def a_pause_is_forgotten() -> Iterator[None]:
    """rates: the bucket is full again at once."""

    async def take(limits: MemoryLimits, bucket: Any, count: int = 1) -> float:
        return 0.0

    with mock.patch.object(MemoryLimits, "take", take):
        yield


async def _no_rows(tx: MemoryTx) -> list[Any]:
    return []


TOLD = [dataclasses.replace(QUIET, seed=seed, webhooks=True) for seed in range(10)]
CANCELLED_WHILE_PACKED = Plan(
    0,
    ((Action(0, "train"),),),
    deaths={"photos.stored": 1},
    at_label={"admission.admitted": "cancel"},
)
LATE_ZIPS = [dataclasses.replace(CANCELLED_WHILE_PACKED, seed=seed) for seed in range(40)]
TWO_ACCOUNTS = [dataclasses.replace(QUIET, seed=seed, accounts=2) for seed in range(4)]
BUSY = (Action(0, "train"), *(Action(30, "generate") for _ in range(12)))
CROWD = [Plan(seed, (BUSY, BUSY), rates=True) for seed in range(3)]
BUGS: list[tuple[str, Bug, list[Plan]]] = [
    ("I1", a_second_training_may_start, [Plan(4, ((Action(0, "train"), Action(20, "train again")),))]),
    ("I2", a_new_training_clears_the_model, [Plan(4, ((Action(0, "train"), Action(4_000, "train again")),))]),
    ("I3", the_newest_version_of_anybody_is_promoted, [QUIET]),
    ("I4", one_model_draws_for_all, [QUIET]),
    ("I5", an_unanswered_start_is_sent_again, [at_label("training.after_post", "kill")]),
    ("I6", a_success_is_taken_for_a_failure, [QUIET]),
    ("I7", only_the_first_picture_is_stored, [QUIET]),
    ("I8", a_row_without_its_file, [QUIET]),
    ("I8", nobody_looks_for_late_zips, LATE_ZIPS),
    ("I8", a_deleted_picture_keeps_its_file, [at_label("images.purging", "429")]),
    ("I11", a_waiting_row_is_forgotten, [QUIET]),
    ("I12", a_failure_without_a_word, [drawn(seed) for seed in range(60)]),
    ("copies", weights_are_left_at_the_provider, TOLD),
    ("copies", another_training_s_weights_are_kept, TOLD),
    ("webhooks", anybody_may_sign, TOLD),
    ("webhooks", the_run_in_the_body_is_not_compared, TOLD),
    ("accounts", generations_go_where_there_is_room, TOLD),
    ("accounts", a_row_changes_its_account_under_its_run, TWO_ACCOUNTS),
    ("progress", the_bar_follows_the_clock, [QUIET]),
    ("progress", the_bar_reaches_its_end_before_the_model_is_tested, [QUIET]),
    ("rates", each_worker_counts_for_itself, CROWD),
    ("rates", a_pause_is_forgotten, CROWD),
]


def test_every_invariant_has_its_bug() -> None:
    assert {invariant for invariant, _, _ in BUGS} == CHECKS.keys()


@pytest.mark.parametrize(("invariant", "bug", "plans"), BUGS, ids=[bug.__name__ for _, bug, _ in BUGS])
def test_the_checker_catches_the_planted_bug(invariant: str, bug: Bug, plans: list[Plan]) -> None:
    assert all(not violations(simulated(plan)) for plan in plans[:5]), (
        "without the bug there is nothing to catch"
    )
    with bug():
        found = [what for plan in plans for what in violations(simulated(plan))]
    assert any(what.startswith(f"{invariant}:") for what in found), found


def test_a_picture_of_somebody_else_is_seen_in_its_pixels() -> None:
    evidence = simulated(QUIET)
    theirs = {image.user_id: image.object_key for image in evidence.images}
    first, second = theirs.values()
    swapped = {**evidence.objects, first: evidence.objects[second]}
    found = violations(dataclasses.replace(evidence, objects=swapped))
    assert any(what.startswith("I4:") for what in found)
    assert all(row.status is Drawing.COMPLETED for row in evidence.generations)
