"""The worker process: two lanes of runs, webhooks, housekeeping, and the ear on the database's notifications.

The API process never does this work. Any number of workers may share one database; each has its own work
folder. `python -m portraitist.engine.worker` runs one with the settings of the environment.
"""

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from portraitist.engine import ids
from portraitist.engine.children.process import Child
from portraitist.engine.config import Settings
from portraitist.engine.hold import Hold, patiently
from portraitist.engine.housekeeping import Housekeeper
from portraitist.engine.lane import Lane
from portraitist.engine.packages import Packages
from portraitist.engine.prediction import Predictor
from portraitist.engine.store import runs, state, webhooks
from portraitist.engine.training import Trainer
from portraitist.engine.webhooks import Sender
from portraitist.engine.yielding import RightOfWay
from portraitist.kit import logging
from portraitist.kit.clock import SystemClock
from portraitist.kit.database import Database
from portraitist.kit.errors import KitError
from portraitist.kit.homes import Home
from portraitist.kit.http import GuardedClient
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore

LOOK_S = 2.0
"""Without a notification the queues are looked at this often."""
SEEN_S = 3.0
TIDY_S = 2.0
RECOVER_S = 1.0
"""Pause after the database or the storage failed."""

log = logger("engine.worker")


@dataclass
class Bell:
    """Wakes a loop before its time."""

    _event: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self) -> None:
        """There may be work."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Until it rings, or so long.

        Not with `wait_for`: Python 3.11's loses a cancellation that meets the ring.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


async def forever(step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step; a database or storage that is away is waited for."""
    while True:
        try:
            await step()
        except KitError as error:
            log.warning("waiting", reason=str(error))
            await asyncio.sleep(RECOVER_S)


class Worker:
    """The parts of one worker, and its loops."""

    def __init__(self, settings: Settings, database: Database, secret: str) -> None:
        objects = ObjectStore.from_url(settings.objects_url)
        packages = Packages(objects, settings.work_dir / "cache")
        http = GuardedClient(allowed=settings.allowed_origins)
        self._settings = settings
        self._database = database
        self._id = f"{socket.gethostname()}-{ids.claim_id()[:8]}"
        self._way = RightOfWay()
        self._predictor = Predictor(settings, database, objects, packages)
        self._trainer = Trainer(settings, database, objects, packages, http, self._way)
        self._predictions = Lane("prediction", database, settings.lease_s, self._draw)
        self._trainings = Lane("training", database, settings.lease_s, self._trainer.train)
        self._keeper = Housekeeper(database, objects, packages, settings.retention_s)
        self._sender = Sender(database, http, SystemClock(), settings.address, secret)
        self._measured = asyncio.Event()
        self._bells = {"prediction": Bell(), "training": Bell(), "webhook": Bell()}

    async def run(self) -> None:
        """Work until canceled."""
        steps = (self._predict, self._train, self._send, self._tidy, self._show_life)
        try:
            async with asyncio.TaskGroup() as group:
                for step in steps:
                    group.create_task(forever(step))
                group.create_task(self._hear_runs())
                group.create_task(self._hear_webhooks())
                group.create_task(self._prepare())
        finally:
            await self._predictor.close()

    async def leave(self) -> None:
        """Say that this worker is gone."""
        async with self._database.transaction() as tx:
            await state.gone(tx, self._id)

    async def _predict(self) -> None:
        try:
            while await self._predictions.next():
                pass
        finally:
            await self._way.free()
        await self._bells["prediction"].wait(LOOK_S)

    async def _draw(self, hold: Hold) -> None:
        """Trainings stand still from here until no prediction waits."""
        await self._way.take()
        await self._predictor.predict(hold)

    async def _train(self) -> None:
        await self._measured.wait()
        if not await self._trainings.next():
            await self._bells["training"].wait(LOOK_S)

    async def _send(self) -> None:
        if not await self._sender.next():
            await self._bells["webhook"].wait(LOOK_S)

    async def _tidy(self) -> None:
        await self._keeper.tidy()
        await asyncio.sleep(TIDY_S)

    async def _show_life(self) -> None:
        async with self._database.transaction() as tx:
            await state.seen(tx, self._id)
        await asyncio.sleep(SEEN_S)

    async def _hear_runs(self) -> None:
        """Work, cancellations, and after a reconnect: everything may have changed."""
        async for payload in self._database.listen(runs.CHANNEL):
            for lane in (self._predictions, self._trainings):
                if lane.hold is not None and payload in ("", lane.hold.run.id):
                    lane.hold.look()
            for kind, bell in self._bells.items():
                if payload in ("", kind):
                    bell.ring()

    async def _hear_webhooks(self) -> None:
        async for _ in self._database.listen(webhooks.CHANNEL):
            self._bells["webhook"].ring()

    async def _prepare(self) -> None:
        """Time a few steps if nobody did of late, then have the drawing process ready.

        Trainings wait for the timing: beside one it would measure half a machine.
        """
        known = await patiently(self._database, lambda tx: state.measured(tx, state.SECONDS_PER_STEP))
        if known is None and self._settings.max_steps is None:
            await self._measure()
        self._measured.set()
        await self._predictor.warm()

    async def _measure(self) -> None:
        child = await Child.start("probe", self._settings.work_dir / "probe-said.txt")
        try:
            await child.send("job", base=str(self._settings.base))
            async for event in child.events():
                await self._trainer.measured(event["seconds_per_step"])
        finally:
            await child.end()


async def work(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT. Raises HomeBusy if another one has this work folder."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    with Home(settings.work_dir).lock("worker"):
        # What a killed worker left: photos among it.
        shutil.rmtree(settings.work_dir / "jobs", ignore_errors=True)
        async with Database(
            settings.database_url.get_secret_value(), name="portraitist engine worker"
        ) as database:
            async with database.transaction() as tx:
                secret = await state.secret(tx, state.WEBHOOK_SECRET, ids.webhook_secret())
            worker = Worker(settings, database, secret)
            running = asyncio.create_task(worker.run())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if running.done():
                await running
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await worker.leave()


def main() -> None:
    """Entry of the worker process."""
    logging.configure()
    try:
        asyncio.run(work(Settings()))
    except KitError as error:
        log.error("worker_ended", reason=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
