"""One training, from the worker's side: fetch the zip, have a child train, seal and publish the version.

The child never sees the database or the storage; this module never sees a picture.
"""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portraitist.engine import fields, ids, packages, wire
from portraitist.engine.children.process import Child
from portraitist.engine.config import Settings
from portraitist.engine.domain import Run
from portraitist.engine.errors import RunFailed
from portraitist.engine.hold import Hold, patiently
from portraitist.engine.packages import Manifest, Packages
from portraitist.engine.store import Tx, files, models, state
from portraitist.engine.store.files import Output
from portraitist.engine.store.runs import Outcome
from portraitist.engine.yielding import RightOfWay
from portraitist.kit.database import Database
from portraitist.kit.http import (
    ForbiddenAddress,
    GuardedClient,
    HttpError,
    ResponseTooLarge,
    UnexpectedStatus,
)
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectMissing, ObjectStore

MAX_ZIP_BYTES = 512 * 2**20
ZIP_DEADLINE_S = 300.0
log = logger("engine.training")


@dataclass(frozen=True)
class Trainer:
    """What trainings need; `train` is the lane's work."""

    settings: Settings
    database: Database
    objects: ObjectStore
    packages: Packages
    http: GuardedClient
    right_of_way: RightOfWay

    async def train(self, hold: Hold) -> None:
        """Do a claimed training and finish it."""
        jobs = self.settings.work_dir / "jobs"
        await asyncio.to_thread(jobs.mkdir, parents=True, exist_ok=True)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=jobs, prefix=f"{hold.run.id}-"))
        try:
            archive = await self._fetch(hold.run, folder / "input.zip")
            job = self._job(hold.run, folder, archive)
            pace = await patiently(self.database, lambda tx: state.measured(tx, state.SECONDS_PER_STEP))
            done = await self._run_child(hold, {**job, "seconds_per_step": pace}, folder)
            await self._publish(hold, folder, done)
        finally:
            # Photos of people: nothing of them stays, however the training ended.
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _fetch(self, run: Run, target: Path) -> Path:
        url = run.input.get("input_images")
        if not url:
            raise RunFailed("input_images must be provided")
        file_id = wire.own_file(url, self.settings.address)
        data = await (self._download(url) if file_id is None else self._own_file(file_id))
        await asyncio.to_thread(target.write_bytes, data)
        return target

    async def _own_file(self, file_id: str) -> bytes:
        row = await patiently(self.database, lambda tx: files.get(tx, file_id))
        try:
            return await self.objects.get(row.key if row is not None else "files/none")
        except ObjectMissing as error:
            raise RunFailed(
                "input_images could not be downloaded: the file was deleted or has expired"
            ) from error

    async def _download(self, url: str) -> bytes:
        try:
            return await self.http.download(url, max_bytes=MAX_ZIP_BYTES, deadline_s=ZIP_DEADLINE_S)
        except (HttpError, ForbiddenAddress, ResponseTooLarge, UnexpectedStatus) as error:
            raise RunFailed(f"input_images could not be downloaded: {error}") from error

    def _job(self, run: Run, folder: Path, archive: Path) -> dict[str, Any]:
        config = fields.check_training(run.input).effective
        shown = {key: value for key, value in config.items() if value is not None and key != "input_images"}
        return {
            "archive": str(archive),
            "folder": str(folder),
            "base": str(self.settings.base),
            "trigger_word": config["trigger_word"],
            "seed": ids.seed(),
            "requested": int(config["steps"]),
            "max_steps": self.settings.max_steps,
            "train_seconds": self.settings.train_seconds,
            "config": shown,
        }

    async def _run_child(self, hold: Hold, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        child = await Child.start("train", folder / "said.txt")
        try:
            await self.right_of_way.joins(child)
            await child.send("job", **job)
            return await self._follow(hold, child)
        finally:
            self.right_of_way.leaves(child)
            await child.end()

    async def _follow(self, hold: Hold, child: Child) -> dict[str, Any]:
        """Pass the child's events on until it says how it ended."""
        async for event in child.events():
            match event["event"]:
                case "log":
                    hold.log(event["text"])
                case "bar":
                    hold.bar(event["text"])
                case "measured":
                    await self.measured(event["seconds_per_step"])
                case "done":
                    return event
                case "failed":
                    raise RunFailed(event["error"])
                case "broken":
                    log.error(
                        "training_broken", run=hold.run.id, reason=event["error"], said=await child.said()
                    )
                    raise RunFailed(f"Training failed: {event['error']}")
        reason = await child.how_it_died()
        log.error("training_died", run=hold.run.id, reason=reason, said=await child.said())
        raise RunFailed(reason)

    async def measured(self, seconds_per_step: float) -> None:
        """Remember how fast this machine trains, for what the engine promises."""

        await patiently(self.database, lambda tx: state.measure(tx, state.SECONDS_PER_STEP, seconds_per_step))

    async def _publish(self, hold: Hold, folder: Path, done: dict[str, Any]) -> None:
        """Seal, store, and reveal with the run's end in one transaction."""
        run = hold.run
        assert run.destination is not None
        owner, _, name = run.destination.partition("/")
        checkpoint = folder / "checkpoint"
        about = _about(run, done)
        manifest = await asyncio.to_thread(packages.seal, checkpoint, self.settings.base, about)

        await patiently(
            self.database, lambda tx: models.reserve_version(tx, manifest.id, owner, name, run.id)
        )
        weights = folder / packages.WEIGHTS
        await self.packages.publish(manifest, checkpoint, self.settings.base, weights)
        output = _weights_output(run, manifest, weights.stat().st_size)
        outcome = Outcome(
            "succeeded",
            output={
                "version": f"{run.destination}:{manifest.id}",
                "weights": f"{self.settings.address}/outputs/{output.token}/{output.name}",
            },
        )

        async def reveal(tx: Tx) -> None:
            await models.reveal_version(tx, manifest.id)
            await files.insert_outputs(tx, [output])

        await hold.finish(outcome, reveal)


def _about(run: Run, done: dict[str, Any]) -> dict[str, Any]:
    requested = fields.check_training(run.input).effective
    hidden = {"input_images", *wire.HIDDEN_INPUTS}
    return {
        "destination": run.destination,
        "training": run.id,
        "trainer": f"{run.owner}/{run.name}:{run.version_id}",
        "created_at": wire.time(run.started_at),
        "attempt": run.attempts,
        "trigger_word": requested["trigger_word"],
        "requested": {key: value for key, value in requested.items() if key not in hidden},
        "effective": done["effective"],
        "measured": done["measured"],
        "safety_checker": fields.SAFETY_CHECKER,
    }


def _weights_output(run: Run, manifest: Manifest, size: int) -> Output:
    return Output(
        token=ids.capability(),
        name=packages.WEIGHTS,
        run_id=run.id,
        version_id=manifest.id,
        key=packages.version_key(manifest.id, packages.WEIGHTS),
        content_type="application/x-tar",
        size=size,
    )
