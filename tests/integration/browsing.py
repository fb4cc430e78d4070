"""A member's browser on the studio's pages, without scripts: follows redirects, sends the forms that it is shown."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx2
from tests.integration.by_hand import ByHand
from tests.integration.people import PASSWORD

NAVIGATION = {"Sec-Fetch-Site": "same-origin", "Origin": "http://studio"}


@dataclass
class Surfer:
    """One browser window and the page in it."""

    http: httpx2.AsyncClient
    page: str = ""
    status: int = 0
    address: str = ""

    async def open(self, address: str) -> str:
        """Look at a page."""
        return await self._shown(await self.http.get(address))

    async def send(self, action: str, **filled: Any) -> str:
        """Send the form with this action as it stands on the page, with these fields filled in."""
        fields = self.form(action) | {name: str(value) for name, value in filled.items()}
        return await self._shown(await self.http.post(action, data=fields, headers=NAVIGATION))

    def form(self, action: str) -> dict[str, str]:
        """The fields of a form on this page."""
        found = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.page, re.DOTALL)
        assert found, f"no form to {action} on {self.address}:\n{self.text}"
        fields = {}
        for tag in re.findall(r"<(?:input|textarea)[^>]*>", found.group(1)):
            name = re.search(r'name="([^"]*)"', tag)
            value = re.search(r'value="([^"]*)"', tag)
            if name:
                fields[name.group(1)] = unescape(value.group(1)) if value else ""
        return fields

    @property
    def text(self) -> str:
        """What is read on the page, without its markup."""
        plain = re.sub(r"<(script|svg|style)\b.*?</\1>|<[^>]+>", " ", self.page, flags=re.DOTALL)
        return " ".join(unescape(plain).split())

    @property
    def title(self) -> str:
        """The first heading."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.page, re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", found.group(1))).split()) if found else ""

    async def _shown(self, answer: httpx2.Response) -> str:
        while answer.status_code == 303:
            answer = await self.http.get(answer.headers["location"])
        self.page, self.status, self.address = answer.text, answer.status_code, str(answer.url)
        return self.page


def surfer(studio: ByHand, source: str = "198.51.100.9") -> Surfer:
    """A fresh browser window."""
    transport = httpx2.ASGITransport(app=studio.web, raise_app_exceptions=False, client=(source, 40001))
    return Surfer(httpx2.AsyncClient(transport=transport, base_url="http://studio"))


async def signed_in(studio: ByHand, email: str, source: str = "198.51.100.9") -> Surfer:
    """A window of somebody who has an account, signed in by the page's form."""
    window = surfer(studio, source)
    await window.open("/sign-in")
    await window.send("/sign-in", email=email, password=PASSWORD)
    assert window.status == 200, window.text
    return window
