"""The admin's first page: trainings and generations of all members, those that need a look first, with what helps."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from portraitist.studio.admin import looking
from portraitist.studio.admin.work import Kind
from portraitist.studio.generation import helping as drawing
from portraitist.studio.training import helping as training
from portraitist.studio.training.endpoints import AccountsDep
from portraitist.studio.web.admin_pages.visiting import Admin, admin_router

router = admin_router()
PAGE = "/admin"


@router.get(PAGE)
async def work_page(
    visit: Admin,
    kind: Kind = "training",
    status: Annotated[str, Query(pattern="^[a-z_]{0,40}$")] = "",
) -> Response:
    """What needs a look and what is in hand; with a state, the runs in it."""
    if status:
        work = await looking.work_in(visit.core.db, kind, status, visit.now)
    else:
        work = await looking.work_of(visit.core.db, visit.now)
    shown = {"work": work, "kind": kind, "status": status}
    return visit.show("work.html", shown)


@router.post(PAGE + "/trainings/{training_id}/retry")
async def retry(training_id: UUID, visit: Admin) -> Response:
    """Look for its version again, or test it again; no new cost."""
    await training.retry(visit.core.db, visit.user_id, training_id, visit.now)
    return visit.done(PAGE, "training-retried")


@router.post(PAGE + "/trainings/{training_id}/cancel")
async def cancel_training(training_id: UUID, visit: Admin) -> Response:
    """Ask for its end."""
    await training.cancel(visit.core.db, visit.user_id, training_id, visit.now)
    return visit.done(PAGE, "training-canceled")


@router.post(PAGE + "/trainings/{training_id}/again")
async def begin_again(training_id: UUID, visit: Admin, accounts: AccountsDep) -> Response:
    """Another training in place of one that failed."""
    await training.again(visit.core.db, accounts, visit.user_id, training_id, visit.now)
    return visit.done(PAGE, "begun-again")


@router.post(PAGE + "/generations/{generation_id}/cancel")
async def cancel_generation(generation_id: UUID, visit: Admin) -> Response:
    """Ask for its end."""
    await drawing.cancel(visit.core.db, visit.user_id, generation_id, visit.now)
    return visit.done(PAGE, "picture-canceled")
