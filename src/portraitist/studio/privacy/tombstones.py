"""What was erased, outside the database: a backup that is restored brings it back, and it is erased again.

A tombstone is a small file that names members and things by keyed digests, which nobody can read without the studio's
secret; it is no help where the storage is set back too. An account's is looked for at each sweep; that of a part only
where the database has forgotten the erasure, which then goes on under its old id, with its old receipt.
"""

import contextlib
import hmac
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectExists, ObjectStore
from portraitist.studio.accounts import erasing as accounts
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.errors import Conflict
from portraitist.studio.images import erasing as images
from portraitist.studio.privacy import repository, service
from portraitist.studio.privacy.domain import Erasure, Scope
from portraitist.studio.privacy.service import Mark
from portraitist.studio.trail.domain import STUDIO
from portraitist.studio.training import erasing as trainings

log = logger(__name__)
FOLDER, PARTS = "tombstones", "tombstones-of-parts"
AT_ONCE = 1000


@dataclass(frozen=True)
class Stone:
    """What was erased of a member who stayed: digests, a time, and the digest of the receipt's token (hex)."""

    scope: str
    member: str
    thing: str
    at: str
    token_hash: str


@dataclass(frozen=True)
class Tombstones:
    """Safe to use in every worker at the same time."""

    db: StudioDatabase
    objects: ObjectStore
    clock: Clock
    secret: str

    async def put(self, erasure: Erasure) -> None:
        """This is being erased; a second time changes nothing. Raises KitError."""
        if erasure.scope is Scope.ACCOUNT:
            key, data = f"{FOLDER}/{self._digest(erasure.user_id)}", b""
        else:
            async with self.db.member(erasure.user_id) as tx:
                token_hash = await repository.token_hash(tx, erasure.id)
            key, data = f"{PARTS}/{erasure.id}", json.dumps(asdict(self._stone(erasure, token_hash))).encode()
        with contextlib.suppress(ObjectExists):
            await self.objects.put_new(key, data)

    def _stone(self, erasure: Erasure, token_hash: bytes) -> Stone:
        plan = erasure.plan
        thing = plan.picture_id or plan.version_id or ""
        return Stone(
            scope=erasure.scope.value,
            member=self._digest(erasure.user_id),
            thing=self._digest(thing) if thing else "",
            at=erasure.created_at.isoformat(),
            token_hash=token_hash.hex(),
        )

    async def sweep(self) -> int:
        """Erase what is here though it was erased before; how many. Raises KitError; again then."""
        accounts_gone = {key.rpartition("/")[2] for key in await self.objects.list(FOLDER)}
        forgotten = await self._forgotten()
        if not accounts_gone and not forgotten:
            return 0
        returned = 0
        async for user_id in self._members():
            digest = self._digest(user_id)
            if digest in accounts_gone:
                returned += await self._account_again(user_id)
                forgotten.pop(digest, None)
            for mark, stone in forgotten.pop(digest, ()):
                returned += await self._part_again(user_id, mark, stone)
        for mark, stone in (each for left in forgotten.values() for each in left):
            await self._nothing_left(mark, stone)
        return returned

    async def _forgotten(self) -> dict[str, list[tuple[Mark, Stone]]]:
        """Tombstones of whose erasure the database knows nothing, by member."""
        keys = {UUID(key.rpartition("/")[2]): key for key in await self.objects.list(PARTS)}
        async with self.db.nobody() as tx:
            known = await repository.known(tx, list(keys))
        found: dict[str, list[tuple[Mark, Stone]]] = defaultdict(list)
        for erasure_id in sorted(keys.keys() - known):
            stone = Stone(**json.loads(await self.objects.get(keys[erasure_id])))
            found[stone.member].append((Mark(erasure_id, bytes.fromhex(stone.token_hash)), stone))
        return found

    async def _members(self) -> AsyncIterator[str]:
        last: str | None = ""
        while last is not None:
            async with self.db.registrar() as tx:
                ids = await accounts.ids(tx, last, AT_ONCE)
            for user_id in ids:
                yield user_id
            last = ids[-1] if len(ids) == AT_ONCE else None

    async def _account_again(self, user_id: str) -> bool:
        try:
            async with self.db.member(user_id) as tx:
                begun = await service.erase_account(tx, None, self.clock.now(), STUDIO)
        except Conflict:  # it is under way
            return False
        log.warning("erasure.after_a_backup", erasure=str(begun.erasure.id))
        return True

    async def _part_again(self, user_id: str, mark: Mark, stone: Stone) -> bool:
        """Whether what the tombstone is about was here; with nothing to erase the erasure is entered as done."""
        try:
            async with self.db.member(user_id) as tx:
                begun = await self._begun(tx, mark, stone)
                if not begun:
                    await repository.enter_done(tx, mark.id, mark.token_hash, stone.scope, self.clock.now())
        except Conflict:  # something else of theirs is being erased, or still made; later
            return False
        if begun:
            log.warning("erasure.after_a_backup", erasure=str(mark.id))
        return begun

    async def _begun(self, tx: UserTx, mark: Mark, stone: Stone) -> bool:
        now = self.clock.now()
        if stone.scope == Scope.CONSENT:
            if not await accounts.has_consent_of(tx, datetime.fromisoformat(stone.at)):
                return False
            await service.withdraw_consent(tx, mark, now, STUDIO)
            return True
        found = await (images.ids(tx) if stone.scope == Scope.PICTURE else trainings.version_ids(tx))
        thing = self._one_of(found, stone.thing)
        if thing is None:
            return False
        if stone.scope == Scope.PICTURE:
            await service.erase_picture(tx, thing, mark, now, STUDIO)
        else:
            await service.erase_version(tx, thing, mark, now, STUDIO)
        return True

    def _one_of(self, found: Sequence[UUID], digest: str) -> UUID | None:
        return next((each for each in found if self._digest(str(each)) == digest), None)

    async def _nothing_left(self, mark: Mark, stone: Stone) -> None:
        async with self.db.nobody() as tx:
            await repository.enter_done(tx, mark.id, mark.token_hash, stone.scope, self.clock.now())

    def _digest(self, name: str) -> str:
        return hmac.new(self.secret.encode(), f"erased {name}".encode(), "sha256").hexdigest()
