"""Members, tokens and the wording of consent. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

USER_ID_LENGTH = 12
USER_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
TOKEN_PREFIX = "pst_"  # lets secret scanners and people see what it is  # noqa: S105

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
    """One row of `users`."""

    id: str
    handle: str
    subject_word: str
    created_at: datetime


@dataclass(frozen=True)
class Consent:
    """One row of `consents`."""

    id: UUID
    wording_version: str
    given_at: datetime
    withdrawn_at: datetime | None


def wording_sha256() -> bytes:
    """Digest of the wording a member agrees to today."""
    return hashlib.sha256(CONSENT_TEXT.encode()).digest()


def token_hash(token: str) -> bytes:
    """What is stored of a token; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
