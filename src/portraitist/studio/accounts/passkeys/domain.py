"""Passkeys and recovery codes: their types and rules. Pure; signatures are the library's, in `service`."""

import base64
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

MOST_PASSKEYS = 20
LONGEST_NAME = 100
CHALLENGE_LIVES = timedelta(minutes=5)
RECOVERY_CODES = 10
CODE_BYTES = 15
"""120 random bits: from 112 on a plain digest will do (ASVS 6.5.2)."""

Ceremony = Literal["register passkey", "enter by passkey", "prove by passkey"]


@dataclass(frozen=True)
class RelyingParty:
    """Whom passkeys of this studio are for: the host that browsers show, and the one origin that may use them."""

    id: str
    origin: str


@dataclass(frozen=True)
class Passkey:
    """One row of `passkeys`, as its member sees it."""

    id: UUID
    name: str
    backed_up: bool
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True)
class Credential:
    """What a signature is compared with."""

    id: UUID
    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True)
class Codes:
    """How many recovery codes there are, and are left; when they were made."""

    made: int
    left: int
    made_at: datetime | None


def relying_party(address: str) -> RelyingParty | None:
    """Whom passkeys are for at this address; None where browsers have none: no https and no localhost, or no name."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme != "https" and host != "localhost":
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return RelyingParty(host, f"{parts.scheme}://{parts.netloc.lower()}") if host else None
    return None


def is_copied(known: int, told: int) -> bool:
    """Whether a count that did not rise says that two devices use one key. Those that never count say nothing."""
    return (known > 0 or told > 0) and told <= known


def spelled(code: bytes) -> str:
    """A recovery code as people write it down: six groups of four."""
    letters = base64.b32encode(code).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def read(code: str) -> str:
    """The one form of a recovery code that is hashed, however it was typed."""
    return "".join(each for each in code.lower() if each.isalnum())
