"""`/api/v1/tokens`: scoped API tokens with an end, listed and taken back; the rules are the service's."""

from datetime import datetime, timedelta
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts import domain, service
from portraitist.studio.accounts.signed_in import MemberId, SignInDep, WhoDep
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems

router = APIRouter(prefix="/api/v1", tags=["account"])
SCOPES = "; ".join(f"`{name}`: {meaning}" for name, meaning in domain.SCOPES.items())


class TokenIn(BaseModel):
    """A token that a program shall have."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100, examples=["nightly backup"])
    scopes: list[str] = Field(min_length=1, max_length=20, description=SCOPES, examples=[["read"]])
    days: int = Field(default=90, ge=1, le=service.LONGEST_TOKEN_LIFE.days, examples=[30])


class TokenOut(BaseModel):
    """A token without its secret."""

    id: UUID
    name: str = Field(examples=["nightly backup"])
    scopes: list[str] = Field(examples=[["read"]])
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None

    @classmethod
    def of(cls, token: domain.Token) -> "TokenOut":
        """As the API shows it."""
        return cls(
            id=token.id,
            name=token.name,
            scopes=list(token.scopes),
            created_at=token.created_at,
            expires_at=token.expires_at,
            used_at=token.used_at,
        )


class IssuedTokenOut(TokenOut):
    """A fresh token with its secret, shown this once."""

    token: str = Field(examples=["pst_Zb0u4Vv5d2s0m7x1c9Kq3w8e6r4t2y0uIoPaSdFgHjk"])


class TokensOut(BaseModel):
    """The member's tokens, newest first; fifty at most."""

    items: list[TokenOut]


@router.get("/tokens")
async def list_tokens(user_id: MemberId, core: CoreDep) -> TokensOut:
    """The member's tokens, without their secrets."""
    async with core.db.member(user_id) as tx:
        return TokensOut(items=[TokenOut.of(each) for each in await service.tokens(tx)])


@router.post(
    "/tokens",
    status_code=201,
    responses=problems(
        "scope_unknown", "scope_refused", "token_life_invalid", "too_many_tokens", "fresh_sign_in_needed"
    ),
)
async def issue_token(
    body: TokenIn, who: WhoDep, core: CoreDep, doors: SignInDep, now: NowDep
) -> IssuedTokenOut:
    """A token for a program, for no more than its maker may do; the secret is shown this once.

    With the scope `full` or `admin` it needs a fresh sign-in.
    """
    service.check_scopes(who, body.scopes)
    if domain.WIDE_SCOPES & set(body.scopes):
        await doors.require_fresh(who, now())
    async with core.db.member(who.user_id) as tx:
        secret, token = await service.issue_token(
            tx, who, body.name, body.scopes, life=timedelta(days=body.days), now=now()
        )
    return IssuedTokenOut(**TokenOut.of(token).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204, responses=problems("token_not_found"))
async def revoke_token(token_id: UUID, user_id: MemberId, core: CoreDep) -> None:
    """The token is good for nothing any more."""
    async with core.db.member(user_id) as tx:
        await service.revoke_token(tx, token_id)
