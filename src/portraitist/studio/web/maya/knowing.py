"""The page of what Maya knows: colours, places, limits, no-go items, and her memory, all to be changed and deleted.

It says too how she comes by her answers here, and what leaves the studio for them.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.errors import StudioError
from portraitist.studio.maya import knowing
from portraitist.studio.maya.domain import LONGEST_LIMITS, LONGEST_NOTE, Role, Style
from portraitist.studio.maya.endpoints import maya_of
from portraitist.studio.photoshoot.looks import palette
from portraitist.studio.web import wording
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router

router = page_router()
Lines = Annotated[str, Form(max_length=2_000)]
NoteWords = Annotated[str, Form(max_length=2 * LONGEST_NOTE)]


@router.get("/maya/style")
async def style_page(visit: OwnVisit) -> Response:
    """What she knows, and how she works here."""
    return await _page(visit)


@router.post("/maya/style")
async def change_style(
    visit: OwnVisit,
    *,
    colour: Annotated[list[str] | None, Form()] = None,
    other_colours: Lines = "",
    places: Lines = "",
    limits: Annotated[str, Form(max_length=2 * LONGEST_LIMITS)] = "",
    no_go: Lines = "",
) -> Response:
    """The member's taste from now on."""
    style = Style(
        (*(colour or ()), *_lines(other_colours)), tuple(_lines(places)), limits, tuple(_lines(no_go))
    )
    async with visit.core.db.member(visit.user_id) as tx:
        await knowing.change_style(tx, style, visit.now)
    return visit.done("/maya/style", "style-kept")


@router.post("/maya/memory")
async def remember(visit: OwnVisit, note: NoteWords = "") -> Response:
    """Have her remember a thing; what can't be kept stays in the field."""
    try:
        async with visit.core.db.member(visit.user_id) as tx:
            await knowing.remember(tx, note, Role.MEMBER, visit.now)
    except StudioError as exc:
        return await _page(visit, note=note, refused=exc)
    return visit.done("/maya/style", "note-kept")


@router.post("/maya/memory/{note_id}")
async def change_note(note_id: UUID, visit: OwnVisit, note: NoteWords = "") -> Response:
    """Put other words to what is remembered."""
    async with visit.core.db.member(visit.user_id) as tx:
        await knowing.change_note(tx, note_id, note)
    return visit.done("/maya/style", "note-kept")


@router.post("/maya/memory/{note_id}/delete")
async def forget(note_id: UUID, visit: OwnVisit) -> Response:
    """Have her forget a thing."""
    async with visit.core.db.member(visit.user_id) as tx:
        await knowing.forget(tx, note_id)
    return visit.done("/maya/style", "note-gone")


async def _page(visit: MemberVisit, *, note: str = "", refused: StudioError | None = None) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        style, notes = await knowing.style(tx), await knowing.notes(tx)
    known = palette()
    shown = {
        "style": style,
        "notes": notes,
        "palette": known,
        "other_colours": [each for each in style.colours if each not in known],
        "note": note,
        "refused": refused,
        "refused_step": wording.step_after(refused) if refused else None,
        "longest_note": LONGEST_NOTE,
        "longest_limits": LONGEST_LIMITS,
        "by": (await maya_of(visit.request)).kind,
        "model": visit.core.settings.maya_model,
    }
    return visit.page("maya/style.html", shown, here="pictures", status=refused.status if refused else 200)


def _lines(text: str) -> list[str]:
    """One thing a line, or with commas between."""
    return [each.strip() for line in text.splitlines() for each in line.split(",") if each.strip()]
