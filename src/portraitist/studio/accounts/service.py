"""Members, tokens and consents: what the API and other slices ask for.

The instance token (the host's) is compared here too. Passwords and sessions are `sign_in.py`, an admin's work on
accounts `admission.py`.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from portraitist.kit.logging import logger
from portraitist.studio.accounts import domain, repository
from portraitist.studio.accounts.domain import Consent, Member, Token, Who
from portraitist.studio.db import Tx, UserTx
from portraitist.studio.errors import BadInput, NotFound, Unprocessable
from portraitist.studio.prompting.refusing import Refusals
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action, Actor

log = logger(__name__)

SUBJECT_WORD = re.compile(r"[^\W_][^\W_ -]*(?:[ -][^\W_]+)*")
MAX_HANDLE = 4096  # a path
ACCOUNTS_HANDLE = "account:"
MOST_TOKENS = 50
LONGEST_TOKEN_LIFE = timedelta(days=366)


def new_user_id() -> str:
    """12 random lower-case letters and digits: never shortened, never changed."""
    return "".join(secrets.choice(domain.USER_ID_ALPHABET) for _ in range(domain.USER_ID_LENGTH))


def is_instance_token(given: str, expected: str) -> bool:
    """Whether this is the operator's token; the comparison takes equally long for every wrong one."""
    return hmac.compare_digest(given.encode(), expected.encode())


async def holder_of(tx: Tx, token: str, now: datetime) -> tuple[Who, bool] | None:
    """Who sends this token, and whether its use is to be written down."""
    known = await repository.holder_of_token(tx, domain.token_hash(token), now)
    if known is None:
        return None
    who = Who(known.user_id, known.role, frozenset(known.scopes), token_id=known.id)
    return who, known.wants_touch(now)


async def enrol_local(tx: Tx, handle: str, subject_word: str, now: datetime) -> str:
    """The local member with this handle, made if there is none; returns the id."""
    if not handle or len(handle) > MAX_HANDLE:
        raise BadInput("handle_invalid", "A local member needs a name of at most 4,096 characters.")
    if handle.startswith(ACCOUNTS_HANDLE):
        raise BadInput("handle_invalid", "An account with a password is no local member.")
    checked_subject_word(subject_word)
    return await repository.enrol_local(tx, new_user_id(), handle, subject_word, now)


def checked_subject_word(word: str) -> str:
    """A word like woman, man, person; raises Unprocessable where prompts could not use it."""
    if len(word) > 40 or not SUBJECT_WORD.fullmatch(word) or Refusals().refuses(word):
        raise Unprocessable(
            "subject_word_invalid",
            "The word for the person names an adult; letters, digits, single spaces and hyphens, 40 at most.",
            next_step="Use a word such as person, woman or man.",
        )
    return word


async def mint_token(
    tx: UserTx,
    name: str,
    now: datetime,
    scopes: Sequence[str] = ("full",),
    life: timedelta | None = None,
    *,
    by: Actor | None = None,
) -> tuple[str, Token]:
    """A new token for this member, shown once; only its hash is kept. `life` None: it does not run out.

    `by`: made for them by somebody else.
    """
    secret = domain.TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token(uuid4(), name, tuple(scopes), now, now + life if life else None, None)
    await repository.add_token(tx, token, domain.token_hash(secret))
    await trail.note(tx, Action.TOKEN_MADE, by, token=token.id, scopes=list(scopes))
    log.info("token.made", user_id=tx.user_id, issued=str(token.id), scopes=list(scopes))
    return secret, token


async def issue_token(
    tx: UserTx, who: Who, name: str, scopes: Sequence[str], *, life: timedelta, now: datetime
) -> tuple[str, Token]:
    """A token that a member asks for: for no more than they may do themselves, and not for ever."""
    kept = await repository.tokens(tx)
    if len(kept) >= MOST_TOKENS:
        raise Unprocessable(
            "too_many_tokens",
            f"A member has {MOST_TOKENS} tokens at most.",
            next_step="Take one back that is not used any more (DELETE /api/v1/tokens/{id}).",
        )
    check_scopes(who, scopes)
    if not timedelta(0) < life <= LONGEST_TOKEN_LIFE:
        raise Unprocessable("token_life_invalid", f"A token lives {LONGEST_TOKEN_LIFE.days} days at most.")
    own = next((each for each in kept if each.id == who.token_id), None)
    if own is not None and own.expires_at is not None:
        life = min(life, own.expires_at - now)
    return await mint_token(tx, name, now, scopes, life)


def check_scopes(who: Who, scopes: Sequence[str]) -> None:
    """Lets pass scopes that there are and that whoever asks may hand on. Raises Unprocessable."""
    unknown = sorted(set(scopes) - domain.SCOPES.keys())
    if unknown or not scopes:
        known = ", ".join(domain.SCOPES)
        raise Unprocessable("scope_unknown", f"A token's scopes are some of: {known}.")
    allowed = {"full", *domain.SCOPES} if who.session_id else set(who.scopes)
    allowed |= domain.SCOPES.keys() - {"admin"} if "full" in allowed else set()
    allowed -= set() if who.is_admin else {"admin"}
    if not set(scopes) <= allowed:
        refused = ", ".join(sorted(set(scopes) - allowed))
        raise Unprocessable("scope_refused", f"You can't hand on what you may not do yourself: {refused}.")


async def tokens(tx: UserTx) -> list[Token]:
    """The member's tokens, newest first."""
    return await repository.tokens(tx)


async def revoke_token(tx: UserTx, token_id: UUID) -> None:
    """The token is good for nothing any more. Raises NotFound."""
    if not await repository.remove_token(tx, token_id):
        raise NotFound("token_not_found", "There is no such token.")
    await trail.note(tx, Action.TOKEN_REVOKED, token=token_id)
    log.info("token.revoked", user_id=tx.user_id, issued=str(token_id))


async def token_used(tx: UserTx, token_id: UUID, now: datetime) -> None:
    """Write down that a token has just been used."""
    await repository.token_used(tx, token_id, now)


async def me(tx: UserTx) -> Member:
    """The member who is asking."""
    return await repository.member(tx)


async def has_password(tx: UserTx) -> bool:
    """Whether the member can sign in with a password; else a passkey, mail or the provider opens the account."""
    return await repository.password_hash(tx) is not None


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
        consent_id = uuid4()
        await repository.add_consent(tx, consent_id, version, domain.wording_sha256(), now)
        await trail.note(tx, Action.CONSENT_GIVEN, consent=consent_id, version=version)


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
