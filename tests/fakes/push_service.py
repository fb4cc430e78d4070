"""A push service and a browser behind it: takes what is handed over, checks who signs it, and decrypts it."""

import base64
import json
import os
from dataclasses import dataclass, field
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

ORIGIN = "https://push.example"


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class PushedBrowser:
    """What a browser keeps of a subscription."""

    endpoint: str = f"{ORIGIN}/send/one"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def to_json(self) -> dict[str, Any]:
        """As `PushSubscription.toJSON` gives it."""
        return {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {"p256dh": text(self.point), "auth": text(self.auth)},
        }

    def opened(self, body: bytes) -> dict[str, Any]:
        """What was pushed, in plain."""
        told = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        return dict(json.loads(told))


@dataclass
class PushService:
    """An ASGI app. `answers`: the statuses of the next answers, the last one for ever."""

    answers: list[int] = field(default_factory=lambda: [201])
    taken: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.taken.append((request.url.path, dict(request.headers), await request.body()))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await Response(status_code=status)(scope, receive, send)

    def claims(self) -> dict[str, Any]:
        """Who says to have sent the last one, by the key that the header names (RFC 8292)."""
        scheme, _, rest = self.taken[-1][1]["authorization"].partition(" ")
        assert scheme == "vapid"
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        point = plain(parts["k"])
        key = ECKey.import_key(
            {"kty": "EC", "crv": "P-256", "x": text(point[1:33]), "y": text(point[33:])},
        )
        return dict(jwt.decode(parts["t"], key, algorithms=["ES256"]).claims) | {"k": parts["k"]}
