"""Requests to one provider: its base address, its token, deadlines, retries of reads, errors translated once.

What paths and bodies mean is `replicate`'s business; what a refusal means is read in `problems`. A request
that creates or cancels is sent once, whatever happens.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

from portraitist.kit.http import (
    ForbiddenAddress,
    GuardedClient,
    HttpTimeout,
    HttpUnreachable,
    Origin,
    Response,
    ResponseTooLarge,
)
from portraitist.kit.limits import LimitedClient
from portraitist.studio.provider import wire
from portraitist.studio.provider.port import (
    JSON,
    ProviderError,
    ProviderNotFound,
    ProviderOutputTooLarge,
    ProviderRateLimited,
    ProviderUnavailable,
    ProviderUntrustedAddress,
)
from portraitist.studio.provider.problems import problem

OUTPUT_HOST: Final = "replicate.delivery"
"""Where the cloud keeps outputs, subdomains included. It needs no token and gets none."""

_T = TypeVar("_T")
_ODD_ADDRESS = re.compile(r"[\s\\@\x00-\x1f]")  # what lets two parsers see two hosts


@dataclass(frozen=True)
class Limits:
    """How long and how much: seconds, bytes, counts."""

    read_s: float = 30.0
    """All attempts of one read together."""
    create_s: float = 30.0
    """Then a create without an answer is uncertain; whoever looks for it waits as long first."""
    download_s: float = 120.0
    upload_s: float = 300.0
    attempts: int = 5
    first_wait_s: float = 0.25
    longest_wait_s: float = 8.0
    answer_bytes: int = 64 * 2**20
    """A page of 100 runs carries 100 whole logs."""
    pages: int = 100
    """A list that goes on for ever must not."""


@dataclass(frozen=True)
class Pauses:
    """Time and chance, handed in: numbers from 0 to 1 that spread retries, a sleep, a clock in seconds."""

    jitter: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic


class Transport:
    """HTTP as one account of one provider. Every method may raise a `ProviderError`."""

    def __init__(
        self, http: GuardedClient, *, base_url: str, token: str, pauses: Pauses, limits: Limits
    ) -> None:
        self._http = http
        self._base = base_url.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {
            "authorization": f"Bearer {token}",
            "accept": "application/json",
            "cache-control": "no-store",
        }
        self._pauses = pauses
        self._limits = limits

    async def get(self, path: str) -> JSON:
        """The JSON at a path below /v1; retried."""

        async def read(seconds: float) -> JSON:
            return _decoded(await self._own("GET", path, deadline_s=seconds))

        return await self._patiently(read, self._limits.read_s)

    async def post(self, path: str, body: Mapping[str, JSON] | None, *, reserved: bool = False) -> JSON:
        """Send once and read the JSON answer. `reserved`: after `reserve`, whose turn it uses."""
        answer = await self._own("POST", path, deadline_s=self._limits.create_s, json=body, reserved=reserved)
        return _decoded(answer)

    async def reserve(self, path: str) -> None:
        """Take a turn for a POST there that needs preparing. Raises ProviderRateLimited where there is none yet."""
        if isinstance(self._http, LimitedClient):
            wait = await self._http.reserve("POST", f"{self._base}{path}")
            if wait > 0:
                raise ProviderRateLimited("our own share of the account's rate", retry_after_s=wait)

    async def upload(self, path: str, name: str, data: bytes, content_type: str) -> JSON:
        """Send one file once, as multipart, and read the JSON answer."""
        files = {"content": (name, data, content_type)}
        return _decoded(await self._own("POST", path, deadline_s=self._limits.upload_s, files=files))

    async def delete(self, path: str) -> None:
        """Delete; what is gone is deleted."""
        try:
            await self._own("DELETE", path, deadline_s=self._limits.read_s)
        except ProviderNotFound:
            return

    async def pages(self, path: str, query: Mapping[str, str]) -> AsyncIterator[list[JSON]]:
        """The pages of a list, in the provider's order.

        Of an answer's `next` only the query is used: the path stays ours, so the token can't be led away.
        """
        tail = urlencode(query)
        for _ in range(self._limits.pages):
            answer = wire.mapping(await self.get(f"{path}?{tail}" if tail else path))
            results = answer.get("results")
            yield results if isinstance(results, list) else []
            tail = _query(answer.get("next"))
            if not tail:
                return

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """The bytes of an output at the cloud's output hosts or the provider's own origin; retried."""
        return (await self._fetched(url, max_bytes, {})).content

    async def fetch_range(self, url: str, first: int, size: int, max_bytes: int) -> Response:
        """As `fetch`, but so many bytes only, from `first` on: status 206, or 200 with everything."""
        return await self._fetched(url, max_bytes, {"range": f"bytes={first}-{first + size - 1}"})

    async def _fetched(self, url: str, max_bytes: int, wanted: Mapping[str, str]) -> Response:
        origin = _origin(url)
        own = origin == _origin(self._base)
        if not own and not _is_output_host(origin):
            raise ProviderUntrustedAddress(url[:200])
        headers = {**wanted, **({"authorization": self._headers["authorization"]} if own else {})}

        async def read(seconds: float) -> Response:
            return await self._once("GET", url, headers, deadline_s=seconds, max_bytes=max_bytes)

        return await self._patiently(read, self._limits.download_s)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def _own(
        self,
        method: str,
        path: str,
        *,
        deadline_s: float,
        json: object = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        reserved: bool = False,
    ) -> Response:
        return await self._once(
            method,
            f"{self._base}{path}",
            self._headers,
            deadline_s=deadline_s,
            max_bytes=self._limits.answer_bytes,
            json=json,
            files=files,
            reserved=reserved,
        )

    async def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        deadline_s: float,
        max_bytes: int,
        json: object = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        reserved: bool = False,
    ) -> Response:
        """One request, one successful answer or one of our errors."""
        http = self._http
        send = http.request_reserved if reserved and isinstance(http, LimitedClient) else http.request
        try:
            response = await send(
                method,
                url,
                headers=headers,
                json=json,
                files=files,
                deadline_s=deadline_s,
                max_bytes=max_bytes,
            )
        except (HttpTimeout, HttpUnreachable) as exc:
            raise ProviderUnavailable(str(exc), sent=exc.sent) from exc
        except ResponseTooLarge as exc:
            raise ProviderOutputTooLarge(str(exc)) from exc
        except ForbiddenAddress as exc:
            raise ProviderUntrustedAddress(str(exc)) from exc
        if (error := problem(response.status, response.headers, response.content)) is not None:
            raise error
        return response

    async def _patiently(self, read: Callable[[float], Awaitable[_T]], deadline_s: float) -> _T:
        """Retry a read that may succeed later, as long as attempts and deadline have room for it."""
        end = self._pauses.monotonic() + deadline_s
        attempt = 1
        while True:
            try:
                return await read(end - self._pauses.monotonic())
            except (ProviderUnavailable, ProviderRateLimited) as exc:
                wait = self._wait(attempt, exc)
                late = self._pauses.monotonic() + wait >= end
                if late or attempt == self._limits.attempts or wait > self._limits.longest_wait_s:
                    raise
            attempt += 1
            await self._pauses.sleep(wait)

    def _wait(self, attempt: int, exc: ProviderError) -> float:
        """Seconds before the next attempt: doubling up to the longest, spread by half; never before asked."""
        doubled = min(self._limits.first_wait_s * 2.0 ** (attempt - 1), self._limits.longest_wait_s)
        asked = exc.retry_after_s if isinstance(exc, ProviderRateLimited) else 0.0
        return max(doubled * (0.5 + self._pauses.jitter() / 2), asked)


def _decoded(response: Response) -> JSON:
    try:
        return wire.decode(response.content)
    except wire.MalformedAnswer as exc:  # a proxy's page with status 200
        raise ProviderUnavailable(f"HTTP {response.status}, but {exc}", sent=True) from exc


def _query(address: JSON) -> str:
    try:
        return urlsplit(address).query if isinstance(address, str) else ""
    except ValueError:
        return ""


def _origin(url: str) -> Origin:
    """Scheme, host and port. Raises ProviderUntrustedAddress for what is no plain http(s) address."""
    if _ODD_ADDRESS.search(url):
        raise ProviderUntrustedAddress(url[:200])
    try:
        return Origin.of(url)
    except ForbiddenAddress as exc:
        raise ProviderUntrustedAddress(url[:200]) from exc


def _is_output_host(origin: Origin) -> bool:
    own = origin.host == OUTPUT_HOST or origin.host.endswith(f".{OUTPUT_HOST}")
    return own and (origin.scheme, origin.port) == ("https", 443)
