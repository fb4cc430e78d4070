"""An OpenID Connect provider of our own, for tests: codes once, PKCE checked, and lies that a real one may tell."""

import hashlib
import hmac
import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "the-studio", "secret of the studio"


@dataclass
class SignInProvider:
    """One person is signed in there. `lies`: claims that the next tokens say instead; None leaves one out."""

    subject: str = "person-1"
    email: str = "anna@example.org"
    email_verified: bool = True
    lies: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)
    alg: str = "ES256"
    wrong_key: bool = False
    away: bool = False
    now: Callable[[], float] = lambda: 0.0
    issuer: str = ""
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "k1", "use": "sig"}))
    asked: list[dict[str, str]] = field(default_factory=list)
    exchanged: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """Its endpoints."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/keys", self._keys),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def visit(self, url: str) -> dict[str, str]:
        """What a browser that is sent here is sent back with, once the person has said yes."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code" and query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        self.asked.append(query)
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        return {"code": code, "state": query["state"], "issuer": self.issuer}

    async def _metadata(self, _request: Request) -> Response:
        if self.away:
            return PlainTextResponse("gone", 502)
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
            }
            | self.published
        )

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = "Basic " + b64encode(f"{CLIENT}:{SECRET.replace(' ', '%20')}".encode()).decode()
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or request.headers.get("authorization") != basic:
            return JSONResponse({"error": "invalid_grant"}, 400)
        proved = create_s256_code_challenge(form["code_verifier"]) == asked["code_challenge"]
        if not proved or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.exchanged += 1
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": self.token(asked)})

    def token(self, asked: dict[str, str]) -> str:
        """What the provider says of the person, signed."""
        now = int(self.now())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "auth_time": now,
            "nonce": asked["nonce"],
            "email": self.email,
            "email_verified": self.email_verified,
        } | self.lies
        told = {name: value for name, value in claims.items() if value is not None}
        if self.alg != "ES256":
            return self._badly_signed(told)
        key = ECKey.generate_key("P-256", {"kid": "k1"}) if self.wrong_key else self.key
        return jwt.encode({"alg": "ES256", "kid": key.kid}, told, key)

    def _badly_signed(self, claims: dict[str, Any]) -> str:
        """Not at all; or with the public key as a shared secret, which everybody knows."""
        head = {"alg": self.alg, "kid": "k1"}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        public = self.key.as_pem(private=False)
        mark = hmac.new(public, signed.encode(), hashlib.sha256).digest() if self.alg == "HS256" else b""
        return f"{signed}.{_encoded(mark)}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
