"""Logs call a member by a name that leads to nobody once the account is erased."""

import json
import logging
from pathlib import Path

import pytest

from portraitist.kit.homes import Home
from portraitist.kit.logging import configure, logger
from portraitist.studio import architecture
from portraitist.studio.log_names import pseudonyms_of

MEMBER = "k3v9x2m7q1ab"
SAID = {
    "user_id": MEMBER,
    "reason": f"no room for members/{MEMBER}/selfies/1.jpg",
    "version": f"studio/{architecture.model_name(MEMBER)}:{'9f' * 32}",
    "about": [{"words": f"{architecture.trigger_word(MEMBER)}, in a garden"}],
}

pytestmark = pytest.mark.usefixtures("restored_logs")


def test_an_id_is_never_written_wherever_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = pseudonyms_of(Home(tmp_path))
    configure(json=True, pseudonyms=names)
    logger("a").info("training.started", **SAID)
    logging.getLogger("a.library").warning("GET /files/members/%s/a.png", MEMBER)

    said = capsys.readouterr().err

    assert MEMBER not in said
    first = json.loads(said.splitlines()[0])
    assert first["user_id"] == names.of(MEMBER)
    assert first["version"].startswith(f"studio/{names.of(MEMBER)}-selfie-lora:"), "what it is about stays"
    assert said.count(names.of(MEMBER)) == len(SAID) + 1


def test_without_the_names_the_id_would_stand_there(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    logger("a").info("training.started", **SAID)
    assert capsys.readouterr().err.count(MEMBER) == len(SAID)


def test_an_installation_keeps_its_names_and_another_has_others(tmp_path: Path) -> None:
    here, again = (pseudonyms_of(Home(tmp_path / "a")).of(MEMBER) for _ in range(2))
    assert here == again != pseudonyms_of(Home(tmp_path / "b")).of(MEMBER)
