"""`/api/v1/account/retention`: how long what is kept, what is announced, and the member's "keep my photos"."""

from datetime import datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.config import StudioSettings
from portraitist.studio.http import CoreDep
from portraitist.studio.images.domain import UNDO_FOR
from portraitist.studio.privacy import keeping, previews
from portraitist.studio.privacy.timers import NOTICE, PhotoTimer, PreviewTimer
from portraitist.studio.selfies.uploads import LIVES
from portraitist.studio.webhooks.service import KEEP

router = APIRouter(prefix="/api/v1/account", tags=["privacy"])


class TimerOut(BaseModel):
    """How long one kind of thing is kept; null: until you delete it."""

    kind: str = Field(examples=["photos"])
    days: float | None = Field(examples=[30])
    counts_from: str = Field(examples=["the end of the last training that used them"])


class RetentionOut(BaseModel):
    """Every timer; and when your photos, and pictures that you never saved, go, once that is announced."""

    keep_photos: bool
    photos_deleted_at: datetime | None
    announced_at: datetime | None
    previews_deleted_at: datetime | None = Field(description="Of pictures made until `previews_made_until`.")
    previews_made_until: datetime | None
    notice_days: float = Field(examples=[3])
    timers: list[TimerOut]

    @classmethod
    def of(
        cls, timer: PhotoTimer, announced: PreviewTimer | None, settings: StudioSettings
    ) -> "RetentionOut":
        """From the member's timers and the studio's settings."""
        runs = announced is not None and settings.previews_kept_for is not None
        return cls(
            keep_photos=timer.keeps,
            photos_deleted_at=timer.strikes_at,
            announced_at=timer.announced_at,
            previews_deleted_at=announced.strikes_at if announced and runs else None,
            previews_made_until=announced.made_until if announced and runs else None,
            notice_days=_days(NOTICE),
            timers=_timers(settings),
        )


class KeepIn(BaseModel):
    """Whether your photos stay after a training."""

    model_config = ConfigDict(extra="forbid")
    keep_photos: bool = Field(examples=[True])


@router.get("/retention")
async def see_retention(user_id: MemberId, core: CoreDep) -> RetentionOut:
    """How long what is kept, and whether the deletion of your photos is announced."""
    async with core.db.member(user_id) as tx:
        return RetentionOut.of(await keeping.see(tx), await previews.see(tx), core.settings)


@router.put("/retention")
async def set_retention(body: KeepIn, user_id: MemberId, core: CoreDep) -> RetentionOut:
    """Keep your photos after trainings, or have the timer run."""
    async with core.db.member(user_id) as tx:
        timer = await keeping.keep_photos(tx, body.keep_photos)
        return RetentionOut.of(timer, await previews.see(tx), core.settings)


def _timers(settings: StudioSettings) -> list[TimerOut]:
    """The same values that rule the sweeper."""
    table = [
        ("photos", settings.photos_kept_for, "the end of the last training that used them"),
        ("photos not finished uploading", LIVES, "the beginning of the upload"),
        ("what a training's log said", settings.logs_kept_for, "the end of the training"),
        ("deleted pictures", UNDO_FOR, "their deletion"),
        ("pictures that were never saved", settings.previews_kept_for, "their making"),
        ("pictures", None, "nothing: saved ones stay until you delete them"),
        ("models", None, "nothing: they stay until you have them erased"),
        ("notices from the engine (no content)", KEEP, "their arrival"),
    ]
    return [
        TimerOut(kind=kind, days=None if length is None else _days(length), counts_from=since)
        for kind, length, since in table
    ]


def _days(length: timedelta) -> float:
    return length / timedelta(days=1)
