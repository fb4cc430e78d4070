"""The command line's own account at a studio: join, sign in for a token, keep it in HOME/login.json, take it back.

A password is asked for or read from standard input, sent once, and kept nowhere.
"""

import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import typer

from portraitist.cli import parts
from portraitist.cli.api import TIMEOUT, refused
from portraitist.cli.errors import BadUsage, PartAway
from portraitist.cli.output import Output
from portraitist.kit.homes import Home

DAYS = 90


@dataclass(frozen=True)
class Login:
    """Where the command line is signed in, and the token that says so."""

    url: str
    email: str
    token_id: str
    token: str


def file_of(home: Home) -> Path:
    """Where the login is kept; readable by its owner only."""
    return home.path / "login.json"


def kept_or_none(home: Home) -> Login | None:
    """The login of this home, if there is one."""
    try:
        return Login(**json.loads(file_of(home).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def kept(home: Home) -> Login:
    """The login of this home. Raises BadUsage where there is none."""
    login = kept_or_none(home)
    if login is None:
        raise BadUsage(
            "You are not signed in.",
            next_step="Sign in first: portraitist login [ADDRESS]",
            code="not_signed_in",
        )
    return login


def ask_password(again: bool = False, prompt: str = "Password") -> str:
    """A password, typed unseen or as one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=again, err=True)
    return password


async def join(link: str, email: str, password: str, output: Output) -> None:
    """Make an account by a one-time link, `ADDRESS/join#SECRET`."""
    address, secret = _taken_apart(link)
    async with _client(address) as client:
        await _call(client, "POST", "/accounts", {"email": email, "password": password, "link": secret})
    output.say(f"The account is made. Sign in: portraitist login {address}")
    output.emit("joined", url=address, email=email)


async def login(
    home: Home, url: str | None, email: str, password: str, output: Output, *, admin: bool = False
) -> None:
    """Sign in, take a token for this machine (`admin`: for an admin's work too), and leave the session again."""
    address = (url or parts.running_at(home) or "").rstrip("/")
    if not address:
        raise BadUsage("Which studio? None runs here.", next_step="Name its address: portraitist login URL")
    scopes = ["full", "admin"] if admin else ["full"]
    async with _session(address, email, password) as (client, signed_in_as):
        wanted = {"name": f"portraitist login on {platform.node()}"[:100], "scopes": scopes, "days": DAYS}
        token = await _call(client, "POST", "/tokens", wanted)
    _store(file_of(home), Login(address, signed_in_as, token["id"], token["token"]))
    output.say(f"Signed in at {address} as {email} for {DAYS} days.")
    output.emit("login", url=address, email=email, token_id=token["id"])


async def change_password(home: Home, current: str, new: str, output: Output) -> None:
    """Another password for the signed-in account; this machine's token, and the account's others, stay good."""
    login = kept(home)
    async with _session(login.url, login.email, current) as (client, _):
        body = {"current": current, "new": new, "keep_tokens": True}
        changed = await _call(client, "PUT", "/password", body)
        client.headers["X-CSRF-Token"] = changed["csrf_token"]  # the session is another now
    output.say("The password is changed. Browsers have to sign in anew; tokens stay good.")
    output.emit("password", url=login.url, email=login.email)


async def reset(link: str, new: str, output: Output) -> None:
    """Another password by a one-time link, `ADDRESS/reset#SECRET`."""
    address, secret = _taken_apart(link)
    async with _client(address) as client:
        await _call(client, "POST", "/password/reset", {"link": secret, "new": new})
    output.say(f"The password is set. Sign in: portraitist login {address}")
    output.emit("password", url=address)


@asynccontextmanager
async def _session(address: str, email: str, password: str) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """A client that is signed in by password for the time of the block, and the account's address as it is known."""
    async with _client(address) as client:
        body = await _enter(client, email, password)
        client.headers["X-CSRF-Token"] = body["csrf_token"]
        yield client, body["member"]["email"]
        await _call(client, "DELETE", "/session")


async def _enter(client: httpx2.AsyncClient, email: str, password: str) -> Any:
    """Sign in; where the account wants a passkey beside the password, with a recovery code in its place."""
    given = {"email": email, "password": password}
    answer = await client.request("POST", "/api/v1/session", json=given)
    if answer.status_code == httpx2.codes.UNAUTHORIZED and answer.json().get("code") == "passkey_needed":
        given["recovery_code"] = ask_password(prompt="Recovery code (a passkey is for browsers)")
        answer = await client.request("POST", "/api/v1/session", json=given)
    if not answer.is_success:
        refused(answer)
    return answer.json()


async def logout(home: Home, output: Output) -> None:
    """Take the token back and forget it."""
    login = kept(home)
    async with signed_in(login) as client:
        answer = await client.request("DELETE", f"/api/v1/tokens/{login.token_id}")
        if answer.status_code not in (httpx2.codes.NO_CONTENT, httpx2.codes.UNAUTHORIZED):
            refused(answer)
    file_of(home).unlink()
    output.say("Signed out; the token is good for nothing any more.")
    output.emit("logout", url=login.url)


async def call(login: Login, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """One call as the signed-in member: the answer's JSON, None where it has none."""
    async with signed_in(login) as client:
        return await _call(client, method, path, body)


@asynccontextmanager
async def signed_in(login: Login) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the login's token."""
    async with _client(login.url) as client:
        client.headers["Authorization"] = f"Bearer {login.token}"
        yield client


@asynccontextmanager
async def _client(address: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=address, timeout=TIMEOUT, trust_env=False) as client:
        try:
            yield client
        except httpx2.TransportError as error:
            raise PartAway(
                f"No studio answers at {address}.",
                next_step="Look at the address, or start it: portraitist up",
            ) from error


async def _call(
    client: httpx2.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Any:
    answer = await client.request(method, f"/api/v1{path}", json=body)
    if not answer.is_success:
        refused(answer)
    return answer.json() if answer.content else None


def _taken_apart(link: str) -> tuple[str, str]:
    parts_of = urlsplit(link)
    if not (parts_of.scheme in ("http", "https") and parts_of.netloc and parts_of.fragment):
        raise BadUsage(
            "That is no link of a studio.",
            next_step="Copy it whole, with everything behind the #, in quotes.",
        )
    return f"{parts_of.scheme}://{parts_of.netloc}", parts_of.fragment


def _store(file: Path, login: Login) -> None:
    beside = file.with_suffix(".part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(asdict(login), stream)
    beside.replace(file)
