"""Who is asking, for endpoints: a member by their token, or the operator by the instance token."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from portraitist.studio.accounts import service
from portraitist.studio.errors import NotSignedIn
from portraitist.studio.http import core_of

BEARER = HTTPBearer(
    auto_error=False, description="A member's token, or the instance token for the operator's part."
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


async def signed_in_member(request: Request, credentials: Credentials) -> str:
    """The member's id. Raises NotSignedIn, the same for a missing and for a wrong token."""
    if credentials is not None:
        async with core_of(request).db.nobody() as tx:
            user_id = await service.member_of(tx, credentials.credentials)
        if user_id is not None:
            return user_id
    raise _refusal()


async def operator(request: Request, credentials: Credentials) -> None:
    """Lets the operator pass. Raises NotSignedIn for everybody else, members included."""
    expected = core_of(request).settings.instance_token.get_secret_value()
    if credentials is None or not service.is_instance_token(credentials.credentials, expected):
        raise _refusal()


def _refusal() -> NotSignedIn:
    return NotSignedIn(
        "not_signed_in",
        "This needs a valid token.",
        next_step="Send it as 'Authorization: Bearer …'; `portraitist up` prints the instance token.",
    )


MemberId = Annotated[str, Depends(signed_in_member)]
OperatorOnly = Depends(operator)
