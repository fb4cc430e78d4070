"""One prediction, from the worker's side: verified folders to the resident child, its pictures to storage.

One child stays for all predictions; it is started again when it has died.
"""

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portraitist.engine import fields, ids
from portraitist.engine.children.process import Child
from portraitist.engine.config import Settings
from portraitist.engine.domain import Run
from portraitist.engine.errors import RunFailed
from portraitist.engine.hold import Hold, patiently
from portraitist.engine.packages import Packages
from portraitist.engine.store import files
from portraitist.engine.store.files import Output
from portraitist.engine.store.runs import Outcome
from portraitist.kit.database import Database
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectMissing, ObjectStore

CANCEL_GRACE_S = 5.0
"""How long a canceled prediction may take to stop between two steps before its process is killed."""
CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

log = logger("engine.prediction")


@dataclass(frozen=True)
class _Picture:
    name: str
    data: bytes


class Predictor:
    """The resident child and its work; `predict` is the lane's work."""

    def __init__(
        self, settings: Settings, database: Database, objects: ObjectStore, packages: Packages
    ) -> None:
        self._settings = settings
        self._database = database
        self._objects = objects
        self._packages = packages
        self._child: Child | None = None
        self._starting = asyncio.Lock()

    async def warm(self) -> Child:
        """The resident child, started if there is none."""
        async with self._starting:
            if self._child is None or not self._child.running:
                said = self._settings.work_dir / "predict-said.txt"
                self._child = await Child.start("predict", said)
            return self._child

    async def close(self) -> None:
        """End the child."""
        if self._child is not None:
            await self._child.end()
            self._child = None

    async def predict(self, hold: Hold) -> None:
        """Do a claimed prediction and finish it."""
        jobs = self._settings.work_dir / "jobs"
        await asyncio.to_thread(jobs.mkdir, parents=True, exist_ok=True)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=jobs, prefix=f"{hold.run.id}-"))
        try:
            job = await self._job(hold.run, folder)
            names = await self._draw(hold, job)
            pictures = [_Picture(name, await asyncio.to_thread((folder / name).read_bytes)) for name in names]
            await self._finish(hold, pictures)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _job(self, run: Run, folder: Path) -> dict[str, Any]:
        try:
            checkpoint, base = await self._packages.materialise(run.version_id)
        except ObjectMissing as error:
            raise RunFailed("The version was deleted.") from error
        wish = fields.check_prediction(run.input).effective
        seed = wish["seed"]
        return {
            "version": run.version_id,
            "checkpoint": str(checkpoint),
            "base": str(base),
            "folder": str(folder),
            "seed": int(seed) if seed is not None and seed >= 0 else ids.seed(),
            "input": wish,
        }

    async def _draw(self, hold: Hold, job: dict[str, Any]) -> list[str]:
        child = await self.warm()
        await child.send("job", **job)
        try:
            return await self._follow(hold, child)
        except asyncio.CancelledError:
            await asyncio.shield(self._stop(child))
            raise

    async def _stop(self, child: Child) -> None:
        """Ask the child to stop between two steps; kill it if it does not listen."""
        await child.send("cancel")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_GRACE_S):
                async for event in child.events():
                    if event["event"] in ("done", "failed", "canceled", "broken"):
                        return
        await self.close()

    async def _follow(self, hold: Hold, child: Child) -> list[str]:
        async for event in child.events():
            match event["event"]:
                case "log":
                    hold.log(event["text"])
                case "bar":
                    hold.bar(event["text"])
                case "done":
                    return list(event["files"])
                case "failed":
                    raise RunFailed(event["error"])
                case "broken":
                    log.error(
                        "prediction_broken", run=hold.run.id, reason=event["error"], said=await child.said()
                    )
                    raise RunFailed(f"Prediction failed: {event['error']}")
        reason = await child.how_it_died()
        log.error("prediction_died", run=hold.run.id, reason=reason, said=await child.said())
        raise RunFailed(reason)

    async def _finish(self, hold: Hold, pictures: list[_Picture]) -> None:
        """Store the pictures, then end the run with their addresses.

        Rows first: what a killed worker had stored is found by them and goes when the run's data goes.
        """
        token, attempt = ids.capability(), ids.run_id()
        outputs = [_output(hold.run, token, attempt, picture) for picture in pictures]
        await patiently(self._database, lambda tx: files.insert_outputs(tx, outputs))
        for output, picture in zip(outputs, pictures, strict=True):
            await self._objects.put_new(output.key, picture.data)
        urls = [f"{self._settings.address}/outputs/{token}/{output.name}" for output in outputs]
        await hold.finish(Outcome("succeeded", output=urls))


def _output(run: Run, token: str, attempt: str, picture: _Picture) -> Output:
    return Output(
        token=token,
        name=picture.name,
        run_id=run.id,
        version_id=None,
        key=f"runs/{run.id}/{attempt}/{picture.name}",
        content_type=CONTENT_TYPES[picture.name.rpartition(".")[2]],
        size=len(picture.data),
    )
