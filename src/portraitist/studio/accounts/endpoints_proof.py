"""`/api/v1/proof`: whoever is signed in proves anew that it is them. JSON in, JSON and another cookie out."""

from datetime import datetime, timedelta
from typing import Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from portraitist.studio.accounts import domain
from portraitist.studio.accounts.endpoints_sign_in import Password, Secret, set_session
from portraitist.studio.accounts.oidc.bodies import BackIn
from portraitist.studio.accounts.passkeys.bodies import CodeIn, CredentialIn
from portraitist.studio.accounts.passkeys.endpoints import OptionsOut
from portraitist.studio.accounts.passkeys.service import Beside, Given
from portraitist.studio.accounts.sign_in import Proof
from portraitist.studio.accounts.signed_in import OwnSecret, SessionOnly, SignInDep, WhoDep
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems

router = APIRouter(prefix="/api/v1", tags=["account"])


class ProofIn(BaseModel):
    """Exactly one of them. A token is proved by password, recovery code or link."""

    model_config = ConfigDict(extra="forbid")
    password: Password | None = None
    passkey: CredentialIn | None = None
    recovery_code: CodeIn | None = None
    provider: BackIn | None = None
    link: Secret | None = Field(default=None, description="The part behind the # of a mailed link.")

    @model_validator(mode="after")
    def one_thing(self) -> Self:
        """Two proofs, or none, are a mistake of the asker's."""
        if sum(value is not None for _, value in self) != 1:
            raise ValueError("give exactly one of password, passkey, recovery_code, link, provider")
        return self


class ProvedOut(BaseModel):
    """Until when this counts; and, for a session, the token that its changes need from now on."""

    proved_until: datetime
    csrf_token: str | None = Field(examples=["6f1d8c0b2a9e4f7d"])


@router.post("/proof/options", responses=problems("passkeys_unavailable", "session_needed"))
async def options_to_prove(who: SessionOnly, secret: OwnSecret, doors: SignInDep, now: NowDep) -> OptionsOut:
    """A challenge for whoever proves with a passkey, bound to this session."""
    return OptionsOut(options=await doors.passkeys.options_to_sign("prove by passkey", secret, now()))


@router.post(
    "/proof",
    responses=problems(
        "password_wrong",
        "passkey_refused",
        "passkeys_unavailable",
        "sign_in_refused",
        "link_not_found",
        "provider_unavailable",
        "provider_refused",
        "provider_away",
        "session_not_found",
        "too_many_tries",
        "busy",
    ),
)
async def prove(
    body: ProofIn,
    *,
    who: WhoDep,
    secret: OwnSecret,
    response: Response,
    core: CoreDep,
    doors: SignInDep,
    now: NowDep,
) -> ProvedOut:
    """Prove that it is still you, for what needs a fresh sign-in. A session gets another secret with it."""
    passkey = None if body.passkey is None else Given(body.passkey.plain(), secret)
    at = now()
    back = None if body.provider is None else body.provider.back(secret)
    proof = Proof(body.password, body.link, back, Beside(passkey, body.recovery_code))
    another = await doors.prove(who, proof, at)
    if another is not None:
        set_session(response, core.settings, another, doors.lives.absolute)
    return ProvedOut(
        proved_until=at + timedelta(minutes=core.settings.fresh_minutes),
        csrf_token=None if another is None else domain.csrf_token(another),
    )
