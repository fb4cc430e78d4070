"""Taking away and taking back from the command line: the export that goes on, the erasure that is followed."""

import json
import zipfile
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from tests.integration.by_hand import ByHand
from tests.integration.test_privacy_erasure import step, traces, with_pictures

from portraitist.cli import privacy
from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage, PartAway
from portraitist.cli.memory import MemberMemory
from portraitist.cli.output import Output
from portraitist.cli.wire import Member as Known
from portraitist.kit.homes import Home

pytestmark = pytest.mark.anyio


def api_of(http: httpx2.AsyncClient) -> StudioApi:
    return StudioApi(http, http.headers["Authorization"].removeprefix("Bearer "), lambda: True)


def told(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def while_it_is_carried_out(studio: ByHand, work: Awaitable[None]) -> None:
    """The command waits; the worker's part is done beside it."""

    async def carry_out() -> None:
        while True:
            await anyio.sleep(0.01)
            if studio.rows("select 1 from erasures where stage <> 'watch'"):
                await step(studio)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(carry_out)
        await work
        tasks.cancel_scope.cancel()


async def test_an_account_is_erased_and_this_machine_forgets_it_but_keeps_the_receipt(
    by_hand: ByHand, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "LOOK_EVERY_S", 0.05)
    anna, home, output = await with_pictures(by_hand), Home(tmp_path / "home"), Output(json_lines=True)
    memory = MemberMemory(home.path / "members", "name:anna")
    memory.keep_member(Known(anna.id, "name:anna", "person", "token"))

    await while_it_is_carried_out(by_hand, privacy.erase(api_of(anna.http), home, memory, output))

    [shown] = told(capsys, "receipt")
    assert shown["erased_at"] is not None
    assert memory.member() is None
    await privacy.receipt(api_of(anna.http), home, None, output)
    assert told(capsys, "receipt")[0]["id"] == shown["id"]
    assert traces(by_hand, "name:anna") == []


async def test_a_lost_answer_to_the_wish_loses_no_receipt(by_hand: ByHand, tmp_path: Path) -> None:
    anna, home = await by_hand.member(), Home(tmp_path / "home")
    api, token = api_of(anna.http), privacy._new_token(home)
    await api.take_back("DELETE", "/account", token, {})

    await api.take_back("DELETE", "/account", token, {})  # as it is sent again: nobody is signed in any more

    assert (await api.receipt(token))["scope"] == "account"


async def test_without_a_clear_yes_nothing_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portraitist.cli.session.can_ask", lambda: False)
    with pytest.raises(BadUsage, match="undone"):
        privacy.confirm("Everything goes.", yes=False)
    privacy.confirm("Everything goes.", yes=True)


class Breaking(httpx2.AsyncByteStream):
    """An answer whose line breaks after some bytes."""

    def __init__(self, whole: httpx2.AsyncByteStream, after: int) -> None:
        self._whole = whole
        self._left = after

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._whole:
            yield piece[: self._left]
            self._left -= len(piece)
            if self._left <= 0:
                raise httpx2.ReadError("cut")


class Broken(httpx2.AsyncBaseTransport):
    """Breaks the first answers after so many bytes each."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, cuts: list[int]) -> None:
        self._inner = inner
        self._cuts = cuts
        self.asked: list[str | None] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.headers.get("range"))
        answer = await self._inner.handle_async_request(request)
        if self._cuts:
            assert isinstance(answer.stream, httpx2.AsyncByteStream)
            answer.stream = Breaking(answer.stream, self._cuts.pop(0))
        return answer


async def test_an_export_goes_on_where_the_line_broke_and_in_the_next_run(
    by_hand: ByHand, tmp_path: Path
) -> None:
    anna, file = await with_pictures(by_hand), tmp_path / "everything.zip"
    lines = Broken(anna.http._transport, [700, *[400] * 6])
    async with httpx2.AsyncClient(
        transport=lines, base_url="http://studio", headers=anna.http.headers
    ) as client:
        with pytest.raises(PartAway, match="line"):
            await privacy.export(api_of(client), file, Output(json_lines=True))
        await privacy.export(api_of(client), file, Output(json_lines=True))

    assert lines.asked[:3] == [None, "bytes=700-", "bytes=1100-"]
    with zipfile.ZipFile(file) as found:
        assert found.testzip() is None
        assert len(found.namelist()) > 15
    assert sorted(path.name for path in tmp_path.glob("everything*")) == ["everything.zip"]
