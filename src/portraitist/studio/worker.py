"""The worker process: runs jobs and the sweep until it is told to stop, and leaves a sign of life."""

import asyncio
import signal
from functools import partial

from portraitist.kit import failpoints
from portraitist.kit.jobs import WorkerSettings, run_worker
from portraitist.kit.logging import logger
from portraitist.studio import bootstrap
from portraitist.studio.accounts import ceremonies
from portraitist.studio.accounts.sign_in import forget_old_tries
from portraitist.studio.admin.health import Sampler
from portraitist.studio.config import StudioSettings
from portraitist.studio.generation.service import JOB as GENERATION
from portraitist.studio.images.copies import JOB as COPIES
from portraitist.studio.images.tasks import Purge
from portraitist.studio.photoshoot.service import JOB as PHOTOSHOOT
from portraitist.studio.privacy.keeping import Keeping
from portraitist.studio.privacy.previews import Previews
from portraitist.studio.privacy.service import JOB as ERASURE
from portraitist.studio.selfies.uploads import clear_old as clear_old_uploads
from portraitist.studio.selfies.waiting import WaitingPhotos
from portraitist.studio.trail.sealing import Sealer
from portraitist.studio.training.late_zips import LateZips
from portraitist.studio.training.lookout import JOB as LOOKS
from portraitist.studio.training.old_logs import OldLogs
from portraitist.studio.training.service import ADMISSION
from portraitist.studio.training.service import JOB as TRAINING
from portraitist.studio.training.weights import JOB as WEIGHTS
from portraitist.studio.training.weights import LateParts
from portraitist.studio.webhooks.service import clear_old

log = logger(__name__)
PURGE_SECONDS = 60.0
ERASURES_SECONDS = 2.0
PHOTOSHOOTS_SECONDS = 2.0
CHALLENGES_SECONDS = 600.0
MAIL_SECONDS = 2.0
PUSH_SECONDS = 2.0
SEALING_SECONDS = 5.0
PHOTOS_SECONDS = 600.0
WAITING_SECONDS = 30.0
TOMBSTONES_SECONDS = 3600.0
ZIPS_SECONDS = 60.0
HEALTH_SECONDS = 20.0  # a sample is of a minute; whoever comes first takes it


async def run(settings: StudioSettings, stop: asyncio.Event | None = None) -> None:
    """Work until SIGTERM, SIGINT or `stop`."""
    failpoints.arm(settings.portraitist_failpoints, testing=settings.portraitist_testing)
    stopping = stop or _stopped_by_signal()
    async with (
        bootstrap.worker(settings) as parts,
        bootstrap.face_counter(settings) as faces,
        bootstrap.pusher(settings, parts.core) as pusher,
    ):
        purge = Purge(parts.core.db, parts.core.objects, parts.core.clock)
        late_zips = LateZips(parts.core.db, parts.core.objects, parts.core.clock)
        late_parts = LateParts(parts.core.db, parts.core.objects, parts.core.clock)
        keeping = Keeping(parts.core.db, parts.core.objects, parts.core.clock, settings.photos_kept_for)
        previews = Previews(parts.core.db, parts.core.clock, settings.previews_kept_for)
        sealer = Sealer(parts.core.db, parts.core.objects, parts.core.clock)
        waiting = WaitingPhotos(parts.core.db, parts.core.objects, faces, parts.core.clock)
        old_logs = OldLogs(parts.core.db, parts.core.clock, settings.logs_kept_for)
        health = Sampler(
            parts.core.db,
            parts.core.objects,
            parts.sweeper.providers[settings.account_id],
            parts.core.clock,
            settings.stalled_after_seconds,
        )
        post = bootstrap.post(settings, parts.core)
        log.info("worker.ready", account=settings.account_id)
        await run_worker(
            settings.database_url.get_secret_value(),
            {
                TRAINING: parts.training.advance,
                GENERATION: parts.generation.advance,
                ADMISSION: parts.sweeper.turn,
                WEIGHTS: parts.insurance.copy,
                LOOKS: parts.lookout.turn,
                ERASURE: parts.eraser.advance,
                PHOTOSHOOT: parts.photoshoots.advance,
                COPIES: parts.copies.make,
            },
            WorkerSettings(
                concurrency=settings.worker_concurrency,
                heartbeat_s=settings.heartbeat_seconds,
                periodic={
                    "sweep": (settings.sweep_seconds, parts.sweeper.sweep),
                    "twins": (settings.twins_seconds, parts.twins.turn),
                    "photoshoots": (PHOTOSHOOTS_SECONDS, parts.photoshoots.sweep),
                    "erasures": (ERASURES_SECONDS, parts.eraser.sweep),
                    "audit events": (SEALING_SECONDS, sealer.sweep),
                    "old logs": (3600, old_logs.sweep),
                    "tombstones": (TOMBSTONES_SECONDS, parts.eraser.tombstones.sweep),
                    "waiting photos": (WAITING_SECONDS, waiting.sweep),
                    "photos' time": (PHOTOS_SECONDS, keeping.sweep),
                    "previews' time": (PHOTOS_SECONDS, previews.sweep),
                    "deleted pictures": (PURGE_SECONDS, purge.sweep),
                    **({"mail": (MAIL_SECONDS, post.sweep)} if post is not None else {}),
                    "pushes": (PUSH_SECONDS, pusher.sweep),
                    "health": (HEALTH_SECONDS, health.sweep),
                    "late zips": (ZIPS_SECONDS, late_zips.sweep),
                    "late parts": (ZIPS_SECONDS, late_parts.sweep),
                    "old uploads": (
                        3600,
                        partial(clear_old_uploads, parts.core.db, parts.core.objects, parts.core.clock),
                    ),
                    "old webhooks": (3600, partial(clear_old, parts.core.db, parts.core.clock)),
                    "old sign-ins": (3600, partial(forget_old_tries, parts.core.db, parts.core.clock)),
                    "old challenges": (
                        CHALLENGES_SECONDS,
                        partial(ceremonies.forget_old, parts.core.db, parts.core.clock),
                    ),
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
