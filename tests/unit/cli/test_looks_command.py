"""`portraitist looks` as a program: what is offered, and what is wrong with a folder of one's own."""

import json
from pathlib import Path

from tests.unit.cli.test_commands import portraitist
from tests.unit.studio.photoshoot.test_operators_looks import GOOD


def test_ours_are_listed_with_an_operators_beside_them(tmp_path: Path) -> None:
    (tmp_path / "harbour-days.toml").write_text(GOOD)
    done = portraitist("looks", str(tmp_path), "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    told = {line["slug"]: line["looks"] for line in map(json.loads, done.stdout.splitlines())}
    assert told["harbour-days"] == ["north-pier"]
    assert len(told["editorial-power"]) == 8


def test_a_bad_file_is_told_with_file_look_and_field(tmp_path: Path) -> None:
    (tmp_path / "harbour-days.toml").write_text(GOOD.replace("calm and confident", "grey"))
    done = portraitist("looks", str(tmp_path), home=tmp_path)
    assert done.returncode == 1
    assert "harbour-days.toml, look north-pier, mood: It has no mood" in done.stdout + done.stderr
    assert portraitist("looks", str(tmp_path / "nowhere"), home=tmp_path).returncode == 2
