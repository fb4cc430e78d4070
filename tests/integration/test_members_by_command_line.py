"""The whole life of an account from the command line: the host's link, invitations, roles, a forgotten password."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import INSTANCE_TOKEN
from tests.integration.people import ADMIN, ANNA, BEN, OTHER_PASSWORD, PASSWORD

from portraitist.cli import account, members
from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage, CliError
from portraitist.cli.output import Output
from portraitist.kit.homes import Home

pytestmark = pytest.mark.anyio


@pytest.fixture
def here(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> ByHand:
    """The studio, where every address that the command line speaks to leads."""

    @asynccontextmanager
    async def client(_address: str) -> AsyncIterator[httpx2.AsyncClient]:
        transport = httpx2.ASGITransport(app=by_hand.web, client=("198.51.100.9", 40000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://studio") as opened:
            yield opened

    monkeypatch.setattr(account, "_client", client)
    return by_hand


def told(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """The JSON lines of that event since the last look."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def test_an_account_lives_from_the_first_link_to_a_new_password(
    here: ByHand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, home = Output(json_lines=True), Home(tmp_path / "home")
    host = StudioApi(here.http, INSTANCE_TOKEN, lambda: True)
    first = await host.first_link()
    assert first is not None
    await account.join(first, ADMIN, PASSWORD, output)
    with pytest.raises(BadUsage, match="closed"):
        await members.invite(host, ANNA, False, output)
    await members.sign_up(host, "invitation", output)
    await members.invite(host, ANNA, False, output)
    await members.invite(host, None, True, output)
    annas, spare = told(capsys, "link")
    await account.join(annas["url"], ANNA, PASSWORD, output)
    await members.invitations(host, output)
    assert [(each["id"], each["role"]) for each in told(capsys, "invitation")] == [(spare["id"], "admin")]
    await members.take_back(host, spare["id"], output)
    with pytest.raises(CliError, match="link"):
        await account.join(spare["url"], BEN, PASSWORD, output)

    await account.login(home, "http://studio", ANNA, PASSWORD, output)
    await account.change_password(home, PASSWORD, OTHER_PASSWORD, output)
    assert (await account.call(account.kept(home), "GET", "/me"))["email"] == ANNA  # the token stayed good
    capsys.readouterr()
    await members.reset_link(host, ANNA.upper(), output)
    (reset,) = told(capsys, "link")
    await account.reset(reset["url"], PASSWORD, output)
    with pytest.raises(CliError):  # a reset ends every token
        await account.call(account.kept(home), "GET", "/me")
    await account.login(home, "http://studio", ANNA, PASSWORD, output)


async def test_an_admin_elsewhere_signs_in_for_an_admins_work_and_a_member_cannot(
    here: ByHand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, home = Output(json_lines=True), Home(tmp_path / "home")
    first = await StudioApi(here.http, INSTANCE_TOKEN, lambda: True).first_link()
    assert first is not None
    await account.join(first, ADMIN, PASSWORD, output)
    await account.login(home, "http://studio", ADMIN, PASSWORD, output)
    with pytest.raises(CliError):  # a token without the scope
        await members.list_all(StudioApi(here.http, account.kept(home).token, lambda: True), output)
    await account.login(home, "http://studio", ADMIN, PASSWORD, output, admin=True)
    admin = StudioApi(here.http, account.kept(home).token, lambda: True)
    await members.sign_up(admin, "invitation", output)
    await members.invite(admin, ANNA, False, output)
    (link,) = told(capsys, "link")
    await account.join(link["url"], ANNA, PASSWORD, output)
    await members.change(admin, ANNA, output, disabled=True)
    await members.list_all(admin, output)
    listed = {each["email"]: each for each in told(capsys, "account")}
    assert listed[ANNA]["disabled_at"] is not None
    await members.change(admin, ANNA, output, disabled=False)
    with pytest.raises(BadUsage, match="no account"):
        await members.change(admin, BEN, output, role="admin")
    await account.login(home, "http://studio", ANNA, PASSWORD, output)
    with pytest.raises(CliError):
        await account.login(home, "http://studio", ANNA, PASSWORD, output, admin=True)
