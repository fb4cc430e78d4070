"""What a picture's file is called, what hearts and saves mean, what an album may be called."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.errors import BadInput
from portraitist.studio.gallery.domain import album_name
from portraitist.studio.images.domain import Image, Marks
from portraitist.studio.paging import Position, Wanted, cut, wanted

PICTURE = Image(
    user_id="aaaaaaaaaaaa",
    id=uuid4(),
    generation_id=uuid4(),
    index=1,
    object_key="k",
    sha256=b"",
    width=896,
    height=1152,
    bytes=1,
    saved=False,
    favourite=False,
    words="",
    deleted_at=None,
    created_at=datetime(2026, 11, 21, 23, 59, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("in a garden, soft morning light", "2026-11-21 in a garden soft morning light 2.png"),
        ("../../etc/passwd", "2026-11-21 etc passwd 2.png"),
        ('a "quote" <b> | con: ?*', "2026-11-21 a quote b con 2.png"),
        ("im Grünen, 庭で", "2026-11-21 im Grünen 庭で 2.png"),
        ("🌊🌊", "2026-11-21 picture 2.png"),
        ("word " * 40, f"2026-11-21 {('word ' * 12).strip()} 2.png"),
    ],
)
def test_a_file_is_called_by_its_day_and_its_words(words: str, name: str) -> None:
    assert replace(PICTURE, words=words).file_name == name


@given(st.text(max_size=300))
def test_any_words_make_a_name_that_every_system_takes(words: str) -> None:
    name = replace(PICTURE, words=words).file_name
    assert not set(name) & set('/\\:*?"<>|\0\n\r\t')
    assert name.startswith("2026-11-21 ")
    assert len(name) <= 80


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        ((False, False), Marks(favourite=True), (True, True)),
        ((True, True), Marks(saved=False), (False, False)),
        ((True, True), Marks(favourite=False), (True, False)),
        ((False, False), Marks(saved=True), (True, False)),
        ((True, True), Marks(), (True, True)),
        ((False, False), Marks(saved=False, favourite=True), (True, True)),
    ],
)
def test_a_favourite_is_always_saved(
    before: tuple[bool, bool], said: Marks, after: tuple[bool, bool]
) -> None:
    assert said.on(replace(PICTURE, saved=before[0], favourite=before[1])) == after


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        (" Summer \n by  the sea ", "Summer by the sea"),
        ("", None),
        (" \t", None),
        ("x" * 81, None),
        ("\x00a", "a"),
    ],
)
def test_an_albums_name_is_one_line(given_name: str, kept: str | None) -> None:
    assert album_name(given_name) == kept


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)), st.uuids())
def test_a_cursor_is_the_position_it_was_made_of(at: datetime, row_id: object) -> None:
    position = Position(at.replace(tzinfo=UTC), row_id)  # type: ignore[arg-type]
    assert wanted(str(position)).after == position


@given(st.text(max_size=60))
def test_what_is_no_cursor_of_ours_is_refused(cursor: str) -> None:
    try:
        assert str(wanted(cursor).after)
    except BadInput as refusal:
        assert refusal.code == "cursor_invalid"


def test_a_page_that_ends_with_the_list_has_no_next() -> None:
    def at(n: int) -> Position:
        return Position(datetime(2026, 1, n, tzinfo=UTC), uuid4())

    assert cut([1, 2], Wanted(None, 2), at) == ([1, 2], None)
    shown, following = cut([1, 2, 3], Wanted(None, 2), at)
    assert shown == [1, 2]
    assert following is not None
