"""Members who sign in by address and password, for tests: a browser with its cookie and the token for changes."""

from dataclasses import dataclass, field
from typing import Any

import httpx2
from tests.integration.by_hand import ByHand

PASSWORD = "violet harbour seven lamps"
OTHER_PASSWORD = "copper violin under the stairs"
ADMIN, ANNA, BEN = "ada@example.org", "anna@example.org", "ben@example.org"


@dataclass
class Browser:
    """One browser: its cookies, what it calls itself, and where it is."""

    http: httpx2.AsyncClient
    headers: dict[str, str] = field(default_factory=lambda: {"Sec-Fetch-Site": "same-origin"})

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=given)

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.send(method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def sign_in(self, email: str, password: str = PASSWORD) -> Any:
        """Sign in, and keep the token that changes need."""
        body = await self.ok("POST", "/session", {"email": email, "password": password})
        self.headers["X-CSRF-Token"] = body["csrf_token"]
        return body


def browser(studio: ByHand, source: str = "198.51.100.7", scheme: str = "http") -> Browser:
    """A fresh browser at some network address."""
    transport = httpx2.ASGITransport(app=studio.web, raise_app_exceptions=False, client=(source, 40000))
    return Browser(httpx2.AsyncClient(transport=transport, base_url=f"{scheme}://studio"))


async def first_admin(studio: ByHand) -> Browser:
    """The first account, made by the link that the host gets, signed in."""
    link = (await studio.operator("POST", "/api/v1/admin/first-link")).json()
    here = browser(studio)
    await here.ok("POST", "/accounts", {"email": ADMIN, "password": PASSWORD, "link": link["secret"]})
    await here.sign_in(ADMIN)
    return here


async def joined(studio: ByHand, admin: Browser, email: str, source: str = "198.51.100.8") -> Browser:
    """A member who came by invitation, signed in."""
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "invitation"})
    link = await admin.ok("POST", "/admin/invitations", {"email": email})
    there = browser(studio, source)
    await there.ok("POST", "/accounts", {"email": email, "password": PASSWORD, "link": link["secret"]})
    await there.sign_in(email)
    return there
