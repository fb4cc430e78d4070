"""What a member takes back or away, by the studio's API: erasing, withdrawing consent, the export, receipts.

The token of a receipt is kept in HOME/receipts.jsonl before anything is erased: afterwards nothing else leads to it.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import httpx2
import typer

from portraitist.cli import account, session
from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage, PartAway
from portraitist.cli.memory import MemberMemory
from portraitist.cli.output import Output
from portraitist.kit.homes import Home

LOOK_EVERY_S = 0.5
GONE = ("watch", "done")
"""Stages in which nothing of the member's is left in the studio."""
TRIES = 5


def confirm(question: str, yes: bool) -> None:
    """Go on only with a clear yes. Raises BadUsage."""
    if yes:
        return
    if not session.can_ask():
        raise BadUsage(
            "This can't be undone.", next_step="Say that you are sure: --yes", code="not_confirmed"
        )
    if not typer.confirm(f"{question} This can't be undone. Are you sure?", err=True):
        raise BadUsage("Nothing was erased.", code="not_confirmed")


async def erase(api: StudioApi, home: Home, memory: MemberMemory | None, output: Output) -> None:
    """Erase the member of this API, and what this machine remembers of them; follow it until all is gone here."""
    body = {"password": account.ask_password()} if api.signed_in else {}
    token = _new_token(home)
    await api.take_back("DELETE", "/account", token, body)
    if memory is not None:
        memory.forget()
    else:
        account.file_of(home).unlink(missing_ok=True)
    await _follow(api, token, output)


async def withdraw(api: StudioApi, home: Home, output: Output) -> None:
    """Take the consent back; follow the erasure until all is gone here."""
    token = _new_token(home)
    await api.take_back("POST", "/consents/withdraw", token)
    await _follow(api, token, output)


async def receipt(api: StudioApi, home: Home, token: str | None, output: Output) -> None:
    """Show what an erasure has come to: that of the token, or the last one begun here. Raises BadUsage."""
    known = token or _last_token(home)
    if known is None:
        raise BadUsage("Which receipt? None began here.", next_step="Name its token, in quotes.")
    _show(await api.receipt(known), output)


async def export(api: StudioApi, file: Path, output: Output) -> None:
    """Everything of the member's into a file; goes on where an earlier try was cut off, unless things have changed."""
    if api.signed_in:
        await api.prove(account.ask_password())
    part = _Part(file)
    for tries_left in reversed(range(TRIES)):
        try:
            await _fetch(api, part)
            break
        except httpx2.TransportError as error:
            if not tries_left:
                raise PartAway(
                    "The line broke.", next_step="Run the same command again; it goes on."
                ) from error
    size = part.finish()
    output.say(f"Everything is in {file} ({size} bytes).")
    output.emit("exported", file=str(file), bytes=size)


async def _fetch(api: StudioApi, part: "_Part") -> None:
    async with api.export(*part.known()) as answer:
        goes_on = answer.status_code == httpx2.codes.PARTIAL_CONTENT
        with part.opened(answer.headers["etag"], goes_on=goes_on) as stream:
            async for chunk in answer.aiter_bytes():
                stream.write(chunk)


class _Part:
    """A file on its way, and beside it the tag of what it is a part of."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._part = file.with_name(f"{file.name}.part")
        self._tag = file.with_name(f"{file.name}.part-tag")

    def known(self) -> tuple[int, str | None]:
        """How many bytes are there, and of what."""
        if not (self._tag.exists() and self._part.exists()):
            return 0, None
        return self._part.stat().st_size, self._tag.read_text()

    def opened(self, tag: str, *, goes_on: bool) -> IO[bytes]:
        """The file, to be written on or anew."""
        self._tag.write_text(tag)
        return _private(self._part, os.O_APPEND if goes_on else os.O_TRUNC)

    def finish(self) -> int:
        """It is whole: how long it is."""
        self._part.replace(self._file)
        self._tag.unlink()
        return self._file.stat().st_size


async def _follow(api: StudioApi, token: str, output: Output) -> None:
    with output.bar() as bar:
        while (now := await api.receipt(token))["stage"] not in GONE:
            bar.update(now["waits_for"] or "Erasing", None)
            await asyncio.sleep(LOOK_EVERY_S)
    _show(now, output)
    output.say(
        f"Keep this token, it opens the receipt: {token}\n(portraitist account receipt shows it again)"
    )


def _show(found: Mapping[str, Any], output: Output) -> None:
    rows = [
        (line["kind"], line["place"], line["outcome"], str(line["count"] or ""), line["why"] or "")
        for line in found["artefacts"]
    ]
    output.table("Receipt", ("what", "where", "became", "how many", "why"), rows)
    output.emit("receipt", **found)


def _new_token(home: Home) -> str:
    """A token for a receipt, kept before it is used."""
    token = "prc_" + secrets.token_urlsafe(32)
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _private(_receipts(home), os.O_APPEND) as stream:
        stream.write(json.dumps({"token": token}).encode() + b"\n")
    return token


def _last_token(home: Home) -> str | None:
    try:
        return str(json.loads(_receipts(home).read_text().splitlines()[-1])["token"])
    except (OSError, ValueError, IndexError):
        return None


def _receipts(home: Home) -> Path:
    return home.path / "receipts.jsonl"


def _private(path: Path, how: int) -> IO[bytes]:
    """A file to write to that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb")
