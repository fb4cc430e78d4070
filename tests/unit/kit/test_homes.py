"""The home is private; a secret is made once whoever asks first; a lock dies with its holder."""

import concurrent.futures
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from portraitist.kit.homes import Home, HomeBusy, HomeUnusable


def test_it_is_where_the_environment_says_and_for_this_user_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTRAITIST_HOME", str(tmp_path / "a/b"))
    home = Home()
    assert home.path == tmp_path / "a/b"
    for folder in (home.path, home.run_dir, home.logs_dir):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    assert stat.S_IMODE(Home(tmp_path / "home").path.stat().st_mode) == 0o700


def test_a_home_that_cannot_be_made_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="set PORTRAITIST_HOME"):
        Home(tmp_path / "file")


def test_a_secret_stays_and_differs_by_name(tmp_path: Path) -> None:
    secret = Home(tmp_path).secret("cookies")
    assert len(secret) == 43
    assert Home(tmp_path).secret("cookies") == secret != Home(tmp_path).secret("links")
    files = list((tmp_path / "secrets").iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert len(files) == 2


def test_all_who_ask_first_at_once_get_the_same_secret(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: home.secret("cookies"), range(40)))) == 1


@pytest.mark.parametrize("name", ["../x", "", "A", "a/b", ".hidden"])
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        Home(tmp_path).secret(name)


HOLDER = (
    "import sys, time; from pathlib import Path; from portraitist.kit.homes import Home\n"
    "with Home(Path(sys.argv[1])).lock('up'): print('held', flush=True); time.sleep(600)"
)


def test_a_lock_names_its_holder_and_is_freed_by_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeBusy, match="up") as caught, Home(tmp_path).lock("up"):
            pass
        assert (caught.value.pid, caught.value.name) == (holder.pid, "up")
        with Home(tmp_path).lock("other"):
            pass
        holder.kill()
    with Home(tmp_path).lock("up"):
        pass
