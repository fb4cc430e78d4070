"""An erasure: what it covers, its stages, when it is tried again, and what its receipt says. Pure.

A receipt names kinds and counts, never a member, a file or a word of theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID


class Scope(StrEnum):
    """How much is erased. The database knows the same closed set."""

    ACCOUNT = "account"
    """Everything, the member too."""
    CONSENT = "consent"
    """Everything that was made of the photos, and they; the account stays, with the record of its consents."""
    VERSION = "version"
    """One version of the member's model; the pictures made with it stay."""
    PICTURE = "picture"
    """One picture, at once."""


class Stage(StrEnum):
    """What is being done. The database knows the same closed set."""

    STOP = "stop"
    PROVIDER = "provider"
    STORAGE = "storage"
    DATABASE = "database"
    WATCH = "watch"
    """All is gone; what may still arrive late is looked for."""
    DONE = "done"


FIRST = {
    Scope.ACCOUNT: Stage.STOP,
    Scope.CONSENT: Stage.STOP,
    Scope.VERSION: Stage.STOP,
    Scope.PICTURE: Stage.STORAGE,
}
ARROWS: Mapping[Stage, frozenset[Stage]] = {
    Stage.STOP: frozenset({Stage.PROVIDER}),
    Stage.PROVIDER: frozenset({Stage.STORAGE}),
    Stage.STORAGE: frozenset({Stage.DATABASE}),
    # a row that came in at the last moment holds the others: everything is stopped and looked for again
    Stage.DATABASE: frozenset({Stage.WATCH, Stage.STOP}),
    Stage.WATCH: frozenset({Stage.DONE}),
    Stage.DONE: frozenset(),
}

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(hours=6)
STOPPING_PAUSE = timedelta(seconds=30)
STOPPED_AFTER = timedelta(hours=24)
"""So long what runs is asked to end before its rows go all the same; a run left there is ended by its token."""
PATIENCE = timedelta(hours=1)
"""So long the provider is waited for before our own files and rows go; what it still holds is tried on afterwards."""
GIVEN_UP_AFTER = timedelta(days=30)
HELD_PAUSE = timedelta(hours=1)
HELD_WHY = "It is accepted, and held: nothing may be removed now. It goes on by itself when that has ended."
LOOKS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=24))
"""When late arrivals are looked for, after all was erased: a slow worker's file, a start whose answer was lost."""


class Outcome(StrEnum):
    """What became of an artefact."""

    DELETED = "deleted"
    ACCEPTED = "accepted"
    """Its deletion is asked for and not confirmed yet; it is asked for again."""
    KEPT = "kept_unlinkable"
    NOT_DELETABLE = "not_deletable"


@dataclass(frozen=True)
class Artefact:
    """One line of a receipt. `count` None: it is not known how many. `why` says what speaks against deleting it."""

    kind: str
    place: str
    outcome: Outcome
    count: int | None
    why: str | None = None


@dataclass(frozen=True)
class Destination:
    """A model at a provider account, and its versions whose deletion was asked for."""

    account_id: str
    model: str
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What the erasure has to know when the rows are gone. It goes with the erasure's own row.

    `files` are uploads at the provider, as (account, id). `runs` counts records that the provider keeps. `keys` and
    `picture_id` are a single picture's, `version_id` and `training_id` a single version's, whose model stays.
    `stored` is what lay in our storage, by kind, before any of it was removed; None until it was looked at. `looks` is
    how many looks for late arrivals are done.
    """

    owed: tuple[Destination, ...] = ()
    gone: tuple[Destination, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    tokens: tuple[str, ...] = ()
    runs: int = 0
    keys: tuple[str, ...] = ()
    picture_id: str | None = None
    version_id: str | None = None
    training_id: str | None = None
    stored: Mapping[str, int] | None = None
    looks: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Plan":
        """As it was stored."""
        return cls(
            **{
                **stored,
                "owed": tuple(_destination(each) for each in stored["owed"]),
                "gone": tuple(_destination(each) for each in stored["gone"]),
                "files": tuple((account, file_id) for account, file_id in stored["files"]),
                "tokens": tuple(stored["tokens"]),
                "keys": tuple(stored["keys"]),
            }
        )

    def after(self, destination: Destination, *, gone: bool) -> "Plan":
        """With what is known of this destination now."""
        others = tuple(each for each in self.owed if _name(each) != _name(destination))
        if gone:
            return replace(self, owed=others, gone=(*self.gone, destination))
        return replace(self, owed=(*others, destination))


@dataclass(frozen=True)
class Erasure:
    """One erasure under way, and the receipt as far as it goes."""

    user_id: str
    id: UUID
    scope: Scope
    stage: Stage
    revision: int
    tries: int
    next_check_at: datetime
    plan: Plan
    artefacts: tuple[Artefact, ...]
    waits_for: str | None
    created_at: datetime
    erased_at: datetime | None
    held: bool = False

    @property
    def covers_member(self) -> bool:
        """Whether it is about everything made of the member's photos."""
        return self.scope in (Scope.ACCOUNT, Scope.CONSENT)

    @property
    def folder(self) -> str | None:
        """Where all the files lie that go; None where they are named one by one."""
        if self.plan.training_id is not None:
            return f"members/{self.user_id}/trainings/{self.plan.training_id}"
        return f"members/{self.user_id}" if self.covers_member else None

    def to(self, stage: Stage, now: datetime) -> "Erasure":
        """On to another stage, at once; to `watch` only when the first look is due."""
        if stage not in ARROWS[self.stage]:
            raise ValueError(f"no way from {self.stage} to {stage}")
        moved = replace(self, stage=stage, tries=0, next_check_at=now, waits_for=None, held=False)
        if stage is Stage.WATCH:
            return replace(moved, erased_at=now, next_check_at=now + LOOKS[0])
        return moved

    def wait(self, now: datetime, for_what: str, longest: timedelta = LONGEST_PAUSE) -> "Erasure":
        """The same stage again, after a pause that grows."""
        pause = min(longest, FIRST_PAUSE * 2.0 ** min(self.tries, 20))
        waits_for = for_what[:200]
        return replace(self, tries=self.tries + 1, next_check_at=now + pause, waits_for=waits_for, held=False)

    def hold(self, now: datetime) -> "Erasure":
        """The same stage again when what speaks against it has ended; asked every hour, and at once then."""
        return replace(self, next_check_at=now + HELD_PAUSE, waits_for=HELD_WHY, held=True)

    def looked(self, now: datetime) -> "Erasure":
        """One look for late arrivals is done; with the last one the erasure is."""
        assert self.erased_at is not None, "watching begins when all is erased"
        looks, planned = self.plan.looks + 1, LOOKS if self.covers_member else LOOKS[:1]
        seen = replace(self, plan=replace(self.plan, looks=looks), waits_for=None)
        if looks < len(planned):
            return replace(seen, tries=0, next_check_at=self.erased_at + planned[looks])
        return seen.to(Stage.DONE, now)

    def is_given_up(self, now: datetime) -> bool:
        """Whether the provider has had time enough."""
        return now >= self.created_at + GIVEN_UP_AFTER

    def is_stopped_anyway(self, now: datetime) -> bool:
        """Whether what runs has had time enough to end."""
        return now >= self.created_at + STOPPED_AFTER

    def is_impatient(self, now: datetime) -> bool:
        """Whether our own files and rows no longer wait for the provider."""
        return now >= self.created_at + PATIENCE

    def with_plan(self, plan: Plan) -> "Erasure":
        """Knowing more."""
        return replace(self, plan=plan)

    def noted(self, *lines: Artefact) -> "Erasure":
        """With these lines in the receipt; one of the same kind, place and outcome is replaced."""
        new = {_line(each) for each in lines}
        kept = tuple(each for each in self.artefacts if _line(each) not in new)
        return replace(self, artefacts=(*kept, *lines))

    def provider_noted(self, why: str | None = None) -> "Erasure":
        """The receipt's lines on models and versions, made of what the plan knows. `why`: what is owed is given up."""
        kinds = (MODEL, VERSION) if self.covers_member else (VERSION,)
        kept = tuple(each for each in self.artefacts if each.kind not in kinds)
        lines = [*_lines(self.plan.gone, Outcome.DELETED, None)]
        outcome = Outcome.ACCEPTED if why is None else Outcome.NOT_DELETABLE
        lines += _lines(self.plan.owed, outcome, why)
        return replace(self, artefacts=(*kept, *(line for line in lines if line.kind in kinds)))


MODEL, VERSION = "model", "model version"


def _lines(found: Sequence[Destination], outcome: Outcome, why: str | None) -> list[Artefact]:
    versions = sum(len(each.versions) for each in found)
    lines = [Artefact(MODEL, PROVIDER, outcome, len(found), why)] if found else []
    return lines + ([Artefact(VERSION, PROVIDER, outcome, versions, why)] if versions else [])


PROVIDER, STORAGE, DATABASE, ELSEWHERE = "provider", "storage", "database", "elsewhere"

RUNS_WHY = (
    "The provider has no way to delete the record that a run took place. The photos' addresses in it are dead, and "
    "what pictures were asked for is removed there an hour after they were made."
)
VERSION_WHY = "The name of a version that is gone; the pictures that were made with it hang on it."
LOGS_WHY = (
    "The operator's logs name an account by a random number, to which nothing leads from a person any more."
)
BACKUPS_WHY = "Backups of the operator hold it until they expire."


def kept_elsewhere(scope: Scope, runs: int) -> list[Artefact]:
    """The lines on what no erasure reaches."""
    lines = [Artefact("backup", ELSEWHERE, Outcome.NOT_DELETABLE, None, BACKUPS_WHY)]
    if scope is Scope.ACCOUNT:
        lines.append(Artefact("log line", ELSEWHERE, Outcome.KEPT, None, LOGS_WHY))
    if scope is Scope.VERSION:
        lines.append(Artefact("name of the version", DATABASE, Outcome.KEPT, 1, VERSION_WHY))
    if runs:
        lines.append(Artefact("record of a run", PROVIDER, Outcome.NOT_DELETABLE, runs, RUNS_WHY))
    return lines


def kind_of_file(key: str) -> str:
    """What a file of a member's folder is, by its key `members/<id>/<folder>/…`."""
    folder, _, rest = key.partition("/")[2].partition("/")[2].partition("/")
    name = rest.rpartition("/")[2]
    if folder == "trainings":
        return "zip of photos" if name.startswith("photos-") else "copy of weights"
    if folder == "generations" and name.endswith("-small.webp"):
        return "small copy of a picture"
    return {"selfies": "photo", "uploads": "photo on its way", "generations": "picture"}.get(folder, "file")


def _destination(stored: Mapping[str, Any]) -> Destination:
    return Destination(stored["account_id"], stored["model"], tuple(stored["versions"]))


def _name(destination: Destination) -> tuple[str, str]:
    return destination.account_id, destination.model


def _line(artefact: Artefact) -> tuple[str, str, Outcome]:
    return artefact.kind, artefact.place, artefact.outcome
