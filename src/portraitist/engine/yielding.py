"""Predictions go first: trainings in progress stand still between two steps while a prediction runs."""

from portraitist.engine.children.process import Child


class RightOfWay:
    """Which children train now, and whether they must wait. One per worker, used from its loop only."""

    def __init__(self) -> None:
        self._training: set[Child] = set()
        self._taken = False

    async def joins(self, child: Child) -> None:
        """A training begins; it may begin by waiting."""
        self._training.add(child)
        if self._taken:
            await child.send("pause")

    def leaves(self, child: Child) -> None:
        """A training has ended."""
        self._training.discard(child)

    async def take(self) -> None:
        """A prediction is about to run."""
        if not self._taken:
            self._taken = True
            await self._tell("pause")

    async def free(self) -> None:
        """No prediction waits any more."""
        if self._taken:
            self._taken = False
            await self._tell("resume")

    async def _tell(self, command: str) -> None:
        for child in tuple(self._training):
            await child.send(command)
