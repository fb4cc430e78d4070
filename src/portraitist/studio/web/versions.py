"""Two versions of a member's model side by side, on the same words: pictures that each has made of them.

Only the version in use draws, here too: what it has not drawn yet is asked for like any picture, with another seed.
"""

from uuid import UUID, uuid4

from starlette.responses import Response

from portraitist.studio.generation import views
from portraitist.studio.generation.domain import ENDED
from portraitist.studio.training import service as training
from portraitist.studio.web import rendering
from portraitist.studio.web.drawing import DOING, once_more
from portraitist.studio.web.trainings import Key
from portraitist.studio.web.visits import OwnVisit, page_router

router = page_router()
MOST = 8


@router.get("/training/compare/{version_id}")
async def compare_page(version_id: UUID, visit: OwnVisit) -> Response:
    """An earlier version beside the one in use. Raises NotFound, and Conflict where none is in use."""
    async with visit.core.db.member(visit.user_id) as tx:
        old = await training.version(tx, version_id)
        new = await training.require_active_version(tx)
        pairs = [] if old.id == new.id else await views.pairs(tx, old.id, new.id, MOST)
    shown = {
        "old": old,
        "new": new,
        "pairs": pairs,
        "doing": DOING,
        "is_live": any(pair.new and pair.new.generation.status not in ENDED for pair in pairs),
        "key": uuid4().hex,
    }
    return visit.page("versions.html", shown, here="training")


@router.post("/training/compare/{version_id}/{generation_id}")
async def draw(version_id: UUID, generation_id: UUID, visit: OwnVisit, key: Key = "") -> Response:
    """The words of an earlier idea once more, with the version in use. Raises NotFound for either."""
    async with visit.core.db.member(visit.user_id) as tx:
        await training.version(tx, version_id)
    await once_more(visit, generation_id, key)
    return rendering.seen(f"/training/compare/{version_id}", "asked")
