"""Who may join: what a link opens for an address, and the answers to those that it does not. Used by every door."""

from datetime import datetime

from portraitist.studio.accounts import domain
from portraitist.studio.accounts import repository_sessions as kept
from portraitist.studio.accounts.domain import SpentLink
from portraitist.studio.db import Tx
from portraitist.studio.errors import Forbidden, NotFound
from portraitist.studio.settings.domain import SignUp as SignUpMode

LINK_REFUSED = NotFound(
    "link_not_found", "This link is not good any more.", next_step="Ask the studio's admin for a new one."
)
CLOSED = Forbidden(
    "sign_up_closed",
    "This studio takes new members by invitation only.",
    next_step="Ask its admin for an invitation.",
)
OPEN = SpentLink("invitation", None, None, "member")  # what everybody may where the studio is open


async def opened_by(tx: Tx, link: str, email: str, mode: SignUpMode, now: datetime) -> SpentLink:
    """What the link opens for this address; it is spent. Raises NotFound and Forbidden."""
    found = await kept.spend_link(tx, domain.token_hash(link), ["first", "invitation"], now)
    if found is None or found.email not in (None, email):
        raise LINK_REFUSED
    if found.kind == "invitation" and mode == "closed":
        raise CLOSED
    return found
