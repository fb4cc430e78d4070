"""`/api/v1/status`: the operator's look at the parts."""

from typing import cast

from fastapi import APIRouter, Request

from portraitist.studio.accounts.signed_in import OperatorOnly
from portraitist.studio.admin.status import StatusOut, status
from portraitist.studio.http import CoreDep
from portraitist.studio.provider.port import Provider

router = APIRouter(prefix="/api/v1", tags=["operator"], dependencies=[OperatorOnly])


@router.get("/status")
async def get_status(request: Request, core: CoreDep) -> StatusOut:
    """Every part at a glance."""
    return await status(core, cast(Provider, request.app.state.provider), request.app.state.accounts)
