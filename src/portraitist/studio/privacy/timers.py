"""How long things are kept, when that is announced, and when it strikes. Pure; the lengths are settings' (`config`)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

NOTICE = timedelta(days=3)
"""Photos are deleted no sooner than this after the member was told. The database knows the same."""


@dataclass(frozen=True)
class PhotoTimer:
    """A member's timer for photos. `trained_at`: the end of the training that the announcement is about."""

    keeps: bool = False
    trained_at: datetime | None = None
    announced_at: datetime | None = None
    strikes_at: datetime | None = None
    done_for: datetime | None = None

    def announced(self, trained_at: datetime, kept_for: timedelta, now: datetime) -> "PhotoTimer":
        """Told now; a later training, or a longer time to keep, puts it off."""
        strikes = max(trained_at + kept_for, now + NOTICE)
        return replace(self, trained_at=trained_at, announced_at=now, strikes_at=strikes)

    def is_announced_for(self, trained_at: datetime, kept_for: timedelta) -> bool:
        """Whether the member was told of this very training's photos, and of no sooner time than today's rule gives."""
        return self.trained_at == trained_at and (self.strikes_at or trained_at) >= trained_at + kept_for

    def strikes(self, now: datetime) -> bool:
        """Whether the time is over."""
        return not self.keeps and self.strikes_at is not None and self.strikes_at <= now

    def done(self) -> "PhotoTimer":
        """The photos are gone."""
        return replace(self, announced_at=None, strikes_at=None, done_for=self.trained_at)

    def kept(self, keeps: bool) -> "PhotoTimer":
        """As the member wishes; a wish to keep takes the announcement back."""
        return replace(self, keeps=keeps, announced_at=None, strikes_at=None, trained_at=None)


@dataclass(frozen=True)
class PreviewTimer:
    """An announcement: the member's pictures from before `made_until` go at `strikes_at` unless they are saved."""

    made_until: datetime
    announced_at: datetime
    strikes_at: datetime

    @classmethod
    def announced(cls, kept_for: timedelta, now: datetime) -> "PreviewTimer":
        """Told now, of everything whose time is over within the notice."""
        return cls(due_before(kept_for, now), now, now + NOTICE)

    def strikes(self, now: datetime) -> bool:
        """Whether the time is over."""
        return self.strikes_at <= now


def due_before(kept_for: timedelta, now: datetime) -> datetime:
    """Trainings that ended, and pictures that were made, before this are announced, or strike, now."""
    return now - kept_for + NOTICE
