"""`GET /api/v1/safety`: what is looked at before and after a picture is made here, and what nobody looks at."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.config import StudioSettings
from portraitist.studio.generation.endpoints import RefusalsDep
from portraitist.studio.http import CoreDep
from portraitist.studio.prompting.refusing import Refusals

router = APIRouter(prefix="/api/v1", tags=["privacy"])


class SafetyOut(BaseModel):
    """What is checked in this studio; `in_words` says the same to people."""

    pictures_checked: bool = Field(
        examples=[True], description="Whether the engine that draws looks at its pictures itself."
    )
    people_refused: int = Field(examples=[0], description="Names on the operator's list.")
    faces_counted: bool = Field(examples=[False], description="Whether faces in your photos are counted.")
    label: str | None = Field(examples=[None], description="What is written into a corner of every picture.")
    in_words: list[str] = Field(examples=[["Nobody counts the faces in your photos."]])


@router.get("/safety")
async def see_safety(user_id: MemberId, core: CoreDep, refusals: RefusalsDep) -> SafetyOut:
    """What this studio looks at, and what it doesn't."""
    return told(core.settings, refusals)


def told(settings: StudioSettings, refusals: Refusals) -> SafetyOut:
    """From the settings that rule it."""
    label = settings.picture_label.strip() or None
    names, faces = len(refusals.people), bool(settings.face_detector_url)
    return SafetyOut(
        pictures_checked=settings.is_cloud,
        people_refused=names,
        faces_counted=faces,
        label=label,
        in_words=[
            "Prompts for sexual content and for minors are refused by their words.",
            f"Prompts that name one of {names} people on the operator's list are refused."
            if names
            else "No people are refused by name: the operator's list is empty.",
            "The provider's own safety checkers look at every picture; nothing here can switch them off."
            if settings.is_cloud
            else "The engine that draws has no safety checker: nobody looks at pictures before you see them.",
            "A service of the operator counts the faces in your photos: there must be one."
            if faces
            else "Nobody counts the faces in your photos: that they show you alone is taken on your word.",
            "Every picture says in its file that it was generated, and is signed by this studio"
            + (f'; in its corner stands "{label}".' if label else "."),
        ],
    )
