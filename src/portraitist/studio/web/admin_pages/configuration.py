"""Settings as the admin's page: what may be changed while the studio runs, and what the environment has decided."""

from typing import Annotated, cast

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.photoshoot.folder import Looks
from portraitist.studio.settings import environment, service
from portraitist.studio.web.admin_pages.visiting import Admin, admin_router

router = admin_router()
PAGE = "/admin/settings"


@router.get(PAGE)
async def settings_page(visit: Admin) -> Response:
    """Both kinds; of secrets no more than that they are set. Above them what is wrong in the folder of looks."""
    looks = cast(Looks, visit.request.app.state.looks)
    await looks.now()
    async with visit.core.db.nobody() as tx:
        choices = await service.all_settings(tx, visit.core.settings)
    variables = list(environment.variables(visit.core.settings))
    shown = {
        "choices": choices,
        "given": [each for each in variables if each.given],
        "others": [each for each in variables if not each.given],
        "left_out": looks.problems,
    }
    return visit.show("settings.html", shown)


@router.post(PAGE + "/{key}")
async def change(key: str, visit: Admin, value: Annotated[str, Form(max_length=100)] = "") -> Response:
    """Another value."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        await service.change(tx, visit.core.settings, key, value, visit.now)
    return visit.done(PAGE, "setting-changed")
