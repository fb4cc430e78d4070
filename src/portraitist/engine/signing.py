"""Signatures: Standard Webhooks for what we send, and the links under which a file may be fetched.

Pure. Facts: the Standard Webhooks specification, and the recorded shape of Replicate's download links.
"""

import base64
import hashlib
import hmac


def webhook_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a signed message; `secret` is `whsec_` and base64, `timestamp` unix seconds."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def link_signature(key: str, owner: str, file_id: str, expiry: int) -> str:
    """Base64 of the HMAC-SHA256 of `owner id expiry`; `expiry` in unix seconds."""
    text = f"{owner} {file_id} {expiry}".encode()
    return base64.b64encode(hmac.new(key.encode(), text, hashlib.sha256).digest()).decode()


def link_valid(key: str, owner: str, file_id: str, *, expiry: int, signature: str, now: int) -> bool:
    """Whether a presented link was signed by us and has not expired."""
    expected = link_signature(key, owner, file_id, expiry)
    return now < expiry and hmac.compare_digest(expected.encode(), signature.encode())
