"""The one way out over HTTP: no redirects, no proxies, no cookies, a deadline and a size cap on everything.

Origins of the configuration are trusted wherever they are; any other address must be https and public, and
the address that was checked is the one connected to. Retrying is the callers' decision.
"""

import asyncio
import contextlib
import functools
import re
import select
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore2
import httpx2

from portraitist.kit.addresses import is_public
from portraitist.kit.errors import KitError

CONNECT_TIMEOUT_S = 5.0
PORTS = {"http": 80, "https": 443}
CONNECTIONS = httpx2.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=20)
# a deadline bounds the rest of a request
TIMEOUTS = {"timeout": httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S).as_dict()}
HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "portraitist"}
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_ODD = re.compile(r"[\s\\\x00-\x1f\x7f]")  # what lets two parsers see two hosts


@dataclass
class Sending:
    """Whether anything of a request was written to its connection."""

    begun: bool = False


_sending: ContextVar[Sending | None] = ContextVar("_sending", default=None)
"""Of the request that this task makes now."""


class HttpError(KitError):
    """No usable answer. `sent`: the request may have reached the server, so it may have been done."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class HttpTimeout(HttpError):
    """The answer did not come, or not whole, before the deadline."""


class HttpUnreachable(HttpError):
    """No connection was had, or it broke."""


class ForbiddenAddress(KitError):
    """The address is not one we may ask: not https, or not public. Nothing was sent."""


class ResponseTooLarge(KitError):
    """The answer is larger than allowed; what came of it is thrown away."""


class UnexpectedStatus(KitError):
    """A download was answered with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The download was answered with status {status}.")
        self.status = status


@dataclass(frozen=True)
class Response:
    """An answer, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port: what decides whom we trust."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """The origin of a URL; raises ForbiddenAddress for what is no plain http(s) URL."""
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS[parts.scheme]
        except (ValueError, KeyError) as exc:
            raise ForbiddenAddress("Only http and https addresses can be asked.") from exc
        if not parts.hostname or "@" in parts.netloc or "%" in parts.netloc:
            raise ForbiddenAddress("An address needs a plain host and may carry no user name.")
        return cls(parts.scheme, parts.hostname.lower(), port)


class GuardedClient:
    """An HTTP client for one process; share it, and close it at the end."""

    def __init__(
        self,
        *,
        allowed: Iterable[str] = (),
        timeout_s: float = 30,
        max_bytes: int = 32 * 2**20,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`allowed`: URLs of the configured services, of which only the origin counts.

        `timeout_s` is for a whole request, answer included. `transport` replaces the network in tests.
        """
        self._allowed = frozenset(map(Origin.of, allowed))
        self._trusted = {(origin.host, origin.port) for origin in self._allowed}
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        # Requests go to the transport itself: what a client adds (redirects, cookies, proxies) we have none of.
        self._transport = transport or _PinnedTransport(self._trusted)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        files: Any = None,
        deadline_s: float | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        """Send once and read the whole answer, whatever its status.

        Raises ForbiddenAddress, HttpTimeout, HttpUnreachable or ResponseTooLarge.
        """
        limit = self._max_bytes if max_bytes is None else max_bytes
        request = self._request(method, url, headers=headers, json=json, content=content, files=files)
        async with self._answer(request, deadline_s) as answer:
            body = await _read(answer, limit)
            return Response(answer.status_code, _lower(answer.headers), body)

    async def download(
        self, url: str, *, max_bytes: int, deadline_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """GET a file, whole. Raises UnexpectedStatus for anything but 200, and what `request` raises."""
        async with self._answer(self._request("GET", url, headers=headers), deadline_s) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise UnexpectedStatus(answer.status_code)
            return await _read(answer, max_bytes)

    async def close(self) -> None:
        """Close idle connections."""
        await self._transport.aclose()

    def _request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None, **parts: Any
    ) -> httpx2.Request:
        if _ODD.search(url):
            raise ForbiddenAddress("An address has no spaces, backslashes or control characters.")
        origin = Origin.of(url)
        if origin not in self._allowed:
            if origin.scheme != "https":
                raise ForbiddenAddress(f"{origin.host} may be asked over https only.")
            if (origin.host, origin.port) in self._trusted:  # another scheme is another origin
                raise ForbiddenAddress(f"{origin.host} may be asked in the configured way only.")
        try:
            request = httpx2.Request(
                method, url, headers=HEADERS | _lower(headers or {}), extensions=TIMEOUTS, **parts
            )
        except (httpx2.InvalidURL, UnicodeError) as exc:
            raise ForbiddenAddress("This is not a valid address.") from exc
        asked = request.url
        if (asked.scheme, asked.host.lower(), asked.port or PORTS.get(asked.scheme)) != (
            origin.scheme,
            origin.host,
            origin.port,
        ):
            raise ForbiddenAddress("This address can be read in two ways.")
        return request

    @asynccontextmanager
    async def _answer(
        self, request: httpx2.Request, deadline_s: float | None
    ) -> AsyncIterator[httpx2.Response]:
        """The answer, opened; every failure under it, until it is closed, has one of our names."""
        sending = Sending()
        _sending.set(sending)
        where = request.url.host
        limit_s = self._timeout_s if deadline_s is None else deadline_s
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._transport.handle_async_request(request)
                try:
                    yield answer
                finally:
                    await answer.aclose()
        except (TimeoutError, httpx2.TimeoutException) as exc:
            sent = sending.begun or not isinstance(exc, (TimeoutError, *NOT_SENT))
            raise HttpTimeout(f"{where} did not answer within its time.", sent=sent) from exc
        except httpx2.TransportError as exc:
            sent = sending.begun or not isinstance(exc, NOT_SENT)
            raise HttpUnreachable(f"{where} can't be reached ({type(exc).__name__}).", sent=sent) from exc


LibraryClient = httpx2.AsyncClient
"""What libraries that make their own requests are given to make them with."""


def library_client(allowed: str, *, connections: int) -> LibraryClient:
    """A client for a library that makes its own requests: to this origin only, on the same checked connections.

    Without redirects, proxies and cookies, as `GuardedClient`; deadlines are the caller's. Close it at the end.
    """
    origin = Origin.of(allowed)

    async def only_there(request: httpx2.Request) -> None:
        if Origin.of(str(request.url)) != origin:
            raise ForbiddenAddress(f"Only {origin.host} may be asked here.")

    client = httpx2.AsyncClient(
        transport=_PinnedTransport({(origin.host, origin.port)}, connections),
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S),
        follow_redirects=False,
        trust_env=False,
        event_hooks={"request": [only_there]},
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


async def _read(answer: httpx2.Response, limit: int) -> bytes:
    """The body as it was sent. A length that is announced falsely ends as a broken connection."""
    announced = answer.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise ResponseTooLarge(f"The answer of {announced} bytes is larger than the {limit} allowed.")
    if answer.headers.get("content-encoding", "identity") != "identity":  # could unpack to any size
        raise HttpUnreachable("The answer is packed in a way that was not asked for.", sent=True)
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise ResponseTooLarge(f"The answer is larger than the {limit} bytes allowed.")
    return bytes(body)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@functools.cache
def _tls() -> ssl.SSLContext:
    """How connections are secured; reading the authorities takes a while, so all clients share it."""
    return httpx2.create_ssl_context()


class _PinnedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport, on connections that `_PinnedBackend` opens."""

    def __init__(
        self, trusted: set[tuple[str, int]], connections: int | None = CONNECTIONS.max_connections
    ) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        # There is no public way to hand a network backend over; the pool is made as the parent makes it.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_tls(),
            max_connections=connections,
            max_keepalive_connections=CONNECTIONS.max_keepalive_connections,
            keepalive_expiry=CONNECTIONS.keepalive_expiry,
            network_backend=_PinnedBackend(trusted),
        )


class _PinnedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a name once, judges every answer, and connects to what it judged."""

    def __init__(self, trusted: set[tuple[str, int]]) -> None:
        self._trusted = trusted
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of `host` that answers. Raises ForbiddenAddress before any contact."""
        addresses = await _resolve(host, port, timeout)
        if (host.lower(), port) not in self._trusted and not all(map(is_public, addresses)):
            raise ForbiddenAddress(f"{host} is not on the public internet.")
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return _Stream(
                    await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
                )
        return _Stream(
            await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)
        )

    async def sleep(self, seconds: float) -> None:
        """Wait, for the pool's own use."""
        await asyncio.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that remembers its socket: at every request the pool asks all idle ones whether they live."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")
        self._poll = select.poll()
        self._poll.register(self._socket.fileno(), select.POLLIN)

    def read(self, max_bytes: int, timeout: float | None = None) -> Coroutine[Any, Any, bytes]:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> Coroutine[Any, Any, None]:
        if (sending := _sending.get()) is not None:
            sending.begun = True
        return self._stream.write(buffer, timeout)

    def aclose(self) -> Coroutine[Any, Any, None]:
        return self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._socket.fileno() < 0 or bool(self._poll.poll(0))
        return self._stream.get_extra_info(info)


async def _resolve(host: str, port: int, within_s: float | None) -> list[str]:
    try:
        async with asyncio.timeout(within_s):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as exc:
        raise httpcore2.ConnectTimeout(f"{host} was not resolved in time") from exc
    except (OSError, UnicodeError) as exc:
        raise httpcore2.ConnectError(f"{host} can't be resolved") from exc
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
