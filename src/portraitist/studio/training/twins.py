"""Double starts: a second run of the same training, or of the same test picture, at the provider.

A start whose answer was lost may turn up after it was given up and sent again. For a day every run that carries
one of our tokens is compared with its row; one that is not the row's own is ended there and recorded here.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.db import StudioDatabase
from portraitist.studio.provider.port import (
    Provider,
    ProviderError,
    RemotePrediction,
    RemoteStatus,
    RemoteTraining,
)
from portraitist.studio.training import repository
from portraitist.studio.training.starts import Start

log = logger(__name__)
_MEMBER = re.compile(r"user([a-z0-9]{12})\b")
_Run = TypeVar("_Run", RemoteTraining, RemotePrediction)


def by_member(runs: Iterable[_Run], told: Callable[[_Run], Any]) -> Mapping[str, list[_Run]]:
    """Runs by the member whose trigger word `told` has; runs of nobody we know are left out."""
    found: dict[str, list[_Run]] = defaultdict(list)
    for run in runs:
        if member := _MEMBER.match(str(told(run))):
            found[member[1]].append(run)
    return found


def note(provider_id: str, outcome: RemoteStatus, now: datetime) -> dict[str, str]:
    """What is recorded of a twin: which, when, why, and how it ended."""
    return {
        "provider_id": provider_id,
        "at": now.isoformat(),
        "reason": "second_start",
        "outcome": str(outcome),
    }


@dataclass(frozen=True)
class TrainingTwins:
    """Ends second runs of trainings and of their test pictures."""

    db: StudioDatabase
    clock: Clock

    async def end(
        self, trainings: Iterable[RemoteTraining], tests: Iterable[RemotePrediction], provider: Provider
    ) -> int:
        """Compare runs of one account with the rows they were started for; returns how many were ended."""
        runs = by_member(trainings, lambda run: run.input.get("trigger_word"))
        pictures = by_member(tests, lambda run: run.input.get("prompt"))
        ended = 0
        for user_id in runs.keys() | pictures.keys():
            async with self.db.member(user_id) as tx:
                starts = await repository.starts(tx)
            for run in runs.get(user_id, []):
                for start in (s for s in starts if s.has_twin(run)):
                    ended += await self._end(user_id, start, run, provider.cancel_training)
            for picture in pictures.get(user_id, []):
                for start in (s for s in starts if s.has_twin_test(picture)):
                    ended += await self._end(user_id, start, picture, provider.cancel_prediction)
        return ended

    async def _end(self, user_id: str, start: Start, run: _Run, cancel: Callable[[str], Any]) -> int:
        outcome = run.status
        failpoints.hit("twins.found")
        try:
            if not outcome.is_terminal:
                outcome = (await cancel(run.id)).status
        except ProviderError as exc:  # looked at again with the next list
            log.warning(
                "training.twin_not_ended", training=str(start.id), provider_id=run.id, reason=str(exc)
            )
            return 0
        log.warning("training.twin_ended", training=str(start.id), provider_id=run.id, outcome=str(outcome))
        failpoints.hit("twins.ended")
        async with self.db.member(user_id) as tx:
            await repository.add_twin(tx, start.id, note(run.id, outcome, self.clock.now()))
        return 1
