"""Every storage backend keeps the same promises: the local folder and S3 (moto's server) alike."""

import asyncio
import hashlib
import os
import stat
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obstore
import pytest

from portraitist.kit.objects import (
    ObjectExists,
    ObjectMissing,
    ObjectStore,
    StorageFull,
    StorageUnavailable,
)

pytestmark = pytest.mark.anyio

CREDENTIALS = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server with one bucket, `pictures`."""
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="pictures")
    client.close()
    yield address
    server.stop()


def bucket(address: str, prefix: str) -> ObjectStore:
    config = {**CREDENTIALS, "endpoint": address}
    return ObjectStore.from_url(f"s3://pictures/{prefix}", config=config, allow_http=True)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return ObjectStore.from_url((tmp_path / "objects").as_uri())
    return bucket(request.getfixturevalue("s3"), tmp_path.name.replace("_", "-"))


async def test_what_is_stored_is_counted_and_a_folder_knows_its_room(store: ObjectStore) -> None:
    for number in range(3):
        await store.put_new(f"m/ann/{number}", b"x" * 100)
    await store.put_new("status", b"yy")
    assert await store.used_bytes() == 302
    await store.delete("m/ann/1")
    assert await store.used_bytes() == 202
    free = await store.free_bytes()
    assert free is None if store._folder is None else (free or 0) > 0


async def test_what_is_stored_comes_back(store: ObjectStore) -> None:
    data = os.urandom(3 * 2**20)
    stored = await store.put_new("m/ann/g/1.png", data)
    assert (stored.key, stored.size) == ("m/ann/g/1.png", len(data))
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert await store.get("m/ann/g/1.png") == data
    pieces = [piece async for piece in store.stream("m/ann/g/1.png")]
    assert b"".join(pieces) == data
    assert len(pieces) > 1
    head = await store.head("m/ann/g/1.png")
    assert head is not None
    assert head.size == len(data)


async def test_an_empty_file_is_a_file(store: ObjectStore) -> None:
    await store.put_new("empty", b"")
    assert await store.get("empty") == b""


async def test_a_key_is_written_once(store: ObjectStore) -> None:
    await store.put_new("a", b"first")
    with pytest.raises(ObjectExists):
        await store.put_new("a", b"second")
    assert await store.get("a") == b"first"


async def test_of_many_writers_of_one_key_exactly_one_wins(store: ObjectStore) -> None:
    contents = [bytes([number]) * 1000 for number in range(20)]
    results = await asyncio.gather(
        *(store.put_new("race", content) for content in contents), return_exceptions=True
    )
    won = [
        content
        for content, result in zip(contents, results, strict=True)
        if not isinstance(result, Exception)
    ]
    assert [await store.get("race")] == won
    assert sum(isinstance(result, ObjectExists) for result in results) == 19


async def test_what_is_not_there_has_one_name(store: ObjectStore) -> None:
    assert await store.head("none") is None
    with pytest.raises(ObjectMissing):
        await store.get("none")
    with pytest.raises(ObjectMissing):
        [piece async for piece in store.stream("none")]


async def test_deleting_twice_is_deleting(store: ObjectStore) -> None:
    await store.put_new("a/b", b"x")
    await store.delete("a/b")
    await store.delete("a/b")
    assert await store.head("a/b") is None
    await store.put_new("a/b", b"again")


async def test_empty_folders_go_and_those_with_a_file_stay(store: ObjectStore, tmp_path: Path) -> None:
    for key in ("m/ann/a/1", "m/ann/b/2", "m/bob/3"):
        await store.put_new(key, b"")
    await store.delete("m/ann/a/1")
    await store.prune("m/ann")
    assert await store.list("") == ["m/ann/b/2", "m/bob/3"]
    await store.delete("m/ann/b/2")
    await store.prune("m/ann")
    await store.prune("m/ann")
    assert not (tmp_path / "objects/m/ann").exists()
    await store.put_new("m/ann/a/1", b"again")


async def test_a_listing_is_by_folder_and_sorted(store: ObjectStore) -> None:
    for key in ("m/bob/2", "m/ann/1", "m/annabel/1", "x"):
        await store.put_new(key, b"")
    assert await store.list("") == ["m/ann/1", "m/annabel/1", "m/bob/2", "x"]
    assert await store.list("m/ann") == await store.list("m/ann/") == ["m/ann/1"]
    assert await store.list("nobody") == []


@pytest.mark.parametrize(
    "key",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "a/", "", ".", "a/.", "a/./b", "A", "a b", "a\\b", "a\0b",
     "a%2e%2e", "é", "a#1", "a\n", "x" * 513],
)  # fmt: skip
async def test_keys_that_could_lead_elsewhere_are_refused_before_anything_is_asked(
    store: ObjectStore, key: str
) -> None:
    for call in (store.get(key), store.head(key), store.delete(key), store.put_new(key, b"")):
        with pytest.raises(ValueError, match="not a storage key"):
            await call
    with pytest.raises(ValueError, match="not a storage key"):
        await store.signed_url(key, timedelta(seconds=1))
    with pytest.raises(ValueError, match="not a storage key"):
        [piece async for piece in store.stream(key)]


async def test_only_storage_that_can_sign_hands_out_addresses(s3: str, tmp_path: Path) -> None:
    folder = ObjectStore.from_url(tmp_path.as_uri())
    await folder.put_new("a", b"x")
    assert await folder.signed_url("a", timedelta(minutes=1)) is None
    remote = bucket(s3, "signed")
    await remote.put_new("a", b"picture")
    url = await remote.signed_url("a", timedelta(minutes=1))
    assert url is not None
    assert "X-Amz-Expires=60" in url
    assert await asyncio.to_thread(lambda: urllib.request.urlopen(url).read()) == b"picture"


async def test_a_local_folder_is_made_for_this_user_only(tmp_path: Path) -> None:
    ObjectStore.from_url((tmp_path / "new/deep").as_uri())
    assert stat.S_IMODE((tmp_path / "new/deep").stat().st_mode) == 0o700


@pytest.mark.parametrize("url", ["ftp://host/x", "/plain/path", "file:relative", "http://bucket"])
async def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="storage address"):
        ObjectStore.from_url(url)


async def test_a_storage_that_is_away_is_said_within_seconds(s3: str) -> None:
    away = ObjectStore.from_url(
        "s3://pictures", config={**CREDENTIALS, "endpoint": "http://127.0.0.1:1"}, allow_http=True
    )
    async with asyncio.timeout(20):
        with pytest.raises(StorageUnavailable):
            await away.get("a")
        with pytest.raises(StorageUnavailable):
            await away.put_new("a", b"x")


async def test_a_full_disk_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise obstore.exceptions.GenericError(
            "Generic LocalFileSystem error: No space left on device (os error 28)"
        )

    store = ObjectStore.from_url(tmp_path.as_uri())
    monkeypatch.setattr(obstore, "put_async", full)
    with pytest.raises(StorageFull):
        await store.put_new("a", b"x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="looks at a real folder that can't be written")
async def test_a_folder_that_cannot_be_made_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="can't be made"):
        ObjectStore.from_url((tmp_path / "file" / "below").as_uri())


async def test_what_a_killed_writer_left_of_a_file_goes_with_it(tmp_path: Path) -> None:
    store = ObjectStore.from_url(f"file://{tmp_path}")
    await store.put_new("m/ann/1.png", b"whole")
    for name in ("1.png#1", "1.png#23", "2.png#1"):
        (tmp_path / "m/ann" / name).write_bytes(b"half a fa")
    assert await store.list("m/ann") == ["m/ann/1.png"]  # why it has to be looked for
    await store.delete("m/ann/1.png")
    assert [each.name for each in (tmp_path / "m/ann").iterdir()] == ["2.png#1"]
    await store.prune("m/ann")
    assert not (tmp_path / "m/ann").exists()
