"""What carries an erasure out: one step per stage, each load → call → record, each safe to run twice, for days.

Nothing is removed here before it is stopped, and no row before the files it names. Which stage follows which, and when
something is tried again, is `domain`'s; what is at the provider, `purging`'s.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from psycopg import errors as pg

from portraitist.kit import failpoints, jobs
from portraitist.kit.clock import Clock
from portraitist.kit.errors import KitError
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore
from portraitist.studio.accounts import erasing as accounts
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.gallery import erasing as gallery
from portraitist.studio.generation import erasing as generations
from portraitist.studio.images import erasing as images
from portraitist.studio.leases import leased_from
from portraitist.studio.maya import erasing as maya
from portraitist.studio.notices import erasing as notices
from portraitist.studio.oversight import erasing as oversight
from portraitist.studio.oversight import holds
from portraitist.studio.photoshoot import erasing as photoshoot
from portraitist.studio.privacy import domain, repository, repository_previews, repository_timers
from portraitist.studio.privacy.domain import Artefact, Destination, Erasure, Outcome, Plan, Scope, Stage
from portraitist.studio.privacy.purging import Purging
from portraitist.studio.privacy.service import JOB
from portraitist.studio.privacy.tombstones import Tombstones
from portraitist.studio.provider.port import ProviderError
from portraitist.studio.selfies import erasing as selfies
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import STUDIO, Action
from portraitist.studio.training import erasing as trainings
from portraitist.studio.webhooks import erasing as webhooks

log = logger(__name__)
AT_ONCE = 100
STEPS_AT_ONCE = 40
GIVEN_UP = "The provider has not deleted it within 30 days; the operator can ask there."
KEPT_CONSENT = "That you agreed and took it back is kept with your account, and goes with it."


@dataclass(frozen=True)
class Eraser:
    """Safe to run in every worker at the same time. `secret` is what counted sign-in tries are keyed with."""

    db: StudioDatabase
    objects: ObjectStore
    purging: Purging
    clock: Clock
    secret: str
    tombstones: Tombstones

    async def sweep(self) -> int:
        """A job for each erasure whose time has come; returns how many."""
        now = self.clock.now()
        async with self.db.system() as tx:
            due = await repository.claim_due(tx, now, leased_from(now), AT_ONCE)
            await jobs.enqueue_all(tx.conn, JOB, [(str(row.id), row.user_id) for row in due])
        return len(due)

    async def advance(self, erasure_id: str, user_id: str) -> None:
        """Go on with one erasure until it has to wait or is done. Safe to run twice, and at once."""
        for _ in range(STEPS_AT_ONCE):
            async with self.db.member(user_id) as tx:
                erasure = await repository.get(tx, UUID(erasure_id))
            if erasure is None or erasure.next_check_at > self.clock.now():
                return
            if not await self._went_on(erasure):
                return

    async def _went_on(self, erasure: Erasure) -> bool:
        async with self.db.member(erasure.user_id) as tx:
            held = await holds.is_held(tx)
        if held:
            return await self._save(erasure.hold(self.clock.now()))
        if erasure.stage is Stage.DATABASE:
            return await self._remove_rows(erasure)
        try:
            after = await self._step(erasure)
        except ProviderError as exc:
            after = erasure.wait(self.clock.now(), exc.message)
        except KitError as exc:
            log.warning("erasure.part_away", erasure=str(erasure.id), kind=type(exc).__name__)
            after = erasure.wait(self.clock.now(), "The storage is away for a moment.")
        return await self._save(after)

    async def _step(self, erasure: Erasure) -> Erasure:
        if erasure.stage is domain.FIRST[erasure.scope]:
            await self.tombstones.put(erasure)
        match erasure.stage:
            case Stage.STOP:
                return await self._stop(erasure)
            case Stage.PROVIDER:
                return await self._clear_provider(erasure)
            case Stage.STORAGE:
                return await self._clear_storage(erasure)
            case _:
                return await self._watch(erasure)

    async def _stop(self, erasure: Erasure) -> Erasure:
        """Nothing new begins (a trigger); what runs is ended, and what it left at the provider written down."""
        now = self.clock.now()
        async with self.db.member(erasure.user_id) as tx:
            moving = await _stopped(tx, erasure.plan, now)
            if moving and not erasure.is_stopped_anyway(now):
                return erasure.wait(now, f"{moving} runs are being stopped.", domain.STOPPING_PAUSE)
            plan = await _plan(tx, erasure.plan) if erasure.covers_member else erasure.plan
        return erasure.with_plan(plan).to(Stage.PROVIDER, now)

    async def _clear_provider(self, erasure: Erasure) -> Erasure:
        plan, why = await self.purging.purge(erasure.plan)
        now = self.clock.now()
        seen = erasure.with_plan(plan).provider_noted()
        if (plan.owed or plan.files) and not erasure.is_impatient(now):
            return seen.wait(now, why or "The provider is deleting the model.", domain.STOPPING_PAUSE)
        if not plan.files and erasure.plan.files:
            line = Artefact("zip of photos", domain.PROVIDER, Outcome.DELETED, len(erasure.plan.files))
            seen = seen.noted(line)
        return seen.to(Stage.STORAGE, now)

    async def _clear_storage(self, erasure: Erasure) -> Erasure:
        """First count, so that the receipt is right wherever this is cut off; then every file, until none is left."""
        now = self.clock.now()
        if erasure.plan.stored is None:
            stored = Counter(map(domain.kind_of_file, await self._files(erasure)))
            return erasure.with_plan(replace(erasure.plan, stored=dict(stored)))
        await self._delete_files(erasure)
        if await self._files(erasure):
            return erasure.wait(now, "A file came in late.", domain.STOPPING_PAUSE)
        lines = [
            Artefact(kind, domain.STORAGE, Outcome.DELETED, count)
            for kind, count in sorted(erasure.plan.stored.items())
        ]
        return erasure.noted(*lines).to(Stage.DATABASE, now)

    async def _files(self, erasure: Erasure) -> list[str]:
        if erasure.folder is not None:
            return await self.objects.list(erasure.folder)
        found = [await self.objects.head(key) for key in erasure.plan.keys]
        return [each.key for each in found if each is not None]

    async def _delete_files(self, erasure: Erasure) -> int:
        keys = await self._files(erasure)
        for key in keys:
            await self.objects.delete(key)
            failpoints.hit("erasure.file_gone")
        if erasure.folder is not None:
            await self.objects.prune(erasure.folder)
        return len(keys)

    async def _remove_rows(self, erasure: Erasure) -> bool:
        """The rows go in one transaction with the step itself, so that the receipt counts them once."""
        now = self.clock.now()
        if erasure.scope is Scope.ACCOUNT:
            await self._forget_address(erasure)
        try:
            async with self.db.member(erasure.user_id) as tx:
                await accounts.lock(tx)  # a hold that is being placed comes before, or after
                if await holds.is_held(tx):
                    return await repository.save(tx, erasure.hold(now), None, now)
                removed = await _removed(tx, erasure)
                after = erasure.noted(
                    *_row_lines(removed), *domain.kept_elsewhere(erasure.scope, erasure.plan.runs)
                )
                if erasure.scope is Scope.CONSENT:
                    after = after.noted(
                        Artefact("consent", domain.DATABASE, Outcome.NOT_DELETABLE, None, KEPT_CONSENT)
                    )
                failpoints.hit("erasure.rows_gone")
                return await repository.save(tx, after.to(Stage.WATCH, now), None, now)
        except pg.ForeignKeyViolation:  # something came in between; the tombstone lets no more in
            return await self._save(erasure.to(Stage.STOP, now))

    async def _forget_address(self, erasure: Erasure) -> None:
        async with self.db.member(erasure.user_id) as tx:
            email = await accounts.email_of(tx)
            await accounts.forget_tries(tx, email, self.secret)
        async with self.db.registrar() as registrar:
            await accounts.forget_links(registrar, erasure.user_id, email)

    async def _watch(self, erasure: Erasure) -> Erasure:
        """What arrives late goes too: files of a slow worker, runs and versions of a start whose answer was lost."""
        if late := await self._delete_files(erasure):
            known = next((each.count or 0 for each in erasure.artefacts if each.kind == "late file"), 0)
            erasure = erasure.noted(Artefact("late file", domain.STORAGE, Outcome.DELETED, known + late))
        since = erasure.created_at - timedelta(days=1)
        plan, why = await self.purging.look_again(erasure.plan, since)
        now = self.clock.now()
        seen = erasure.with_plan(plan)
        if why is not None and erasure.is_given_up(now):
            return seen.provider_noted(GIVEN_UP).to(Stage.DONE, now)
        seen = seen.provider_noted()
        return seen.looked(now) if why is None else seen.wait(now, why)

    async def _save(self, after: Erasure) -> bool:
        failpoints.hit("erasure.before_save")
        now = self.clock.now()
        until = leased_from(now) if after.next_check_at <= now else None
        async with self.db.member(after.user_id) as tx:
            saved = await repository.save(tx, after, until, now)
            if saved and after.stage is Stage.DONE:
                ended = {"erasure": after.id, "scope": after.scope.value}
                await trail.note(tx, Action.ERASURE_ENDED, STUDIO, **ended)
        if saved and after.stage is Stage.DONE:
            log.info("erasure.done", erasure=str(after.id))
        return saved


async def _stopped(tx: UserTx, plan: Plan, now: datetime) -> int:
    """Ask for the end of what the erasure is about; returns how many runs have not ended yet."""
    if plan.version_id is not None:
        return await generations.stop_all(tx, now, UUID(plan.version_id))
    return await trainings.stop_all(tx, now) + await generations.stop_all(tx, now)


async def _plan(tx: UserTx, plan: Plan) -> Plan:
    """What there is at the provider, added to what an earlier look found."""
    found = await trainings.at_provider(tx)
    known = {(each.account_id, each.model) for each in (*plan.owed, *plan.gone)}
    new = {(each.account_id, each.destination) for each in found} - known
    files = {(each.account_id, each.file_id) for each in found if each.file_id is not None}
    tokens = {token for each in found for token in each.tokens}
    return replace(
        plan,
        owed=(*plan.owed, *(Destination(*each) for each in sorted(new))),
        files=tuple(sorted({*plan.files, *files})),
        tokens=tuple(sorted({*plan.tokens, *tokens})),
        runs=sum(each.runs for each in found) + await generations.runs(tx),
    )


async def _removed(tx: UserTx, erasure: Erasure) -> Mapping[str, int]:
    """Every row of the scope, those that hang on others first."""
    if erasure.plan.picture_id is not None:
        await images.remove_one(tx, UUID(erasure.plan.picture_id))
        return {"ai_images": 1}
    if erasure.plan.training_id is not None:
        return await trainings.remove_version(tx, UUID(erasure.plan.training_id))
    await jobs.forget(tx.conn, tx.user_id)
    removed: dict[str, int] = {}
    timers = (repository_timers, repository_previews)
    parts = (gallery, images, photoshoot, generations, webhooks, trainings, selfies, notices, *timers)
    if erasure.scope is Scope.ACCOUNT:  # what was said to Maya is not made of photos
        removed |= await maya.remove(tx)
    for part in parts:
        removed |= await part.remove(tx)
    if erasure.scope is Scope.ACCOUNT:
        removed |= await oversight.remove(tx)
        removed |= await accounts.remove(tx)
    return removed


def _row_lines(removed: Mapping[str, int]) -> list[Artefact]:
    return [
        Artefact(f"row of {table}", domain.DATABASE, Outcome.DELETED, count)
        for table, count in sorted(removed.items())
        if count
    ]
