"""Dates, times of day and numbers as a language writes them, by the clock of whoever reads them.

The time zone is the running task's: `web.speaking` sets it for each request. Nobody has set it: UTC, and times say so.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, tzinfo
from itertools import groupby
from typing import TypeVar
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from portraitist.studio.locale.catalogs import SOURCE
from portraitist.studio.locale.words import language

MOST_OF_A_NAME = 64
Thing = TypeVar("Thing")
_zone: ContextVar[tzinfo | None] = ContextVar("zone", default=None)


@contextmanager
def placed(zone: str | None) -> Iterator[None]:
    """Say every time within by the clocks of this zone ("Europe/Berlin"); by UTC where there is no such zone."""
    token = _zone.set(_known(zone) if zone else None)
    try:
        yield
    finally:
        _zone.reset(token)


def _known(name: str) -> tzinfo | None:
    """The zone of that name, which anybody may have made up."""
    if len(name) > MOST_OF_A_NAME:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such name, not even a name, or a folder of names
        return None


def local(at: datetime) -> datetime:
    """The moment by the reader's clock."""
    return at.astimezone(_zone.get() or UTC)


def by_day(things: Iterable[Thing], at: Callable[[Thing], datetime]) -> list[list[Thing]]:
    """Things in order, together where they are of one day by the reader's clock."""
    return [list(some) for _, some in groupby(things, key=lambda thing: local(at(thing)).date())]


def midnight(day: date) -> datetime:
    """When that day begins for the reader."""
    return datetime.combine(day, time(), _zone.get() or UTC)


def _place() -> Locale:
    return Locale.parse("en_GB" if language() == SOURCE else language())


def day(at: date) -> str:
    """A date for people: 22 November 2026; of a moment the reader's day, of a day itself."""
    return format_date(local(at) if isinstance(at, datetime) else at, "long", locale=_place())


def clock(at: datetime) -> str:
    """A time of day to the second; with its zone where it is not the reader's."""
    return _time(at, "medium")


def minute(at: datetime) -> str:
    """A time of day to the minute; with its zone where it is not the reader's."""
    return _time(at, "short")


def _time(at: datetime, length: str) -> str:
    moment = local(at)
    said = format_time(moment, length, tzinfo=moment.tzinfo, locale=_place())
    return said if _zone.get() else f"{said} UTC"


def number(figure: float, places: int = 0) -> str:
    """A number with its thousands apart and at most so many decimal places."""
    return format_decimal(round(figure, places), locale=_place())
