"""The command line with an account of its own: join by a link, sign in, work as that member, sign out."""

import io
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from tests.fakes.serving import served

from portraitist.cli import account, session
from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage
from portraitist.cli.memory import MemberMemory
from portraitist.cli.output import Output
from portraitist.cli.within import in_studio
from portraitist.kit.homes import Home

pytestmark = pytest.mark.anyio
EMAIL, PASSWORD = "anna@example.org", "violet harbour seven lamps"
CAREFUL, CODE = "careful@example.org", "abcd-efgh-ijkl-mnop-qrst-uvwx"


@pytest.fixture
def studio() -> Iterator[tuple[str, list[str]]]:
    """A studio with one account, its address, and what it was asked."""
    app, asked = FastAPI(), []

    @app.middleware("http")
    async def note(request: Request, call_next: Any) -> Response:
        asked.append(f"{request.method} {request.url.path}")
        answer: Response = await call_next(request)
        return answer

    @app.post("/api/v1/accounts")
    async def join(request: Request) -> Any:
        body = await request.json()
        return JSONResponse({"email": body["email"]}, 201 if body["link"] == "secret" else 404)

    @app.post("/api/v1/session")
    async def enter(request: Request) -> Any:
        given = await request.json()
        if given["password"] != PASSWORD:
            return JSONResponse({"code": "sign_in_refused", "detail": "They don't fit together."}, 401)
        if given["email"] == CAREFUL and given.get("recovery_code") != CODE:
            return JSONResponse({"code": "passkey_needed", "detail": "A passkey too."}, 401)
        return {"csrf_token": "csrf", "member": {"email": EMAIL}}

    @app.post("/api/v1/tokens")
    def issue(request: Request) -> Any:
        assert request.headers["x-csrf-token"] == "csrf"
        return {"id": "t1", "token": "pst_secret", "expires_at": "2027"}

    @app.delete("/api/v1/session", status_code=204)
    def leave() -> None: ...

    @app.delete("/api/v1/tokens/t1", status_code=204)
    def revoke(request: Request) -> None:
        assert request.headers["authorization"] == "Bearer pst_secret"

    @app.get("/api/v1/me")
    def me() -> Any:
        return {"id": "a" * 12, "handle": "account:a", "subject_word": "woman"}

    @app.get("/api/v1/consents")
    def consents() -> Any:
        return {"items": [{"withdrawn_at": None}]}

    @app.get("/api/v1/engine")
    def engine() -> Any:
        return {"kind": "engine", "engine": "tiny", "picture_size": "192x256", "safety_checker": "none"}

    with served(app) as url:
        yield url, asked


async def test_a_link_makes_an_account_and_a_broken_one_is_said(studio: tuple[str, list[str]]) -> None:
    url, asked = studio
    await account.join(f"{url}/join#secret", EMAIL, PASSWORD, Output())
    assert asked == ["POST /api/v1/accounts"]
    for broken in ("secret", f"{url}/join", "ftp://x/join#secret"):
        with pytest.raises(BadUsage, match="no link"):
            await account.join(broken, EMAIL, PASSWORD, Output())


async def test_signing_in_keeps_a_token_for_this_user_only_and_no_password(
    studio: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = studio
    home = Home(tmp_path)
    await account.login(home, url, EMAIL, PASSWORD, Output())
    assert asked == ["POST /api/v1/session", "POST /api/v1/tokens", "DELETE /api/v1/session"]
    kept = account.file_of(home)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD not in kept.read_text()
    await account.logout(home, Output())
    assert asked[-1] == "DELETE /api/v1/tokens/t1"
    with pytest.raises(BadUsage, match="not signed in"):
        account.kept(home)


async def test_where_a_passkey_is_wanted_too_a_recovery_code_is_asked_for(
    studio: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = studio
    monkeypatch.setattr(account, "ask_password", lambda **_: CODE)
    await account.login(Home(tmp_path), url, CAREFUL, PASSWORD, Output())
    assert asked[:2] == ["POST /api/v1/session"] * 2
    assert account.kept(Home(tmp_path)).token == "pst_secret"


async def test_after_signing_in_commands_work_as_that_member(
    studio: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, _ = studio
    home = Home(tmp_path)
    await account.login(home, url, EMAIL, PASSWORD, Output())
    seen: list[str] = []

    async def work(api: StudioApi) -> None:
        memory = MemberMemory(tmp_path, "folder:/photos")
        member = await session.enter(api, memory, session.Answers(None, consent=False), Output())
        seen.append((await member.me()).id)
        seen.append((await api.status()).picture_size)
        await session.known(api, memory)
        with pytest.raises(BadUsage, match="--member"):
            await session.known(api, MemberMemory(tmp_path, "name:anna"))

    await in_studio(home, Output(), work)
    assert seen == ["a" * 12, "192x256"]


async def test_without_a_terminal_the_password_is_a_line_of_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\nmore\n"))
    assert account.ask_password() == PASSWORD
    account.file_of(Home(tmp_path)).write_text(json.dumps({"url": "x"}))
    assert account.kept_or_none(Home(tmp_path)) is None
