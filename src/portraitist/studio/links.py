"""Short-lived signed links to one stored object, for the provider to fetch: made and checked, served in `web`.

Only where the outside reaches the studio by https; elsewhere there is no link, and the caller takes another way.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote


@dataclass(frozen=True)
class LinkSigner:
    """Signs `key` and expiry with the instance's secret."""

    secret: str
    public_url: str

    def url_for(self, key: str, ttl: timedelta) -> str | None:
        """A link to `key` that dies after `ttl`; None without an https PUBLIC_URL."""
        if not self.public_url.startswith("https://"):
            return None
        expires = int(time.time() + ttl.total_seconds())
        signed = f"expires={expires}&signature={self.sign(key, expires)}"
        return f"{self.public_url.rstrip('/')}/transfer/{quote(key)}?{signed}"

    def sign(self, key: str, expires: int) -> str:
        """HMAC-SHA256 over key and expiry, in hex."""
        message = f"{key}\n{expires}".encode()
        return hmac.new(self.secret.encode(), message, hashlib.sha256).hexdigest()

    def holds(self, key: str, expires: int, signature: str, now: float) -> bool:
        """Whether this link is ours and still alive."""
        return hmac.compare_digest(self.sign(key, expires), signature) and now < expires
