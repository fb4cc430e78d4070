"""Sealed versions: nothing in one can change unseen, and nothing of one is left in another."""

import hashlib
from pathlib import Path

import pytest

from portraitist.engine import packages
from portraitist.engine.packages import Manifest, PackageDamaged, Packages
from portraitist.kit.objects import ObjectMissing, ObjectStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A base and a member's checkpoint that shares one file with it."""
    base, checkpoint = tmp_path / "base", tmp_path / "checkpoint"
    for folder, weights in ((base, b"base weights"), (checkpoint, b"member weights")):
        (folder / "transformer").mkdir(parents=True)
        (folder / "transformer" / "weights.safetensors").write_bytes(weights)
        (folder / "model_index.json").write_bytes(b"{}")
    return base, checkpoint


def store_of(tmp_path: Path) -> ObjectStore:
    return ObjectStore.from_url(f"file://{tmp_path / 'objects'}")


async def published(tmp_path: Path, folders: tuple[Path, Path], **about: object) -> tuple[Packages, Manifest]:
    base, checkpoint = folders
    weights = tmp_path / "trained_model.tar"
    weights.write_bytes(b"tar")
    made = Packages(store_of(tmp_path), tmp_path / "cache")
    manifest = packages.seal(checkpoint, base, about)
    await made.publish(manifest, checkpoint, base, weights)
    return made, manifest


async def test_a_version_comes_back_whole_with_its_base(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    made, manifest = await published(tmp_path, folders)
    checkpoint, base = await made.materialise(manifest.id)
    assert (checkpoint / "transformer/weights.safetensors").read_bytes() == b"member weights"
    assert (base / "transformer/weights.safetensors").read_bytes() == b"base weights"
    assert (checkpoint / "model_index.json").read_bytes() == b"{}"


async def test_the_id_is_the_digest_of_the_canonical_manifest(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    _, manifest = await published(tmp_path, folders, training="one")
    stored = await store_of(tmp_path).get(f"versions/{manifest.id}/manifest.json")
    assert hashlib.sha256(stored).hexdigest() == manifest.id
    assert packages.seal(folders[1], folders[0], {"training": "two"}).id != manifest.id


async def test_files_of_the_base_are_stored_once(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    _, manifest = await published(tmp_path, folders)
    await published(tmp_path, folders, training="another")
    keys = await store_of(tmp_path).list("")
    assert len([key for key in keys if key.startswith("bases/")]) == 2
    own = [key for key in keys if key.startswith(f"versions/{manifest.id}/")]
    assert len(own) == 3, "one file of its own, the manifest and the tar"


async def test_publishing_again_changes_nothing(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    _, first = await published(tmp_path, folders)
    before = await store_of(tmp_path).list("")
    _, second = await published(tmp_path, folders)
    assert first.id == second.id
    assert await store_of(tmp_path).list("") == before


async def test_a_changed_file_in_the_storage_is_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    made, manifest = await published(tmp_path, folders)
    own = next(entry for entry in manifest.files if not entry.shared)
    (tmp_path / "objects/versions" / manifest.id / own.sha256).write_bytes(b"another's weight")
    with pytest.raises(PackageDamaged):
        await made.materialise(manifest.id)
    assert not (tmp_path / "cache/versions" / manifest.id).exists()


async def test_a_changed_manifest_is_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    made, manifest = await published(tmp_path, folders)
    path = tmp_path / "objects/versions" / manifest.id / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"model_index", b"model_indax"))
    with pytest.raises(PackageDamaged):
        await made.materialise(manifest.id)


async def test_a_cache_that_was_tampered_with_is_made_anew(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    made, manifest = await published(tmp_path, folders)
    checkpoint, _ = await made.materialise(manifest.id)
    (checkpoint / "transformer/weights.safetensors").write_bytes(b"poison")
    (checkpoint / "extra.bin").write_bytes(b"poison")
    again, _ = await made.materialise(manifest.id)
    assert (again / "transformer/weights.safetensors").read_bytes() == b"member weights"
    assert not (again / "extra.bin").exists()


async def test_erasing_leaves_nothing_of_the_version_and_all_of_the_base(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    made, manifest = await published(tmp_path, folders)
    await made.materialise(manifest.id)
    await made.erase(manifest.id)
    assert all(key.startswith("bases/") for key in await store_of(tmp_path).list(""))
    assert not (tmp_path / "cache/versions" / manifest.id).exists()
    with pytest.raises(ObjectMissing):
        await made.materialise(manifest.id)
