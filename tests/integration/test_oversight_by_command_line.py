"""Audit events, erasing a member and legal holds from the command line, as the host."""

import json
from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import INSTANCE_TOKEN
from tests.integration.people import ADMIN, ANNA, first_admin, joined

from portraitist.cli import events, oversight
from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage, CliError
from portraitist.cli.output import Output
from portraitist.kit.clock import SystemClock
from portraitist.studio.trail.sealing import Sealer

pytestmark = pytest.mark.anyio
REASON = "Order 12/26 of the district court."


def host(studio: ByHand) -> StudioApi:
    return StudioApi(studio.http, INSTANCE_TOKEN, lambda: True)


def told(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """The JSON lines of that event since the last look."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def test_events_are_listed_and_checked_and_tampering_ends_with_an_error(
    by_hand: ByHand, capsys: pytest.CaptureFixture[str]
) -> None:
    output, core = Output(json_lines=True), by_hand.parts.core
    await joined(by_hand, await first_admin(by_hand), ANNA)
    await events.list_some(host(by_hand), ANNA, 100, output)
    assert [each["action"] for each in told(capsys, "event")] == ["session.opened", "account.made"]
    await events.list_some(host(by_hand), None, 3, output)
    assert len(told(capsys, "event")) == 3

    await Sealer(core.db, core.objects, SystemClock()).sweep()
    await events.verify(host(by_hand), None, output)
    [report] = told(capsys, "verified")
    assert report["whole"] and report["entries"] > 5 and report["noted"] == 1
    await events.verify(host(by_hand), report["head"], output)

    by_hand.run("alter table audit_events disable trigger append_only")
    by_hand.run("update audit_events set actor = 'host' where action = 'account.made'")
    with pytest.raises(CliError, match="not whole") as refused:
        await events.verify(host(by_hand), report["head"], output)
    assert refused.value.exit_code == 1
    assert {each["kind"] for each in told(capsys, "verified")[-1]["findings"]} == {"changed"}
    with pytest.raises(BadUsage, match="number:digest"):
        await events.verify(host(by_hand), "nonsense", output)


async def test_a_member_is_held_released_and_erased(
    by_hand: ByHand, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(json_lines=True)
    admin = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    await oversight.hold(host(by_hand), ANNA, REASON, output)
    await oversight.holds(host(by_hand), output)
    [placed, listed] = told(capsys, "hold")
    assert placed["id"] == listed["id"] and listed["released_at"] is None
    await oversight.erase(host(by_hand), ANNA, output)
    [begun] = told(capsys, "erasure")
    assert begun["receipt_token"].startswith("prc_")
    await oversight.release(host(by_hand), placed["user_id"], output)

    with pytest.raises(BadUsage, match="only admin"):
        await oversight.erase(host(by_hand), ADMIN, output)
    with pytest.raises(BadUsage, match="no account"):
        await oversight.erase(host(by_hand), "nobody@example.org", output)
    told_by = by_hand.rows(
        "select action, actor from audit_events where action like 'erasure%%' or action like 'hold%%'"
    )
    assert sorted(told_by) == [("erasure.begun", "host"), ("hold.placed", "host"), ("hold.released", "host")]


async def test_an_admin_erases_only_when_freshly_signed_in(by_hand: ByHand) -> None:
    from datetime import timedelta

    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    path = f"/admin/members/{(await anna.ok('GET', '/me'))['id']}"
    by_hand.clock.move(timedelta(minutes=11))
    assert (await admin.send("DELETE", path)).json()["code"] == "fresh_sign_in_needed"
    await admin.sign_in(ADMIN)
    assert (await anna.send("DELETE", path)).status_code == 403
    begun = await admin.ok("DELETE", path)
    receipt = await by_hand.http.get("/api/v1/receipt", headers={"Receipt-Token": begun["receipt_token"]})
    assert receipt.json()["scope"] == "account"
    assert (await anna.send("GET", "/me")).status_code == 401
