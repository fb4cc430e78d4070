"""The invariants I1–I8, I11 and I12, judged on the evidence of one run; used by the simulation and by real kills.

I9 (nothing is left of an erased member) and I10 (the audit chain) wait for their slices. Every check has a planted
bug in `test_planted_bugs` that it must catch.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Final
from uuid import UUID

from portraitist.studio.architecture import model_name, trigger_word
from portraitist.studio.generation.domain import ENDED as GENERATION_ENDED
from portraitist.studio.generation.domain import Generation
from portraitist.studio.generation.domain import Status as Drawing
from portraitist.studio.images.service import object_key
from portraitist.studio.provider import wire
from portraitist.studio.provider.logs import parse_progress
from portraitist.studio.training.domain import ENDED, NEXT_STEPS, PARKED, Status, Training
from tests.fakes.pictures import model_of, pixels_of
from tests.fakes.simulated_cloud import OUTPUTS_LIVE, Run, log_of, picture, version_of
from tests.fakes.weights import weights_tar
from tests.simulation.evidence import Evidence, Shown

WITHOUT_PHOTOS = ENDED | PARKED
FINISHED = 100  # percent
A_MINUTE = timedelta(seconds=60)


def violations(found: Evidence) -> list[str]:
    """Everything that must not be, each line beginning with its invariant."""
    return [f"{name}: {what}" for name, check in CHECKS.items() for what in check(found)]


def one_training_at_a_time(found: Evidence) -> Iterator[str]:
    """I1: a member has at most one training that is being paid for."""
    for member, most in found.at_once.items():
        if most > 1:
            yield f"{member} had {most} at once"


def a_working_model_stays(found: Evidence) -> Iterator[str]:
    """I2: an active model is never taken away, and exists."""
    known = {version.id for version in found.versions}
    for member in found.cleared:
        yield f"{member}'s model was cleared"
    for member, version in found.active.items():
        if version not in known:
            yield f"{member}'s active version {version} does not exist"


def everything_is_the_members_own(found: Evidence) -> Iterator[str]:
    """I3: versions, active versions and generations belong to one member, down to the run that made the weights."""
    owner: dict[UUID | None, str] = {version.id: version.user_id for version in found.versions}
    # a second start is a run of its training too: where outputs name no version, either's may be the one adopted
    made = {training.id: {version_of(run) for run in runs} for training, runs in _runs_of_trainings(found)}
    for member, active in found.active.items():
        if active is not None and owner.get(active) != member:
            yield f"{member}'s active version belongs to {owner.get(active)}"
    for generation in found.generations:
        if owner.get(generation.model_version_id) != generation.user_id:
            yield f"generation {generation.id} uses a version of {owner.get(generation.model_version_id)}"
    for version in found.versions:
        if version.replicate_version_id not in made.get(version.training_id, ()):
            yield f"version {version.id} was not made by its own training"
        if not version.replicate_model_id.endswith(f"/{model_name(version.user_id)}"):
            yield f"{version.user_id} has a version of {version.replicate_model_id}"


def calls_use_the_members_model(found: Evidence) -> Iterator[str]:
    """I4: every run at the provider, and every picture's pixels, are of the member who asked for it."""
    members = {training.user_id for training in found.trainings}
    by_trigger = {trigger_word(member): model_name(member) for member in members}
    versions = {(run.model, version_of(run)) for run in found.runs if run.kind == "trainings"}
    for run in found.runs:
        words = str(run.input.get("trigger_word") or run.input.get("prompt")).split()
        if by_trigger.get(words[0]) != run.model.partition("/")[2]:
            yield f"{run.kind} {run.id} of {words[0]} ran on {run.model}"
        if run.kind == "predictions" and (run.model, run.version) not in versions:
            yield f"prediction {run.id} ran on a foreign version"
    for image in found.images:
        data = found.objects.get(image.object_key)
        if data is not None and model_of(data).partition("/")[2] != model_name(image.user_id):
            yield f"{image.user_id} has a picture of {model_of(data)}"


def nothing_is_paid_twice(found: Evidence) -> Iterator[str]:
    """I5: one create per attempt and one live run per row; a further one was cancelled, and that is recorded."""
    owned = _runs_of_trainings(found)
    for training, runs in owned:
        tokens = Counter(str(run.input.get("input_images")) for run in runs)
        live = [run for run in runs if not _reconciled(run, found.twins.get(training.id, ()))]
        if max(tokens.values()) > 1:
            yield f"training {training.id}: one attempt was sent twice"
        if len(live) > 1:
            yield f"training {training.id}: {len(live)} runs are paid for"
    known = {run.id for _, runs in owned for run in runs}
    for run in found.runs:
        if run.kind == "trainings" and run.id not in known:
            yield f"training run {run.id} belongs to no row"
    recorded = {twin for twins in found.twins.values() for twin in twins}
    unsaid = [run for run in found.runs if run.kind == "predictions" and not _reconciled(run, recorded)]
    for what, times in Counter(_asked_for(run) for run in unsaid).items():
        if times > 1:
            yield f"prediction {what} was paid for {times} times"


def no_success_is_left_behind(found: Evidence) -> Iterator[str]:
    """I6: what succeeded at the provider is promoted, parked with its raw output, or ended by the member's wish."""
    versions = {version.training_id for version in found.versions}
    for training, runs in _runs_of_trainings(found):
        twins = found.twins.get(training.id, ())
        done = [run for run in runs if _counts(run) and run.outcome == "succeeded" and run.id not in twins]
        done = [run for run in done if training.provider_training_id in (None, run.id)]
        if not done:
            continue
        promoted = training.status is Status.COMPLETED and training.id in versions
        parked = training.status in PARKED and training.error_code is not None
        wished = training.status is Status.CANCELED and training.cancel_requested_at is not None
        if not (promoted or parked or wished):
            yield f"training {training.id} succeeded at the provider but is {training.status}"
        if training.status is Status.EXTRACTION_FAILED and not done[0].odd:
            yield f"training {training.id} is parked ({training.error_code}) although its output was plain"


def every_picture_is_kept(found: Evidence) -> Iterator[str]:
    """I7: each output of a finished run is stored with its right bytes, or its loss is said."""
    runs = {run.id: run for run in found.runs if run.kind == "predictions"}
    for generation in found.generations:
        run = runs.get(generation.provider_prediction_id or "")
        if run is None or run.cancelled_at is not None or run.outcome != "succeeded":
            if generation.status is Drawing.COMPLETED:
                yield f"generation {generation.id} is completed without a finished run"
        elif generation.status is Drawing.COMPLETED:
            yield from _missing(generation, run, found)
        elif not _explained(generation, run):
            yield f"generation {generation.id} was drawn but is {generation.status}"


def rows_and_files_agree(found: Evidence) -> Iterator[str]:
    """I8: pictures' rows and files agree; what was deleted is gone; no zip of photos outlives its training."""
    keys = {image.object_key for image in found.images}
    ended = {str(training.id) for training in found.trainings if training.status in WITHOUT_PHOTOS}
    for image in found.images:
        if image.object_key not in found.objects:
            yield f"picture {image.object_key} has a row and no file"
    for key in found.deleted:
        if key in keys or key in found.objects:
            yield f"picture {key} was deleted and is still there"
    for key in found.objects:
        if "/generations/" in key and key not in keys:
            yield f"picture {key} has a file and no row"
        if key.endswith(".zip") and key.split("/")[3] in ended:
            yield f"zip {key} is left over"


def it_comes_to_rest(found: Evidence) -> Iterator[str]:
    """I11: everything ends or is parked within bounded time, and no handler breaks on the way."""
    if not found.at_rest:
        busy = [f"training {t.id} {t.status}" for t in found.trainings if t.status not in ENDED]
        busy += [
            f"generation {g.id} {g.status}" for g in found.generations if g.status not in GENERATION_ENDED
        ]
        yield f"not at rest: {', '.join(busy)}"
    yield from found.failures


def members_know_what_to_do(found: Evidence) -> Iterator[str]:
    """I12: whatever did not work says why, and what comes next."""
    for training in found.trainings:
        if training.status in (*PARKED, Status.FAILED) and not (training.error_code and training.error):
            yield f"training {training.id} is {training.status} without a reason"
        if training.status in (*PARKED, Status.FAILED, Status.CANCELED) and training.status not in NEXT_STEPS:
            yield f"{training.status} has no next step"
    for generation in found.generations:
        if generation.status in (Drawing.FAILED, Drawing.LOST_AT_PROVIDER) and not generation.error:
            yield f"generation {generation.id} is {generation.status} without a reason"


def weights_are_insured(found: Evidence) -> Iterator[str]:
    """Copies: the weights that a success names lie whole in our storage, or their real loss is said."""
    archives = {archive.training_id: archive for archive in found.archives}
    runs = {run.id: run for run in found.runs}
    for training in found.trainings:
        run, archive = runs.get(training.provider_training_id or ""), archives.get(training.id)
        if run is None or not found.owners or not _names_weights(training, run):
            continue
        if archive is None:
            yield f"training {training.id}: nobody wanted its weights"
        elif archive.status == "stored":
            if found.objects.get(archive.object_key or "") != weights_tar(run.id):
                yield f"training {training.id}: its copy is not what was trained"
        elif not archive.reason or (archive.status == "lost" and not run.weights_gone):
            yield f"training {training.id}: its weights are {archive.status} ({archive.reason})"
    wanted = {str(each.training_id) for each in found.archives if each.status == "wanted"}
    for key in found.objects:
        if "/weights-parts/" in key and key.split("/")[3] not in wanted:
            yield f"part {key} is left over"


def webhooks_only_wake_their_own(found: Evidence) -> Iterator[str]:
    """Webhooks: stored once each and only if the provider signed it; one that shows another run wakes nobody."""
    at = {run.id: run for run in found.runs}
    for delivery in found.deliveries:
        message, subject = delivery.message, delivery.subject
        run = at.get(message.provider_id)
        if message.webhook_id not in found.honest and message.webhook_id not in found.crossed:
            yield f"{message.webhook_id} was stored; the provider never sent it"
        elif message.webhook_id in found.crossed and delivery.outcome == "woke":
            yield f"{message.webhook_id} woke {subject.id} with another run"
        elif run is not None and _member_of(run) != subject.user_id and delivery.outcome == "woke":
            yield f"{message.webhook_id} of {_member_of(run)} woke a row of {subject.user_id}"


def accounts_are_kept(found: Evidence) -> Iterator[str]:
    """Accounts: whatever belongs to a row is at the row's own account, down to the model's destination."""
    runs = {run.id: run for run in found.runs}
    versions = {version.id: version for version in found.versions}
    rows = [(row.account_id, row.id, row.provider_training_id) for row in found.trainings]
    rows += [(row.account_id, row.id, row.provider_prediction_id) for row in found.generations]
    for account_id, row_id, remote in rows:
        run, owner = runs.get(remote or ""), found.owners.get(account_id)
        if owner is not None and run is not None and run.account != owner:
            yield f"{row_id} of {account_id} ran at {run.account}"
    for generation in found.generations:
        version = versions.get(generation.model_version_id)
        if version is not None and version.account_id != generation.account_id:
            yield f"generation {generation.id} is not at its version's account"


def progress_is_the_runs(found: Evidence) -> Iterator[str]:
    """Progress: never more than the run's own log said by then, never back, done only when it is promoted."""
    runs = {run.id: run for run in found.runs}
    for training_id, moments in found.shown.items():
        before: Shown | None = None
        for shown in moments:
            run = runs.get(shown.provider_id or "")
            done = 0 if run is None else parse_progress(log_of(run, shown.at)).step
            if (shown.step or 0) > done:
                yield f"training {training_id} was said to be at {shown.step}; its log was at {done}"
            if before is not None and shown.provider_id and (shown.percent or 0) < (before.percent or 0):
                yield f"training {training_id} went back from {before.percent} to {shown.percent} %"
            if (shown.percent == FINISHED) != (shown.status is Status.COMPLETED):
                yield f"training {training_id} was at {shown.percent} % while {shown.status}"
            before = shown


def rates_are_kept(found: Evidence) -> Iterator[str]:
    """Rates: all our processes together send no more in any minute than the account allows."""
    for bucket, moments in found.sent.items():
        most = int(found.per_minute[bucket])
        for first, beyond in zip(moments, moments[most:], strict=False):
            if beyond - first < A_MINUTE:
                yield f"{bucket}: {most + 1} requests within {beyond - first}"
                break


CHECKS: Final[dict[str, Callable[[Evidence], Iterable[str]]]] = {
    "I1": one_training_at_a_time,
    "I2": a_working_model_stays,
    "I3": everything_is_the_members_own,
    "I4": calls_use_the_members_model,
    "I5": nothing_is_paid_twice,
    "I6": no_success_is_left_behind,
    "I7": every_picture_is_kept,
    "I8": rows_and_files_agree,
    "I11": it_comes_to_rest,
    "I12": members_know_what_to_do,
    "copies": weights_are_insured,
    "webhooks": webhooks_only_wake_their_own,
    "accounts": accounts_are_kept,
    "progress": progress_is_the_runs,
    "rates": rates_are_kept,
}


def _runs_of_trainings(found: Evidence) -> list[tuple[Training, list[Run]]]:
    """Each training with its runs in the ledger: by id, or by the token of any of its attempts."""
    owners: dict[str, UUID] = {}
    for training in found.trainings:
        for token in (training.submit_token, *training.past_tokens):
            if token is not None:
                owners[token] = training.id
    by_id = {t.provider_training_id: t.id for t in found.trainings if t.provider_training_id}
    runs: dict[UUID, list[Run]] = defaultdict(list)
    for run in found.runs:
        if run.kind != "trainings":
            continue
        address = str(run.input.get("input_images"))
        owner = by_id.get(run.id) or next((row for token, row in owners.items() if token in address), None)
        if owner is not None:
            runs[owner].append(run)
    return [(training, runs[training.id]) for training in found.trainings if training.id in runs]


def _names_weights(training: Training, run: Run) -> bool:
    """Whether its output was read, and says where its weights are."""
    read = training.raw_output is not None and training.status is not Status.CANCELED
    return read and isinstance(run.output, dict) and "weights" in run.output


def _member_of(run: Run) -> str:
    return str(run.input.get("trigger_word") or run.input.get("prompt")).split()[0].removeprefix("user")


def _counts(run: Run) -> bool:
    return run.cancelled_at is None


def _reconciled(run: Run, twins: Iterable[str]) -> bool:
    return run.cancelled_at is not None or run.outcome != "succeeded" or run.id in twins


def _asked_for(run: Run) -> tuple[str, int, int]:
    return run.input["prompt"], run.input["seed"], run.input["num_outputs"]


def _missing(generation: Generation, run: Run, found: Evidence) -> Iterator[str]:
    images = {image.index: image for image in found.images if image.generation_id == generation.id}
    outputs = dict(wire.output_indexes(run.output))
    deleted = {index for index in outputs if _key(generation, index) in found.deleted}
    if set(images) | deleted != set(outputs) and not _too_late(generation, run):
        yield f"generation {generation.id} is completed with pictures {sorted(images)} of {sorted(outputs)}"
    for index in set(images) & set(outputs):
        data = found.objects.get(images[index].object_key)
        drawn = picture(run.model, run.input["seed"], index)
        if data is not None and pixels_of(data) != pixels_of(drawn):  # what is stored is marked and signed
            yield f"picture {index} of generation {generation.id} is not what was drawn"


def _key(generation: Generation, index: int) -> str:
    return object_key(generation.user_id, generation.id, index)


def _too_late(generation: Generation, run: Run) -> bool:
    """Whether pictures are said to be lost, and the provider had really deleted them by then."""
    said = generation.error_code in ("some_lost", "lost_at_provider")
    return said and generation.finished_at is not None and generation.finished_at > run.ends_at + OUTPUTS_LIVE


def _explained(generation: Generation, run: Run) -> bool:
    lost = generation.status is Drawing.LOST_AT_PROVIDER and _too_late(generation, run)
    wished = generation.status is Drawing.CANCELED and generation.cancel_requested_at is not None
    return (
        lost or wished or (generation.status is Drawing.FAILED and generation.error_code == "took_too_long")
    )
