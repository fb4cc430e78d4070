"""An admin's work on accounts: who there is, who may come, who may look after the studio. Never what members have.

One-time links are made here: the first account's (for the host), invitations, and resets of a password.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from portraitist.kit.logging import logger
from portraitist.studio.accounts import domain
from portraitist.studio.accounts import repository_registrar as repository
from portraitist.studio.accounts.domain import LinkKind, Role
from portraitist.studio.accounts.register import Account, Link
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import RegistrarTx
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.settings import service as settings_service
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action

log = logger(__name__)
MEMBER_NOT_FOUND = NotFound("member_not_found", "There is no such account.")
PAGES: dict[LinkKind, str] = {"first": "join", "invitation": "join", "reset": "reset"}


@dataclass(frozen=True)
class HandedOut:
    """A link with its secret, shown this once. The secret stands behind the #, which no server sees or logs."""

    link: Link
    secret: str
    url: str


async def accounts(tx: RegistrarTx, after: str, limit: int, part: str = "") -> list[Account]:
    """Accounts from the one after `after`, in the order of their ids; those with this part in their address."""
    return await repository.accounts(tx, after, limit, part.replace("\0", " ").strip().lower())


async def account(tx: RegistrarTx, user_id: str) -> Account:
    """One account. Raises NotFound; local members of the command line are none."""
    found = await repository.account(tx, user_id)
    if found is None:
        raise MEMBER_NOT_FOUND
    return found


async def admins(tx: RegistrarTx) -> list[str]:
    """Ids of the admins who may sign in."""
    return await repository.admins(tx)


async def names(tx: RegistrarTx, ids: Collection[str]) -> Mapping[str, str]:
    """Addresses of these members; local members have none."""
    return await repository.addresses(tx, ids)


async def names_of_subjects(tx: RegistrarTx, subjects: Collection[UUID]) -> Mapping[UUID, str]:
    """Addresses behind these audit subjects, of members who are still there."""
    return await repository.addresses_of_subjects(tx, subjects)


async def change(
    tx: RegistrarTx, user_id: str, role: Role | None, disabled: bool | None, now: datetime
) -> Account:
    """Another role or state; whoever is changed has to sign in anew. Raises NotFound and Conflict."""
    admins = await repository.admins(tx)
    before = await repository.account(tx, user_id)
    if before is None:
        raise MEMBER_NOT_FOUND
    after = before.changed(role, disabled, admins, now)
    if after != before:
        await repository.change(tx, after)
        await repository.end_sessions(tx, user_id)
        await repository.end_tokens(tx, user_id)
        await _note_change(tx, before, after)
        log.info("account.changed", user_id=user_id, role=after.role, disabled=after.disabled_at is not None)
    return after


async def check_erasable(tx: RegistrarTx, user_id: str) -> None:
    """Lets pass any member, local ones too, but for the only admin. Raises NotFound and Conflict."""
    if await trail.subject_of(tx, user_id) is None:
        raise MEMBER_NOT_FOUND
    account, admins = await repository.account(tx, user_id), await repository.admins(tx)
    if account is not None:
        account.changed("member", None, admins, account.created_at)


async def _note_change(tx: RegistrarTx, before: Account, after: Account) -> None:
    if after.role != before.role:
        await trail.note_about(tx, after.id, Action.ROLE_CHANGED, role=after.role)
    if (after.disabled_at is None) != (before.disabled_at is None):
        enabled = after.disabled_at is None
        await trail.note_about(tx, after.id, Action.ACCOUNT_ENABLED if enabled else Action.ACCOUNT_DISABLED)


async def reset_link(tx: RegistrarTx, settings: StudioSettings, user_id: str, now: datetime) -> HandedOut:
    """A link with which this member sets a new password; earlier ones are spent. Raises NotFound."""
    if await repository.account(tx, user_id) is None:
        raise MEMBER_NOT_FOUND
    await repository.remove_resets(tx, user_id)
    return await _hand_out(tx, settings, "reset", now, user_id=user_id)


async def invite(
    tx: RegistrarTx, settings: StudioSettings, email: str | None, role: Role, now: datetime
) -> HandedOut:
    """A link that makes one account, for one address if one is given. Raises Unprocessable."""
    if await settings_service.sign_up(tx, settings) == "closed":
        raise Conflict(
            "joining_closed",
            "Nobody can join this studio: sign_up is closed.",
            next_step="Set it to invitation (PUT /api/v1/admin/settings/sign_up).",
        )
    address = None if email is None else domain.normal_email(email)
    if address == "":
        raise Unprocessable("email_invalid", "This is no e-mail address.")
    return await _hand_out(tx, settings, "invitation", now, email=address, role=role)


async def first_link(tx: RegistrarTx, settings: StudioSettings, now: datetime) -> HandedOut:
    """The link to the first account, which looks after the studio. Raises Conflict where there is an admin."""
    if await repository.admins(tx):
        raise Conflict("has_admin", "This studio has an admin already.", next_step="Sign in.")
    await repository.remove_first_links(tx)
    return await _hand_out(tx, settings, "first", now, role="admin")


async def invitations(tx: RegistrarTx, now: datetime) -> list[Link]:
    """Invitations that may still be used, newest first."""
    return await repository.links(tx, now)


async def take_back(tx: RegistrarTx, link_id: UUID) -> None:
    """An invitation opens nothing any more. Raises NotFound."""
    if not await repository.remove_invitation(tx, link_id):
        raise NotFound("invitation_not_found", "There is no such invitation.")
    await trail.note_about(tx, None, Action.LINK_TAKEN_BACK, link=link_id)
    log.info("link.taken_back", link_id=str(link_id))


async def _hand_out(
    tx: RegistrarTx,
    settings: StudioSettings,
    kind: LinkKind,
    now: datetime,
    *,
    user_id: str | None = None,
    email: str | None = None,
    role: Role = "member",
) -> HandedOut:
    secret = secrets.token_urlsafe(32)
    link = Link(uuid4(), kind, user_id, email, role, now, now + domain.LINK_LIVES[kind])
    await repository.add_link(tx, link, domain.token_hash(secret))
    await trail.note_about(tx, user_id, Action.LINK_MADE, link=link.id, kind=kind, role=role)
    log.info("link.made", kind=kind, link_id=str(link.id), user_id=user_id, role=role)
    return HandedOut(link, secret, f"{settings.address}/{PAGES[kind]}#{secret}")
