"""A disk that fills in the middle of a shoot: one sentence, a non-zero exit, and after making room it goes on.

Storage, database and engine each lie on a small disk of their own, in mounts that only these commands see.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.harness import DRAWS, FEW_STEPS, TRAINS, Done, House

pytestmark = pytest.mark.slow

PROMPT = "in a garden"
ROOT = Path(__file__).parents[2]
MOUNTS = 'for disk; do mkdir -p "$disk" && mount -t tmpfs -o size=500m,mode=755 disk "$disk" || exit; done'
# Run inside the mounts, where the database's socket is.
ASK = (
    "import json, sys; from pathlib import Path; from tests.acceptance.harness import House; "
    "print(json.dumps(House(Path(sys.argv[1])).sql(*sys.argv[2:]), default=str))"
)
STOP = (
    "import sys; from pathlib import Path; from portraitist.kit.embedded_postgres import EmbeddedPostgres; "
    "EmbeddedPostgres(Path(sys.argv[1]), state_root=Path(sys.argv[2])).stop()"
)


class SmallDisks:
    """A house whose storage, database and engine are on disks that a test can fill."""

    def __init__(self, house: House, holder: int) -> None:
        self.house = house
        self._seen_from_outside = Path(f"/proc/{holder}/root")

    @contextmanager
    def filled(self, folder: Path) -> Iterator[None]:
        """Not one byte free in the disk of this folder."""
        filler = self._seen_from_outside / folder.relative_to("/") / "filler"
        with filler.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(2**20))
                except OSError:
                    break
        try:
            yield
        finally:
            filler.unlink()

    def inside(self, code: str, *arguments: str) -> str:
        """What a line of Python prints that runs inside the mounts."""
        command = [*self.house.through, sys.executable, "-c", code, *arguments]
        environ = self.house.environ | {"PYTHONPATH": str(ROOT)}  # nsenter leaves the working directory
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def sql(self, database: str, query: str) -> object:
        """Ask as the superuser."""
        return json.loads(self.inside(ASK, str(self.house.folder), database, query))


@pytest.fixture(scope="module")
def disks() -> Iterator[SmallDisks]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter"))):
        pytest.skip("NOT RUN: needs root, unshare and nsenter (apt-get install util-linux)")
    folder = Path(tempfile.mkdtemp(prefix="portraitist-disks-"))
    folder.chmod(0o711)
    places = [str(folder / name) for name in ("home/objects", "home/engine", "state")]
    holder = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", f"{MOUNTS}; echo ready; exec sleep 3600", "sh", *places],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    if holder.stdout.readline() != "ready\n":
        pytest.skip("NOT RUN: needs the right to mount")
    house = House(folder, steps=FEW_STEPS, through=["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"])
    small = SmallDisks(house, holder.pid)
    yield small
    small.inside(STOP, str(house.home), str(house.state))
    holder.kill()
    holder.communicate()
    shutil.rmtree(folder)


def shot_until_full(disks: SmallDisks, photos: Path, folder: Path, sign: str) -> Done:
    """A shoot whose disk of `folder` fills when this sign comes."""
    process = disks.house.shooting(photos, PROMPT, "out")
    disks.house.until(process, sign)
    with disks.filled(folder):
        return disks.house.ended(process, timeout=120)


def assert_said_plainly(disks: SmallDisks, done: Done, folder: Path) -> None:
    assert done.code == 1, disks.house.tails()
    (error,) = done.of("error")
    assert error["code"] == "disk_full"
    assert str(folder) in error["message"]
    assert "goes on" in error["next_step"]
    assert "Traceback" not in done.said
    assert "This is a bug" not in done.said


def test_whichever_disk_fills_it_is_said_and_the_next_run_goes_on_with_the_same_training(
    disks: SmallDisks, drawn: Path
) -> None:
    home, state = disks.house.home, disks.house.state
    stages = [(home / "engine", TRAINS), (state, '"phase": "captioning"'), (home / "objects", DRAWS)]
    for folder, sign in stages:
        stopped = shot_until_full(disks, drawn, folder, sign)
        assert_said_plainly(disks, stopped, folder)
    done = disks.house.shoot(drawn, PROMPT, "out")
    assert done.code == 0, disks.house.tails()
    assert len(done.pictures) == 3
    assert disks.sql("portraitist", "select status from trainings") == [["completed"]]
    assert disks.sql("portraitist", "select status from generation_trackers") == [["completed"]]
    runs = disks.sql("portraitist_engine", "select status from runs where kind = 'training'")
    assert runs == [["succeeded"]]


def test_a_disk_without_room_is_said_before_anything_is_started(disks: SmallDisks, drawn: Path) -> None:
    folder = disks.house.home / "objects"
    with disks.filled(folder):
        refused = disks.house.shoot(drawn, "at the beach", "refused")
    assert_said_plainly(disks, refused, folder)
    assert not refused.of("member")
