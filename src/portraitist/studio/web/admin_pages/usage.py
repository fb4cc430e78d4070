"""What the provider's machines did, for whom, and how full the accounts are: the admin's page of usage."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response

from portraitist.studio.admin import looking
from portraitist.studio.admin.looking import MemberUse
from portraitist.studio.training.endpoints import AccountsDep
from portraitist.studio.web.admin_pages.visiting import Admin, admin_router

router = admin_router()
PERIODS = (1, 7, 30, 365)


@router.get("/admin/usage")
async def usage_page(
    visit: Admin, accounts: AccountsDep, days: Annotated[Literal["1", "7", "30", "365"], Query()] = "30"
) -> Response:
    """Accounts with their room, and members by the provider's seconds."""
    settings = visit.core.settings
    members = await looking.members_use(visit.core.db, visit.now - timedelta(days=int(days)), visit.now)
    shown = {
        "days": int(days),
        "periods": PERIODS,
        "accounts": await looking.accounts_use(visit.core.db, accounts, visit.now),
        "members": members,
        "all": _sum(members),
        "prices": looking.prices_of(settings),
        "settings": settings,
        "at_most": looking.MOST_MEMBERS,
    }
    return visit.show("usage.html", shown)


def _sum(members: list[MemberUse]) -> MemberUse:
    """All of them together."""
    return MemberUse(
        "",
        None,
        trainings=sum(each.trainings for each in members),
        training_seconds=sum(each.training_seconds for each in members),
        generations=sum(each.generations for each in members),
        generation_seconds=sum(each.generation_seconds for each in members),
        trainings_today=sum(each.trainings_today for each in members),
        generations_today=sum(each.generations_today for each in members),
    )
