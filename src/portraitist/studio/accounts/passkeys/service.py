"""Registering passkeys and telling who signs with one; recovery codes; whether a password needs a passkey beside it.

A challenge is spent by the first answer to it, right or wrong. Every refusal of a signature is the same to the
outside; the log says which it was.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Never
from uuid import UUID, uuid4

import webauthn
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    options_to_json_dict,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portraitist.kit.logging import logger
from portraitist.studio.accounts import ceremonies, domain, opening
from portraitist.studio.accounts import repository as members
from portraitist.studio.accounts.mail import service as mail
from portraitist.studio.accounts.passkeys import repository
from portraitist.studio.accounts.passkeys.domain import (
    CHALLENGE_LIVES,
    CODE_BYTES,
    MOST_PASSKEYS,
    RECOVERY_CODES,
    Ceremony,
    Codes,
    Credential,
    Passkey,
    RelyingParty,
    is_copied,
    read,
    relying_party,
    spelled,
)
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import StudioDatabase, Tx, UserTx
from portraitist.studio.errors import Conflict, NotFound, NotSignedIn, Unprocessable
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import NOBODY, Action

log = logger(__name__)
UNREADABLE = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, OverflowError)
"""What the library raises on bytes that a hostile browser makes up."""
NO_PASSKEY = NotFound("passkey_not_found", "There is no such passkey of yours.")
REFUSED = Unprocessable(
    "passkey_refused", "The passkey was not accepted.", next_step="Begin again, on the studio's own page."
)
STUDIO = "Portraitist"


@dataclass(frozen=True)
class Beside:
    """What somebody gives beside a password: an answer by passkey, or a recovery code in its place."""

    passkey: "Given | None" = None
    recovery_code: str | None = None


NOTHING = Beside()


@dataclass(frozen=True)
class Given:
    """What a browser answers a challenge with, and the secret that binds the answer to that browser."""

    credential: Mapping[str, Any]
    secret: str


class Passkeys:
    """Passkeys of one studio."""

    def __init__(self, db: StudioDatabase, settings: StudioSettings) -> None:
        self._db = db
        self._party = relying_party(settings.address)

    @property
    def offered(self) -> bool:
        """Whether browsers have passkeys for this studio's address."""
        return self._party is not None

    @property
    def party(self) -> RelyingParty:
        """Whom they are for. Raises Conflict where browsers have no passkeys for this studio's address."""
        if self._party is None:
            raise Conflict(
                "passkeys_unavailable",
                "Browsers have passkeys only where the studio is reached by https and a name, or at localhost.",
                next_step="Set PUBLIC_URL to an https address, or open the studio at http://localhost.",
            )
        return self._party

    async def options_to_register(self, user_id: str, secret: str, now: datetime) -> dict[str, Any]:
        """What `navigator.credentials.create` is called with."""
        party = self.party
        async with self._db.member(user_id) as tx:
            member = await members.member(tx)
            known = await repository.credential_ids(tx)
            _check_room(len(known))
            challenge = await self._challenge(tx, "register passkey", secret, now)
        options = webauthn.generate_registration_options(
            rp_id=party.id,
            rp_name=STUDIO,
            user_id=user_id.encode(),
            user_name=member.email or member.handle,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(each) for each in known],
        )
        return options_to_json_dict(options)

    async def register(self, user_id: str, name: str, given: Given, now: datetime) -> Passkey:
        """Remember a new passkey of the member's. Raises Unprocessable and Conflict."""
        challenge = await self._taken("register passkey", given, now)
        try:
            verified = webauthn.verify_registration_response(
                credential=parse_registration_credential_json(dict(given.credential)),
                expected_challenge=challenge,
                expected_rp_id=self.party.id,
                expected_origin=self.party.origin,
                require_user_verification=True,
            )
        except UNREADABLE as exc:
            _refuse(type(exc).__name__)
        passkey = Passkey(uuid4(), name, verified.credential_backed_up, now, None)
        key = Credential(
            passkey.id, verified.credential_id, verified.credential_public_key, verified.sign_count
        )
        async with self._db.member(user_id) as tx:
            _check_room(len(await repository.credential_ids(tx)))
            if not await repository.add(tx, passkey, key):
                _refuse("known already")
            await mail.tell(tx, "credential_changed", now, what="A passkey was registered")
            await trail.note(tx, Action.CREDENTIAL_ADDED, kind="passkey", credential=passkey.id)
            log.info("passkey.made", user_id=user_id, passkey_id=str(passkey.id))
        return passkey

    async def options_to_sign(self, purpose: Ceremony, secret: str, now: datetime) -> dict[str, Any]:
        """What `navigator.credentials.get` is called with; the device itself says whose passkeys it has."""
        party = self.party
        async with self._db.nobody() as tx:
            challenge = await self._challenge(tx, purpose, secret, now)
        return options_to_json_dict(
            webauthn.generate_authentication_options(
                rp_id=party.id,
                challenge=challenge,
                user_verification=UserVerificationRequirement.REQUIRED,
            )
        )

    async def signer(self, purpose: Ceremony, given: Given, now: datetime) -> str:
        """The member whose passkey has signed. Raises Unprocessable, the same for every reason."""
        challenge = await self._taken(purpose, given, now)
        try:
            answer = parse_authentication_credential_json(dict(given.credential))
        except UNREADABLE as exc:
            _refuse(type(exc).__name__)
        async with self._db.nobody() as tx:
            user_id = await repository.member_of(tx, answer.raw_id)
        if user_id is None:
            _refuse("unknown")
        if (answer.response.user_handle or user_id.encode()) != user_id.encode():
            _refuse("another member's")
        async with self._db.member(user_id) as member:
            known = await repository.credential(member, answer.raw_id)
            if known is None:
                _refuse("unknown")
            try:
                verified = webauthn.verify_authentication_response(
                    credential=answer,
                    expected_challenge=challenge,
                    expected_rp_id=self.party.id,
                    expected_origin=self.party.origin,
                    credential_public_key=known.public_key,
                    credential_current_sign_count=0,  # the count is judged below, and told apart
                    require_user_verification=True,
                )
            except UNREADABLE as exc:
                _refuse(type(exc).__name__)
            count, copied = verified.new_sign_count, is_copied(known.sign_count, verified.new_sign_count)
            if copied:
                await _tell_of_copy(member, known.id, now)
            else:
                backed_up = verified.credential_backed_up
                await repository.used(member, known.id, count, backed_up=backed_up, now=now)
        if copied:
            _refuse("copied")
        return user_id

    async def signer_beside(self, beside: Beside, now: datetime) -> str | None:
        """The member whose passkey has signed, if one has."""
        if beside.passkey is None:
            return None
        return await self.signer("enter by passkey", beside.passkey, now)

    async def _challenge(self, tx: Tx, purpose: Ceremony, secret: str, now: datetime) -> bytes:
        return base64url_to_bytes(await ceremonies.begin(tx, purpose, secret, now + CHALLENGE_LIVES))

    async def _taken(self, purpose: Ceremony, given: Given, now: datetime) -> bytes:
        """The challenge that was answered; it can't be answered again."""
        _ = self.party
        try:
            told = webauthn.helpers.parse_client_data_json(
                base64url_to_bytes(given.credential["response"]["clientDataJSON"])
            )
        except UNREADABLE as exc:
            _refuse(type(exc).__name__)
        async with self._db.nobody() as tx:
            good = await ceremonies.take(tx, purpose, given.secret, bytes_to_base64url(told.challenge), now)
        if not good:
            _refuse("challenge")
        return told.challenge


async def passkeys(tx: UserTx) -> list[Passkey]:
    """The member's passkeys, the first made first."""
    return await repository.passkeys(tx)


async def rename(tx: UserTx, passkey_id: UUID, name: str) -> None:
    """Call a passkey something else. Raises NotFound."""
    if not await repository.rename(tx, passkey_id, name):
        raise NO_PASSKEY


async def remove(tx: UserTx, passkey_id: UUID, now: datetime) -> None:
    """The passkey opens nothing any more. Raises NotFound, and Conflict for the last one that sign-in needs."""
    needed = await members.needs_passkey(tx, lock=True)
    if not await repository.remove(tx, passkey_id):
        raise NO_PASSKEY
    if needed and not await repository.passkeys(tx):
        raise Conflict(
            "last_passkey",
            "Signing in needs a passkey, and this is the last one.",
            next_step="Let the password be enough first (PUT /api/v1/second-factor), or register another.",
        )
    await mail.tell(tx, "credential_changed", now, what="A passkey was removed")
    await trail.note(tx, Action.CREDENTIAL_REMOVED, kind="passkey", credential=passkey_id)
    log.info("passkey.removed", user_id=tx.user_id, passkey_id=str(passkey_id))


async def is_passkey_needed(tx: UserTx) -> bool:
    """Whether the password alone is not enough."""
    return await members.needs_passkey(tx)


async def need_passkey(tx: UserTx, needed: bool, now: datetime) -> None:
    """Whether the password alone is enough from now on. Raises Conflict without a password or a passkey."""
    await members.needs_passkey(tx, lock=True)
    if needed and not await repository.passkeys(tx):
        raise Conflict("no_passkey", "You have no passkey yet.", next_step="Register one first.")
    if not await members.set_needs_passkey(tx, needed):
        raise Conflict(
            "no_password", "Your account has no password.", next_step="Set one (PUT /api/v1/password)."
        )
    await mail.tell(
        tx, "credential_changed", now, what="Whether your password needs a passkey beside it was changed"
    )
    await trail.note(tx, Action.CREDENTIAL_CHANGED, kind="second-factor", needed=needed)
    log.info("second_factor.changed", user_id=tx.user_id, needed=needed)


async def check_beside(tx: UserTx, signer: str | None, code: str | None, now: datetime) -> None:
    """Lets pass whoever needs no passkey, has used their own, or has a recovery code. Raises NotSignedIn."""
    if not await members.needs_passkey(tx):
        return
    if signer is None and code is None:
        raise NotSignedIn(
            "passkey_needed",
            "This account is opened with a passkey beside the password.",
            next_step="Send both: `passkey` (POST /api/v1/session/passkey/options first) or `recovery_code`.",
        )
    if signer is None and code is not None:
        await spend_code(tx, code, now)
    elif signer != tx.user_id:
        raise opening.refused()


async def new_codes(tx: UserTx, now: datetime) -> list[str]:
    """Ten fresh recovery codes, shown this once; all earlier ones are good for nothing any more."""
    codes = [spelled(secrets.token_bytes(CODE_BYTES)) for _ in range(RECOVERY_CODES)]
    await repository.replace_codes(tx, [_code_digest(each) for each in codes], now)
    await mail.tell(
        tx, "credential_changed", now, what="New recovery codes were made in place of the old ones"
    )
    await trail.note(tx, Action.CREDENTIAL_ADDED, kind="recovery-codes")
    log.info("recovery_codes.made", user_id=tx.user_id)
    return codes


async def codes(tx: UserTx) -> Codes:
    """How many recovery codes are left."""
    return await repository.codes(tx)


async def spend_code(tx: UserTx, code: str, now: datetime) -> None:
    """A recovery code in place of a passkey, once. Raises NotSignedIn."""
    if not await repository.spend_code(tx, _code_digest(code), now):
        raise opening.refused()
    left = (await repository.codes(tx)).left
    await mail.tell(tx, "credential_changed", now, what="A recovery code was used")
    await trail.note(tx, Action.CREDENTIAL_CHANGED, kind="recovery-code", left=left)
    log.info("recovery_code.used", user_id=tx.user_id, left=left)


async def _tell_of_copy(tx: UserTx, passkey_id: UUID, now: datetime) -> None:
    """The member hears of it, since it may be that somebody else has the key."""
    log.warning("passkey.copied", user_id=tx.user_id, passkey_id=str(passkey_id))
    await mail.tell(tx, "credential_changed", now, what="A passkey was refused that seems to be a copy")
    await trail.note(tx, Action.SIGN_IN_REFUSED, NOBODY, how="passkey-copied", credential=passkey_id)


def _code_digest(code: str) -> bytes:
    return domain.token_hash(read(code))


def _check_room(count: int) -> None:
    if count >= MOST_PASSKEYS:
        raise Conflict(
            "too_many_passkeys",
            f"A member has {MOST_PASSKEYS} passkeys at most.",
            next_step="Remove one first.",
        )


def _refuse(why: str) -> Never:
    log.warning("passkey.refused", why=why)
    raise REFUSED
