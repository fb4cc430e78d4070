"""`/transfer/…`: one stored object for whoever holds its short-lived signed link. The provider fetches photos here."""

import time
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from portraitist.studio.errors import NotFound
from portraitist.studio.http import CoreDep
from portraitist.studio.links import LinkSigner

router = APIRouter(include_in_schema=False)
ABSENT = NotFound("link_not_found", "This link is not valid any more.")


@router.get("/transfer/{key:path}")
async def transfer(
    key: str, core: CoreDep, expires: int, signature: Annotated[str, Query(max_length=128)]
) -> StreamingResponse:
    """The object, or the same 404 for every reason."""
    signer = LinkSigner(core.settings.secret_key.get_secret_value(), core.settings.public_url)
    if not signer.holds(key, expires, signature, time.time()):
        raise ABSENT
    stored = await core.objects.head(key)
    if stored is None:
        raise ABSENT
    headers = {"Cache-Control": "private, no-store", "Content-Length": str(stored.size)}
    return StreamingResponse(core.objects.stream(key), media_type="application/octet-stream", headers=headers)
