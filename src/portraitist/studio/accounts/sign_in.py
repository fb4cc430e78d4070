"""Sign up, sign in, another password, a reset: from a password to a session, and no word about who has an account.

Each step is its own short transaction, and none is open while a password is hashed. Tries are counted before they
are made, so that many at once are no more than many one after another.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from portraitist.kit.clock import Clock
from portraitist.kit.limits import Bucket, SharedLimits
from portraitist.kit.logging import logger
from portraitist.studio.accounts import domain, fresh, guessing, opening, repository, service, words
from portraitist.studio.accounts import repository_sessions as kept
from portraitist.studio.accounts.domain import Lives, Session, SpentLink, Who
from portraitist.studio.accounts.hashing import Hasher
from portraitist.studio.accounts.joining import CLOSED, LINK_REFUSED, OPEN, opened_by
from portraitist.studio.accounts.mail import service as mail
from portraitist.studio.accounts.mail.letters import WishKind
from portraitist.studio.accounts.mail.service import MAILING
from portraitist.studio.accounts.oidc.back import Back
from portraitist.studio.accounts.oidc.provider import Provider
from portraitist.studio.accounts.oidc.service import Oidc
from portraitist.studio.accounts.opening import Browser, NewSession
from portraitist.studio.accounts.passkeys.service import (
    NOTHING,
    Beside,
    Given,
    Passkeys,
    check_beside,
    spend_code,
)
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import StudioDatabase, Tx, UserTx
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.settings import service as settings_service
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import NOBODY, Action

log = logger(__name__)
REFUSALS = Bucket("audit events of strangers", 30.0)
SIGN_UPS = "sign-up "  # before the source's key: sign-ups are counted apart from sign-ins


@dataclass(frozen=True)
class SignUp:
    """What somebody who wants an account gives."""

    email: str
    password: str
    subject_word: str
    link: str | None


@dataclass(frozen=True)
class Proof:
    """What somebody who is signed in proves to be the member with: exactly one thing of these."""

    password: str | None
    link: str | None
    provider: Back | None
    beside: Beside


class SignIn:
    """The doors of one process."""

    def __init__(
        self,
        db: StudioDatabase,
        hasher: Hasher,
        settings: StudioSettings,
        provider: Provider | None = None,
    ) -> None:
        self._db = db
        self._hasher = hasher
        self._settings = settings
        self._secret = settings.secret_key.get_secret_value()
        self.lives = opening.lives_of(settings)
        self.passkeys = Passkeys(db, settings)
        self.oidc = Oidc(db, settings, provider)

    async def sign_up(self, wanted: SignUp, source: str, now: datetime) -> None:
        """Make an account, by a link or where the studio is open.

        Without a link the answer is the same whether the address had an account or not. Raises Forbidden,
        Unprocessable, NotFound (the link), Conflict and TooMany.
        """
        email = _checked_email(wanted.email)
        _check_password(wanted.password, [email])
        service.checked_subject_word(wanted.subject_word)
        async with self._db.nobody() as tx:
            mode = await settings_service.sign_up(tx, self._settings)
            if wanted.link is None and mode != "open":
                raise CLOSED
            delay = await opening.counted(
                tx, SIGN_UPS + guessing.source_key(source, self._secret), guessing.SOURCE, now
            )
        opening.refuse_early(delay)
        hashed = await self._hasher.hashed(wanted.password)
        async with self._db.nobody() as tx:
            opened = await opened_by(tx, wanted.link, email, mode, now) if wanted.link else OPEN
            made = await _enrolled(tx, wanted, hashed, opened, now)
            if not made and wanted.link is not None:  # whoever holds a link may know
                raise Conflict("account_exists", "This address has an account.", next_step="Sign in with it.")

    async def sign_in(
        self, email: str, password: str, browser: Browser, now: datetime, beside: Beside = NOTHING
    ) -> NewSession:
        """A session for whoever knows the password, and has the passkey where that is not enough.

        A session that the browser still had ends. Raises NotSignedIn, the same for every reason but for a password
        that is right and not enough, Unprocessable (the passkey), and TooMany.
        """
        address = domain.normal_email(email)
        account = guessing.account_key(address, self._secret)
        place = guessing.source_key(browser.source, self._secret)
        async with self._db.nobody() as tx:
            delay = await opening.counted(tx, account, guessing.ACCOUNT, now)
            delay = max(delay, await opening.counted(tx, place, guessing.SOURCE, now))
            found = await repository.account_of_email(tx, address)
        opening.refuse_early(delay)
        user_id, stored = found or ("", None)
        holds, better = await self._hasher.holds(password, stored)
        if not holds or stored is None:
            log.warning("sign_in.refused", account=account[:20])
            await self._note_refusal(user_id)
            raise opening.refused()
        signer = await self.passkeys.signer_beside(beside, now)
        async with self._db.member(user_id) as tx:
            if await repository.password_hash(tx, lock=True) != stored:
                raise opening.refused()  # changed while it was being compared
            await check_beside(tx, signer, beside.recovery_code, now)
            if better is not None:
                await repository.set_password(tx, better, now)
            await kept.forget_tries(tx, account)
            await kept.forgive_try(tx, place, now)
            return await opening.open_session(tx, browser, self.lives, now, "password")

    async def _note_refusal(self, user_id: str) -> None:
        """What the member may see later; an address without an account leaves as much behind, so many a minute."""
        seldom = (
            await SharedLimits(self._db.pool).take(REFUSALS) == 0
        )  # asked for both: they take equally long
        if user_id:
            async with self._db.member(user_id) as tx:
                await trail.note(tx, Action.SIGN_IN_REFUSED, NOBODY, how="password")
        elif seldom:
            async with self._db.nobody() as tx:
                await trail.note_unknown(tx, Action.SIGN_IN_REFUSED, how="password")

    async def enter_by_passkey(self, given: Given, browser: Browser, now: datetime) -> NewSession:
        """A session for whoever holds a member's passkey. Raises Unprocessable and TooMany."""
        place = guessing.source_key(browser.source, self._secret)
        async with self._db.nobody() as tx:
            delay = await opening.counted(tx, place, guessing.SOURCE, now)
        opening.refuse_early(delay)
        user_id = await self.passkeys.signer("enter by passkey", given, now)
        async with self._db.member(user_id) as tx:
            await kept.forgive_try(tx, place, now)
            return await opening.open_session(tx, browser, self.lives, now, "passkey")

    async def enter_by_link(self, link: str, beside: Beside, browser: Browser, now: datetime) -> NewSession:
        """A session by a link that was mailed. Raises NotFound (the link), NotSignedIn, Unprocessable and TooMany."""
        place = guessing.source_key(browser.source, self._secret)
        async with self._db.nobody() as tx:
            delay = await opening.counted(tx, place, guessing.SOURCE, now)
        opening.refuse_early(delay)
        signer = await self.passkeys.signer_beside(beside, now)
        async with self._db.nobody() as tx:  # a refusal below leaves the link unspent
            spent = await kept.spend_link(tx, domain.token_hash(link), ["sign_in"], now)
            if spent is None or spent.user_id is None:
                raise LINK_REFUSED
            member = await opening.as_member(tx, spent.user_id)
            if await repository.is_disabled(member):
                raise LINK_REFUSED
            await check_beside(member, signer, beside.recovery_code, now)
            await kept.forgive_try(tx, place, now)
            return await opening.open_session(member, browser, self.lives, now, "mailed-link")

    async def wish_for_link(self, kind: WishKind, email: str, source: str, now: datetime) -> None:
        """Mail a link to whoever has this address; the same if nobody has. Raises Conflict and TooMany."""
        MAILING.check()
        keys = (
            guessing.account_key(domain.normal_email(email), self._secret),
            guessing.source_key(source, self._secret),
        )
        async with self._db.nobody() as tx:
            delays = [await opening.counted(tx, guessing.MAILS + key, guessing.MAIL, now) for key in keys]
            if not any(delays):
                await mail.wish(tx, kind, email, now)
        opening.refuse_early(max(delays))

    async def mail_proof(self, user_id: str, now: datetime) -> None:
        """Mail the member a link that proves it is them. Raises Conflict and TooMany."""
        MAILING.check()
        async with self._db.nobody() as tx:
            key = guessing.MAILS + guessing.account_key(user_id, self._secret)
            delay = await opening.counted(tx, key, guessing.MAIL, now)
        opening.refuse_early(delay)
        async with self._db.member(user_id) as tx:
            await mail.tell(tx, "proof", now)

    async def change_password(
        self, who: Who, current: str | None, new: str, browser: Browser, *, now: datetime, keep_tokens: bool
    ) -> NewSession:
        """Another password; every session ends, and this browser gets a new one."""
        async with self._db.member(who.user_id) as tx:
            member = await repository.member(tx)
        _check_password(new, [member.email or ""])
        stored = await self.confirm(who.user_id, current, now)
        if stored is None:
            await self.require_fresh(who, now)
        hashed = await self._hasher.hashed(new)
        async with self._db.member(who.user_id) as tx:
            if await repository.password_hash(tx, lock=True) != stored:
                raise Conflict("password_changed", "The password was changed elsewhere just now.")
            await self._take(tx, hashed, now, keep_tokens=keep_tokens)
            await mail.tell(tx, "password_changed", now)
            await trail.note(tx, Action.PASSWORD_CHANGED)
            log.info("password.changed", user_id=tx.user_id)
            return await opening.open_session(tx, browser, self.lives, now, "new-password")

    async def require_fresh(self, who: Who, now: datetime) -> None:
        """Lets pass whoever has proved in the last minutes to be the member. Raises Forbidden."""
        async with self._db.member(who.user_id) as tx:
            await fresh.require(tx, who, timedelta(minutes=self._settings.fresh_minutes), now)

    async def prove(self, who: Who, proof: Proof, now: datetime) -> str | None:
        """It is the member: another secret for the session, None for a token. Raises what the proof's kind does."""
        if proof.beside.passkey is not None:
            if await self.passkeys.signer("prove by passkey", proof.beside.passkey, now) != who.user_id:
                raise opening.refused()
        elif proof.provider is not None:
            await self.oidc.check_proof(who.user_id, proof.provider, now)
        elif proof.password is not None and await self.confirm(who.user_id, proof.password, now) is None:
            raise Unprocessable("password_wrong", "The present password is another one.")
        async with self._db.member(who.user_id) as tx:
            if proof.beside.recovery_code is not None:
                await spend_code(tx, proof.beside.recovery_code, now)
            if proof.link is not None:
                spent = await kept.spend_link(tx, domain.token_hash(proof.link), ["proof"], now)
                if spent is None or spent.user_id != who.user_id:
                    raise LINK_REFUSED
            return await fresh.proved(tx, who, now)

    async def confirm(self, user_id: str, given: str | None, now: datetime) -> str | None:
        """Whoever asks knows the member's password: its stored hash; None for a local member, who has none.

        Raises Unprocessable and TooMany.
        """
        async with self._db.member(user_id) as tx:
            member = await repository.member(tx)
            stored = await repository.password_hash(tx)
            if stored is None:
                return None
            account = guessing.account_key(member.email or member.id, self._secret)
            delay = await opening.counted(tx, account, guessing.ACCOUNT, now)
        opening.refuse_early(delay)
        holds, _ = await self._hasher.holds(given or "", stored)
        if not holds:
            raise Unprocessable("password_wrong", "The present password is another one.")
        async with self._db.member(user_id) as tx:
            await kept.forget_tries(tx, account)
        return stored

    async def reset(self, link: str, new: str, source: str, now: datetime) -> None:
        """Another password by an admin's link; every session and token ends. Raises NotFound and TooMany."""
        _check_password(new, [])
        async with self._db.nobody() as tx:
            delay = await opening.counted(
                tx, SIGN_UPS + guessing.source_key(source, self._secret), guessing.SOURCE, now
            )
        opening.refuse_early(delay)
        hashed = await self._hasher.hashed(new)
        async with self._db.nobody() as tx:
            spent = await kept.spend_link(tx, domain.token_hash(link), ["reset", "mailed_reset"], now)
            if spent is None or spent.user_id is None:
                raise LINK_REFUSED
            user = await opening.as_member(tx, spent.user_id)
            await self._take(user, hashed, now, keep_tokens=False)
            # Whoever lost the device has been to the admin; a mailbox is not enough.
            if spent.kind == "reset":
                await repository.set_needs_passkey(user, False)
            member = await repository.member(user)
            _check_password(new, [member.email or ""])
            await kept.forget_tries(tx, guessing.account_key(member.email or "", self._secret))
            await mail.tell(user, "password_changed", now)
            await trail.note(user, Action.PASSWORD_RESET, NOBODY, how="link")
            log.info("password.reset", user_id=spent.user_id)

    async def _take(self, tx: UserTx, hashed: str, now: datetime, *, keep_tokens: bool) -> None:
        await repository.set_password(tx, hashed, now)
        await kept.remove_sessions(tx)
        if not keep_tokens:
            await repository.remove_tokens(tx)


async def holder_of(tx: Tx, secret: str, lives: Lives, now: datetime) -> tuple[Who, bool] | None:
    """Who has this session, and whether its use is to be written down."""
    known = await kept.holder_of_session(tx, domain.token_hash(secret), now, lives.idle)
    if known is None:
        return None
    return Who(known.user_id, known.role, frozenset(), session_id=known.id), known.wants_touch(now)


async def session_seen(tx: UserTx, session_id: UUID, now: datetime) -> None:
    """Write down that a session has just been used."""
    await kept.session_seen(tx, session_id, now)


async def sessions(tx: UserTx, lives: Lives, now: datetime) -> list[Session]:
    """Where the member is signed in, the last used first."""
    return await kept.sessions(tx, now, lives.idle)


async def end_session(tx: UserTx, session_id: UUID) -> None:
    """Sign out there. Raises NotFound."""
    if not await kept.remove_session(tx, session_id):
        raise NotFound("session_not_found", "There is no such session.")
    await trail.note(tx, Action.SIGNED_OUT, session=session_id)
    log.info("session.ended", user_id=tx.user_id, session_id=str(session_id))


async def end_other_sessions(tx: UserTx, but: UUID | None) -> int:
    """Sign out everywhere else; returns how many sessions that were."""
    ended = await kept.remove_sessions(tx, but)
    await trail.note(tx, Action.SIGNED_OUT_ELSEWHERE, count=ended)
    log.info("sessions.ended", user_id=tx.user_id, count=ended)
    return ended


async def forget_old_tries(db: StudioDatabase, clock: Clock) -> None:
    """Keys that nobody has tried for long start anew."""
    async with db.nobody() as tx:
        await kept.forget_old_tries(tx, clock.now() - guessing.FORGOTTEN_AFTER)


async def _enrolled(tx: Tx, wanted: SignUp, hashed: str, opened: SpentLink, now: datetime) -> bool:
    """Whether the account was made now."""
    new_id, email = service.new_user_id(), domain.normal_email(wanted.email)
    if not await repository.enrol_account(
        tx, new_id, email, role=opened.role, subject_word=wanted.subject_word, now=now
    ):
        return False
    member = await opening.as_member(tx, new_id)
    await repository.set_password(member, hashed, now)
    await trail.note(member, Action.ACCOUNT_MADE, role=opened.role, how=opened.kind)
    log.info("account.made", user_id=new_id, role=opened.role)
    return True


def _checked_email(address: str) -> str:
    email = domain.normal_email(address)
    if not email:
        raise Unprocessable("email_invalid", "This is no e-mail address.")
    return email


def _check_password(password: str, about: list[str]) -> None:
    complaint = words.complaint(password, about)
    if complaint is not None:
        raise Unprocessable("password_weak", complaint)
