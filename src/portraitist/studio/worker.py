"""The worker process: runs jobs and the sweep until it is told to stop, and leaves a sign of life."""

import asyncio
import signal
from functools import partial

from portraitist.kit import failpoints
from portraitist.kit.jobs import WorkerSettings, run_worker
from portraitist.kit.logging import logger
from portraitist.studio import bootstrap
from portraitist.studio.config import StudioSettings
from portraitist.studio.generation.service import JOB as GENERATION
from portraitist.studio.training.service import ADMISSION
from portraitist.studio.training.service import JOB as TRAINING
from portraitist.studio.training.weights import JOB as WEIGHTS
from portraitist.studio.web import webhooks

log = logger(__name__)


async def run(settings: StudioSettings, stop: asyncio.Event | None = None) -> None:
    """Work until SIGTERM, SIGINT or `stop`."""
    failpoints.arm(settings.portraitist_failpoints, testing=settings.portraitist_testing)
    stopping = stop or _stopped_by_signal()
    async with bootstrap.worker(settings) as parts:
        log.info("worker.ready", account=settings.account_id)
        await run_worker(
            settings.database_url.get_secret_value(),
            {
                TRAINING: parts.training.advance,
                GENERATION: parts.generation.advance,
                ADMISSION: parts.sweeper.turn,
                WEIGHTS: parts.insurance.copy,
            },
            WorkerSettings(
                concurrency=settings.worker_concurrency,
                heartbeat_s=settings.heartbeat_seconds,
                stalled_after_s=settings.stalled_after_seconds,
                periodic={
                    "sweep": (settings.sweep_seconds, parts.sweeper.sweep),
                    "twins": (settings.twins_seconds, parts.twins.turn),
                    "old webhooks": (3600, partial(webhooks.clear_old, parts.core)),
                },
            ),
            stopping,
        )
    log.info("worker.stopped")


def _stopped_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
