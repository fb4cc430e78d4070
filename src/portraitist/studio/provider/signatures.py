"""Whether a webhook is the provider's: signatures by Standard Webhooks, with their age.

Pure. Where the secret comes from and what a webhook wakes is decided elsewhere.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256

TOLERANCE = timedelta(minutes=5)
"""How far a webhook's own time may be from ours; without a limit an old one could be replayed."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_PREFIX = "whsec_"


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether one of the signatures is right and fresh. Anything malformed is False; never raises.

    `secret` is `whsec_` and base64; `body` the raw bytes; `now` aware.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    key = _key(secret)
    if not key or not message_id or not _TIMESTAMP.fullmatch(stamp):
        return False
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        return False
    signed = f"{message_id}.{stamp}.".encode("utf-8", "surrogatepass") + body
    right = b"v1," + base64.b64encode(hmac.digest(key, signed, sha256))
    # No short cut: every entry is compared, each in constant time.
    entries = given.get("webhook-signature", "").split(" ")
    matches = [hmac.compare_digest(right, entry.encode("utf-8", "surrogatepass")) for entry in entries]
    return any(matches)


def _key(secret: str) -> bytes:
    """The key's bytes, empty (which signs nothing) when the secret is not one."""
    if not secret.startswith(_PREFIX):
        return b""
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
