"""The model's page: one training as it is going on, what to do where it stopped, and the versions there are.

Start, cancel, retry and roll back are the training service's; the page only says how it stands.
"""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.db import UserTx
from portraitist.studio.errors import StudioError
from portraitist.studio.paging import wanted
from portraitist.studio.selfies import service as selfies
from portraitist.studio.selfies.service import MIN_PHOTOS
from portraitist.studio.training import pins, service, views
from portraitist.studio.training.domain import ACTIVE, NEXT_STEPS, PARKED, Status
from portraitist.studio.training.endpoints import AccountsDep
from portraitist.studio.training.progress import Source, source
from portraitist.studio.web import wording
from portraitist.studio.web.engine_look import engine_of
from portraitist.studio.web.visits import OwnVisit, page_router

router = page_router()
Key = Annotated[str, Form(min_length=8, max_length=64)]
MOST_VERSIONS = 20
PHASES = {
    "queued": "Waiting for a place",
    "preparing": "Preparing",
    "captioning": "Describing your photos",
    "training": "Training",
    "packaging": "Packing the model",
    "verifying": "Trying it out",
    "ready": "Ready",
}
"""What a training does, in this order, in words for people."""


@router.get("/training")
async def training_page(visit: OwnVisit) -> Response:
    """How the newest training stands, and the versions of the member's model."""
    async with visit.core.db.member(visit.user_id) as tx:
        newest, _ = await views.page(tx, wanted(limit=1))
        versions = await views.versions(tx, wanted(limit=MOST_VERSIONS))
        active = await service.active_version(tx)
        photos = len(await selfies.accepted(tx))
    seen = newest[0] if newest else None
    status = seen.training.status if seen else None
    shown = {
        "seen": seen,
        "phases": PHASES,
        "by_time": seen is not None and source(seen.training) is Source.ELAPSED,
        "is_active": status in ACTIVE,
        "is_parked": status in PARKED,
        "has_failed": status is Status.FAILED,
        "was_canceled": status is Status.CANCELED,
        "advice": NEXT_STEPS.get(status, "") if status else "",
        "versions": versions[:MOST_VERSIONS],
        "active": active,
        "photos": photos,
        "minimum": MIN_PHOTOS,
        "looked_at": visit.now,
        "key": uuid4().hex,
        "engine": await engine_of(visit.request),
    }
    return visit.page("training.html", shown, here="training")


@router.post("/training")
async def start(visit: OwnVisit, accounts: AccountsDep, key: Key = "") -> Response:
    """Train on all accepted photos; the same form sent twice begins one training."""
    core = visit.core
    account = await pins.account_of(core.db, visit.user_id, accounts)
    async with core.db.member(visit.user_id) as tx:
        await service.start(
            tx,
            owner=account.username,
            account_id=account.id,
            key=key or None,
            per_day=core.settings.training_starts_per_member,
            now=visit.now,
        )
        await pins.pin(tx, account)
    return visit.done("/training", "training-started")


@router.post("/training/{training_id}/cancel")
async def cancel(training_id: UUID, visit: OwnVisit) -> Response:
    """Ask for the end of a training."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.cancel(tx, training_id, visit.now)
    return visit.done("/training", "training-canceled")


@router.post("/training/{training_id}/retry")
async def retry(training_id: UUID, visit: OwnVisit) -> Response:
    """Look for the version again, or test it again; costs nothing."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.retry(tx, training_id, visit.now)
    return visit.done("/training", "training-retried")


@router.post("/training/versions/{version_id}/activate")
async def activate(version_id: UUID, visit: OwnVisit) -> Response:
    """Make an earlier version the active one."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.roll_back(tx, version_id, visit.now)
    return visit.done("/training", "version-active")


async def missing_model(tx: UserTx) -> dict[str, Any]:
    """What a page with ways to pictures shows of it: why nothing can be drawn yet, and the step; None where it can."""
    try:
        await service.require_active_version(tx)
    except StudioError as exc:
        return {"no_model": exc, "no_model_step": wording.step_after(exc)}
    return {"no_model": None, "no_model_step": None}
