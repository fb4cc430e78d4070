"""`shoot`, `train`, `generate`: what a person with photos types."""

# Imports stand in the commands, so that --help answers at once; parameters are options, not positions.
# ruff: noqa: PLC0415, PLR0917

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options

if TYPE_CHECKING:
    from portraitist.cli.api import StudioApi
    from portraitist.cli.output import Output

Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Folder with 10 to 50 photos of one person.")]
Prompt = Annotated[
    str, typer.Argument(metavar="PROMPT", help='Where and how: "in a garden, soft morning light".')
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Where the pictures go. Default: pictures/<prompt>-<id>, printed."
    ),
]
Retrain = Annotated[
    bool, typer.Option("--retrain", help="Train a new version on the folder's photos as they are now.")
]


def shoot(
    folder: Folder,
    prompt: Prompt,
    out: Out = None,
    member: options.Member = None,
    subject: options.Subject = None,
    consent: options.Consent = False,
    retrain: Retrain = False,
    json_lines: options.Json = False,
) -> None:
    """Photos in, pictures out: train a model of the person (once), then draw three pictures.

    It can be interrupted and run again: it goes on where it stopped, and nothing is trained or paid twice.
    """
    from portraitist.cli import rim, session, shooting
    from portraitist.cli.folder import read_folder
    from portraitist.cli.memory import MemberMemory, handle_of
    from portraitist.cli.within import in_studio
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        words, photos = shooting.check_prompt(prompt), read_folder(folder)
        shooting.check_out(out)
        home = Home()
        memory = MemberMemory(home.path / "members", handle_of(photos.path, member))
        answers = session.Answers(subject, consent)
        session.check_can_consent(answers, memory)
        shot = memory.shot(words, str(out.resolve()) if out else "")

        async def job(operator: "StudioApi") -> None:
            studio = await shooting.enter(operator, memory, answers, output)
            resuming = shot.resumed()
            if not (resuming and shot.pending().generation_id):
                await shooting.ensure_model(studio, photos, shot, retrain=retrain)
            await shooting.make_pictures(studio, words, out, photos, shot)

        await in_studio(home, output, job)

    rim.perform(json_lines, work)


def train(
    folder: Folder,
    member: options.Member = None,
    subject: options.Subject = None,
    consent: options.Consent = False,
    retrain: Retrain = False,
    json_lines: options.Json = False,
) -> None:
    """Train a model of the person in the folder; the first half of `shoot`."""
    from portraitist.cli import rim, session, shooting
    from portraitist.cli.folder import read_folder
    from portraitist.cli.memory import MemberMemory, handle_of
    from portraitist.cli.within import in_studio
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        photos, home = read_folder(folder), Home()
        memory = MemberMemory(home.path / "members", handle_of(photos.path, member))
        answers = session.Answers(subject, consent)
        session.check_can_consent(answers, memory)
        shot = memory.shot("", "")

        async def job(operator: "StudioApi") -> None:
            studio = await shooting.enter(operator, memory, answers, output)
            await shooting.ensure_model(studio, photos, shot, retrain=retrain)
            shot.done()

        await in_studio(home, output, job)

    rim.perform(json_lines, work)


def generate(
    prompt: Prompt,
    folder: options.PhotosOption = None,
    member: options.Member = None,
    out: Out = None,
    json_lines: options.Json = False,
) -> None:
    """Draw three pictures with a model that is trained already; the second half of `shoot`."""
    from portraitist.cli import rim, session, shooting
    from portraitist.cli.memory import MemberMemory, chosen_handle
    from portraitist.cli.within import in_studio
    from portraitist.kit.homes import Home

    async def work(output: "Output") -> None:
        words, home = shooting.check_prompt(prompt), Home()
        shooting.check_out(out)
        memory = MemberMemory(home.path / "members", chosen_handle(folder, member))
        shot = memory.shot(words, str(out.resolve()) if out else "")

        async def job(operator: "StudioApi") -> None:
            api = await session.known(operator, memory)
            await shooting.make_pictures(shooting.Studio(operator, api, output), words, out, None, shot)

        await in_studio(home, output, job)

    rim.perform(json_lines, work)
