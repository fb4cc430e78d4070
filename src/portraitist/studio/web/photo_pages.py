"""The photos' page: consent in plain words, photos in, each with its verdict, out again on request.

Files travel by the API's own uploads (`static/photos.js`), in pieces, so that a line that breaks loses nothing.
"""

from uuid import UUID

from starlette.responses import Response

from portraitist.studio.accounts import service as accounts
from portraitist.studio.accounts.domain import CONSENT_TEXT, CONSENT_VERSION
from portraitist.studio.selfies import service as selfies
from portraitist.studio.selfies.endpoints import ServiceDep
from portraitist.studio.selfies.service import MAX_PHOTOS, MIN_PHOTOS
from portraitist.studio.selfies.variety import FRAMED_ADVISED, LIGHTS_ADVISED, PLACES_ADVISED
from portraitist.studio.web.engine_look import engine_of
from portraitist.studio.web.home import has_consented
from portraitist.studio.web.visits import OwnVisit, page_router

router = page_router()
ADVISED = 15


@router.get("/photos")
async def photos_page(visit: OwnVisit) -> Response:
    """The consent first; then the photos, how many more are needed, and where new ones go in."""
    async with visit.core.db.member(visit.user_id) as tx:
        consented = await has_consented(tx)
        photos = await selfies.see_all(tx)
        word = (await accounts.me(tx)).subject_word
    if not consented:
        return visit.page("consent.html", {"text": CONSENT_TEXT, "subject_word": word}, here="photos")
    accepted = [photo for photo in photos if photo.accepted]
    shown = {
        "accepted": accepted,
        "waiting": [photo for photo in photos if photo.waits],
        "rejected": [photo for photo in photos if not (photo.accepted or photo.waits)],
        "minimum": MIN_PHOTOS,
        "advised": ADVISED,
        "maximum": MAX_PHOTOS,
        "percent": min(100, len(accepted) * 100 // MIN_PHOTOS),
        "variety": selfies.variety_of(photos),
        "lights_advised": LIGHTS_ADVISED,
        "places_advised": PLACES_ADVISED,
        "framed_advised": FRAMED_ADVISED,
        "engine": await engine_of(visit.request),
    }
    return visit.page("photos.html", shown, here="photos")


@router.post("/photos/consent")
async def agree(visit: OwnVisit) -> Response:
    """Agree to today's wording, the one that the page has just shown."""
    async with visit.core.db.member(visit.user_id) as tx:
        await accounts.give_consent(tx, CONSENT_VERSION, visit.now)
    return visit.done("/photos", "agreed")


@router.post("/photos/{selfie_id}/delete")
async def delete(selfie_id: UUID, visit: OwnVisit, service: ServiceDep) -> Response:
    """Forget one photo for good."""
    await service.delete(visit.user_id, selfie_id)
    return visit.done("/photos", "photo-deleted")
