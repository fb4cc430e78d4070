"""The pictures' page: words in, three pictures as soon as they are stored; hearts, again, the way to a model.

Asking and its refusals are the generation service's, pictures are the images'.
"""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.errors import StudioError
from portraitist.studio.generation import service, views
from portraitist.studio.generation.domain import ENDED, NEXT_STEPS, Status
from portraitist.studio.generation.endpoints import new_seed, refusals_of
from portraitist.studio.images import service as images
from portraitist.studio.images.domain import Marks
from portraitist.studio.paging import wanted
from portraitist.studio.prompting.compose import LONGEST_PROMPT
from portraitist.studio.web import rendering, wording
from portraitist.studio.web.engine_look import engine_of
from portraitist.studio.web.trainings import Key, missing_model
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router

router = page_router()
Words = Annotated[str, Form(max_length=4 * LONGEST_PROMPT)]
NEWEST = 10
DOING = {
    Status.QUEUED: "Waiting for a place",
    Status.SUBMITTING: "On the way to the engine",
    Status.SUBMITTED: "Waiting at the engine",
    Status.RUNNING: "Drawing",
    Status.STORING: "Storing",
}
"""What a generation does, in words for people."""


@router.get("/pictures")
async def pictures_page(visit: OwnVisit, cursor: str | None = None) -> Response:
    """The newest ideas and their pictures, with the field for the next."""
    return await _page(visit, cursor=cursor)


async def _page(
    visit: OwnVisit, *, words: str = "", refused: StudioError | None = None, cursor: str | None = None
) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        found, following = await views.page(tx, wanted(cursor, NEWEST))
        no_model = await missing_model(tx)
    shown = {
        **no_model,
        "ideas": found,
        "next": following,
        "doing": DOING,
        "ended": ENDED,
        "next_steps": NEXT_STEPS,
        "is_live": any(each.generation.status not in ENDED for each in found),
        "words": words,
        "refused": refused,
        "refused_step": wording.step_after(refused) if refused else None,
        "longest": LONGEST_PROMPT,
        "key": uuid4().hex,
        "engine": await engine_of(visit.request),
    }
    return visit.page("pictures.html", shown, here="pictures", status=refused.status if refused else 200)


@router.post("/pictures")
async def ask(visit: OwnVisit, prompt: Words = "", key: Key = "") -> Response:
    """Three pictures of these words; where they are refused, the words stay in the field."""
    try:
        await _ask(visit, prompt, key or None)
    except StudioError as exc:
        return await _page(visit, words=prompt, refused=exc)
    return visit.done("/pictures", "asked")


@router.post("/pictures/{generation_id}/again")
async def again(generation_id: UUID, visit: OwnVisit, key: Key = "") -> Response:
    """The same words with another seed."""
    await once_more(visit, generation_id, key)
    return visit.done("/pictures", "asked")


async def once_more(visit: MemberVisit, generation_id: UUID, key: str) -> None:
    """An earlier idea with the version in use and another seed: an ordinary generation, by the same rules."""
    async with visit.core.db.member(visit.user_id) as tx:
        earlier = (await views.see(tx, generation_id)).generation
    await _ask(visit, earlier.words, key or None, title=earlier.title, look=earlier.look)


async def _ask(
    visit: OwnVisit, words: str, key: str | None, *, title: str | None = None, look: str | None = None
) -> None:
    async with visit.core.db.member(visit.user_id) as tx:
        per_day = visit.core.settings.generations_per_member
        await service.ask(
            tx,
            words,
            key=key,
            new_seed=new_seed,
            now=visit.now,
            per_day=per_day,
            refusals=await refusals_of(visit.request),
            title=title,
            look=look,
        )


@router.post("/pictures/{generation_id}/cancel")
async def cancel(generation_id: UUID, visit: OwnVisit) -> Response:
    """Ask for the end of a generation."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.cancel(tx, generation_id, visit.now)
    return visit.done("/pictures", "picture-canceled")


@router.post("/pictures/images/{image_id}/heart")
async def heart(image_id: UUID, visit: OwnVisit, on: Annotated[bool, Form()] = True) -> Response:
    """Save a picture to the gallery, or take it out again."""
    async with visit.core.db.member(visit.user_id) as tx:
        image = await images.mark(tx, image_id, Marks(saved=on))
    told = "saved" if image.saved else "unsaved"
    if rendering.by_script(visit.request):
        return visit.page("heart.html", {"image": image, "told": told})
    return visit.done("/pictures", told)
