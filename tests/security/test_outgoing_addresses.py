"""Requests to addresses that others have chosen: hundreds of spellings of what is not on the public internet, names
that resolve differently the second time, and every other way out of the program than the guarded one.
"""

import ast
import asyncio
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import portraitist
from portraitist.kit.http import ForbiddenAddress, GuardedClient, HttpUnreachable, Origin

pytestmark = pytest.mark.anyio
SOURCE = Path(portraitist.__file__).parent

PRIVATE = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
)
IPV6 = (
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "2001:0:7f00:1::1",
    "fec0::1",
)


def spellings() -> Iterator[str]:
    """Each private address as people, libraries and attackers write it."""
    for text in PRIVATE:
        address = ipaddress.IPv4Address(text)
        number, parts = int(address), address.packed
        yield text
        yield str(number)
        yield hex(number)
        yield f"0{number:o}"
        yield ".".join(f"0{part:o}" for part in parts)
        yield ".".join(hex(part) for part in parts)
        yield f"{parts[0]}.{int.from_bytes(parts[1:], 'big')}"
        yield f"[::ffff:{text}]"
        yield f"[64:ff9b::{text}]"
        yield f"[2002:{parts[0]:02x}{parts[1]:02x}:{parts[2]:02x}{parts[3]:02x}::1]"
        yield f"[::{text}]"
        yield f"[64:ff9b:1::{text}]"
    for text in IPV6:
        yield f"[{text}]"
        yield f"[{ipaddress.IPv6Address(text).exploded}]"
    yield from ("localhost", "localhost.", "LOCALHOST")
    yield from ("127。0。0。1", "①②⑦.0.0.1")


ODD = (
    "https://user:pw@example.com/",
    "https://127.0.0.1@example.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com\t.evil/",
    "https://exam\nple.com/",
    "https://example.com /",
    "https://example.com:99999/",
    "https://example.com:x/",
    "https://[::1/",
    "https://[fe80::1%25lo]/",
    "https:///etc/passwd",
    "http:example.com",
    "file:///etc/passwd",
    "ftp://example.com/",
    "gopher://example.com/",
    "data:text/plain,x",
    "javascript:1",
    "//example.com/",
    "",
    "https://",
    "https://\x00example.com/",
    "https://example.com\r\nHost: evil/",
)


async def test_no_spelling_of_a_private_address_is_asked() -> None:
    client = GuardedClient()
    asked = 0
    for host in spellings():
        for url in (f"https://{host}/", f"https://{host}:8443/x"):
            with pytest.raises((ForbiddenAddress, HttpUnreachable)) as caught:
                await client.request("GET", url, deadline_s=2)
            # "unreachable" only where the name could not be resolved: nothing was connected
            assert isinstance(caught.value, ForbiddenAddress) or not caught.value.sent, url
            asked += 1
    await client.close()
    assert asked > 350


@pytest.mark.parametrize("url", ODD)
async def test_an_address_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    client = GuardedClient()
    with pytest.raises(ForbiddenAddress):
        await client.request("GET", url)
    await client.close()


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1:8080/", "http://127.0.0.1:8081/", "http://localhost:8080/", "http://127.1:8080/"],
)
async def test_only_exactly_the_configured_origin_is_trusted(url: str) -> None:
    client = GuardedClient(allowed=["http://127.0.0.1:8080"])
    with pytest.raises(ForbiddenAddress):
        await client.request("GET", url, deadline_s=2)
    await client.close()


async def test_a_name_that_resolves_differently_the_second_time_is_asked_at_the_checked_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: public when it is judged, private when it is connected. It is resolved once."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])
    connected: list[str] = []

    async def getaddrinfo(_loop: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(None, None, None, "", (address, port)) for address in next(answers)]

    async def connect(_backend: Any, host: str, *_: Any, **__: Any) -> Any:
        import httpcore2

        connected.append(host)
        raise httpcore2.ConnectError("no network in tests")

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("httpcore2.AnyIOBackend.connect_tcp", connect)
    client = GuardedClient()
    with pytest.raises(HttpUnreachable):
        await client.request("GET", "https://rebind.example/")
    with pytest.raises(ForbiddenAddress):
        await client.request("GET", "https://rebind.example/")
    await client.close()
    assert connected == ["93.184.216.34"]


def test_an_origin_is_scheme_host_and_port() -> None:
    assert Origin.of("HTTPS://Example.com/x") == Origin.of("https://example.com:443/y?z")
    assert Origin.of("https://example.com:444/") != Origin.of("https://example.com/")
    assert Origin.of("http://example.com:443/") != Origin.of("https://example.com/")


WAYS_OUT = {
    "httpx2",
    "httpcore2",
    "urllib.request",
    "http.client",
    "requests",
    "aiohttp",
    "httpx",
    "urllib3",
    "ftplib",
    "smtplib",
}
GUARDED = {
    "kit/http.py": "the guarded way itself",
    "kit/limits.py": "types of the guarded way",
    "studio/accounts/mail/smtp.py": "the operator's mail server, which no request can name",
    "cli/api.py": "asks the studio that the person at the terminal has named",
}


def test_servers_have_no_other_way_out_than_the_guarded_one() -> None:
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if name in GUARDED or name.startswith("cli/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            assert not WAYS_OUT & set(names), f"{name} imports {names}: use portraitist.kit.http"
