"""Whatever a provider answers becomes our types or our own error, never a surprise."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portraitist.studio.architecture import TRAINER_VERSION
from portraitist.studio.provider import wire
from portraitist.studio.provider.port import RemoteStatus
from portraitist.studio.provider.wire import MalformedAnswer, TrainedVersion, Unparsed, parse_trained_version

HASH = "0123456789abcdef" * 4
OWN = "studio/ab12cd34ef56-selfie-lora"
FOUND = TrainedVersion("studio", "ab12cd34ef56-selfie-lora", HASH)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text",
    [
        f"{OWN}:{HASH}",
        f" {OWN}:{HASH}\n",
        f"{OWN}/versions/{HASH}",
        HASH,
        f"https://replicate.com/{OWN}:{HASH}",
        f"https://replicate.com/{OWN}/versions/{HASH}/",
        f"https://replicate.com/{OWN}/versions/{HASH}?from=mail#top",
        f"replicate.com/{OWN}:{HASH}",
        f"https://api.replicate.com/v1/models/{OWN}/versions/{HASH}",
        f"http://127.0.0.1:8700/v1/models/{OWN}/versions/{HASH}",
    ],
)
def test_every_form_of_the_trained_version_is_read(text: str) -> None:
    assert parse_trained_version({"version": text, "weights": "https://x/y.tar"}, OWN) == FOUND
    assert parse_trained_version({"model": text}, OWN) == FOUND
    assert parse_trained_version(text, OWN) == FOUND


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (None, "no_output"),
        ({}, "no_output"),
        ("", "no_output"),
        ({"weights": "https://replicate.delivery/x/trained_model.tar"}, "no_version"),
        ({"version": None}, "no_version"),
        ({"version": ["x"]}, "no_version"),
        (7, "no_version"),
        ({"version": "null:null"}, "unreadable"),
        ({"version": f"{OWN}:{HASH[:8]}"}, "unreadable"),
        ({"version": f"{OWN}:{HASH.upper()}"}, "unreadable"),
        ({"version": f"{OWN}:{HASH}0"}, "unreadable"),
        ({"version": OWN}, "unreadable"),
        ({"version": "https://replicate.com/p/yhyxz6wh8nrme0cm2cqr2yxkqc"}, "unreadable"),
        ({"version": f"studio/zz99yy88xx77-selfie-lora:{HASH}"}, "other_destination"),
        ({"version": f"{OWN}x:{HASH}"}, "other_destination"),
        ({"version": f"https://replicate.com/other/ab12cd34ef56-selfie-lora:{HASH}"}, "other_destination"),
        ({"version": TRAINER_VERSION}, "trainer_version"),
        ({"version": f"{OWN}:{TRAINER_VERSION}"}, "trainer_version"),
    ],
)
def test_what_is_no_own_version_is_unparsed_with_its_reason(output: object, reason: str) -> None:
    assert parse_trained_version(output, OWN) == Unparsed(reason)  # type: ignore[arg-type]


def test_the_version_comes_before_the_model_and_the_model_only_helps_out() -> None:
    other = "f" * 64
    assert parse_trained_version({"version": f"{OWN}:{HASH}", "model": f"{OWN}:{other}"}, OWN) == FOUND
    assert parse_trained_version({"version": "hidden", "model": f"{OWN}:{HASH}"}, OWN) == FOUND
    foreign = {"version": f"studio/zz99yy88xx77-selfie-lora:{other}", "model": f"{OWN}:{HASH}"}
    assert parse_trained_version(foreign, OWN) == Unparsed("other_destination")


TEXTS = st.text() | st.lists(
    st.sampled_from(
        ["https://", "replicate.com", "/", ":", "versions", HASH, OWN, "?", "#", "[", "v1/models/", "@"]
    )
).map("".join)


@given(JSON_VALUES | TEXTS | st.fixed_dictionaries({"version": TEXTS, "model": JSON_VALUES | TEXTS}), TEXTS)
@example({"version": "https://[/" + HASH}, OWN)
@example({"version": HASH}, "")
def test_any_output_gives_an_own_version_or_a_reason(output: Any, destination: str) -> None:
    found = parse_trained_version(output, destination)
    if isinstance(found, TrainedVersion):
        assert f"{found.owner}/{found.name}" == destination
        assert len(found.version_id) == 64 and set(found.version_id) <= set("0123456789abcdef")


@given(JSON_VALUES)
def test_any_json_is_an_object_of_ours_or_malformed(value: Any) -> None:
    decoded = wire.decode(json.dumps(value).encode())
    for parse in (wire.training, wire.prediction, wire.file, lambda found: wire.version(found, "o", "n")):
        try:
            parse(decoded)
        except MalformedAnswer:
            continue


@given(
    st.dictionaries(
        st.sampled_from(["id", "status", "input", "output", "logs", "error", "created_at", "metrics"]),
        JSON_VALUES,
    )
)
def test_objects_with_odd_values_are_read_as_far_as_they_go(value: dict[str, Any]) -> None:
    decoded = wire.decode(json.dumps(value | {"id": "r1"}).encode())
    assert wire.training(decoded).id == wire.prediction(decoded).id == "r1"


@given(st.binary())
@example(b"<html><body>502 Bad Gateway</body></html>")
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b'{"a":' * 5_000 + b"1" + b"}" * 5_000)
@example(b'{"id": NaN}')
@example(b"9" * 5_000)
def test_bytes_that_are_not_json_are_malformed(content: bytes) -> None:
    try:
        json.dumps(wire.decode(content), ensure_ascii=False).encode()
    except MalformedAnswer:
        return


def test_what_postgresql_cannot_store_is_replaced() -> None:
    decoded = wire.decode(rb'{"id": "a\u0000b", "\u0000": "\ud800", "n": [{"x": "\u0000"}]}')
    assert decoded == {"id": "a\ufffdb", "\ufffd": "?", "n": [{"x": "\ufffd"}]}


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2024-12-05T10:11:12.345Z", 345_000),
        ("2024-12-05T10:11:12.345678Z", 345_678),
        ("2024-12-05T10:11:12.345678901Z", 345_678),
        ("2024-12-05T10:11:12Z", 0),
        ("2024-12-05T12:11:12.5+02:00", 500_000),
    ],
)
def test_times_with_any_number_of_digits_are_read(text: str, microsecond: int) -> None:
    assert wire.timestamp(text) == datetime(2024, 12, 5, 10, 11, 12, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", [None, 5, "", "yesterday", "2024-13-05T10:11:12Z", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_none(text: Any) -> None:
    assert wire.timestamp(text) is None


def test_unknown_statuses_are_not_the_end() -> None:
    assert wire.status("warming") is RemoteStatus.UNKNOWN
    assert not RemoteStatus.UNKNOWN.is_terminal
    assert wire.status(None) is RemoteStatus.UNKNOWN
    assert {status for status in RemoteStatus if status.is_terminal} == {
        "succeeded",
        "failed",
        "canceled",
        "aborted",
    }


HOST = "https://replicate.delivery/xezq/abc"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ([f"{HOST}/out-0.png", f"{HOST}/out-2.png"], ((0, f"{HOST}/out-0.png"), (2, f"{HOST}/out-2.png"))),
        ([f"{HOST}/out-2.png", f"{HOST}/out-1.png"], ((1, f"{HOST}/out-1.png"), (2, f"{HOST}/out-2.png"))),
        ([f"{HOST}/a.png", f"{HOST}/b.png"], ((0, f"{HOST}/a.png"), (1, f"{HOST}/b.png"))),
        (
            [f"{HOST}/1/out-0.png", f"{HOST}/2/out-0.png"],
            ((0, f"{HOST}/1/out-0.png"), (1, f"{HOST}/2/out-0.png")),
        ),
        (f"{HOST}/out.png", ((0, f"{HOST}/out.png"),)),
        ([f"{HOST}/out-1.png?sig=x"], ((1, f"{HOST}/out-1.png?sig=x"),)),
        (["https://[/out-1.png"], ((0, "https://[/out-1.png"),)),
        ([None, 3, "data:image/png;base64,AA"], ()),
        (None, ()),
        ([], ()),
    ],
)
def test_pictures_keep_their_index(output: Any, expected: tuple[tuple[int, str], ...]) -> None:
    assert wire.output_indexes(output) == expected


def test_a_training_as_the_cloud_first_answers_it_is_read() -> None:
    found = wire.training(
        {"id": "r1", "status": "starting", "logs": None, "output": None, "input": {"steps": 1000}}
    )
    assert (found.status, found.logs, found.output, found.input) == (
        RemoteStatus.STARTING,
        "",
        None,
        {"steps": 1000},
    )


def test_errors_that_are_objects_become_text() -> None:
    assert wire.prediction({"id": "r1", "error": {"detail": "odd"}}).error == '{"detail": "odd"}'
