"""The doctor's checks: each looks at one part and says what it found and how to mend it.

A check never changes anything that lasts; the running studio is asked, never started.
"""

import asyncio
import importlib
import os
import shutil
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from portraitist.cli import databases, disk, environment, parts
from portraitist.cli.api import StudioApi, connect, provider_answer
from portraitist.cli.errors import CliError
from portraitist.cli.options import DEFAULT_PORT
from portraitist.cli.output import Output
from portraitist.cli.wire import Json, StudioStatus
from portraitist.engine.config import packaged_base
from portraitist.kit.errors import KitError
from portraitist.kit.homes import Home, HomeBusy
from portraitist.kit.objects import ObjectStore
from portraitist.kit.ports import port_in_use
from portraitist.kit.postgres_binaries import account, find
from portraitist.studio.config import CLOUD_URL

OLDEST_PYTHON = (3, 11)
ANSWER_S = 10.0
WORKER_STARTS_S = 15.0
LOOK_EVERY_S = 0.5
TORCH_MEND = (
    "Install it: https://pytorch.org/get-started/locally/ shows the line; make up does it with TORCH=."
)


@dataclass(frozen=True)
class Finding:
    """What a check found; `mend` where it is not well."""

    part: str
    ok: bool
    detail: str
    mend: str | None = None


async def examine(output: Output) -> None:
    """Run all checks and print them; raises CliError where one is not well."""
    findings = [check() for check in (_python, _home, _disk, _postgres, _torch, _checkpoint, _assets)]
    home = Home()
    findings += [await _storage(home), *await _studio(home)]
    for finding in findings:
        output.emit("check", part=finding.part, ok=finding.ok, detail=finding.detail, mend=finding.mend)
        output.say(f"{'ok    ' if finding.ok else 'NOT OK'} {finding.part}: {finding.detail}")
        if finding.mend:
            output.say(f"       → {finding.mend}")
    bad = [finding.part for finding in findings if not finding.ok]
    if bad:
        raise CliError(f"Not well: {', '.join(bad)}.", code="not_well")


def _python() -> Finding:
    ok = sys.version_info >= OLDEST_PYTHON
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", ok, found, None if ok else "Install Python 3.11 or newer.")


def _home() -> Finding:
    try:
        path = Home().path
        probe = path / f".doctor-{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
    except (KitError, OSError) as error:
        return Finding(
            "home", False, str(error), "Make it writable, or set PORTRAITIST_HOME to another folder."
        )
    return Finding("home", True, str(path))


def _disk() -> Finding:
    home = Home().path
    if found := disk.full(disk.folders(home), disk.LEAST_TO_START):
        mend = "Free some space, or set PORTRAITIST_HOME to a folder on another disk."
        return Finding("disk", False, found.message, mend)
    return Finding("disk", True, f"{shutil.disk_usage(home).free // 2**20} MB free at {home}")


def _postgres() -> Finding:
    """The programs of the embedded server, or the configured database."""
    url = os.environ.get("DATABASE_URL")
    try:
        if url:
            databases.check(url)
            return Finding("database", True, environment.without_password(url))
        with TemporaryDirectory(prefix="portraitist-doctor-") as copies:
            Path(copies).chmod(0o755)  # the account that runs the server looks into it
            binaries = find(account(), Path(copies), None)
        return Finding("database", True, f"embedded PostgreSQL {binaries.version}")
    except CliError as error:
        return Finding("database", False, error.message, error.next_step)
    except KitError as error:
        return Finding("database", False, str(error), "Install again (make clean), or set DATABASE_URL.")


def _torch() -> Finding:
    if not _engine_is_ours():
        return Finding("torch", True, "not needed: a provider is configured")
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        return Finding("torch", False, f"torch can't be imported: {error}", TORCH_MEND)
    return Finding("torch", True, f"torch {torch.__version__}")


def _checkpoint() -> Finding:
    """The embedded engine's base, complete on disk."""
    if not _engine_is_ours():
        return Finding("engine checkpoint", True, "not needed: a provider is configured")
    folder = Path(os.environ.get("ENGINE_BASE") or packaged_base())
    if (folder / "model_index.json").is_file() and list(folder.glob("transformer/*.safetensors")):
        return Finding("engine checkpoint", True, str(folder))
    return Finding(
        "engine checkpoint",
        False,
        f"no complete checkpoint in {folder}",
        "Make one: portraitist engine init DIR",
    )


def _engine_is_ours() -> bool:
    return not (os.environ.get("REPLICATE_API_TOKEN") or os.environ.get("REPLICATE_BASE_URL"))


def _assets() -> Finding:
    """The browser files of /docs."""
    folder = Path(
        os.environ.get("PORTRAITIST_ASSETS") or Path(__file__).parents[3] / "frontend" / "node_modules"
    )
    ok = (folder / "swagger-ui-dist" / "swagger-ui-bundle.js").is_file()
    mend = "Install them: npm ci --ignore-scripts in frontend/ (or make up); only /docs needs them."
    return Finding("assets", ok, str(folder), None if ok else mend)


async def _storage(home: Home) -> Finding:
    """Write, read and delete one object."""
    url = os.environ.get("STORAGE_URL") or f"file://{home.path / 'objects'}"
    key, data = f"doctor/{uuid.uuid4().hex}", os.urandom(64)
    try:
        store = ObjectStore.from_url(url)
        await store.put_new(key, data)
        same = await store.get(key) == data
        await store.delete(key)
    except KitError as error:
        return Finding("storage", False, str(error), "Correct STORAGE_URL and its credentials.")
    return Finding(
        "storage", same, url, None if same else "What was read is not what was written: check the disk."
    )


async def _studio(home: Home) -> list[Finding]:
    """The running studio's own word about its parts; nothing to say where none runs."""
    try:
        with home.lock(parts.LOCK):
            return [await _provider(), _port()]
    except HomeBusy as busy:
        holder = busy.pid
    try:
        studio = await parts.attached(home, holder, timeout_s=ANSWER_S)
        async with connect(studio.url, studio.token, lambda: True) as operator:
            status = await _settled(operator)
    except CliError as error:
        return [Finding("studio", False, error.message, error.next_step)]
    return [Finding("studio", True, f"running at {studio.url} (process {holder})"), *_as_told(status.raw)]


async def _settled(operator: StudioApi) -> StudioStatus:
    """The studio's status once a worker has been seen: where it has just come up, that takes seconds."""
    until = time.monotonic() + WORKER_STARTS_S
    while True:
        status = await operator.status()
        if status.raw["worker"]["ok"] or time.monotonic() > until:
            return status
        await asyncio.sleep(LOOK_EVERY_S)


def _as_told(status: Json) -> list[Finding]:
    provider, storage, worker = status["provider"], status["storage"], status["worker"]

    def finding(part: str, ok: bool, detail: str, mend: str) -> Finding:
        return Finding(part, ok, detail, None if ok else mend)

    detail = provider.get("detail") or provider["base_url"]
    return [
        finding("provider", provider["reachable"], detail, "Look into logs/engine.log of the home."),
        finding(
            "studio's database",
            status["database"]["ok"],
            "as it sees it",
            "Look into logs/web.log of the home.",
        ),
        finding("studio's storage", storage["ok"], storage.get("detail") or "", "Correct STORAGE_URL."),
        finding(
            "worker",
            worker["ok"],
            f"last seen {worker['last_seen']}",
            "Look into logs/worker.log of the home.",
        ),
    ]


async def _provider() -> Finding:
    """Whether a configured provider answers; the embedded engine starts with the studio."""
    try:
        chosen = environment.choices(os.environ)
    except CliError as error:
        return Finding("provider", False, error.message, error.next_step)
    if chosen.embedded_engine:
        return Finding("provider", True, "embedded engine, started with the studio")
    base = os.environ.get("REPLICATE_BASE_URL") or CLOUD_URL
    answer = await provider_answer(base, os.environ["REPLICATE_API_TOKEN"])
    ok = answer.startswith("200")
    mend = "Check REPLICATE_API_TOKEN, REPLICATE_BASE_URL and the network."
    return Finding("provider", ok, f"{base}: {answer}", None if ok else mend)


def _port() -> Finding:
    taken = port_in_use("127.0.0.1", DEFAULT_PORT)
    detail = f"{DEFAULT_PORT} is " + ("in use by another program" if taken else "free")
    return Finding(
        "port", not taken, detail, "Start with another one: portraitist up --port 8701" if taken else None
    )
