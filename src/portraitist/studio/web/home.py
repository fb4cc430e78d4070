"""The first page: the next step and the newest pictures for a member, the way in for everybody else."""

from starlette.responses import Response

from portraitist.studio.accounts import service as accounts
from portraitist.studio.accounts.domain import CONSENT_VERSION
from portraitist.studio.admin.status import ProviderOut
from portraitist.studio.db import UserTx
from portraitist.studio.gallery import service as gallery
from portraitist.studio.gallery.domain import Filter
from portraitist.studio.paging import wanted
from portraitist.studio.selfies import service as selfies
from portraitist.studio.settings import service as settings
from portraitist.studio.training import service as training
from portraitist.studio.training import views as trainings
from portraitist.studio.web.engine_look import engine_of
from portraitist.studio.web.next_step import Far, next_step, place
from portraitist.studio.web.visits import AnyVisit, MemberVisit, Visit, page_router

router = page_router()
NEWEST = 6


@router.get("/")
async def home(visit: AnyVisit) -> Response:
    """The next step, always; or what this is, for who is not signed in."""
    engine = await engine_of(visit.request)
    if visit.who is None:
        return await _welcome(visit, engine)
    return await _member_home(MemberVisit(visit.request, visit.who), engine)


async def _welcome(visit: Visit, engine: ProviderOut) -> Response:
    async with visit.core.db.nobody() as tx:
        mode = await settings.sign_up(tx, visit.core.settings)
    return visit.page("welcome.html", {"mode": mode, "engine": engine})


async def _member_home(visit: MemberVisit, engine: ProviderOut) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        pictures, _ = await gallery.page(tx, Filter(), wanted(limit=NEWEST))
        newest, _ = await trainings.page(tx, wanted(limit=1))
        far = Far(
            consented=await has_consented(tx),
            photos=len(await selfies.accepted(tx)),
            latest=newest[0].training.status if newest else None,
            model=await training.active_version(tx) is not None,
        )
    shown = {
        "step": next_step(far),
        "place": place(far),
        "pictures": pictures,
        "training": newest[0] if newest else None,
        "engine": engine,
    }
    return visit.page("home.html", shown, here="home")


async def has_consented(tx: UserTx) -> bool:
    """Whether the member has agreed to today's wording, and not taken it back."""
    given = await accounts.consents(tx)
    return any(each.wording_version == CONSENT_VERSION and each.withdrawn_at is None for each in given)
