"""Which pictures a gallery page is asked for: the words of its address, as a filter and as an address again.

What a filter finds is the gallery's. What can't be read in an address is left out, as people type addresses and dates.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from portraitist.studio.gallery.domain import Filter
from portraitist.studio.locale.figures import midnight
from portraitist.studio.web.visits import query

Short = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True)
class Asked:
    """What a member chose. Days are theirs, both included; without an album saved pictures unless `all`."""

    words: str = ""
    favourite: bool = False
    everything: bool = False
    album_id: UUID | None = None
    look: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def filter(self) -> Filter:
        """As the gallery takes it."""
        return Filter(
            words=self.words,
            saved=None if self.everything or self.album_id else True,
            favourite=True if self.favourite else None,
            album_id=self.album_id,
            since=None if self.since is None else midnight(self.since),
            until=None if self.until is None else midnight(self.until + timedelta(days=1)),
            look=self.look or None,
        )

    @property
    def kept(self) -> dict[str, str]:
        """As fields of a form and of an address; "" where nothing was chosen."""
        return {
            "q": self.words,
            "favourite": "1" if self.favourite else "",
            "all": "1" if self.everything else "",
            "album": str(self.album_id or ""),
            "look": self.look,
            "since": "" if self.since is None else self.since.isoformat(),
            "until": "" if self.until is None else self.until.isoformat(),
        }

    @property
    def narrowed(self) -> bool:
        """Whether anything was chosen but which wall it is."""
        return bool(self.words or self.look or self.since or self.until)

    def address(self, cursor: str | None = None) -> str:
        """The page of these pictures, from there on."""
        return "/gallery" + query(**self.kept, cursor=cursor)

    def on(self, *, favourite: bool = False, everything: bool = False) -> str:
        """The same words and days on another wall."""
        return replace(self, favourite=favourite, everything=everything, album_id=None).address()

    @property
    def zipped(self) -> str:
        """The zip of these pictures."""
        wanted = self.filter
        return "/api/v1/images/zip" + query(
            q=self.words,
            saved="true" if wanted.saved else None,
            favourite="true" if self.favourite else None,
            album=self.kept["album"],
            look=self.look,
            since=None if wanted.since is None else wanted.since.isoformat(),
            until=None if wanted.until is None else wanted.until.isoformat(),
        )


async def asked(
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    favourite: Short = "",
    everything: Annotated[str, Query(alias="all", max_length=100)] = "",
    album: Short = "",
    look: Short = "",
    since: Short = "",
    until: Short = "",
) -> Asked:
    """From the address."""
    return Asked(
        words=q.replace("\0", " ").strip(),
        favourite=bool(favourite),
        everything=bool(everything),
        album_id=id_of(album),
        look=look.replace("\0", " ").strip(),
        since=_day(since),
        until=_day(until),
    )


AskedDep = Annotated[Asked, Depends(asked)]


def id_of(given: str) -> UUID | None:
    """The id that was given; None for anything else."""
    try:
        return UUID(given)
    except ValueError:
        return None


def _day(given: str) -> date | None:
    """A day that has one after it: the calendar's last would have no end."""
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return None
    return day if day < date.max else None
