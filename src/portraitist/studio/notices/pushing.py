"""A push message as push services take it: encrypted for one browser (RFC 8291), signed by this studio (RFC 8292).

The studio's key is derived from its secret, so that every host has the same and there is nothing more to keep.
"""

import base64
import json
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from portraitist.studio.notices import words
from portraitist.studio.notices.domain import Kind, Subscription

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points P-256 has."""
LIVES = timedelta(hours=12)
"""Of a signature; a push service takes a day at most."""
TTL_S = 24 * 3600


class Vapid:
    """This studio, as push services know it. `contact`: where its operator is reached, a URL or mailto."""

    def __init__(self, secret: str, contact: str) -> None:
        seed = HKDF(hashes.SHA256(), 48, salt=None, info=b"portraitist web push").derive(secret.encode())
        key = ec.derive_private_key(int.from_bytes(seed) % (ORDER - 1) + 1, ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key = ECKey.import_key(pem)
        self._contact = contact
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = _text(point)
        """What a browser subscribes with: an uncompressed point in base64url."""

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The header by which the push service of this address knows us."""
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + LIVES).timestamp()),
            "sub": self._contact,
        }
        return f"vapid t={jwt.encode({'alg': 'ES256', 'typ': 'JWT'}, claims, self._key)}, k={self.public_key}"


def message(kind: Kind) -> bytes:
    """What is pushed: nothing but the kind and where it leads."""
    return json.dumps({"kind": kind, "path": words.PLACES[kind]}).encode()


def sealed(plain: bytes, to: Subscription) -> bytes:
    """Readable in that one browser; in the coding `aes128gcm`."""
    once = ec.generate_private_key(ec.SECP256R1())
    ciphered: bytes = http_ece.encrypt(
        plain, private_key=once, dh=to.p256dh, auth_secret=to.auth, version="aes128gcm"
    )
    return ciphered


def headers(vapid: Vapid, endpoint: str, now: datetime) -> dict[str, str]:
    """Of the request that hands it over (RFC 8030)."""
    return {
        "Authorization": vapid.authorization(endpoint, now),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(TTL_S),
        "Urgency": "normal",
    }


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
