"""What the doctor makes of a studio that has only just come up."""

import httpx2
import pytest

from portraitist.cli import checks
from portraitist.cli.api import StudioApi
from portraitist.cli.wire import Json

pytestmark = pytest.mark.anyio
PROVIDER: Json = {"kind": "engine"}


def operator(seen: list[bool]) -> tuple[StudioApi, httpx2.AsyncClient]:
    """A studio whose worker is seen, or not, look by look; the last goes on for ever."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        ok = seen.pop(0) if len(seen) > 1 else seen[0]
        return httpx2.Response(200, json={"provider": PROVIDER, "worker": {"ok": ok}})

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://studio.test")
    return StudioApi(http, "instance-token", lambda: True), http


async def test_a_worker_that_is_coming_up_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LOOK_EVERY_S", 0.001)
    api, http = operator(seen := [False, False, True])
    async with http:
        assert (await checks._settled(api)).raw["worker"]["ok"]
    assert seen == [True]


async def test_a_worker_that_does_not_come_is_told_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(checks, "WORKER_STARTS_S", 0.05)
    api, http = operator([False])
    async with http:
        assert not (await checks._settled(api)).raw["worker"]["ok"]
