"""Every bad input of a user: one clear sentence, a non-zero exit, and nothing lost. No model is trained here."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import House, Up

pytestmark = pytest.mark.slow

PROMPT = "in a garden"


@pytest.fixture(scope="module")
def up(house: House) -> Iterator[Up]:
    with house.up() as running:
        yield running


def some(photos: Path, folder: Path, count: int) -> Path:
    """The first so many photos in a folder of their own."""
    folder.mkdir()
    for file in sorted(photos.iterdir())[:count]:
        shutil.copy(file, folder)
    return folder


def bomb() -> bytes:
    """A PNG of a few kilobytes that claims 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(3751 * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_nine_photos_are_refused_before_anything_is_trained(
    house: House, up: Up, astronaut: Path, tmp_path: Path
) -> None:
    nine = some(astronaut, tmp_path / "nine", 9)
    refused = house.shoot(nine, PROMPT, "nine")
    assert refused.code == 2
    (error,) = refused.of("error")
    assert error["code"] == "too_few_photos"
    assert "9 of the 9" in error["message"]
    assert house.sql("portraitist", "select count(*) from trainings") == [(0,)]


def test_bad_files_are_rejected_photos_each_with_its_reason_and_the_studio_lives(
    house: House, up: Up, astronaut: Path, tmp_path: Path
) -> None:
    folder = some(astronaut, tmp_path / "mixed", 8)
    (folder / "text.jpg").write_text("this is a text")
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(sorted(astronaut.iterdir())[0].read_bytes()[:5000])
    (folder / "twin.jpg").write_bytes(sorted(astronaut.iterdir())[0].read_bytes())
    refused = house.shoot(folder, PROMPT, "mixed")
    assert refused.code == 2
    verdicts = {event["file"]: event for event in refused.of("photo")}
    for name in ("text.jpg", "bomb.png", "empty.jpg", "cut.jpg", "twin.jpg"):
        assert verdicts[name]["status"] == "rejected", name
        assert verdicts[name]["reason"], name
    assert sum(event["status"] == "accepted" for event in verdicts.values()) == 8
    assert house.run("doctor", timeout=60).of("check")


def test_a_port_in_use_is_one_sentence(tmp_path_factory: pytest.TempPathFactory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        elsewhere = House(tmp_path_factory.mktemp("elsewhere"))
        refused = elsewhere.run("up", "--port", str(taken.getsockname()[1]), timeout=30)
    assert refused.code == 3
    assert refused.of("error")[0]["code"] == "port_in_use"


def test_a_wrong_database_address_is_one_sentence_without_the_password(
    tmp_path_factory: pytest.TempPathFactory, astronaut: Path
) -> None:
    elsewhere = House(tmp_path_factory.mktemp("elsewhere"))
    url = "postgresql://app:s3cret@127.0.0.1:1/nowhere"
    environ = {"DATABASE_URL": url, "ENGINE_DATABASE_URL": url}
    refused = elsewhere.run("shoot", str(astronaut), PROMPT, "--consent", timeout=60, **environ)
    assert refused.code == 3
    (error,) = refused.of("error")
    assert error["code"] == "database_away"
    assert "s3cret" not in refused.said + str(error)


def in_mounts_of_its_own(script: str, house: House) -> "subprocess.CompletedProcess[str]":
    """Run a shell script that may mount; skips where this machine lets nobody do so."""
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if shutil.which("unshare") is None or _fails(*unshare, "true"):
        pytest.skip("NOT RUN: needs unshare and the right to mount (apt-get install util-linux)")
    return subprocess.run(
        [*unshare, "sh", "-c", script, "sh", sys.executable, str(house.folder)],
        env=house.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_a_full_disk_is_one_sentence_before_anything_is_started(
    tmp_path_factory: pytest.TempPathFactory, astronaut: Path
) -> None:
    elsewhere = House(tmp_path_factory.mktemp("full"))
    script = (
        'mkdir -p "$PORTRAITIST_HOME" && mount -t tmpfs -o size=20m tmpfs "$PORTRAITIST_HOME" && '
        f'exec "$1" -m portraitist.cli shoot "{astronaut}" garden --consent --json'
    )
    refused = in_mounts_of_its_own(script, elsewhere)
    assert refused.returncode == 1
    assert "disk_full" in refused.stdout
    assert "Traceback" not in refused.stderr
    starting, sentence, next_step = refused.stderr.strip().splitlines()
    assert starting == "Starting the studio"
    assert sentence.startswith("The disk of ")
    assert next_step.startswith("Free some space")
