"""Sets of the photoshoot under an erasure, a legal hold and in the export."""

from datetime import timedelta

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.shooting import SETS, generations, seen, shoot, turn, until_still
from tests.integration.test_legal_hold import hold, release
from tests.integration.test_privacy_erasure import erased, traces, until_done
from tests.integration.test_privacy_export import exported, lines, opened

pytestmark = pytest.mark.anyio


async def test_a_set_in_hand_goes_with_the_account_and_stands_in_the_export_before(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna)
    await turn(by_hand)
    found = opened(await exported(anna.http))
    [row] = lines(found, "photo_sets")
    assert row["id"] == begun["id"] and "revision" not in row
    assert len(lines(found, "photo_set_items")) == 8

    token = await erased(by_hand, anna)
    await turn(by_hand)
    assert len(generations(by_hand, anna)) == 3, "nothing new begins for whoever is being erased"
    receipt = await until_done(by_hand, token)
    kinds = {line["kind"]: line["count"] for line in receipt["artefacts"]}
    assert (kinds["row of photo_sets"], kinds["row of photo_set_items"]) == (1, 8)
    assert traces(by_hand, anna.id, begun["id"]) == []


async def test_a_held_members_sets_show_no_more_and_go_on_when_the_hold_has_ended(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna, "red-backdrop")
    await hold(by_hand, anna)
    await turn(by_hand)
    assert generations(by_hand, anna) == []
    [(status, why)] = by_hand.rows("select status, why_paused from photo_sets")
    assert (status, why) == ("paused", "studio")
    assert (await anna.http.get(f"{SETS}/{begun['id']}")).status_code == 404

    await release(by_hand, anna)
    by_hand.clock.move(timedelta(hours=2))
    await until_still(by_hand)
    assert (await seen(anna, begun))["status"] == "done"
