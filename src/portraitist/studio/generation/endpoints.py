"""`/api/v1/generations`: JSON in, JSON out; the rules are the service's."""

import secrets
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio import architecture
from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.generation import service, views
from portraitist.studio.generation.domain import NEXT_STEPS
from portraitist.studio.generation.views import Seen
from portraitist.studio.http import CoreDep, IdempotencyKey, NowDep
from portraitist.studio.images.endpoints import ImageOut
from portraitist.studio.openapi import problems
from portraitist.studio.paging import USUAL, Cursor, Limit, wanted
from portraitist.studio.prompting.refusing import Refusals

router = APIRouter(prefix="/api/v1/generations", tags=["generation"])
ABSENT = problems("generation_not_found")
REFUSED = ("prompt_sexual", "prompt_minor", "prompt_named_person")
NO_MODEL = ("no_model", "no_photos_yet", "model_in_training", "training_to_retry")


class GenerationIn(BaseModel):
    """What the member would like to see. Model, weights and parameters can't be named: they are locked."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(examples=["in a garden, soft morning light"])


class GenerationOut(BaseModel):
    """A generation as it stands; `unknown_words` are those the engine's vocabulary lacks.

    `words` are the member's own; for a card or a look its title stands there, and no word is named.
    """

    id: UUID
    status: str = Field(examples=["completed"])
    words: str = Field(examples=["in a garden, soft morning light"])
    look: str | None = Field(examples=[None])
    seed: int = Field(examples=[271828])
    version: str = Field(examples=[f"studio/k3v9x2m7q1ab-selfie-lora:{'9f86d081' * 8}"])
    requested: dict[str, Any] = Field(examples=[asdict(architecture.GENERATION)])
    unknown_words: list[str] = Field(examples=[[]])
    images: list[ImageOut]
    error_code: str | None = Field(examples=[None])
    error: str | None = Field(examples=[None])
    next_step: str | None = Field(examples=[None])
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, seen: Seen) -> "GenerationOut":
        """From the row and what belongs to it."""
        generation = seen.generation
        return cls(
            id=generation.id,
            status=generation.status,
            words=generation.called,
            look=generation.look,
            seed=generation.seed,
            version=seen.version,
            requested=generation.requested,
            unknown_words=[] if generation.title else generation.unknown_words,
            images=[ImageOut.of(image) for image in seen.images],
            error_code=generation.error_code,
            error=generation.error,
            next_step=NEXT_STEPS.get(generation.status),
            created_at=generation.created_at,
            finished_at=generation.finished_at,
        )


class GenerationsOut(BaseModel):
    """A page of generations, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[GenerationOut]
    next: str | None = Field(examples=[None])


async def refusals_of(request: Request) -> Refusals:
    """What this studio refuses to draw."""
    return cast(Refusals, request.app.state.refusals)


RefusalsDep = Annotated[Refusals, Depends(refusals_of)]


def new_seed() -> int:
    """A random seed of those that a generation may have."""
    return secrets.choice(architecture.SEEDS)


@router.post(
    "",
    status_code=201,
    responses=problems(
        *NO_MODEL,
        *REFUSED,
        "prompt_empty",
        "prompt_too_long",
        "key_reused",
        "seeds_used_up",
        "generation_quota_spent",
    ),
)
async def ask(
    body: GenerationIn,
    user_id: MemberId,
    core: CoreDep,
    now: NowDep,
    *,
    refusals: RefusalsDep,
    key: IdempotencyKey = None,
) -> GenerationOut:
    """Three pictures of the member's words, made with the member's own model."""
    async with core.db.member(user_id) as tx:
        generation = await service.ask(
            tx,
            body.prompt,
            key=key,
            new_seed=new_seed,
            now=now(),
            per_day=core.settings.generations_per_member,
            refusals=refusals,
        )
        return GenerationOut.of(await views.see(tx, generation.id))


@router.get("", responses=problems("cursor_invalid"))
async def list_generations(
    user_id: MemberId, core: CoreDep, cursor: Cursor = None, limit: Limit = USUAL
) -> GenerationsOut:
    """The member's generations, newest first."""
    async with core.db.member(user_id) as tx:
        found, following = await views.page(tx, wanted(cursor, limit))
    return GenerationsOut(items=[GenerationOut.of(seen) for seen in found], next=following)


@router.get("/{generation_id}", responses=ABSENT)
async def get_generation(generation_id: UUID, user_id: MemberId, core: CoreDep) -> GenerationOut:
    """One generation as it stands."""
    async with core.db.member(user_id) as tx:
        return GenerationOut.of(await views.see(tx, generation_id))


@router.post("/{generation_id}/cancel", responses=problems("generation_not_found", "generation_ended"))
async def cancel(generation_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> GenerationOut:
    """Ask for the end of a generation."""
    async with core.db.member(user_id) as tx:
        await service.cancel(tx, generation_id, now())
        return GenerationOut.of(await views.see(tx, generation_id))
