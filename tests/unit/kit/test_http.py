"""The way out over HTTP refuses what it must before anything is sent, and bounds what comes back."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.kit.addresses import is_public
from portraitist.kit.http import (
    ForbiddenAddress,
    GuardedClient,
    HttpTimeout,
    HttpUnreachable,
    ResponseTooLarge,
    UnexpectedStatus,
    library_client,
)

pytestmark = pytest.mark.anyio


class Server:
    """Answers each connection's first request with fixed bytes, and counts."""

    def __init__(self, answer: bytes, *, pause_s: float = 0) -> None:
        self.answer = answer
        self.pause_s = pause_s
        self.requests: list[bytes] = []
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            await asyncio.sleep(self.pause_s)
            writer.write(self.answer)
            await writer.drain()
        finally:
            writer.close()


def http(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def serving(
    answer: bytes, *, pause_s: float = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    handler = Server(answer, pause_s=pause_s)
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    handler.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    try:
        yield handler
    finally:
        server.close()


@asynccontextmanager
async def client_for(*allowed: str, **options: Any) -> AsyncIterator[GuardedClient]:
    client = GuardedClient(allowed=allowed, **options)
    try:
        yield client
    finally:
        await client.close()


async def test_a_configured_origin_is_asked_wherever_it_is() -> None:
    async with serving(http(b'{"a":1}', X_Kind="Test")) as server, client_for(f"{server.url}/v1") as client:
        answer = await client.request("POST", f"{server.url}/v1/x", json={"b": 2})
    assert (answer.status, answer.headers["x-kind"], answer.content) == (200, "Test", b'{"a":1}')


async def test_another_port_of_a_trusted_host_is_not_trusted() -> None:
    async with serving(http()) as server, client_for("http://127.0.0.1:1") as client:
        with pytest.raises(ForbiddenAddress):
            await client.request("GET", server.url)
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",  # not https
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://user:pw@example.com/",
        "https:///nohost",
        "https://example.com:99999/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "",
    ],
)
async def test_addresses_that_are_not_public_https_are_refused(url: str) -> None:
    async with client_for() as client:
        with pytest.raises(ForbiddenAddress):
            await client.request("GET", url)


def answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses now."""

    async def getaddrinfo(_loop: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(None, None, None, "", (address, port)) for address in addresses]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)


async def test_a_name_with_a_public_and_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "93.184.216.34", "127.0.0.1")
    async with client_for() as client:
        with pytest.raises(ForbiddenAddress):
            await client.request("GET", "https://rebind.example/")


async def test_a_guard_that_looks_at_the_first_address_only_would_be_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The planted bug: were one public address enough, the mixed answer would get as far as connecting."""
    monkeypatch.setattr("portraitist.kit.http.all", any, raising=False)
    answering(monkeypatch, "127.0.0.1", "93.184.216.34")
    async with client_for() as client:
        with pytest.raises(HttpUnreachable):
            await client.request("GET", "https://rebind.example:1/", deadline_s=0.2)


async def test_the_checked_address_is_used_and_the_certificate_is_still_the_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server_tls, authority = _certificate("studio.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    # it reads its authorities now, not those of earlier tests
    monkeypatch.setattr("portraitist.kit.http._tls", httpx2.create_ssl_context)
    monkeypatch.setattr("portraitist.kit.http.is_public", lambda address: address == "127.0.0.1")
    async with serving(http(b"ok"), tls=server_tls) as server, client_for() as client:
        answering(monkeypatch, "127.0.0.1")
        port = server.url.rpartition(":")[2]
        assert (await client.request("GET", f"https://studio.example:{port}/")).content == b"ok"
        assert b"Host: studio.example:" in server.requests[0].replace(b"host:", b"Host:")
        with pytest.raises(HttpUnreachable) as caught:
            await client.request("GET", f"https://impostor.example:{port}/")
        assert not caught.value.sent


def _certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    elsewhere = http(status="302 Found", Location="http://169.254.169.254/")
    async with serving(elsewhere) as server, client_for(server.url) as client:
        assert (await client.request("GET", server.url)).status == 302
        with pytest.raises(UnexpectedStatus) as caught:
            await client.download(server.url, max_bytes=10, deadline_s=2)
    assert caught.value.status == 302


async def test_cookies_are_not_kept_and_proxies_of_the_environment_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with serving(http(Set_Cookie="a=b")) as server, client_for(server.url) as client:
        await client.request("GET", server.url)
        await client.request("GET", server.url)
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


async def test_a_library_client_follows_no_redirect_keeps_no_cookie_and_asks_its_origin_only() -> None:
    there = http(status="302 Found", Location="/there", Set_Cookie="a=b")
    async with serving(there) as server, serving(http()) as other:
        client = library_client(server.url, connections=1)
        async with client:
            answers = [await client.get(server.url) for _ in range(2)]
            with pytest.raises(ForbiddenAddress):
                await client.get(other.url)
    assert [answer.status_code for answer in answers] == [302, 302]
    assert (len(server.requests), len(other.requests)) == (2, 0)
    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize(
    "answer",
    [
        http(b"x" * 2000),
        http(b"x" * 2000, Content_Length="99999999999"),
        http(b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
    ],
    ids=["announced", "announced and cut off", "in chunks"],
)
async def test_an_answer_over_the_cap_is_thrown_away(answer: bytes) -> None:
    async with serving(answer) as server, client_for(server.url, max_bytes=1000) as client:
        with pytest.raises(ResponseTooLarge):
            await client.request("GET", server.url)
        with pytest.raises(ResponseTooLarge):
            await client.download(server.url, max_bytes=1999, deadline_s=2)


async def test_a_file_that_is_cut_off_is_not_taken_for_whole() -> None:
    async with serving(http(b"x" * 10, Content_Length="20")) as server, client_for(server.url) as client:
        with pytest.raises(HttpUnreachable):
            await client.download(server.url, max_bytes=100, deadline_s=2)


async def test_a_packed_answer_is_refused_unread() -> None:
    async with serving(http(b"x", Content_Encoding="gzip")) as server, client_for(server.url) as client:
        with pytest.raises(HttpUnreachable):
            await client.request("GET", server.url)


async def test_a_deadline_passed_after_sending_says_that_it_may_have_arrived() -> None:
    async with serving(http(), pause_s=5) as server, client_for(server.url) as client:
        with pytest.raises(HttpTimeout) as caught:
            await client.request("POST", server.url, content=b"x", deadline_s=0.2)
    assert caught.value.sent


async def test_a_connection_cut_after_sending_says_that_it_may_have_arrived() -> None:
    async with serving(b"") as server, client_for(server.url) as client:
        with pytest.raises(HttpUnreachable) as caught:
            await client.request("POST", server.url, content=b"x")
    assert caught.value.sent


async def test_a_refused_connection_says_that_nothing_was_sent(
    unused_port: Callable[[], Awaitable[int]],
) -> None:
    url = f"http://127.0.0.1:{await unused_port()}"
    async with client_for(url) as client:
        with pytest.raises(HttpUnreachable) as caught:
            await client.request("POST", url, content=b"x")
    assert not caught.value.sent


@pytest.fixture
def unused_port() -> Callable[[], Awaitable[int]]:
    async def find() -> int:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return port

    return find


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public_however_they_are_written(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_makes_it_more_public(address: Any) -> None:
    assert is_public(f"::ffff:{address}") == is_public(f"64:ff9b::{address}") == is_public(str(address))


@given(st.text(max_size=40))
def test_what_is_no_address_is_not_public(text: str) -> None:
    if not any(mark in text for mark in ".:"):
        assert not is_public(text)
