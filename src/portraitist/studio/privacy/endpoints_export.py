"""`GET /api/v1/account/export`: everything of a member's in one zip, gone on with where it was cut off."""

import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from portraitist.studio.accounts.signed_in import Fresh
from portraitist.studio.errors import BeyondEnd
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.images.endpoints import PRIVATE, attachment
from portraitist.studio.openapi import file_of, problems
from portraitist.studio.oversight import holds
from portraitist.studio.privacy import archive, export
from portraitist.studio.privacy.export import Snapshot
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action

router = APIRouter(prefix="/api/v1", tags=["privacy"])
FROM = re.compile(r"bytes=(\d{1,18})-")
ONE_EXPORT_S = 86_400.0
"""So long a rest that is asked for belongs to an export that was recorded; recording it anew would change the zip."""
PARTIAL: dict[int | str, dict[str, Any]] = {206: {"description": "The rest, from the byte asked for."}}


@router.get(
    "/account/export",
    response_class=StreamingResponse,
    responses=file_of("application/zip")
    | PARTIAL
    | problems("range_beyond", "fresh_sign_in_needed", "account_held"),
)
async def export_account(
    who: Fresh,
    core: CoreDep,
    now: NowDep,
    range_: Annotated[
        str | None, Header(alias="Range", max_length=100, description="`bytes=N-`: the rest from byte N on.")
    ] = None,
    if_range: Annotated[
        str | None,
        Header(
            alias="If-Range", max_length=100, description="The ETag of what is there; else it begins anew."
        ),
    ] = None,
) -> StreamingResponse:
    """Everything that the studio holds of you: rows as JSON with a schema, photos, pictures, copies of models."""
    async with core.db.member(who.user_id) as tx:
        await holds.refuse(tx)
        if range_ is None or not await trail.recently(tx, Action.EXPORT_TAKEN, ONE_EXPORT_S):
            await trail.note(tx, Action.EXPORT_TAKEN)
        taken = await export.snapshot(tx)
    total, gone = await archive.length_of(taken.entries(), partial(export.sized, objects=core.objects))
    tag = f'"{taken.tag}-{total}"'
    start = _start(range_) if if_range in (None, tag) else 0
    headers = (
        PRIVATE | attachment(f"{now():%Y-%m-%d} everything.zip") | {"Accept-Ranges": "bytes", "ETag": tag}
    )
    if start >= total:
        taken.close()
        raise BeyondEnd(
            "range_beyond", f"The export has {total} bytes.", next_step="Begin anew, without Range."
        )
    headers["Content-Length"] = str(total - start)
    if start:
        headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
    pieces = archive.stream(taken.entries(), gone, taken.spool, core.objects)
    return StreamingResponse(
        _closing(taken, archive.from_byte(pieces, start)),
        status_code=206 if start else 200,
        media_type="application/zip",
        headers=headers,
    )


async def _closing(taken: Snapshot, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    finally:
        taken.close()


def _start(range_: str | None) -> int:
    """The byte to begin at; other forms of a range are answered with everything."""
    found = FROM.fullmatch(range_ or "")
    return int(found[1]) if found else 0
