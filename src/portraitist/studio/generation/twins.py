"""Double starts of generations: a second prediction with the same prompt and seed is ended and recorded."""

from collections.abc import Iterable
from dataclasses import dataclass

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import repository
from portraitist.studio.generation.starts import Start
from portraitist.studio.provider.port import Provider, ProviderError, RemotePrediction
from portraitist.studio.training.twins import by_member, note

log = logger(__name__)


@dataclass(frozen=True)
class GenerationTwins:
    """Ends second predictions of generations."""

    db: StudioDatabase
    clock: Clock

    async def end(self, predictions: Iterable[RemotePrediction], provider: Provider) -> int:
        """Compare predictions of one account with the rows they were started for; returns how many were ended."""
        ended = 0
        for user_id, runs in by_member(predictions, lambda run: run.input.get("prompt")).items():
            for run in runs:
                async with self.db.member(user_id) as tx:
                    start = await repository.start_of(tx, run.input.get("prompt"), run.input.get("seed"))
                if start is not None and start.has_twin(run):
                    ended += await self._end(user_id, start, run, provider)
        return ended

    async def _end(self, user_id: str, start: Start, run: RemotePrediction, provider: Provider) -> int:
        outcome = run.status
        failpoints.hit("twins.found")
        try:
            if not outcome.is_terminal:
                outcome = (await provider.cancel_prediction(run.id)).status
        except ProviderError as exc:  # looked at again with the next list
            log.warning(
                "generation.twin_not_ended", generation=str(start.id), provider_id=run.id, reason=str(exc)
            )
            return 0
        log.warning(
            "generation.twin_ended", generation=str(start.id), provider_id=run.id, outcome=str(outcome)
        )
        failpoints.hit("twins.ended")
        async with self.db.member(user_id) as tx:
            await repository.add_twin(tx, start.id, note(run.id, outcome, self.clock.now()))
        return 1
