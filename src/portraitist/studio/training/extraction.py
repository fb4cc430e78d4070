"""Which version did a training make? Parsed from its output, ours by destination, readable, able to take our locks.

No version in the output: one is taken only where there is exactly one it can be. Everything else is parked with
the raw output kept. The test of the version found is `verification`'s.
"""

from dataclasses import dataclass, replace

from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio import architecture
from portraitist.studio.architecture import ArchitectureViolation
from portraitist.studio.db import StudioDatabase
from portraitist.studio.provider import wire
from portraitist.studio.provider.port import Provider, ProviderNotFound
from portraitist.studio.training import repository
from portraitist.studio.training.domain import FoundVersion, Status, Timing, Training, the_one_new

log = logger(__name__)
NO_VERSION_NAMED = frozenset({"no_output", "no_version"})


@dataclass(frozen=True)
class Extraction:
    """Finds the candidate version of a training in status `extracting`."""

    db: StudioDatabase
    clock: Clock
    timing: Timing

    async def step(self, training: Training, provider: Provider) -> Training:
        """On to `verifying` with the version, or parked with the reason; safe to run twice."""
        if training.retries:
            training = await self._looked_up_again(training, provider)
        owner, name = training.destination.split("/")
        parsed = wire.parse_trained_version(training.raw_output, training.destination)
        if isinstance(parsed, wire.TrainedVersion):
            version_id = parsed.version_id
        elif parsed.reason in NO_VERSION_NAMED and (only := await self._only_new(training, provider)):
            log.info("training.version_adopted", training=str(training.id), version=only)
            version_id = only
        else:
            return self._parked(
                training,
                "version_not_found",
                f"The training succeeded, but its version could not be read from the answer: {parsed.reason}.",
            )
        try:
            version = await provider.get_version(owner, name, version_id)
            schema = architecture.map_schema(version.openapi_schema)
        except ProviderNotFound:
            return self._unreadable(training)
        except ArchitectureViolation as exc:
            return self._parked(training, exc.code, f"The new version can't be used: {exc}")
        if version.id != version_id:
            return self._parked(
                training,
                "version_mismatch",
                "The provider answered with another version than the one asked for.",
            )
        return training.to(
            Status.VERIFYING,
            self.clock.now(),
            candidate_version=version_id,
            candidate_schema=schema.to_json(),
            phase="verifying",
            error_code=None,
            error=None,
        )

    async def _looked_up_again(self, training: Training, provider: Provider) -> Training:
        """The provider's answer may have come right meanwhile; one that it has dropped since is kept as it was."""
        assert training.provider_training_id is not None
        try:
            remote = await provider.get_training(training.provider_training_id)
        except ProviderNotFound:
            return training
        return training if remote.output is None else replace(training, raw_output=remote.output)

    async def _only_new(self, training: Training, provider: Provider) -> str | None:
        """The one version of the destination that this training must have made, if there is no second."""
        owner, name = training.destination.split("/")
        try:
            listed = await provider.list_versions(owner, name)
        except ProviderNotFound:
            return None
        async with self.db.member(training.user_id) as tx:
            known = await repository.known_versions(tx, training.id)
            until = await repository.next_without_version(tx, training.id)
        found = [FoundVersion(version.id, version.created_at) for version in listed]
        return the_one_new(found, known, training.started_at, until)

    def _unreadable(self, training: Training) -> Training:
        """A version may lag minutes behind its training: that is waited for, not reported."""
        now = self.clock.now()
        code, message = "version_not_readable", "The new version can't be read yet."
        if training.version_may_lag(now, self.timing):
            assert training.succeeded_at is not None
            pause = self.timing.look_after(now - training.succeeded_at)
            return training.wait(now, pause, error_code=code, error=message)
        return self._parked(training, code, message)

    def _parked(self, training: Training, code: str, message: str) -> Training:
        return training.parked(Status.EXTRACTION_FAILED, code, message, self.clock.now(), self.timing)
