"""Sealed versions: a manifest that names every file of a complete model by its SHA-256.

A version's id is the SHA-256 of its canonical manifest, so nothing in it can change unseen. Files that are
the base's own are stored once, under the base; the member's files lie under the version alone and go with it.
What is loaded is always made from these files and checked against the manifest first.
"""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from portraitist.engine.errors import EngineError
from portraitist.kit.objects import ObjectExists, ObjectStore

FORMAT = "portraitist-sealed-1"
MANIFEST = "manifest.json"
WEIGHTS = "trained_model.tar"
CACHED_VERSIONS = 64
_CHUNK = 1 << 20


class PackageDamaged(EngineError):
    """A stored file is missing or is not what the manifest names."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a model: where it lies in the folder, what it holds, and whether the base holds it too."""

    path: str
    sha256: str
    size: int
    shared: bool = False


@dataclass(frozen=True)
class Manifest:
    """Everything a version is. `about` holds the training: owner, name, id, requested and effective values."""

    files: tuple[FileEntry, ...]
    base: tuple[FileEntry, ...]
    about: dict[str, Any]

    def canonical(self) -> bytes:
        """The bytes whose SHA-256 is the version's id: sorted keys, no spaces."""
        body = {
            "format": FORMAT,
            "files": [asdict(entry) for entry in self.files],
            "base": {"sha256": base_id(self.base), "files": [asdict(entry) for entry in self.base]},
            **self.about,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def id(self) -> str:
        """The version's id, 64 hex digits."""
        return hashlib.sha256(self.canonical()).hexdigest()


def base_id(files: Iterable[FileEntry]) -> str:
    """One digest for a base checkpoint: of its sorted paths and digests."""
    lines = sorted(f"{entry.sha256}  {entry.path}\n" for entry in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def parse(data: bytes, version_id: str) -> Manifest:
    """A stored manifest, checked against the id it was asked for by. Raises `PackageDamaged`."""
    if hashlib.sha256(data).hexdigest() != version_id:
        raise PackageDamaged(f"the manifest of version {version_id} was changed")
    body = json.loads(data)
    if body.pop("format") != FORMAT:
        raise PackageDamaged(f"version {version_id} has an unknown format")
    files = tuple(FileEntry(**entry) for entry in body.pop("files"))
    base = tuple(FileEntry(**entry) for entry in body.pop("base")["files"])
    return Manifest(files, base, body)


def describe(folder: Path) -> tuple[FileEntry, ...]:
    """All files of a folder by digest, in path order."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(
        FileEntry(path.relative_to(folder).as_posix(), digest(path), path.stat().st_size) for path in paths
    )


def digest(path: Path) -> str:
    """SHA-256 of a file's content, hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def seal(checkpoint: Path, base: Path, about: Mapping[str, Any]) -> Manifest:
    """The manifest of a trained checkpoint. Reads and hashes every file: run it off the loop."""
    base_files = describe(base)
    known = {entry.sha256 for entry in base_files}
    files = tuple(
        FileEntry(entry.path, entry.sha256, entry.size, entry.sha256 in known)
        for entry in describe(checkpoint)
    )
    return Manifest(files, base_files, dict(about))


def version_key(version_id: str, name: str) -> str:
    """Where something of one version is stored."""
    return f"versions/{version_id}/{name}"


def _blob_key(version_id: str, base: str, entry: FileEntry) -> str:
    return f"bases/{base}/{entry.sha256}" if entry.shared else version_key(version_id, entry.sha256)


class Packages:
    """Sealed versions in the object store, and the local folders they are loaded from."""

    def __init__(self, objects: ObjectStore, cache: Path) -> None:
        self._objects = objects
        self._cache = cache

    async def publish(self, manifest: Manifest, checkpoint: Path, base: Path, weights: Path) -> None:
        """Store a version whole: files first, the manifest last. Doing it again is harmless."""
        base_digest = base_id(manifest.base)
        for entry in manifest.base:
            await self._put(f"bases/{base_digest}/{entry.sha256}", base / entry.path)
        for entry in manifest.files:
            if not entry.shared:
                await self._put(version_key(manifest.id, entry.sha256), checkpoint / entry.path)
        await self._put(version_key(manifest.id, WEIGHTS), weights)
        await _put_once(self._objects, version_key(manifest.id, MANIFEST), manifest.canonical())

    async def _put(self, key: str, path: Path) -> None:
        if await self._objects.head(key) is None:
            await _put_once(self._objects, key, await asyncio.to_thread(path.read_bytes))

    async def materialise(self, version_id: str) -> tuple[Path, Path]:
        """Folders of the complete member model and of its base, every file checked by digest."""
        manifest = parse(await self._objects.get(version_key(version_id, MANIFEST)), version_id)
        base_digest = base_id(manifest.base)
        base_files = {
            entry: _blob_key(version_id, base_digest, FileEntry(**{**asdict(entry), "shared": True}))
            for entry in manifest.base
        }
        files = {entry: _blob_key(version_id, base_digest, entry) for entry in manifest.files}
        base = await self._folder(self._cache / "bases" / base_digest, base_files)
        checkpoint = await self._folder(self._cache / "versions" / version_id, files)
        await asyncio.to_thread(self._prune, keep=checkpoint)
        return checkpoint, base

    async def _folder(self, folder: Path, wanted: Mapping[FileEntry, str]) -> Path:
        if await asyncio.to_thread(_intact, folder, tuple(wanted)):
            await asyncio.to_thread(os.utime, folder)
            return folder
        await asyncio.to_thread(folder.parent.mkdir, parents=True, exist_ok=True)
        made = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=folder.parent, prefix=".new-"))
        try:
            for entry, key in wanted.items():
                data = await self._objects.get(key)
                await asyncio.to_thread(_write, made / entry.path, data, entry)
            await asyncio.to_thread(_replace, made, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)
        return folder

    def _prune(self, keep: Path) -> None:
        """Keep the versions that were used last; the others can be made again."""
        folders = [path for path in (self._cache / "versions").iterdir() if not path.name.startswith(".")]
        folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in folders[CACHED_VERSIONS:]:
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)

    def cached(self) -> list[str]:
        """Versions whose files lie in the local cache."""
        folder = self._cache / "versions"
        return [path.name for path in folder.glob("[0-9a-f]*")] if folder.is_dir() else []

    def drop_cached(self, version_id: str) -> None:
        """Remove a version from the local cache: it was erased, perhaps by a worker on another host."""
        shutil.rmtree(self._cache / "versions" / version_id, ignore_errors=True)

    async def erase(self, version_id: str) -> None:
        """Remove every stored and cached file of one version; the base stays."""
        for key in await self._objects.list(f"versions/{version_id}/"):
            await self._objects.delete(key)
        await asyncio.to_thread(self.drop_cached, version_id)


async def _put_once(objects: ObjectStore, key: str, data: bytes) -> None:
    try:
        await objects.put_new(key, data)
    except ObjectExists:
        return  # stored by an earlier attempt; the key says what it holds, and loading checks it


def _intact(folder: Path, wanted: tuple[FileEntry, ...]) -> bool:
    return folder.is_dir() and {(e.path, e.sha256) for e in describe(folder)} == {
        (e.path, e.sha256) for e in wanted
    }


def _write(path: Path, data: bytes, entry: FileEntry) -> None:
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise PackageDamaged(f"{entry.path} is not the file that the manifest names")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _replace(made: Path, folder: Path) -> None:
    """Put a complete folder in its place; a damaged one that lies there is moved away first."""
    if folder.exists():
        folder.rename(made.with_name(made.name + "-old"))
    made.rename(folder)
    shutil.rmtree(made.with_name(made.name + "-old"), ignore_errors=True)
