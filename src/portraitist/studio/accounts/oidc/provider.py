"""The operator's OpenID Connect provider: what it publishes of itself, codes for signed answers, and what those say.

Everything is fetched by the guarded client: https, or the configured origin. Only signatures by a published key
count, and only those of an asymmetric algorithm; whose answer it is and for whom is checked with Authlib.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Never
from urllib.parse import quote, urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from portraitist.kit.errors import KitError
from portraitist.kit.http import GuardedClient
from portraitist.kit.logging import logger
from portraitist.studio.errors import NotSignedIn, Unavailable

log = logger(__name__)
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Never `none`, and no shared secret: what is on the list is signed by a key that only the provider has."""
LEEWAY_S = 60
LONGEST_SUBJECT = 255
KNOWN_FOR = timedelta(hours=1)
KEYS_AGAIN_AFTER = timedelta(minutes=1)
TIMEOUT_S = 10.0
LARGEST = 2**20
SCOPES = "openid email"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
AWAY = Unavailable(
    "provider_away", "The sign-in provider does not answer as it should.", next_step="Try again in a minute."
)
REFUSED = NotSignedIn(
    "provider_refused", "The sign-in provider's answer was not accepted.", next_step="Begin again."
)


@dataclass(frozen=True)
class Asked:
    """What a browser was sent to the provider with; the same is expected back."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(frozen=True)
class Person:
    """Whom the provider has recognised. `email` is empty unless the provider has verified it."""

    issuer: str
    subject: str
    email: str
    recognised_at: datetime | None


class Provider:
    """One provider. What it publishes is kept for an hour."""

    def __init__(self, client: GuardedClient, issuer: str, client_id: str, client_secret: str) -> None:
        self._client = client
        self.issuer = issuer
        self._id = client_id
        self._secret = client_secret
        self._about: Mapping[str, Any] = {}
        self._about_since: datetime | None = None
        self._keys: KeySet | None = None
        self._keys_since: datetime | None = None

    async def address(self, asked: Asked, now: datetime, *, anew: bool) -> str:
        """Where the browser goes. `anew`: the provider shall recognise the person now, not by an old session."""
        about = await self._metadata(now)
        query = {
            "response_type": "code",
            "client_id": self._id,
            "redirect_uri": asked.redirect_uri,
            "scope": SCOPES,
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": create_s256_code_challenge(asked.verifier),
            "code_challenge_method": "S256",
        } | ({"prompt": "login", "max_age": "0"} if anew else {})
        endpoint = str(about["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def person(self, code: str, issuer: str | None, asked: Asked, now: datetime) -> Person:
        """Whom the provider has recognised, by the code that it has sent the browser back with.

        Raises NotSignedIn for an answer that does not hold, and Unavailable where there is none.
        """
        about = await self._metadata(now)
        if issuer is None and about.get("authorization_response_iss_parameter_supported") is True:
            _refuse("issuer missing")
        if issuer is not None and issuer != self.issuer:
            _refuse("another issuer")
        token = await self._exchanged(about, code, asked)
        claims = await self._verified(token, asked.nonce, now)
        verified = claims.get("email_verified") is True
        email, at = claims.get("email"), claims.get("auth_time")
        return Person(
            self.issuer,
            str(claims["sub"]),
            email if verified and isinstance(email, str) else "",
            _moment(at, now),
        )

    async def _exchanged(self, about: Mapping[str, Any], code: str, asked: Asked) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked.redirect_uri,
            "client_id": self._id,
            "code_verifier": asked.verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        methods = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in methods:
            pair = f"{quote(self._id, safe='')}:{quote(self._secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_secret"] = self._secret
        status, body = await self._asked(
            "POST", str(about["token_endpoint"]), headers=headers, content=urlencode(form).encode()
        )
        if status in (400, 401, 403):
            _refuse(f"token endpoint: {status}")
        token = body.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise AWAY
        return token

    async def _verified(self, token: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """What the token says, once its signature, issuer, audience, times and nonce are right."""
        options: Any = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._id},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "iat": {"essential": True},
        }
        try:
            try:
                read = jwt.decode(token, await self._keyset(now), algorithms=ALGORITHMS)
            except JoseError:  # perhaps by a key that is newer than ours
                read = jwt.decode(token, await self._keyset(now, again=True), algorithms=ALGORITHMS)
            params = {"nonce": nonce, "client_id": self._id}
            claims = CodeIDToken(read.claims, read.header, options, params)
            claims.validate(int(now.timestamp()), LEEWAY_S)
            if claims.get("nonce") != nonce or not _is_subject(claims["sub"]):
                _refuse("nonce or subject")
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as exc:
            log.warning("provider.refused", why=type(exc).__name__)
            raise REFUSED from exc
        return dict(claims)

    async def _metadata(self, now: datetime) -> Mapping[str, Any]:
        if self._about_since is not None and now - self._about_since < KNOWN_FOR:
            return self._about
        url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        status, about = await self._asked("GET", url)
        if status != 200 or about.get("issuer") != self.issuer:
            log.warning("provider.away", why="metadata", status=status)
            raise AWAY
        if not all(self._may_be_asked(about.get(each)) for each in ENDPOINTS):
            log.warning("provider.away", why="endpoints")
            raise AWAY
        self._about, self._about_since = about, now
        return about

    def _may_be_asked(self, url: Any) -> bool:
        """https; or http where the operator has configured the provider so, which is on this machine only."""
        return isinstance(url, str) and (
            url.startswith("https://") or (self.issuer.startswith("http://") and url.startswith("http://"))
        )

    async def _keyset(self, now: datetime, *, again: bool = False) -> KeySet:
        since = self._keys_since
        fresh_enough = KEYS_AGAIN_AFTER if again else KNOWN_FOR
        if self._keys is not None and since is not None and now - since < fresh_enough:
            return self._keys
        status, keys = await self._asked("GET", str((await self._metadata(now))["jwks_uri"]))
        if status != 200:
            raise AWAY
        self._keys, self._keys_since = KeySet.import_key_set(keys), now  # type: ignore[arg-type]  # judged by the library
        return self._keys

    async def _asked(self, method: str, url: str, **parts: Any) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON object. Raises Unavailable."""
        try:
            answer = await self._client.request(method, url, deadline_s=TIMEOUT_S, max_bytes=LARGEST, **parts)
            body = json.loads(answer.content)
        except (KitError, ValueError) as exc:
            log.warning("provider.away", why=type(exc).__name__)
            raise AWAY from exc
        if not isinstance(body, dict):
            raise AWAY
        return answer.status, body


def _is_subject(value: Any) -> bool:
    """Whether this is a subject as the standard has it, 255 characters at most."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_SUBJECT and value.isprintable()


def _moment(value: Any, now: datetime) -> datetime | None:
    """A time that the provider has told, if it is one that can have been."""
    if isinstance(value, int | float) and 0 <= value <= now.timestamp() + LEEWAY_S:
        return datetime.fromtimestamp(value, now.tzinfo)
    return None


def _refuse(why: str) -> Never:
    log.warning("provider.refused", why=why)
    raise REFUSED
