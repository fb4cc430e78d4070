"""No log line holds a secret, a prompt or the query part of an address, whoever wrote it."""

import json
import logging
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from portraitist.kit.logging import clean_text, configure, logger

pytestmark = pytest.mark.usefixtures("restored_logs")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_facts_are_kept_and_secrets_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    logger("a.b").info("job done", kind="advance", api_token="t0p", headers={"Authorization": "Bearer t0p"})
    (line,) = lines(capsys)
    assert (line["event"], line["kind"], line["level"], line["logger"]) == (
        "job done",
        "advance",
        "info",
        "a.b",
    )
    assert line["api_token"] == "[redacted]"
    assert "t0p" not in json.dumps(line)


def test_libraries_logs_pass_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    logging.getLogger("some_library.access").info(
        '"%s %s HTTP/1.1" %d', "GET", "/file/a.png?sig=t0p&x=1", 200
    )
    (line,) = lines(capsys)
    assert line["event"] == '"GET /file/a.png?[redacted] HTTP/1.1" 200'


def test_an_exceptions_text_is_cleaned_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    try:
        raise ValueError("no answer from https://user:t0p@host/file?token=t0p")
    except ValueError:
        logger("x").exception("failed")
    (line,) = lines(capsys)
    assert "https://[redacted]@host/file?[redacted]" in line["exception"]
    assert "t0p" not in json.dumps(line)


def test_an_exception_that_quotes_rows_or_input_is_told_without_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Row(BaseModel):
        words: int

    configure(json=True)
    canary = "t0p"  # a traceback shows the lines of the source, not what their names stand for
    try:
        Row.model_validate({"words": canary})
    except ValueError:
        logger("x").exception("failed")
    try:
        raise psycopg.errors.CheckViolation(f"new row\nDETAIL:  Failing row contains (1,\n\n{canary}).")
    except psycopg.Error as error:
        logging.getLogger("some_library").error("failed", exc_info=error)
    ours, librarys = lines(capsys)
    assert "('words',): int_parsing" in ours["exception"]
    assert "psycopg.errors.CheckViolation: SQLSTATE 23514" in librarys["exception"]
    assert "test_logging.py" in librarys["exception"]
    assert canary not in json.dumps([ours, librarys])


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True, level="warning")
    logger("x").info("not this")
    logger("x").warning("this")
    assert [line["event"] for line in lines(capsys)] == ["this"]


def test_a_terminal_gets_readable_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=False)
    logger("x").info("started", password="t0p", port=80)
    shown = capsys.readouterr().err
    assert "started" in shown
    assert "port=80" in shown
    assert "t0p" not in shown


@given(st.text(alphabet="abc?=&/:@ .", max_size=60))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


@pytest.mark.parametrize(
    "text",
    ["is it so? yes", "what is 1 + 1?", "a = b", "see https://host/path", "time 12:30", "f(x)?"],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert clean_text(text) == text
