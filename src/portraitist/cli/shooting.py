"""The main job as a client of the API: photos to model, prompt to pictures. `shoot` is both, in one studio.

Every step looks at what the studio knows before it acts, so running it again goes on. What to do about the model is
decided in `plan.py`; how a wait looks, in `follow.py`.
"""

from dataclasses import dataclass
from pathlib import Path

from portraitist.cli import pictures, session
from portraitist.cli.api import StudioApi
from portraitist.cli.environment import ENGINE_USERNAME
from portraitist.cli.errors import BadUsage, CliError
from portraitist.cli.folder import PhotoFolder
from portraitist.cli.follow import follow_generation, follow_training
from portraitist.cli.memory import MemberMemory, Shot
from portraitist.cli.output import Output
from portraitist.cli.photos import upload
from portraitist.cli.plan import Follow, Refuse, Reuse, Situation, Train, decide
from portraitist.cli.wire import TRAINING_FAILED, TRAINING_PARKED, Generation, StudioStatus, Training

LONGEST_PROMPT = 2000


@dataclass(frozen=True)
class Studio:
    """An open way into the studio: as its operator, and as the member."""

    operator: StudioApi
    member: StudioApi
    output: Output


def check_prompt(prompt: str) -> str:
    """The prompt without spaces around it; raises BadUsage before anything is started."""
    prompt = prompt.strip()
    if not prompt:
        raise BadUsage(
            "The prompt is empty.",
            next_step='Say where and how, for example: "in a garden, soft morning light".',
            code="prompt_empty",
        )
    if len(prompt) > LONGEST_PROMPT:
        raise BadUsage(
            f"The prompt has {len(prompt)} characters; {LONGEST_PROMPT} are the most.",
            next_step="Shorten it: 40 to 120 words work best.",
            code="prompt_too_long",
        )
    return prompt


def check_out(out: Path | None) -> None:
    """Make the folder for the pictures, so that a wrong one is known before anything is spent."""
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise BadUsage(
            f"{out} is a file; pictures need a folder.", next_step="Name another --out.", code="bad_out"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".portraitist.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadUsage(
            f"Pictures can't be saved in {out}: {error.strerror}.",
            next_step="Name another --out.",
            code="bad_out",
        ) from error


async def ensure_model(studio: Studio, folder: PhotoFolder, shot: Shot, *, retrain: bool) -> None:
    """An active model of the person in the folder: reused, waited for, or trained now."""
    active, _ = await studio.member.models()
    selfies = await studio.member.photos()
    plan = decide(
        Situation(
            folder=folder.digests,
            selfies={photo.digest: photo.accepted for photo in selfies},
            active_photos=active.photos if active else None,
            in_hand=_in_hand(await studio.member.trainings(), has_model=active is not None),
            retrain=retrain,
        )
    )
    match plan:
        case Refuse(left, known_photos):
            raise BadUsage(
                f"Of the {known_photos} photos that this model was trained on, {left} are still in {folder.path}: "
                "this looks like another person.",
                next_step="For another person add --member NAME; the model that is here stays as it is.",
                code="other_person",
            )
        case Reuse(new, gone):
            _tell_reuse(studio.output, new, gone)
        case Follow(training):
            studio.output.say("A training is in hand already; following it.")
            await _finish(studio, training, shot)
        case Train() as todo:
            await upload(studio.member, folder, selfies, todo, studio.output)
            await _tell_engine(studio)
            await _finish(studio, await studio.member.start_training(shot.pending().training_key), shot)


async def _tell_engine(studio: Studio) -> None:
    status = await studio.operator.status()
    minutes = status.expected_minutes
    expected = f"; this takes about {max(round(minutes), 1)} min" if minutes else ""
    studio.output.say(f"Training with {status.engine}{expected}.")
    studio.output.emit(
        "engine", engine=status.engine, picture_size=status.picture_size, expected_minutes=minutes
    )


def _in_hand(trainings: list[Training], *, has_model: bool) -> Training | None:
    """The newest training that still goes on; a parked one counts where there is no model to use meanwhile."""
    for training in trainings:
        if not training.ended and not (has_model and training.status in TRAINING_PARKED):
            return training
    return None


def _tell_reuse(output: Output, new: int, gone: int) -> None:
    output.emit("model", reused=True, new_photos=new, gone_photos=gone)
    if not new and not gone:
        output.say("These photos have a model already; using it.")
        return
    output.say(
        f"The photos changed ({new} new, {gone} gone) since the model was trained; using the model as it is. "
        "--retrain trains a new version on them."
    )


async def _finish(studio: Studio, training: Training, shot: Shot) -> None:
    """Wait until the model is ready."""
    if training.status in TRAINING_PARKED:
        studio.output.say(
            "The model is trained, but its check did not pass yet; trying it again at no new cost."
        )
        training = await studio.member.act_on_training(training.id, "retry")
    training = await follow_training(studio.member, training, studio.output)
    if training.status in TRAINING_PARKED:
        raise CliError(
            f"The model is trained, but it did not pass its check: {training.error}",
            next_step="The studio tries it again while it runs, at no new cost; so does running this command again.",
            code="not_verified",
        )
    if training.status in TRAINING_FAILED:
        shot.training_failed()
        raise CliError(
            training.error or f"The training was {training.status}.",
            next_step=training.next_step or "Run the same command again to train anew.",
            code="training_failed",
        )
    studio.output.say("The model is ready.")
    studio.output.emit("model", reused=False, version=training.version)


async def make_pictures(
    studio: Studio, prompt: str, out: Path | None, photos: PhotoFolder | None, shot: Shot
) -> None:
    """Three pictures of the prompt, stored by the studio, then saved here with their contact sheet."""
    generation = await studio.member.start_generation(prompt, shot.pending().generation_key)
    shot.generation_is(generation.id)
    generation = await follow_generation(studio.member, generation, studio.output)
    if generation.status != "completed":
        shot.done()
        raise CliError(
            generation.error or f"The generation was {generation.status.replace('_', ' ')}.",
            next_step=generation.next_step or "Run the same command again.",
            code="generation_failed",
        )
    status = await studio.operator.status()
    folder = out or pictures.default_out(prompt, generation.id)
    files = pictures.save(
        folder, generation.id, [await studio.member.picture(p.id) for p in generation.pictures]
    )
    sheet = pictures.save_sheet(folder, await _trained_on(studio, photos), files, prompt)
    engine, small = _maker(generation, status)
    record = pictures.save_record(folder, generation, files, engine)
    shot.done()
    _tell_pictures(studio.output, generation, [*files, sheet])
    if small:
        studio.output.say(
            f"These are small ({pictures.size(files[0])}), drawn on this machine by {engine}. For full size "
            "(896×1152) use Replicate's cloud (REPLICATE_API_TOKEN, REPLICATE_USERNAME) or an engine on a GPU."
        )
    studio.output.emit(
        "saved",
        folder=str(folder.resolve()),
        pictures=[str(file.resolve()) for file in files],
        contact_sheet=str(sheet.resolve()),
        record=str(record.resolve()),
        seed=generation.seed,
        version=generation.version,
        unknown_words=list(generation.unknown_words),
    )


async def _trained_on(studio: Studio, photos: PhotoFolder | None) -> list[Path]:
    """The folder's photos that the model knows; a rejected file is never opened here."""
    active, _ = await studio.member.models()
    known = active.photos if active else frozenset()
    return [photo.path for photo in photos.photos if photo.digest in known] if photos else []


def _maker(generation: Generation, status: StudioStatus) -> tuple[str, bool]:
    """Who drew these pictures, and whether it draws small ones: a kept version may live elsewhere than new ones go."""
    if status.is_cloud and generation.version.startswith(f"{ENGINE_USERNAME}/"):
        return "the embedded engine", True
    return status.engine, not status.is_cloud


def _tell_pictures(output: Output, generation: Generation, files: list[Path]) -> None:
    """Where they are, and which words had no effect."""
    if generation.unknown_words:
        words = ", ".join(f'"{word}"' for word in generation.unknown_words)
        output.say(f"Words this small model does not know, so they had no effect: {words}.")
    output.say("Pictures:")
    for file in files:
        output.say(f"  {file}", whole=True)


async def enter(
    operator: StudioApi, memory: MemberMemory, answers: session.Answers, output: Output
) -> Studio:
    """The studio, opened for the member."""
    return Studio(operator, await session.enter(operator, memory, answers, output), output)
