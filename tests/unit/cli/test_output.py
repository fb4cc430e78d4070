"""What people and programs read: words whole on a terminal, one line for a sentence elsewhere, phases that stay."""

import io
import itertools
import json
import time

import pytest
from rich.console import Console

from portraitist.cli.errors import BadUsage
from portraitist.cli.output import Output

LONG = "A sentence of many words that is longer than one line of a terminal of eighty columns can be, and goes on."
WIDTHS = (80, 120)


def on_terminal(width: int) -> tuple[Output, io.StringIO]:
    """An Output whose person sits at a terminal of this width, and what they see."""
    seen = io.StringIO()
    output = Output()
    output._people = output._alarm = Console(
        file=seen, force_terminal=True, width=width, highlight=False, color_system=None
    )
    return output, seen


@pytest.mark.parametrize("width", WIDTHS)
def test_a_terminal_breaks_sentences_between_words_and_never_a_path(width: int) -> None:
    output, seen = on_terminal(width)
    path = "pictures/" + "x" * 150 + "/1.png"
    output.say(LONG)
    output.say(path, whole=True)
    output.error(BadUsage(LONG, next_step=LONG))
    lines = seen.getvalue().splitlines()
    assert path in lines
    assert all(len(line) <= width for line in lines if line != path)
    assert set(LONG.split()) <= {word for line in lines for word in line.split()}


def test_a_log_has_one_line_for_each_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Output().say(LONG)
    Output(json_lines=True).error(BadUsage(LONG, next_step=LONG))
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == LONG
    assert told.err.splitlines() == [LONG, LONG]
    assert json.loads(told.out.splitlines()[1])["message"] == LONG


@pytest.mark.parametrize("width", WIDTHS)
def test_a_phase_that_is_over_leaves_one_line_with_its_time(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, seen = on_terminal(width)
    minutes = itertools.count(step=65.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(minutes))
    with output.bar() as bar:
        bar.update("Training 1/80, 2:10 left", 0.01)
        bar.update("Training 80/80", 1.0)
        bar.update("Packaging the model", None)
    said = seen.getvalue()
    assert said.count("✓ Training 1:05") == 1
    assert said.count("✓ Packaging the model 1:05") == 1


def test_elsewhere_a_bar_is_one_line_for_each_phase_and_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with Output().bar() as bar:
        bar.update("Queued", None)
        for step in range(1, 41):
            bar.update(f"Training {step}/40", step / 40)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Queued"
    assert 10 <= len(lines) <= 12
    assert lines[-1] == "Training 40/40"
