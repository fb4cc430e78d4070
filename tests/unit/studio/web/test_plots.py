"""Small plots: where a line stands, where it breaks, and what is read off it."""

from datetime import UTC, datetime, timedelta

from portraitist.studio.web.admin_pages.plots import FOOT, WIDTH, Frame, plot, strip

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRAME = Frame(START, START + 24 * HOUR, HOUR)


def spots(line: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_time_goes_from_left_to_right_and_more_is_higher() -> None:
    found = plot([(START + n * HOUR, n) for n in range(24)], FRAME)
    [line] = found.lines
    places = spots(line)
    assert places[0] == (0, FOOT)
    assert places == sorted(places, key=lambda place: place[0])
    assert places == sorted(places, key=lambda place: -place[1])
    assert (found.most, found.least, found.most_at) == (23, 0, START + 23 * HOUR)


def test_where_nobody_looked_the_line_breaks() -> None:
    found = plot([(START + n * HOUR, 1) for n in (0, 1, 2, 9, 10, 20)], FRAME)
    assert [len(spots(line)) for line in found.lines] == [3, 2, 2]


def test_little_looks_little() -> None:
    [line] = plot([(START, 1), (START + HOUR, 1)], FRAME, ceiling=100).lines
    assert all(y > FOOT - 2 for _, y in spots(line))


def test_nothing_is_drawn_of_nothing() -> None:
    found = plot([(START, None)], FRAME)
    assert (found.lines, found.most, found.least) == ([], None, None)


def test_a_strip_says_when_it_was_away_and_for_how_long() -> None:
    found = strip([(START + n * HOUR, n not in (3, 4)) for n in range(24)], FRAME)
    assert (len(found.well), len(found.away), found.away_for) == (22, 2, 2 * HOUR)
    assert found.away[0] == (3 * WIDTH / 24, WIDTH / 24)
