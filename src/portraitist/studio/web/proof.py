"""What a page asks where a fresh sign-in is wanted: which proofs a member has, and what they were about to do.

Secrets that were typed are never kept: a form that had some is sent again without them, and asks anew.
"""

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request

from portraitist.studio.accounts import service as accounts
from portraitist.studio.accounts.mail.service import MAILING
from portraitist.studio.accounts.oidc import service as oidc
from portraitist.studio.accounts.passkeys import service as passkeys
from portraitist.studio.accounts.sign_in import SignIn
from portraitist.studio.http import core_of
from portraitist.studio.web import rendering

SECRETS = frozenset({"csrf", "password", "current", "new", "recovery_code"})
LONGEST_KEPT = 8000
PAGE = "/account/prove"


@dataclass(frozen=True)
class Pending:
    """What was about to be done: the address, the form's fields (encoded; empty where a page was only looked at),
    and the page that it was done from."""

    address: str
    kept: str
    back: str

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The form's fields, to be sent again."""
        return parse_qsl(self.kept, keep_blank_values=True)


async def pending_of(request: Request) -> Pending:
    """What this request was about to do; its form has been read and is from here."""
    back = rendering.own_path(urlsplit(request.headers.get("referer", "/account")).path)
    if request.method == "GET":
        query = f"?{request.url.query}" if request.url.query else ""
        return Pending(rendering.own_path(request.url.path + query), "", back)
    form = await request.form()
    fields = [
        (name, value) for name, value in form.multi_items() if isinstance(value, str) and name not in SECRETS
    ]
    kept = urlencode(fields or [("again", "1")])
    return Pending(request.url.path, kept, back) if len(kept) <= LONGEST_KEPT else Pending(back, "", back)


async def shown_of(request: Request, user_id: str, pending: Pending) -> dict[str, Any]:
    """What `account/prove.html` shows: the ways that this member has, and what comes afterwards."""
    doors = cast(SignIn, request.app.state.sign_in)
    async with core_of(request).db.member(user_id) as tx:
        member = await accounts.me(tx)
        ways = {
            "password": await accounts.has_password(tx),
            "passkey": bool(doors.passkeys.offered and await passkeys.passkeys(tx)),
            "code": (await passkeys.codes(tx)).left > 0,
            "mail": MAILING.on and member.email is not None,
            "provider": doors.oidc.name if await oidc.linked(tx) else None,
        }
    return {"ways": ways, "pending": pending, "email": member.email, "problem": "", "mailed": False}
