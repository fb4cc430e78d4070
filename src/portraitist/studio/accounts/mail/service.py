"""What is to be told to a member is entered here, with what is told of; sending it is the worker's (`post`)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from portraitist.studio.accounts import domain
from portraitist.studio.accounts.mail import repository
from portraitist.studio.accounts.mail.letters import Kind, WishKind
from portraitist.studio.accounts.mail.repository import Mail, Wish
from portraitist.studio.db import Tx, UserTx
from portraitist.studio.errors import Conflict

UNAVAILABLE = Conflict(
    "mail_unavailable",
    "This studio sends no mail.",
    next_step="Ask its admin for a link; whoever runs it can set SMTP_URL.",
)


@dataclass
class Mailing:
    """Whether this process's studio sends mail; set once from the settings, when its parts are put together."""

    on: bool = False

    def check(self) -> None:
        """Raises Conflict where the studio sends none."""
        if not self.on:
            raise UNAVAILABLE


MAILING = Mailing()


async def tell(tx: UserTx, kind: Kind, now: datetime, **detail: str) -> None:
    """The member is told of this as soon as it is committed, if the studio sends mail and they have an address."""
    if MAILING.on:
        await repository.add(tx, Mail(uuid4(), kind, detail, now, 0))


async def wish(tx: Tx, kind: WishKind, address: str, now: datetime) -> None:
    """Whoever has this address gets a link; nothing tells whether anybody has it."""
    await repository.add_wish(tx, Wish(uuid4(), kind, domain.normal_email(address), now))


async def forget_wishes(tx: Tx, address: str) -> None:
    """Nobody wants a link for this address any more."""
    await repository.forget_wishes(tx, address)
