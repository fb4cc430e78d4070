"""Coming in by the operator's provider, linking and unlinking it, and proving by it. Matched by (issuer, subject) only.

An address that the provider has verified makes a new account where the studio's rule lets one in; it never opens an
account that is there.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from portraitist.kit.logging import logger
from portraitist.studio.accounts import ceremonies, domain, guessing, joining, opening, repository
from portraitist.studio.accounts import repository_sessions as kept
from portraitist.studio.accounts import service as members
from portraitist.studio.accounts.mail import service as mail
from portraitist.studio.accounts.oidc import repository as identities
from portraitist.studio.accounts.oidc.back import Back
from portraitist.studio.accounts.oidc.provider import REFUSED, Asked, Person, Provider
from portraitist.studio.accounts.oidc.repository import Identity
from portraitist.studio.accounts.opening import Browser, NewSession
from portraitist.studio.accounts.passkeys import service as passkeys
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import StudioDatabase, Tx, UserTx
from portraitist.studio.errors import Conflict, Forbidden, NotFound
from portraitist.studio.settings import service as settings_service
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action

log = logger(__name__)
Purpose = Literal["enter", "link", "prove"]
LIVES = timedelta(minutes=10)
PAGE = "oidc"


class Oidc:
    """The provider's door of one process; shut where none is configured."""

    def __init__(self, db: StudioDatabase, settings: StudioSettings, provider: Provider | None) -> None:
        self._db = db
        self._settings = settings
        self._provider = provider
        self._key = settings.secret_key.get_secret_value().encode()
        self.lives = opening.lives_of(settings)

    @property
    def name(self) -> str | None:
        """What the provider is called here; None where there is none."""
        return None if self._provider is None else self._settings.oidc_name

    def _there(self) -> Provider:
        if self._provider is None:
            raise Conflict(
                "provider_unavailable",
                "This studio has no sign-in provider.",
                next_step="Sign in with the password or a passkey.",
            )
        return self._provider

    async def begin(self, purpose: Purpose, secret: str, now: datetime) -> str:
        """Where to send this browser. Raises Conflict and Unavailable."""
        provider = self._there()
        async with self._db.nobody() as tx:
            challenge = await ceremonies.begin(tx, f"provider {purpose}", secret, now + LIVES)
        asked = self._asked(f"{purpose}.{challenge}", secret)
        return await provider.address(asked, now, anew=purpose == "prove")

    async def enter(self, back: Back, link: str | None, browser: Browser, now: datetime) -> NewSession:
        """A session for whoever the provider has recognised; a new account where the studio's rule has room for one.

        Raises NotSignedIn, Unavailable, Forbidden, NotFound (the link), Conflict and TooMany.
        """
        place = guessing.source_key(browser.source, self._key.decode())
        async with self._db.nobody() as tx:
            delay = await opening.counted(tx, place, guessing.SOURCE, now)
        opening.refuse_early(delay)
        person = await self._person("enter", back, now)
        async with self._db.nobody() as tx:
            user_id = await identities.member_of(tx, person.issuer, person.subject)
            if user_id is None:
                member = await self._joined(tx, person, link, now)
            else:
                member = await opening.as_member(tx, user_id)
                await identities.used(member, person.issuer, person.subject, now)
            await kept.forgive_try(tx, place, now)
            return await opening.open_session(member, browser, self.lives, now, "provider")

    async def link(self, user_id: str, back: Back, now: datetime) -> Identity:
        """The member is this person of the provider's from now on. Raises as `enter`, and Conflict."""
        person = await self._person("link", back, now)
        identity = Identity(uuid4(), person.issuer, person.subject, now, None)
        async with self._db.member(user_id) as tx:
            if not await identities.add(tx, identity):
                raise Conflict("identity_taken", "An account here is linked to this one already.")
            await _told(tx, "A sign-in provider was linked", Action.CREDENTIAL_ADDED, identity.id, now)
        return identity

    async def check_proof(self, user_id: str, back: Back, now: datetime) -> None:
        """Lets pass whom the provider has recognised as this member in the last minutes. Raises NotSignedIn."""
        person = await self._person("prove", back, now)
        async with self._db.nobody() as tx:
            found = await identities.member_of(tx, person.issuer, person.subject)
        if found != user_id or person.recognised_at is None or person.recognised_at < now - LIVES:
            raise REFUSED

    async def _person(self, purpose: Purpose, back: Back, now: datetime) -> Person:
        """Whom the provider has recognised; its answer counts once, in the browser that it was asked from."""
        provider = self._there()
        told, _, challenge = back.state.partition(".")
        async with self._db.nobody() as tx:
            good = told == purpose and await ceremonies.take(
                tx, f"provider {purpose}", back.secret, challenge, now
            )
        if not good:
            log.warning("provider.refused", why="state")
            raise REFUSED
        return await provider.person(back.code, back.issuer, self._asked(back.state, back.secret), now)

    async def _joined(self, tx: Tx, person: Person, link: str | None, now: datetime) -> UserTx:
        """A new account for a person whose address the provider has verified, if the studio lets them in."""
        email = domain.normal_email(person.email)
        if not email:
            raise Forbidden(
                "identity_email_unverified",
                "The sign-in provider has not verified an address of yours.",
                next_step="Verify it there; or sign in here as before and link the provider.",
            )
        mode = await settings_service.sign_up(tx, self._settings)
        if link is None and mode != "open":
            raise joining.CLOSED
        opened = await joining.opened_by(tx, link, email, mode, now) if link else joining.OPEN
        new_id = members.new_user_id()
        if not await repository.enrol_account(
            tx, new_id, email, role=opened.role, subject_word="person", now=now
        ):
            raise Conflict(
                "identity_not_linked",
                "There is an account with this address, and it is not linked to the sign-in provider.",
                next_step="Sign in to it as before, then link it (POST /api/v1/identities/options).",
            )
        member = await opening.as_member(tx, new_id)
        await identities.add(member, Identity(uuid4(), person.issuer, person.subject, now, now))
        await trail.note(member, Action.ACCOUNT_MADE, role=opened.role, how="provider")
        log.info("account.made", user_id=new_id, role=opened.role, how="provider")
        return member

    def _asked(self, state: str, secret: str) -> Asked:
        """Nonce and verifier are made from the state, so that none of them is kept anywhere."""
        redirect_uri = f"{self._settings.address}/{PAGE}"
        return Asked(
            state, self._made("nonce", state, secret), self._made("verifier", state, secret), redirect_uri
        )

    def _made(self, what: str, state: str, secret: str) -> str:
        text = "\n".join(("oidc", what, state, hashlib.sha256(secret.encode()).hexdigest()))
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def linked(tx: UserTx) -> list[Identity]:
    """Who the member is at providers."""
    return await identities.identities(tx)


async def unlink(tx: UserTx, identity_id: UUID, now: datetime) -> None:
    """The provider opens this account no more. Raises NotFound, and Conflict where nothing else would."""
    if not await identities.remove(tx, identity_id):
        raise NotFound("identity_not_found", "There is no such link of yours.")
    others = await identities.identities(tx) or await passkeys.passkeys(tx)
    if not others and await repository.password_hash(tx) is None:
        raise Conflict(
            "last_way_in",
            "Nothing else opens this account.",
            next_step="Set a password (PUT /api/v1/password) or register a passkey first.",
        )
    await _told(tx, "A sign-in provider was unlinked", Action.CREDENTIAL_REMOVED, identity_id, now)


async def _told(tx: UserTx, what: str, action: Action, identity_id: UUID, now: datetime) -> None:
    await mail.tell(tx, "credential_changed", now, what=what)
    await trail.note(tx, action, kind="provider", credential=identity_id)
    log.info(action.value, user_id=tx.user_id, kind="provider")
