"""`/receipt`: what became of an erasure, for whoever has its token, signed in or not: the account may be gone.

The token stands behind the # of the address, where `static/receipt.js` finds it; without scripts it is typed in.
"""

from typing import Annotated

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.accounts.signed_in import FromHere
from portraitist.studio.errors import NotFound
from portraitist.studio.privacy import service
from portraitist.studio.privacy.domain import LOOKS, Stage
from portraitist.studio.privacy.endpoints import ReceiptOut
from portraitist.studio.web.visits import AnyVisit, Visit, page_router

router = page_router()
ROWS = "row of "
"""How a receipt's lines on tables begin: they are shown as one."""


@router.get("/receipt")
async def receipt_page(visit: AnyVisit) -> Response:
    """The field for the token."""
    return _page(visit, None)


@router.post("/receipt", dependencies=[FromHere])
async def open_receipt(visit: AnyVisit, token: Annotated[str, Form(max_length=200)] = "") -> Response:
    """What became of everything so far. Changes nothing; the token travels in no address."""
    try:
        async with visit.core.db.nobody() as tx:
            found = ReceiptOut.of(await service.receipt(tx, token.strip()))
    except NotFound:
        return _page(visit, None, typed=token, status=404)
    return _page(visit, found)


def _page(visit: Visit, found: ReceiptOut | None, *, typed: str = "", status: int = 200) -> Response:
    lines = found.artefacts if found else []
    rows = [line for line in lines if line.kind.startswith(ROWS)]
    shown = {
        "receipt": found,
        "lines": [line for line in lines if line not in rows],
        "records": sum(line.count or 0 for line in rows),
        "typed": typed,
        "unknown": status == 404,
        "steps": list(Stage),
        "watched_until": found.erased_at + LOOKS[-1] if found and found.erased_at else None,
    }
    return visit.page("account/receipt.html", shown, status=status)
