"""Provider accounts: read from the configuration, known to the database without their tokens, counted by room.

The one writer of `provider_accounts`: which account a training and a version belong to.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from portraitist.studio.db import Tx
from portraitist.studio.errors import StudioError

CLOUD_MODELS = 1000
"""Models that one account may hold at the cloud; each member needs one."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_KEYS = {"id", "username", "token", "base_url"}


class AccountsInvalid(StudioError):
    """The accounts can't be used as they are configured. The text says why and never holds a token."""

    def __init__(self, message: str) -> None:
        super().__init__("accounts_invalid", message, next_step="Correct PROVIDER_ACCOUNTS_FILE.")


@dataclass(frozen=True)
class Account:
    """One account at one provider. `models_limit` None: as many as there is room for.

    One that does not train is kept for the versions that live there.
    """

    id: str
    base_url: str
    username: str
    token: SecretStr
    models_limit: int | None
    trains: bool = True


def read_file(path: Path, cloud_url: str) -> list[Account]:
    """The accounts of a TOML file: `[[account]]` tables with id, username, token and, but for the cloud, base_url.

    Raises AccountsInvalid.
    """
    try:
        tables = tomllib.loads(path.read_text()).get("account", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise AccountsInvalid(f"{path} can't be read: {type(exc).__name__}.") from exc
    if not isinstance(tables, list):
        raise AccountsInvalid(f"{path} must hold [[account]] tables.")
    return [_account(path, number, table, cloud_url) for number, table in enumerate(tables, 1)]


def _account(path: Path, number: int, table: object, cloud_url: str) -> Account:
    if not isinstance(table, Mapping) or not all(isinstance(value, str) for value in table.values()):
        raise AccountsInvalid(f"{path}: account {number} is not a table of texts.")
    if unknown := set(table) - _KEYS:
        raise AccountsInvalid(f"{path}: account {number} has an unknown key {sorted(unknown)[0]!r}.")
    if missing := {"id", "username", "token"} - {key for key, value in table.items() if value}:
        raise AccountsInvalid(f"{path}: account {number} lacks {sorted(missing)[0]}.")
    base_url = table.get("base_url", cloud_url).rstrip("/").removesuffix("/v1")
    if not urlsplit(base_url).hostname:
        raise AccountsInvalid(f"{path}: account {number} has no proper base_url.")
    limit = CLOUD_MODELS if base_url == cloud_url else None
    return Account(table["id"], base_url, table["username"], SecretStr(table["token"]), limit)


def checked(accounts: Sequence[Account]) -> tuple[Account, ...]:
    """The accounts, if their ids can be told apart. Raises AccountsInvalid."""
    for account in accounts:
        if not _ID.fullmatch(account.id):
            raise AccountsInvalid(f"{account.id!r} is no account id: lower-case letters, digits and hyphens.")
    if len({account.id for account in accounts}) < len(accounts):
        raise AccountsInvalid("Two provider accounts have the same id.")
    return tuple(accounts)


def first_with_room(accounts: Sequence[Account], used: Mapping[str, int]) -> Account | None:
    """Where a new member's model goes: the first account, as configured, that has room; None where none has."""
    return next(
        (a for a in accounts if a.trains and (a.models_limit is None or used.get(a.id, 0) < a.models_limit)),
        None,
    )


class AccountChanged(StudioError):
    """An account's id now stands for another account, whose models ours are not."""


async def register(tx: Tx, account: Account, now: datetime) -> None:
    """Know a configured account; an embedded engine may come back at another address. Raises AccountChanged."""
    known = await tx.value("select username from provider_accounts where id = %s", (account.id,))
    if known is not None and known != account.username:
        raise AccountChanged(
            "account_changed",
            f"The provider account {account.id!r} was {known!r} and is now {account.username!r}; the models that "
            f"were trained belong to {known!r}.",
            next_step="Give the new account an id of its own in PROVIDER_ACCOUNTS_FILE and keep the old one.",
        )
    await tx.run(
        """insert into provider_accounts (id, base_url, username, created_at) values (%s, %s, %s, %s)
           on conflict (id) do update set base_url = excluded.base_url""",
        (account.id, account.base_url, account.username, now),
    )
