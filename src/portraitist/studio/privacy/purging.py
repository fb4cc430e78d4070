"""What a member's trainings left at the provider, and getting rid of it: files, versions, then the model itself.

A version's deletion takes minutes there and is asked for again until it is not listed any more; a model goes when it
has none. What can't be done now comes back as the reason, and stays in the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from portraitist.kit import failpoints
from portraitist.kit.logging import logger
from portraitist.studio.privacy.domain import Destination, Plan
from portraitist.studio.provider.port import Provider, ProviderError, ProviderNotFound, ProviderUnavailable

log = logger(__name__)


@dataclass(frozen=True)
class Purging:
    """Knows the configured accounts."""

    providers: Mapping[str, Provider]

    async def purge(self, plan: Plan) -> tuple[Plan, str | None]:
        """One go at everything owed: what is known afterwards, and why something is still there (None: nothing)."""
        why = None
        for account_id, file_id in plan.files:
            try:
                await self._provider(account_id).delete_file(file_id)
            except ProviderError as exc:
                why = exc.message
                continue
            plan = replace(plan, files=tuple(each for each in plan.files if each != (account_id, file_id)))
        for destination in plan.owed:
            try:
                after, gone = await self._purged(destination, whole=plan.version_id is None)
            except ProviderError as exc:
                log.warning("erasure.not_purged", account=destination.account_id, reason=exc.code)
                why = exc.message
                continue
            plan = plan.after(after, gone=gone)
        return plan, why or ("The provider is deleting the model." if plan.owed else None)

    async def look_again(self, plan: Plan, since: datetime) -> tuple[Plan, str | None]:
        """The same once more, for what was gone too; and late runs that carry a token of ours are ended."""
        again = replace(plan, owed=(*plan.owed, *plan.gone), gone=())
        why = None
        for account_id in sorted({each.account_id for each in again.owed}):
            try:
                await self._end_late_runs(account_id, plan.tokens, since)
            except ProviderError as exc:
                why = exc.message
        after, still = await self.purge(again)
        return after, why or still

    async def _purged(self, destination: Destination, *, whole: bool) -> tuple[Destination, bool]:
        """The destination as it is known now, and whether it is gone. What will be deleted is written down first.

        Not `whole`: only the versions that are written down already; the model stays.
        """
        provider = self._provider(destination.account_id)
        owner, name = destination.model.split("/")
        try:
            found = [version.id for version in await provider.list_versions(owner, name)]
        except ProviderNotFound:
            return destination, True
        if not whole:
            found = [version_id for version_id in found if version_id in destination.versions]
        if new := set(found) - set(destination.versions):
            return replace(destination, versions=(*destination.versions, *sorted(new))), False
        for version_id in found:
            await provider.delete_version(owner, name, version_id)
            failpoints.hit("erasure.version_asked")
        if found or not whole:
            return destination, not found
        await provider.delete_model(owner, name)
        failpoints.hit("erasure.model_gone")
        return destination, True

    async def _end_late_runs(self, account_id: str, tokens: tuple[str, ...], since: datetime) -> None:
        if not tokens:
            return
        provider = self._provider(account_id)
        for run in await provider.list_trainings(since):
            said = f"{run.input.get('input_images')} {run.webhook}"
            if not run.status.is_terminal and any(token in said for token in tokens):
                await provider.cancel_training(run.id)
                log.warning("erasure.late_run_ended", account=account_id)

    def _provider(self, account_id: str) -> Provider:
        provider = self.providers.get(account_id)
        if provider is None:
            raise ProviderUnavailable(f"account {account_id} is not configured", sent=False)
        return provider
