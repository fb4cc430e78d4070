"""The commands as an ordinary user, where the tests run as root; under another user every test takes this path."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portraitist.kit import postgres_binaries
from tests.acceptance.harness import House
from tests.another_user import python_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="under another user every test takes this path"),
]
NINE = 9


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A home of the account `nobody`, whose commands run as that account."""
    nobody = postgres_binaries.account()
    if shutil.which("setpriv") is None:
        pytest.skip("NOT RUN: needs setpriv (apt-get install util-linux)")
    folder = Path(tempfile.mkdtemp(prefix="portraitist-nobody-"))
    nobody.own(folder)
    python = python_of(nobody, folder)
    switch = ["setpriv", f"--reuid={nobody.uid}", f"--regid={nobody.gid}", "--clear-groups"]
    yield House(folder, through=switch, python=python)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def nine(house: House, astronaut: Path) -> Path:
    """One photo too few, readable by everybody."""
    folder = house.folder / "nine photos"
    folder.mkdir()
    for photo in sorted(astronaut.iterdir())[:NINE]:
        Path(shutil.copy(photo, folder)).chmod(0o644)
    folder.chmod(0o755)
    return folder


def test_the_studio_starts_serves_judges_and_stops_as_an_ordinary_user(house: House, nine: Path) -> None:
    user = postgres_binaries.account().uid
    with house.up():
        checks = house.run("doctor", timeout=120).of("check")
        wrong = [check for check in checks if not check["ok"] and check["part"] not in ("assets", "port")]
        assert wrong == []
        refused = house.shoot(nine, "in a garden", "pictures")
        assert refused.code == 2
        assert refused.of("error")[0]["code"] == "too_few_photos"
        assert [photo["status"] for photo in refused.of("photo")] == ["accepted"] * NINE
        server = int((house.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        for pid in (server, house.pid("web"), house.pid("worker"), house.pid("engine")):
            assert Path(f"/proc/{pid}").stat().st_uid == user
    assert not (house.home / "postgres" / "data" / "postmaster.pid").exists()


def test_all_data_is_the_users_own_and_for_no_other_eyes(house: House) -> None:
    files = [house.home, *house.home.rglob("*")]
    assert {path.lstat().st_uid for path in files} == {postgres_binaries.account().uid}
    assert house.home.stat().st_mode & 0o077 == 0
