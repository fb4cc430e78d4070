"""What an audit event is, how events are chained, and what a check of the chain can find. Pure.

An event names members by their random audit subjects and holds ids, numbers and words of our own: no face, prompt,
secret, name or address.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID


class Action(StrEnum):
    """What is recorded."""

    ACCOUNT_MADE = "account.made"
    ROLE_CHANGED = "account.role_changed"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    SIGNED_IN = "session.opened"
    SIGN_IN_REFUSED = "session.refused"
    SIGNED_OUT = "session.ended"
    SIGNED_OUT_ELSEWHERE = "session.others_ended"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    PASSWORD_RESET = "password.reset"  # noqa: S105
    CREDENTIAL_ADDED = "credential.added"
    CREDENTIAL_CHANGED = "credential.changed"
    CREDENTIAL_REMOVED = "credential.removed"
    TOKEN_MADE = "token.made"  # noqa: S105
    TOKEN_REVOKED = "token.revoked"  # noqa: S105
    LINK_MADE = "link.made"
    LINK_TAKEN_BACK = "link.taken_back"
    SETTING_CHANGED = "setting.changed"
    CONSENT_GIVEN = "consent.given"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    ERASURE_BEGUN = "erasure.begun"
    ERASURE_ENDED = "erasure.ended"
    EXPORT_TAKEN = "export.taken"
    TRAINING_RETRIED = "training.retried"
    TRAINING_CANCELED = "training.canceled"
    TRAINING_BEGUN_AGAIN = "training.begun_again"
    GENERATION_CANCELED = "generation.canceled"
    MEMBER_MOVED = "member.moved"
    GLASS_BROKEN = "break_glass.opened"
    GLASS_LISTED = "break_glass.listed"
    GLASS_USED = "break_glass.used"
    GLASS_ENDED = "break_glass.ended"
    HOLD_PLACED = "hold.placed"
    HOLD_RELEASED = "hold.released"


ActorKind = Literal["member", "admin", "host", "studio", "nobody"]
Fact = str | int | bool | UUID | Sequence[str] | None
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True)
class Actor:
    """Who did it; `id` is an audit subject. The host is whoever has the instance token."""

    kind: ActorKind
    id: UUID | None = None


HOST, STUDIO, NOBODY = Actor("host"), Actor("studio"), Actor("nobody")


@dataclass(frozen=True)
class Event:
    """One row of `audit_events`."""

    id: UUID
    at: datetime
    action: str
    actor: str
    actor_id: UUID | None
    subject: UUID | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Link:
    """One row of `audit_chain` with its event; None: the event is gone."""

    seq: int
    digest: bytes
    event: Event | None


def facts(given: Mapping[str, Fact]) -> dict[str, Any]:
    """Details as they are stored; raises ValueError for anything that could be a person's word."""
    return {key: _fact(key, value) for key, value in given.items() if value is not None}


def _fact(key: str, value: Fact) -> Any:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        if not _WORD.fullmatch(value):
            raise ValueError(f"the detail {key} of an audit event is no plain word")
        return str(value)
    return [_fact(key, each) for each in value or ()]


GENESIS = bytes(32)
"""What stands before the first digest."""


def sealed(before: bytes, seq: int, event: Event) -> bytes:
    """The digest of an event at its place in the chain."""
    content = {
        "seq": seq,
        "id": str(event.id),
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "action": event.action,
        "actor": event.actor,
        "actor_id": None if event.actor_id is None else str(event.actor_id),
        "subject": None if event.subject is None else str(event.subject),
        "detail": event.detail,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(before + text.encode()).digest()


class Kind(StrEnum):
    """What a check can find."""

    CHANGED = "changed"
    """An entry does not give its digest: it, or its place, was altered."""
    MISSING = "missing"
    """A number of the chain, or the event at it, is not there."""
    UNCHAINED = "unchained"
    """An event that was never sealed, and is too old to be: written in afterwards, or taken out of the chain."""
    TRUNCATED = "truncated"
    """The chain ends before a head that was noted outside of the database."""
    REWRITTEN = "rewritten"
    """The chain is whole in itself and is not the one whose head was noted outside of the database."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and where: at a number of the chain, or at an event."""

    kind: Kind
    seq: int | None
    event_id: UUID | None = None


@dataclass(frozen=True, order=True)
class Head:
    """The end of the chain at some time: how many entries, and the digest that covers them all."""

    seq: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From `SEQ:DIGEST`. Raises ValueError."""
        seq, _, digest = text.partition(":")
        head = cls(int(seq), bytes.fromhex(digest))
        if head.seq < 1 or len(head.digest) != 32:
            raise ValueError("not a head")
        return head


@dataclass
class Check:
    """Goes along the chain once, in order. `noted` are heads that were written down outside of the database."""

    noted: Sequence[Head] = ()
    head: Head = field(default=Head(0, GENESIS))
    _digests: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._wanted = {head.seq for head in self.noted}

    def take(self, link: Link) -> Iterator[Finding]:
        """The next entry; what is wrong at it."""
        for gone in range(self.head.seq + 1, min(link.seq, self.head.seq + 1 + _MOST_GAPS)):
            yield Finding(Kind.MISSING, gone)
        if link.event is None:
            yield Finding(Kind.MISSING, link.seq)
        elif link.seq == self.head.seq + 1 and sealed(self.head.digest, link.seq, link.event) != link.digest:
            yield Finding(Kind.CHANGED, link.seq, link.event.id)
        self.head = Head(link.seq, link.digest)
        if link.seq in self._wanted:
            self._digests[link.seq] = link.digest

    def end(self) -> Iterator[Finding]:
        """What the heads noted outside say, once every entry was taken."""
        for head in sorted(self.noted):
            if head.seq > self.head.seq:
                yield Finding(Kind.TRUNCATED, head.seq)
            elif self._digests.get(head.seq) != head.digest:
                yield Finding(Kind.REWRITTEN, head.seq)


_MOST_GAPS = 1000  # of one hole are told one by one
