"""Identifiers in the shapes of Replicate's. The only module of the engine that draws random names."""

import base64
import secrets
import uuid

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no letters that are mistaken for digits."""


def run_id() -> str:
    """26 characters of base 32: 130 random bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(26))


def file_id() -> str:
    """A UUID, base64 of its text as the cloud does, in the alphabet that needs no escaping in a path."""
    return base64.urlsafe_b64encode(str(uuid.uuid4()).encode()).decode().rstrip("=")


def capability() -> str:
    """An unguessable path segment: whoever has the address may read what lies there."""
    return secrets.token_urlsafe(32)


def message_id() -> str:
    """The id of one webhook message, stable across its retries."""
    return "msg_" + secrets.token_hex(16)


def claim_id() -> str:
    """A worker's hold on one attempt of a run."""
    return secrets.token_hex(16)


def webhook_secret() -> str:
    """A signing key in the form both official clients accept: `whsec_` and standard base64, no other `_`."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def signing_key() -> str:
    """The key that file download links are signed with."""
    return secrets.token_hex(32)


def seed() -> int:
    """16 random bits, as the cloud draws them for a prediction without a seed."""
    return secrets.randbelow(2**16)
