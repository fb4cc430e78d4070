"""Members, tokens and consents: what the API and other slices ask for.

The instance token (an operator's) is compared here too; sign-in by password or passkey is not here yet.
"""

import hmac
import re
import secrets
from datetime import datetime
from uuid import UUID, uuid4

from portraitist.studio.accounts import domain, repository
from portraitist.studio.accounts.domain import Consent, Member
from portraitist.studio.db import Tx, UserTx
from portraitist.studio.errors import BadInput, Unprocessable

SUBJECT_WORD = re.compile(r"[^\W_][^\W_ -]*(?:[ -][^\W_]+)*")
MAX_HANDLE = 4096  # a path


def new_user_id() -> str:
    """12 random lower-case letters and digits: never shortened, never changed."""
    return "".join(secrets.choice(domain.USER_ID_ALPHABET) for _ in range(domain.USER_ID_LENGTH))


def is_instance_token(given: str, expected: str) -> bool:
    """Whether this is the operator's token; the comparison takes equally long for every wrong one."""
    return hmac.compare_digest(given.encode(), expected.encode())


async def member_of(tx: Tx, token: str) -> str | None:
    """The member whose token this is."""
    return await repository.member_of_token(tx, domain.token_hash(token))


async def enrol_local(tx: Tx, handle: str, subject_word: str, now: datetime) -> str:
    """The local member with this handle, made if there is none; returns the id."""
    if not handle or len(handle) > MAX_HANDLE:
        raise BadInput("handle_invalid", "A local member needs a name of at most 4,096 characters.")
    checked_subject_word(subject_word)
    return await repository.enrol_local(tx, new_user_id(), handle, subject_word, now)


def checked_subject_word(word: str) -> str:
    """A word like woman, man, person; raises Unprocessable where prompts could not use it."""
    if len(word) > 40 or not SUBJECT_WORD.fullmatch(word):
        raise Unprocessable(
            "subject_word_invalid",
            "The word for the person may have letters, digits, single spaces and hyphens, 40 at most.",
            next_step="Use a word such as person, woman or man.",
        )
    return word


async def mint_token(tx: UserTx, name: str, now: datetime) -> str:
    """A new token for this member, shown once; only its hash is kept."""
    token = domain.TOKEN_PREFIX + secrets.token_urlsafe(32)
    await repository.add_token(tx, uuid4(), domain.token_hash(token), name, now)
    return token


async def me(tx: UserTx) -> Member:
    """The member who is asking."""
    return await repository.member(tx)


async def set_subject_word(tx: UserTx, word: str) -> None:
    """Change the word that prompts use for this member."""
    await repository.set_subject_word(tx, checked_subject_word(word))


async def give_consent(tx: UserTx, version: str, now: datetime) -> None:
    """Agree to today's wording; agreeing twice is one consent."""
    if version != domain.CONSENT_VERSION:
        raise Unprocessable(
            "consent_outdated",
            "That wording is not today's.",
            next_step="Read the current wording (GET /api/v1/consents/wording) and agree to it.",
        )
    if await repository.valid_consent(tx, version) is None:
        await repository.add_consent(tx, uuid4(), version, domain.wording_sha256(), now)


async def consents(tx: UserTx) -> list[Consent]:
    """What the member agreed to, and when."""
    return await repository.consents(tx)


async def require_consent(tx: UserTx) -> UUID:
    """The consent that a new photo hangs on; raises Unprocessable where there is none."""
    consent = await repository.valid_consent(tx, domain.CONSENT_VERSION)
    if consent is None:
        raise Unprocessable(
            "consent_needed",
            "Photos of a face are taken only with your consent.",
            next_step="Read the wording (GET /api/v1/consents/wording) and agree (POST /api/v1/consents).",
        )
    return consent
