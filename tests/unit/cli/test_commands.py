"""The command as a program: help, exit codes, and no traceback for a user's mistake."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

COMMANDS = (
    "shoot",
    "train",
    "generate",
    "up",
    "web",
    "worker",
    "engine",
    "migrate",
    "doctor",
    "members",
    "events",
    "password",
    "reset",
    "trainings",
    "models",
    "account",
    "looks",
    "picture",
)


def portraitist(*arguments: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command with an environment of its own and nobody at the keyboard."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "portraitist.cli", *arguments],
        env={**kept, "PORTRAITIST_HOME": str(home), "HOME": str(home), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command_and_the_exit_codes_at_once(tmp_path: Path) -> None:
    started = time.process_time_ns()
    done = portraitist("--help", home=tmp_path)
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout
    assert "130 interrupted" in " ".join(done.stdout.split())
    assert time.process_time_ns() - started < 5 * 10**9


def test_help_loads_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    code = "import sys, portraitist.cli.main; print(sorted({'torch', 'fastapi', 'psycopg', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_exit_codes(command: str, tmp_path: Path) -> None:
    done = portraitist(command, "--help", home=tmp_path)
    assert done.returncode == 0
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("shoot", "nowhere", "in a garden"), "does not exist"),
        (("shoot", "", "in a garden"), "No folder"),
        (("shoot", ".", ""), "prompt is empty"),
        (("shoot", ".", "x" * 2001), "2001 characters"),
        (("generate", "in a garden"), "Whose"),
        (("trainings", "list"), "Whose"),
        (("train", "nowhere"), "does not exist"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = portraitist(*arguments, home=tmp_path / "home")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "postgres").exists()


@pytest.mark.parametrize("arguments", [("invite",), ("reset-link", "anna@example.org")])
def test_no_link_is_handed_out_that_leads_to_a_studio_which_stops_again(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = portraitist("members", *arguments, home=tmp_path / "home")
    assert done.returncode == 3
    assert "portraitist up" in done.stderr
    assert not (tmp_path / "home" / "postgres").exists()


def test_with_json_the_mistake_is_one_object_on_stdout(tmp_path: Path) -> None:
    done = portraitist("shoot", "nowhere", "in a garden", "--json", home=tmp_path)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["code"] == "no_folder"


def test_without_consent_and_without_anybody_to_ask_nothing_is_started(
    tmp_path: Path, photo_folder: Callable[..., Path]
) -> None:
    done = portraitist("shoot", str(photo_folder()), "in a garden", home=tmp_path / "home")
    assert done.returncode == 2
    assert "CONSENT=1" in done.stderr
    assert not (tmp_path / "home" / "postgres").exists()


def test_a_part_started_without_its_settings_names_them(tmp_path: Path) -> None:
    done = portraitist("web", home=tmp_path)
    assert done.returncode == 2
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_address_that_leads_nowhere_is_exit_code_3_and_hides_the_password(tmp_path: Path) -> None:
    url = "postgresql://app:s3cret@127.0.0.1:1/none"
    done = portraitist("migrate", home=tmp_path, DATABASE_URL=url, DATABASE_OWNER_URL=url)
    assert done.returncode == 3
    assert "DATABASE_OWNER_URL" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = portraitist("up", home=tmp_path / "file" / "home")
    assert done.returncode == 1
    assert "PORTRAITIST_HOME" in done.stderr
    assert "Traceback" not in done.stderr
