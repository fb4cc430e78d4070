"""The photoshoot driven by hand: sets go on, and what they ask for is drawn, until nothing is left to do."""

from typing import Any
from uuid import UUID

from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

SETS = "/api/v1/photoshoot/sets"
COLLECTION = "editorial-power"
ROUNDS = 60


async def turn(studio: ByHand) -> None:
    """One sweep over the sets, and the jobs it leaves behind."""
    await studio.parts.photoshoots.sweep()
    studio.clock.move(studio.parts.training.timing.poll)  # leases are over by then
    for set_id, user_id in studio.rows(
        "select id, user_id from photo_sets where status in ('running', 'paused')"
    ):
        await studio.parts.photoshoots.advance(str(set_id), user_id)


async def until_drawn(studio: ByHand) -> None:
    """Until sets and generations have nothing left to do now: every picture is really drawn, signed and stored."""
    for _ in range(ROUNDS):
        await turn(studio)
        before = studio.rows("select count(*) from generation_trackers")
        await studio.until_quiet()
        await turn(studio)
        if studio.rows("select count(*) from generation_trackers") == before and not studio.due():
            return
    raise AssertionError("the sets never come to rest")


async def until_still(studio: ByHand) -> None:
    """The same for what is about sets alone: whatever they ask for is entered as completed, without pictures."""
    for _ in range(ROUNDS):
        await turn(studio)
        studio.run(
            "update generation_trackers set status = 'canceled', finished_at = now() "
            "where cancel_requested_at is not null and status = 'queued'"
        )
        ended = studio.superuser.execute(
            "update generation_trackers set status = 'completed', finished_at = now(), "
            "provider_prediction_id = coalesce(provider_prediction_id, id::text) "
            "where status in ('queued', 'submitting', 'submitted', 'running', 'storing')"
        )
        if not ended.rowcount:
            return
    raise AssertionError("the sets never come to rest")


async def shoot(member: Member, look: str | None = None, **more: Any) -> Any:
    """A set of the collection that tests use, or of one look of it."""
    return await member.post(SETS, {"collection": COLLECTION, "look": look, **more}, expect=201)


async def seen(member: Member, photo_set: Any) -> Any:
    return await member.get(f"{SETS}/{photo_set['id']}")


def statuses(photo_set: Any) -> list[str]:
    return [shot["status"] for shot in photo_set["shots"]]


def generations(studio: ByHand, member: Member) -> list[UUID]:
    return [row[0] for row in studio.rows("select id from generation_trackers where user_id = %s", member.id)]
