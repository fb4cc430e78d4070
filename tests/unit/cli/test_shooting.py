"""The whole job against a scripted studio: first run, second run, and every way to be interrupted or refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.unit.cli.fake_studio import FakeStudio

from portraitist.cli import session, shooting
from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage, CliError
from portraitist.cli.folder import PhotoFolder, read_folder
from portraitist.cli.memory import MemberMemory, handle_of
from portraitist.cli.output import Output

pytestmark = pytest.mark.anyio

PROMPT = "in a garden, soft morning light"


class Shooter:
    """One user at one machine: the same memory at every run."""

    def __init__(self, operator: StudioApi, home: Path) -> None:
        self.operator = operator
        self.home = home
        self.out = home / "out"

    async def shoot(self, folder: Path, *, retrain: bool = False, member: str | None = None) -> None:
        await self.train(folder, retrain=retrain, member=member)
        await self.draw(folder, member=member)

    async def train(self, folder: Path, *, retrain: bool = False, member: str | None = None) -> None:
        photos = read_folder(str(folder))
        studio = await self._studio(photos, member)
        await shooting.ensure_model(studio, photos, self._shot(photos, member), retrain=retrain)

    async def draw(self, folder: Path, *, member: str | None = None) -> None:
        photos = read_folder(str(folder))
        studio = await self._studio(photos, member)
        shot = self._shot(photos, member)
        await shooting.make_pictures(studio, PROMPT, self.out, photos, shot)

    async def _studio(self, photos: PhotoFolder, member: str | None) -> shooting.Studio:
        answers = session.Answers(subject=None, consent=True)
        return await shooting.enter(
            self.operator, self._memory(photos, member), answers, Output(json_lines=True)
        )

    def _memory(self, photos: PhotoFolder, member: str | None) -> MemberMemory:
        return MemberMemory(self.home / "members", handle_of(photos.path, member))

    def _shot(self, photos: PhotoFolder, member: str | None):  # type: ignore[no-untyped-def]
        return self._memory(photos, member).shot(PROMPT, str(self.out))


@pytest.fixture
def shooter(operator: StudioApi, tmp_path: Path) -> Shooter:
    return Shooter(operator, tmp_path / "home")


def events(capsys: pytest.CaptureFixture[str], kind: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"] == kind]


async def test_a_first_shoot_trains_and_leaves_pictures_sheet_and_record(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    await shooter.shoot(photo_folder())
    names = sorted(file.name for file in shooter.out.iterdir())
    assert names == ["contact-sheet.png", "g0-0000--1.png", "g0-0000--2.png", "g0-0000--3.png", "shoot.json"]
    record = json.loads((shooter.out / "shoot.json").read_text())
    assert record["prompt"] == PROMPT
    assert record["seed"] == 7
    with Image.open(shooter.out / "contact-sheet.png") as sheet:
        assert sheet.width > 3 * 288
    steps = [event["step"] for event in events(capsys, "training")]
    assert 40 in steps
    assert len(fake.trainings) == len(fake.generations) == 1


async def test_a_rejected_file_is_never_opened_for_the_contact_sheet(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    (folder / "00.jpg").write_text("this is a text")
    first = read_folder(str(folder)).photos[0]
    fake.rejected = {first.digest: "Not a picture."}
    await shooter.shoot(folder)
    assert (shooter.out / "contact-sheet.png").is_file()


async def test_the_honest_words_about_size_and_unknown_words_are_said(
    shooter: Shooter, photo_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    await shooter.shoot(photo_folder())
    said = " ".join(capsys.readouterr().err.split())
    assert 'does not know, so they had no effect: "soft"' in said
    assert "small (96x128)" in said  # as the files are, whatever the engine says of itself
    assert "896×1152" in said


async def test_a_second_shoot_with_the_same_folder_trains_nothing(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    await shooter.shoot(folder)
    await shooter.shoot(folder)
    assert len(fake.trainings) == 1
    assert len(fake.generations) == 2
    assert len(list(shooter.out.glob("g*.png"))) == 6


async def test_changed_photos_keep_the_model_until_retrain_is_said(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photo_folder()
    await shooter.shoot(folder)
    Image.new("RGB", (64, 64), "white").save(folder / "new.jpg")
    (folder / "00.jpg").unlink()
    await shooter.train(folder)
    assert len(fake.trainings) == 1
    assert "1 new, 1 gone" in capsys.readouterr().err
    fake.training_script = [{"status": "completed", "phase": "completed"}]
    await shooter.shoot(folder, retrain=True)
    assert len(fake.trainings) == 2
    assert fake.trainings[1]["photos"] == fake.accepted()
    assert {item["file_name"] for item in fake.selfies} >= {"new.jpg"}
    assert "00.jpg" not in {item["file_name"] for item in fake.selfies}


async def test_a_run_interrupted_while_drawing_goes_on_with_the_same_generation(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    await shooter.train(folder)
    photos = read_folder(str(folder))
    shot = shooter._shot(photos, None)
    member = await shooter._studio(photos, None)
    started = await member.member.start_generation(PROMPT, shot.pending().generation_key)
    await shooter.draw(folder)
    assert [generation["id"] for generation in fake.generations] == [started.id]


async def test_a_retraining_interrupted_after_its_end_is_not_repeated(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    await shooter.shoot(folder)
    fake.training_script = [{"status": "completed", "phase": "completed"}]
    await shooter.train(folder, retrain=True)
    await shooter.shoot(folder, retrain=True)
    assert len(fake.trainings) == 2


async def test_a_training_in_hand_is_followed(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    fake.training_script.insert(0, {"status": "failed", "phase": "failed", "error": "Cut off."})
    with pytest.raises(CliError):
        await shooter.train(folder)
    fake.trainings[0]["status"] = "training"
    await shooter.train(folder)
    assert len(fake.trainings) == 1


async def test_too_few_good_photos_are_refused_with_their_reasons_before_anything_is_trained(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photo_folder(12)
    digests = [photo.digest for photo in read_folder(str(folder)).photos]
    fake.rejected = dict.fromkeys(digests[:3], "Too blurry: hold the phone still.")
    with pytest.raises(BadUsage, match="9 of the 12 photos can be used; a model needs at least 10"):
        await shooter.train(folder)
    assert fake.trainings == []
    assert "Too blurry" in capsys.readouterr().err


async def test_another_persons_photos_in_the_same_folder_are_refused_until_they_get_a_name(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    await shooter.shoot(folder)
    for file in folder.iterdir():
        Image.new("RGB", (64, 64), (5, 200, int(file.stem))).save(file)
    with pytest.raises(BadUsage, match="looks like another person") as caught:
        await shooter.shoot(folder)
    assert "--member" in str(caught.value.next_step)
    assert len(fake.trainings) == 1


async def test_a_failed_training_says_why_and_the_next_run_trains_anew(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    good = fake.training_script
    fake.training_script = [
        {"status": "failed", "phase": "failed", "error": "Out of memory.", "next_step": "Close programs."}
    ]
    fake.training_script[0] |= {"step": None, "total_steps": None}
    with pytest.raises(CliError, match="Out of memory") as caught:
        await shooter.train(folder)
    assert caught.value.next_step == "Close programs."
    fake.training_script = good
    await shooter.train(folder)
    assert [training["status"] for training in fake.trainings] == ["failed", "completed"]


async def test_a_failed_generation_is_asked_for_anew_by_the_next_run(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path]
) -> None:
    folder = photo_folder()
    fake.generation_end = {
        "status": "failed",
        "error": "No picture came out.",
        "next_step": "Try another prompt.",
    }
    with pytest.raises(CliError, match="No picture came out"):
        await shooter.shoot(folder)
    fake.generation_end = {"status": "completed"}
    await shooter.shoot(folder)
    assert [generation["status"] for generation in fake.generations] == ["failed", "completed"]


async def test_without_the_event_stream_polling_sees_the_same_end(
    shooter: Shooter, fake: FakeStudio, photo_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.cli.follow.POLL_S", 0.0)
    fake.streams = False
    await shooter.train(photo_folder())
    assert fake.active is not None


async def test_consent_is_asked_for_and_where_nobody_can_answer_nothing_is_uploaded(
    operator: StudioApi, fake: FakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemberMemory(tmp_path, "name:ada")
    silent = session.Answers(subject="woman", consent=False)
    monkeypatch.setattr(session, "can_ask", lambda: False)
    with pytest.raises(BadUsage, match="consent"):
        await session.enter(operator, memory, silent, Output())
    assert not fake.consented
    await session.enter(operator, memory, session.Answers("woman", consent=True), Output())
    assert fake.consented
    await session.enter(operator, memory, silent, Output())  # given once, never asked again


def test_an_empty_prompt_and_an_endless_one_are_refused() -> None:
    with pytest.raises(BadUsage, match="empty"):
        shooting.check_prompt("  \n")
    with pytest.raises(BadUsage, match="2001 characters"):
        shooting.check_prompt("x" * 2001)
    assert shooting.check_prompt(" a garden ") == "a garden"


def test_a_place_that_cannot_hold_pictures_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadUsage, match="is a file"):
        shooting.check_out(tmp_path / "file")
    with pytest.raises(BadUsage, match="can't be saved"):
        shooting.check_out(tmp_path / "file" / "below")
