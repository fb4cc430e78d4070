"""`/api/v1/status`: the operator's look at the parts; `/api/v1/engine`: who makes the pictures, for members."""

from typing import cast

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from portraitist.studio.accounts.signed_in import MemberId, OperatorOnly
from portraitist.studio.admin.status import StatusOut, maker, status
from portraitist.studio.http import CoreDep
from portraitist.studio.provider.port import Provider

router = APIRouter(prefix="/api/v1")


class EngineOut(BaseModel):
    """Who makes the pictures, at what size, with what safety checker, and how long a training takes."""

    kind: str = Field(examples=["engine"])
    engine: str = Field(examples=["tiny FLUX on this machine"])
    picture_size: str = Field(examples=["192x256"])
    safety_checker: str = Field(examples=["none (embedded)"])
    expected_training_minutes: float | None = Field(examples=[4.0])


@router.get("/status", tags=["operator"], dependencies=[OperatorOnly])
async def get_status(request: Request, core: CoreDep) -> StatusOut:
    """Every part at a glance."""
    return await status(core, cast(Provider, request.app.state.provider), request.app.state.accounts)


@router.get("/engine", tags=["account"])
async def get_engine(user_id: MemberId, request: Request, core: CoreDep) -> EngineOut:
    """Who makes the pictures here, as the engine says it itself."""
    seen = await maker(core.settings, cast(Provider, request.app.state.provider))
    return EngineOut(**{name: getattr(seen, name) for name in EngineOut.model_fields})
