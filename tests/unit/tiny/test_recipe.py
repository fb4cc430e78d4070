"""The base recipe from end to end, for seconds: that it makes a checkpoint, and goes on from one."""

import json
from pathlib import Path

import pytest

from portraitist.engine.tiny import bundle, recipe


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    from portraitist.engine.tiny import base_autoencoder, base_flow

    monkeypatch.setattr(recipe, "PORTRAITS", 16)
    monkeypatch.setattr(recipe, "LEAVES", 8)
    monkeypatch.setattr(recipe, "HELD_OUT", 4)
    monkeypatch.setattr(recipe, "AUTOENCODER_STEPS", 3)
    monkeypatch.setattr(base_flow, "FIRST_PORTRAITS", 8)
    monkeypatch.setattr(base_flow, "MORE_PORTRAITS", 8)
    monkeypatch.setattr(base_flow, "HELD_OUT", 4)
    monkeypatch.setattr(base_flow, "BATCH", 4)
    monkeypatch.setattr(base_autoencoder, "PORTRAITS", 2)
    monkeypatch.setattr(base_autoencoder, "LEAVES", 1)


@pytest.mark.slow
@pytest.mark.usefixtures("_few")
def test_the_recipe_makes_a_checkpoint_and_goes_on_from_it(tmp_path: Path) -> None:
    said: list[str] = []
    recipe.run(tmp_path / "first", 4, None, said.append)
    first = bundle.describe(tmp_path / "first")
    assert first["finished"]
    assert first["steps"] == 4
    assert first["autoencoder"]["steps"] == 3
    assert first["autoencoder"].keys() == {"seconds", "steps", "held_out_loss"}
    assert any("held-out loss" in line for line in said)

    recipe.run(tmp_path / "second", 3, tmp_path / "first", said.append)
    second = bundle.describe(tmp_path / "second")
    assert second["steps"] > first["steps"]
    assert second["seconds"] > first["seconds"]
    assert second["portraits"] == first["portraits"] + 8
    assert second["autoencoder"] == first["autoencoder"]
    assert json.loads((tmp_path / "second-work" / "history.json").read_text())[0] == first["seconds"]

    recipe.run(tmp_path / "second", 2, tmp_path / "first", said.append)  # by its own work folder this time
    assert bundle.describe(tmp_path / "second")["steps"] > first["steps"]  # from where the rate began to fall


@pytest.mark.slow
@pytest.mark.usefixtures("_few")
def test_the_recipe_makes_the_same_base_again(tmp_path: Path) -> None:
    made = []
    for name in ("once", "again"):
        recipe.run(tmp_path / name, 4, None, lambda line: None)
        made.append(bundle.describe(tmp_path / name))
    once, again = made
    assert again["held_out_loss"] == pytest.approx(once["held_out_loss"], rel=0.02)
    assert again["autoencoder"]["held_out_loss"] == pytest.approx(
        once["autoencoder"]["held_out_loss"], rel=0.02
    )
