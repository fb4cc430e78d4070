"""The one writer of `users`, `api_tokens` and `consents`. SQL only."""

from datetime import datetime
from uuid import UUID

from portraitist.studio.accounts.domain import Consent, Member
from portraitist.studio.db import Tx, UserTx


async def member_of_token(tx: Tx, token_hash: bytes) -> str | None:
    """Whose token this is."""
    found = await tx.value("select member_of_token(%s) as id", (token_hash,))
    return None if found is None else str(found)


async def enrol_local(tx: Tx, new_id: str, handle: str, subject_word: str, now: datetime) -> str:
    """The id of the local member with this handle, made if there is none."""
    return str(
        await tx.value("select enrol_local_member(%s, %s, %s, %s) as id", (new_id, handle, subject_word, now))
    )


async def member(tx: UserTx) -> Member:
    """The member of this transaction."""
    found = await tx.maybe(Member, "select id, handle, subject_word, created_at from users")
    assert found is not None, "a UserTx is opened for members that exist"
    return found


async def set_subject_word(tx: UserTx, word: str) -> None:
    """The word that prompts use for this member."""
    await tx.run("update users set subject_word = %s", (word,))


async def add_token(tx: UserTx, token_id: UUID, token_hash: bytes, name: str, now: datetime) -> None:
    """Remember a token's hash."""
    await tx.run(
        "insert into api_tokens (user_id, id, token_hash, name, created_at) values (%s, %s, %s, %s, %s)",
        (tx.user_id, token_id, token_hash, name, now),
    )


async def add_consent(tx: UserTx, consent_id: UUID, version: str, sha256: bytes, now: datetime) -> None:
    """The member has agreed to this wording."""
    await tx.run(
        """insert into consents (user_id, id, wording_version, wording_sha256, given_at)
           values (%s, %s, %s, %s, %s)""",
        (tx.user_id, consent_id, version, sha256, now),
    )


async def consents(tx: UserTx) -> list[Consent]:
    """Everything the member ever agreed to, newest first."""
    return await tx.all(
        Consent,
        "select id, wording_version, given_at, withdrawn_at from consents order by given_at desc, id desc",
    )


async def valid_consent(tx: UserTx, version: str) -> UUID | None:
    """The consent to today's wording, if it stands."""
    found = await tx.value(
        """select id from consents where wording_version = %s and withdrawn_at is null
           order by given_at desc limit 1""",
        (version,),
    )
    return None if found is None else UUID(str(found))
