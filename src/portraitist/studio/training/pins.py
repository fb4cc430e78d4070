"""Which provider account a member's next training goes to: the pin, and how many models each account holds.

A version keeps the account that trained it, whatever the pin says. Its SQL is the pin's and the count's alone.
"""

from collections.abc import Sequence

from portraitist.studio import architecture
from portraitist.studio.db import StudioDatabase, SystemTx, UserTx
from portraitist.studio.errors import Conflict, NotFound
from portraitist.studio.provider.accounts import Account, first_with_room


async def account_of(db: StudioDatabase, user_id: str, accounts: Sequence[Account]) -> Account:
    """The account that the member's next training goes to: the pinned one if it trains, else the first with room.

    Raises Conflict where every account is full.
    """
    async with db.member(user_id) as tx:
        there = await pinned(tx)
    if found := next((a for a in accounts if a.id == there and a.trains), None):
        return found
    async with db.system() as tx:
        account = first_with_room(accounts, await models_used(tx))
    if account is None:
        raise Conflict(
            "no_room_for_models",
            "This studio has no room for another member's model.",
            next_step="Ask its operator to add a provider account.",
        )
    return account


async def move(tx: UserTx, accounts: Sequence[Account], account_id: str) -> Account:
    """Move the member's pin; earlier versions stay where they were trained. Raises NotFound."""
    if await tx.value("select id from users") is None:
        raise NotFound("member_not_found", "There is no such member.")
    account = next((a for a in accounts if a.id == account_id and a.trains), None)
    if account is None:
        raise NotFound("account_not_found", "There is no such provider account in the configuration.")
    await pin(tx, account)
    return account


async def pinned(tx: UserTx) -> str | None:
    """Where this member's trainings go: as pinned, else where the last one went."""
    found = await tx.value(
        """select coalesce((select next_account_id from user_models),
               (select account_id from trainings order by created_at desc limit 1)) as id"""
    )
    return None if found is None else str(found)


async def pin(tx: UserTx, account: Account) -> None:
    """Remember where this member's next training goes."""
    await tx.run(
        """insert into user_models (user_id, trigger_word, next_account_id, updated_at) values (%s, %s, %s, now())
           on conflict (user_id) do update set next_account_id = excluded.next_account_id""",
        (tx.user_id, architecture.trigger_word(tx.user_id), account.id),
    )


async def models_used(tx: SystemTx) -> dict[str, int]:
    """Members with a model, or one on its way, by account: each has one model there."""
    cursor = await tx.conn.execute(
        """select account_id, count(distinct user_id) as n from trainings where attempt > 0 or status = 'queued'
           group by account_id"""
    )
    return {row["account_id"]: row["n"] for row in await cursor.fetchall()}
