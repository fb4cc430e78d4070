"""Members, accounts, sessions, tokens and the wording of consent: their types and rules. Pure.

What a password must be is `words.py`, how guessing is slowed down `guessing.py`.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

USER_ID_LENGTH = 12
USER_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
TOKEN_PREFIX = "pst_"  # lets secret scanners and people see what it is  # noqa: S105
LONGEST_EMAIL = 254
LONGEST_LABEL = 200
TOUCH_AFTER = timedelta(minutes=1)
"""A session's or token's last sign of life is written down at most so often."""

Role = Literal["member", "admin"]
LinkKind = Literal["first", "invitation", "reset", "mailed_reset", "sign_in", "proof"]
LINK_LIVES = {
    "first": timedelta(days=1),
    "invitation": timedelta(days=7),
    "reset": timedelta(hours=24),
    "mailed_reset": timedelta(hours=1),
    "sign_in": timedelta(minutes=15),
    "proof": timedelta(minutes=10),
}

SCOPES = {
    "read": "look at everything of the member's own but the account",
    "photos": "give and take back selfies and consents",
    "train": "start and manage trainings and model versions",
    "generate": "ask for pictures",
    "gallery": "save, sort and remove pictures",
    "account": "see and change the account: sessions, tokens, details",
    "full": "everything a member may do",
    "admin": "an admin's work; only for admins",
}
"""What an API token may be good for."""
WIDE_SCOPES = frozenset({"full", "admin"})
"""Scopes of tokens that are made after a fresh sign-in only."""
AREAS = {
    "selfies": "photos",
    "uploads": "photos",
    "consents": "photos",
    "trainings": "train",
    "models": "train",
    "generations": "generate",
    "maya": "generate",
    "images": "gallery",
    "albums": "gallery",
    "me": "account",
    "account": "account",
    "session": "account",
    "sessions": "account",
    "tokens": "account",
    "password": "account",
    "proof": "account",
    "passkeys": "account",
    "recovery-codes": "account",
    "second-factor": "account",
    "mail": "account",
    "identities": "account",
    "admin": "admin",
    "operator": "admin",
    "status": "admin",
}
"""First part of a path under /api/v1, and the scope that changes things there. What is not here wants `full`."""
READABLE = frozenset(AREAS) - {
    "account",
    "session",
    "sessions",
    "tokens",
    "password",
    "proof",
    "passkeys",
    "recovery-codes",
    "second-factor",
    "mail",
    "identities",
    "admin",
    "operator",
    "status",
}
READABLE_TOO = frozenset({"events", "engine"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CONSENT_VERSION = "2026-11"
CONSENT_TEXT = """\
These are photos of a face, so the studio asks first.

What happens: the photos you give are checked, kept in this studio's own storage, and used for one thing: to
train a model that is yours alone. They go to the engine that this studio is configured with, and to nobody
else. Pictures of you are made with your model only; nobody else's pictures are made with it.

What you confirm: the photos show you (or a person who asked you to do this for them), that person is an
adult, and you want them used in this way.

How to take it back: remove photos, or ask for everything to be erased, at any time.
"""


@dataclass(frozen=True)
class Member:
    """One row of `users`. A local member has no e-mail address and no password."""

    id: str
    handle: str
    email: str | None
    role: Role
    subject_word: str
    created_at: datetime


@dataclass(frozen=True)
class Who:
    """Who makes a request, and by what: a session, or a token with its scopes."""

    user_id: str
    role: Role
    scopes: frozenset[str]
    session_id: UUID | None = None
    token_id: UUID | None = None

    def may(self, method: str, path: str) -> bool:
        """Whether the session or token is good for this request; members' own rights are the database's matter."""
        if self.session_id is not None:
            return True
        needed = needed_scopes(method, path)
        return bool(needed & self.scopes) or ("full" in self.scopes and "admin" not in needed)

    @property
    def is_admin(self) -> bool:
        """Whether this request may do an admin's work."""
        return self.role == "admin" and (self.session_id is not None or "admin" in self.scopes)


@dataclass(frozen=True)
class Known:
    """What a look-up by a whole secret finds: whose it is, and when it was last used."""

    user_id: str
    id: UUID
    role: Role
    seen_at: datetime | None
    scopes: Sequence[str] = ()

    def wants_touch(self, now: datetime) -> bool:
        """Whether its last use is to be written down again."""
        return self.seen_at is None or now - self.seen_at >= TOUCH_AFTER


@dataclass(frozen=True)
class Session:
    """One place where a member is signed in."""

    id: UUID
    label: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Token:
    """One API token; the token itself is known to its holder only."""

    id: UUID
    name: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True)
class Lives:
    """How long a session lasts: without use, and at most."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True)
class SpentLink:
    """What a one-time link opened."""

    kind: LinkKind
    user_id: str | None
    email: str | None
    role: Role


@dataclass(frozen=True)
class Consent:
    """One row of `consents`."""

    id: UUID
    wording_version: str
    given_at: datetime
    withdrawn_at: datetime | None


def needed_scopes(method: str, path: str) -> frozenset[str]:
    """The scopes of which one opens this request; unknown places and everything outside the API want `full`."""
    rest = path.removeprefix("/api/v1/")
    area = rest.split("/", 1)[0] if rest != path else ""
    scope = AREAS.get(area, "full")
    reads = method in SAFE_METHODS and area in READABLE | READABLE_TOO
    return frozenset({scope, "read"}) if reads else frozenset({scope})


def normal_email(address: str) -> str:
    """The one form of an address that is stored and compared; empty for what is none."""
    plain = unicodedata.normalize("NFKC", address).strip().casefold()
    local, at, host = plain.rpartition("@")
    printable = plain.isprintable() and not any(each.isspace() for each in plain)
    whole = at and local and host and "@" not in local
    return plain if whole and printable and len(plain) <= LONGEST_EMAIL else ""


def wording_sha256() -> bytes:
    """Digest of the wording a member agrees to today."""
    return hashlib.sha256(CONSENT_TEXT.encode()).digest()


def token_hash(token: str) -> bytes:
    """What is stored of a token; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def csrf_token(session_token: str) -> str:
    """What a page sends along with changes: derived from the session's secret, which no other site can read."""
    return hmac.new(session_token.encode(), b"portraitist csrf", hashlib.sha256).hexdigest()
