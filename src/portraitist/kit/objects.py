"""Files under keys, in a local folder or in S3, Google or Azure storage, through one interface.

A key is written once and never changed. What a file means, and whose it is, is known to the callers' tables.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    NotSupportedError,
    PreconditionError,
)
from obstore.store import LocalStore, from_url

from portraitist.kit.errors import KitError

KEY = re.compile(r"(?!.*(^|/)\.{1,2}(/|$))[a-z0-9._-]+(/[a-z0-9._-]+)*")
LONGEST_KEY = 512
STAGED = re.compile(r"#\d+$")
"""How obstore names a local file that is being written; no list shows what a killed process leaves of one."""
SCHEMES = ("file", "s3", "gs", "az")
CHUNK_BYTES = 2**20

# The whole of one call, a large body included; and how long a failing service is tried again.
CLIENT_OPTIONS = {"connect_timeout": "5s", "timeout": "300s"}
RETRY = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}


class StorageUnavailable(KitError):
    """The storage can't be reached or refuses us. Try again."""


class StorageFull(StorageUnavailable):
    """There is no room for the file; nothing was stored."""


class ObjectExists(KitError):
    """The key is taken; what it holds is unchanged."""


class ObjectMissing(KitError):
    """Nothing is stored under the key."""


@dataclass(frozen=True)
class Stored:
    """A stored file: its size in bytes and, where it is known, the SHA-256 of its content (hex)."""

    key: str
    size: int
    sha256: str | None = None


class ObjectStore:
    """One folder or bucket. Safe to use from many tasks at once."""

    def __init__(self, store: Any, *, folder: Path | None) -> None:
        """Use `from_url`. `folder` is set where the files lie on this machine."""
        self._store = store
        self._folder = folder

    @classmethod
    def from_url(cls, url: str, *, config: Mapping[str, str] | None = None, allow_http: bool = False) -> Self:
        """file:///absolute/folder, s3://bucket[/prefix], gs://… or az://…

        Credentials and endpoint come from the environment, in each vendor's usual names, or from `config`.
        Raises ValueError for another scheme and StorageUnavailable where the folder can't be made.
        """
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"storage addresses start with one of {', '.join(s + '://' for s in SCHEMES)}")
        if parts.scheme == "file":
            return cls._local(Path(unquote(parts.path)))
        options: dict[str, Any] = {**CLIENT_OPTIONS, **({"allow_http": True} if allow_http else {})}
        try:
            store = from_url(url, config=dict(config or {}), client_options=options, retry_config=RETRY)
        except BaseError as exc:
            raise StorageUnavailable(f"The storage {url} can't be set up: {_first_line(exc)}") from exc
        return cls(store, folder=None)

    @classmethod
    def _local(cls, folder: Path) -> Self:
        if not folder.is_absolute():
            raise ValueError("a local storage address needs an absolute path: file:///folder")
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise StorageUnavailable(f"The storage folder {folder} can't be made: {exc.strerror}.") from exc
        return cls(LocalStore(folder), folder=folder)

    async def put_new(self, key: str, data: bytes) -> Stored:
        """Store under a new key. Raises ObjectExists, StorageFull or StorageUnavailable.

        The file is there whole or not at all, and survives a power cut once this returns. After a lost
        answer the same call may say ObjectExists for what it stored itself: read it back.
        """
        _check(key)
        try:
            await obstore.put_async(self._store, key, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError) as exc:
            raise ObjectExists(f"{key} is stored already.") from exc
        except (BaseError, OSError) as exc:
            raise _translated(key, exc) from exc
        return Stored(key, len(data), await asyncio.to_thread(self._settled, key, data))

    def _settled(self, key: str, data: bytes) -> str:
        """Its SHA-256 (hex), once a local file is on the disk."""
        if self._folder:
            _sync(self._folder / key, self._folder)
        return hashlib.sha256(data).hexdigest()

    async def get(self, key: str) -> bytes:
        """The whole content. Raises ObjectMissing or StorageUnavailable."""
        _check(key)
        try:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())
        except (BaseError, OSError) as exc:
            raise _translated(key, exc) from exc

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The content in pieces of about 1 MiB. Raises as `get`, before the first piece or in the middle."""
        _check(key)
        try:
            found = await obstore.get_async(self._store, key)
            async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except (BaseError, OSError) as exc:
            raise _translated(key, exc) from exc

    async def head(self, key: str) -> Stored | None:
        """What is stored under the key (no digest), or None."""
        _check(key)
        try:
            meta = await obstore.head_async(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as exc:
            raise _translated(key, exc) from exc
        return Stored(key, meta["size"])

    async def delete(self, key: str) -> None:
        """Remove a file, and what killed writers left of it; one that isn't there is fine."""
        _check(key)
        try:
            if self._folder:
                await asyncio.to_thread(_remove_staged, self._folder / key)
            await obstore.delete_async(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as exc:
            raise _translated(key, exc) from exc

    async def list(self, prefix: str) -> list[str]:
        """Every key under the folder `prefix` ("" for all), sorted."""
        where = prefix.rstrip("/")
        if where:
            _check(where)
        try:
            found = await obstore.list(self._store, where or None).collect_async()
        except (BaseError, OSError) as exc:
            raise _translated(prefix, exc) from exc
        return sorted(meta["path"] for meta in found)

    async def used_bytes(self) -> int:
        """How much is stored in all; asks for a list of everything, so not often. Raises StorageUnavailable."""
        total = 0
        try:
            async for batch in obstore.list(self._store):
                total += sum(meta["size"] for meta in batch)
        except (BaseError, OSError) as exc:
            raise _translated("", exc) from exc
        return total

    async def free_bytes(self) -> int | None:
        """What the disk of a local storage has room for; None for other storage. Raises StorageUnavailable."""
        if self._folder is None:
            return None
        try:
            return (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
        except OSError as exc:
            raise StorageUnavailable(f"The storage folder can't be looked at: {exc.strerror}.") from exc

    async def prune(self, prefix: str) -> None:
        """Remove the empty folders that deleted files leave in a local storage, and what killed writers left there.

        For folders in which nobody writes any more. Other storage has neither.
        """
        _check(prefix)
        if self._folder:
            await asyncio.to_thread(_remove_empty, self._folder / prefix)

    async def signed_url(self, key: str, ttl: timedelta) -> str | None:
        """An address that serves the file to anyone for `ttl`; None where the storage has no such thing."""
        _check(key)
        if self._folder:
            return None
        try:
            return str(await obstore.sign_async(self._store, "GET", key, ttl))
        except NotSupportedError:
            return None
        except (BaseError, OSError) as exc:
            raise _translated(key, exc) from exc


def _check(key: str) -> None:
    """Only plain keys: no way out of the folder, the same file on every backend, on any file system."""
    if len(key) > LONGEST_KEY or not KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key[:80]!r}")


def _remove_empty(folder: Path) -> None:
    """The folder and those in it, from the innermost, as far as nothing but unfinished files is in them."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in filter(STAGED.search, names):
            (Path(path) / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a file is in it, or somebody else was faster
            Path(path).rmdir()


def _remove_staged(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}#*"):
        if STAGED.search(each.name):
            each.unlink(missing_ok=True)


def _sync(path: Path, root: Path) -> None:
    """Bring a new local file and the folders that name it to the disk."""
    folders = [folder for folder in path.parents if folder == root or root in folder.parents]
    for each in (path, *folders):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _translated(key: str, error: Exception) -> KitError:
    if isinstance(error, NotFoundError | FileNotFoundError):
        return ObjectMissing(f"{key} is not stored.")
    if "os error 28" in str(error) or "os error 122" in str(error):  # ENOSPC, EDQUOT
        return StorageFull("The storage is full; free some space on it.")
    return StorageUnavailable(f"The storage failed for {key}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
