"""The one writer of `users`, `passwords`, `api_tokens` and `consents`, and their look-ups. SQL only.

Sessions, links and tries are `repository_sessions`.
"""

from datetime import datetime
from uuid import UUID

from portraitist.studio.accounts.domain import Consent, Known, Member, Role, Token
from portraitist.studio.db import Tx, UserTx
from portraitist.studio.errors import NotSignedIn


async def holder_of_token(tx: Tx, token_hash: bytes, now: datetime) -> Known | None:
    """Whose token this is, while it is good."""
    return await tx.maybe(
        Known,
        "select user_id, id, role, scopes, seen_at from member_of_token(%s, %s)",
        (token_hash, now),
    )


async def enrol_local(tx: Tx, new_id: str, handle: str, subject_word: str, now: datetime) -> str:
    """The id of the local member with this handle, made if there is none."""
    return str(
        await tx.value("select enrol_local_member(%s, %s, %s, %s) as id", (new_id, handle, subject_word, now))
    )


async def enrol_account(
    tx: Tx, new_id: str, email: str, *, role: Role, subject_word: str, now: datetime
) -> bool:
    """A new account; False where the address has one."""
    sql = "select enrol_account(%s, %s, %s, %s, %s)"
    return bool(await tx.value(sql, (new_id, email, role, subject_word, now)))


async def account_of_email(tx: Tx, email: str) -> tuple[str, str] | None:
    """Id and password's hash of the account with this address, unless it is disabled."""
    cursor = await tx.conn.execute("select user_id, hash from account_of_email(%s)", (email,))
    row = await cursor.fetchone()
    return None if row is None else (row["user_id"], row["hash"])


async def member(tx: UserTx) -> Member:
    """The member of this transaction. Raises NotSignedIn for one who has been erased since they signed in."""
    found = await tx.maybe(
        Member,
        "select id, handle, email, role, subject_word, created_at from users where id = %s",
        (tx.user_id,),
    )
    if found is None:
        raise NotSignedIn(
            "not_signed_in", "This account is erased.", next_step="Sign up anew, if you want to."
        )
    return found


async def set_subject_word(tx: UserTx, word: str) -> None:
    """The word that prompts use for this member."""
    await tx.run("update users set subject_word = %s where id = %s", (word, tx.user_id))


async def password_hash(tx: UserTx, *, lock: bool = False) -> str | None:
    """The hash of the member's password; None for a local member. `lock` keeps it until the transaction ends."""
    sql = "select hash from passwords for update" if lock else "select hash from passwords"
    found = await tx.value(sql)
    return None if found is None else str(found)


async def set_password(tx: UserTx, hashed: str, now: datetime) -> None:
    """The member's password from now on."""
    await tx.run(
        """insert into passwords (user_id, hash, changed_at) values (%s, %s, %s)
           on conflict (user_id) do update set hash = excluded.hash, changed_at = excluded.changed_at""",
        (tx.user_id, hashed, now),
    )


async def is_disabled(tx: UserTx) -> bool:
    """Whether an admin has closed the account."""
    return (
        await tx.value("select disabled_at is not null from users where id = %s", (tx.user_id,)) is not False
    )


async def needs_passkey(tx: UserTx, *, lock: bool = False) -> bool:
    """Whether the member's password alone is not enough. `lock` keeps the answer until the transaction ends."""
    sql = "select needs_passkey from passwords for update" if lock else "select needs_passkey from passwords"
    return await tx.value(sql) is True


async def set_needs_passkey(tx: UserTx, needed: bool) -> bool:
    """Whether there is a password; it needs a passkey beside it from now on, or does not."""
    return await tx.run("update passwords set needs_passkey = %s", (needed,)) == 1


async def add_token(tx: UserTx, token: Token, token_hash: bytes) -> None:
    """Remember a token by its secret's hash."""
    await tx.run(
        """insert into api_tokens (user_id, id, token_hash, name, scopes, expires_at, created_at)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        (
            tx.user_id,
            token.id,
            token_hash,
            token.name,
            list(token.scopes),
            token.expires_at,
            token.created_at,
        ),
    )


async def tokens(tx: UserTx) -> list[Token]:
    """The member's tokens, newest first."""
    return await tx.all(
        Token,
        """select id, name, scopes, created_at, expires_at, used_at from api_tokens
           order by created_at desc, id desc""",
    )


async def token_used(tx: UserTx, token_id: UUID, now: datetime) -> None:
    """The token has just been used."""
    await tx.run("update api_tokens set used_at = %s where id = %s", (now, token_id))


async def remove_token(tx: UserTx, token_id: UUID) -> bool:
    """Whether there was such a token; it is gone."""
    return await tx.run("delete from api_tokens where id = %s", (token_id,)) == 1


async def remove_tokens(tx: UserTx) -> None:
    """No token of this member is good any more."""
    await tx.run("delete from api_tokens")


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
