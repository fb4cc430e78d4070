"""`/api/v1/generations`: JSON in, JSON out; the rules are the service's."""

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio import architecture
from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.generation import service
from portraitist.studio.generation.domain import NEXT_STEPS
from portraitist.studio.generation.service import Seen
from portraitist.studio.http import CoreDep, IdempotencyKey, NowDep
from portraitist.studio.images.endpoints import ImageOut

router = APIRouter(prefix="/api/v1/generations", tags=["generation"])


class GenerationIn(BaseModel):
    """What the member would like to see. Model, weights and parameters can't be named: they are locked."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(examples=["in a garden, soft morning light"])


class GenerationOut(BaseModel):
    """A generation as it stands; `unknown_words` are those the engine's vocabulary lacks."""

    id: UUID
    status: str
    words: str
    seed: int
    version: str
    requested: dict[str, Any]
    unknown_words: list[str]
    images: list[ImageOut]
    error_code: str | None
    error: str | None
    next_step: str | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, seen: Seen) -> "GenerationOut":
        """From the row and what belongs to it."""
        generation = seen.generation
        return cls(
            id=generation.id,
            status=generation.status,
            words=generation.words,
            seed=generation.seed,
            version=seen.version,
            requested=generation.requested,
            unknown_words=generation.unknown_words,
            images=[ImageOut.of(image) for image in seen.images],
            error_code=generation.error_code,
            error=generation.error,
            next_step=NEXT_STEPS.get(generation.status),
            created_at=generation.created_at,
            finished_at=generation.finished_at,
        )


class GenerationsOut(BaseModel):
    """The member's generations, newest first."""

    items: list[GenerationOut]


def new_seed() -> int:
    """A random seed of those that a generation may have."""
    return secrets.choice(architecture.SEEDS)


@router.post("", status_code=201)
async def ask(
    body: GenerationIn, user_id: MemberId, core: CoreDep, now: NowDep, key: IdempotencyKey = None
) -> GenerationOut:
    """Three pictures of the member's words, made with the member's own model."""
    async with core.db.member(user_id) as tx:
        generation = await service.ask(tx, body.prompt, key=key, new_seed=new_seed, now=now())
        return GenerationOut.of(await service.see(tx, generation.id))


@router.get("")
async def list_generations(user_id: MemberId, core: CoreDep) -> GenerationsOut:
    """The member's generations, newest first."""
    async with core.db.member(user_id) as tx:
        return GenerationsOut(items=[GenerationOut.of(seen) for seen in await service.see_all(tx)])


@router.get("/{generation_id}")
async def get_generation(generation_id: UUID, user_id: MemberId, core: CoreDep) -> GenerationOut:
    """One generation as it stands."""
    async with core.db.member(user_id) as tx:
        return GenerationOut.of(await service.see(tx, generation_id))


@router.post("/{generation_id}/cancel")
async def cancel(generation_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> GenerationOut:
    """Ask for the end of a generation."""
    async with core.db.member(user_id) as tx:
        await service.cancel(tx, generation_id, now())
        return GenerationOut.of(await service.see(tx, generation_id))
