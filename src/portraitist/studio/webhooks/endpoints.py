"""`POST /webhooks/replicate/…`: the address that providers are given, one per row."""

from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from portraitist.studio.webhooks.repository import Kind
from portraitist.studio.webhooks.service import Intake

router = APIRouter(include_in_schema=False)
MAX_BYTES = 16 * 2**20  # a run with its whole log: larger frameworks' limits lose the last webhook


@router.post("/webhooks/replicate/{account_id}/{kind}/{token}", max_body_size=MAX_BYTES)
async def receive(account_id: str, kind: Kind, token: str, request: Request) -> JSONResponse:
    """What was done with it; the same refusal for every reason."""
    intake = cast(Intake, request.app.state.webhooks)
    body = await request.body()
    return JSONResponse({"outcome": await intake.take(account_id, kind, token, request.headers, body)})
