"""A PostgreSQL server of the product's own: made once in the home, started, attached to, stopped.

It listens on a private socket only and outlives the process that started it: who comes next attaches.
Which programs run, and as whom, is decided in `postgres_binaries`; this module makes no tables.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from portraitist.kit.errors import KitError
from portraitist.kit.postgres_binaries import Account, Binaries, account, find, reachable_folder
from portraitist.kit.postmaster import PORT, SOCKET_NAME, answering, forget_the_dead, postmaster

SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un.sun_path, less the final zero (Linux; 103 on macOS)
LEAST_FREE_BYTES = 64 * 2**20  # a fresh database takes 39 MB; below this even recovery may fail
START_TIMEOUT_S = 60
WATCH_EVERY_S = 1.0
DEFAULT_STATE_ROOT = Path("/var/lib/portraitist")

# Chosen for a small machine and for privacy: the server's log never quotes a statement or a row.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "max_parallel_workers_per_gather": "0",  # needs a larger /dev/shm than containers give
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "logging_collector": "on",  # a week of logs, each day's file used again
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
}


class EmbeddedPostgresError(KitError):
    """The embedded server can't be made, started or stopped; the text says why."""


@dataclass(frozen=True)
class Server:
    """Where a running server is, and its superuser's password."""

    socket_dir: Path
    port: int
    password: str = field(repr=False)

    def url(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        """A connection URL. The superuser's password is known; any other user's must be given."""
        known = self.password if user == "postgres" and password is None else password
        secret = f":{quote(known, safe='')}" if known is not None else ""
        where = f"host={quote(str(self.socket_dir), safe='')}&port={self.port}"
        return f"postgresql://{quote(user, safe='')}{secret}@/{quote(database, safe='')}?{where}"


@dataclass(frozen=True)
class _Places:
    """The folders of one server."""

    home: Path  # ours: password and lock
    state: Path  # holds what the server's account must reach: the same folder, or under the state root
    account: Account

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def password(self) -> Path:
        return self.home / "password"

    def socket_dir(self) -> Path:
        """Beside the data, or a short folder where that path would be too long for a socket."""
        beside = self.state / "run"
        if len(os.fsencode(beside / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
            return beside
        mark = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"portraitist-{self.account.uid}-{mark}"


class EmbeddedPostgres:
    """The server that belongs to one home. Safe to start and stop from several processes at once."""

    def __init__(
        self, home: Path, *, state_root: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        """`home`: the product's data folder; the server's things lie in home/postgres.

        Started by root, its data lies under `state_root` (default: PORTRAITIST_STATE, else
        /var/lib/portraitist), where the account that runs it can reach it; home/postgres/state points there.
        `settings` are added to the server's own, for instance fsync=off in tests.
        """
        self._home = home / "postgres"
        environment = os.environ.get("PORTRAITIST_STATE")
        self._state_root = state_root or Path(environment or DEFAULT_STATE_ROOT)
        self._settings = {**SETTINGS, **(settings or {})}

    def start(self) -> Server:
        """Make the database if there is none, start the server if it isn't running, and say where it is."""
        with self._locked() as places:
            if running := answering(places.data, START_TIMEOUT_S):
                return Server(running.socket_dir, PORT, places.password.read_text())
            server = self._server(places)
            self._check_disk(places)
            binaries = find(places.account, self._state_root / "bin", _major(places.data))
            if not places.data.exists():
                sync = self._settings.get("fsync") != "off"
                _make(places, binaries, server.password, sync=sync)
            self._launch(places, binaries, server)
            return server

    def stop(self) -> None:
        """End the server, running transactions are rolled back. Not running is fine."""
        if not self._home.exists():
            return
        with self._locked() as places:
            if not postmaster(places.data):
                return
            binaries = find(places.account, self._state_root / "bin", _major(places.data))
            arguments = ["stop", "-D", str(places.data), "-m", "fast", "-w", "-t", str(START_TIMEOUT_S)]
            done = _run(places.account, [binaries.program("pg_ctl"), *arguments])
            if done.returncode != 0:
                raise EmbeddedPostgresError(f"The embedded database did not stop: {_last_line(done.stdout)}")

    async def watch(self, on_event: Callable[[str], None]) -> None:
        """Start the server again whenever it died, until cancelled; a reason why it can't is told once."""
        told = False
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if self.running():
                continue
            try:
                await asyncio.to_thread(self.start)
                told = False
                on_event("the database had died and is started again")
            except KitError as exc:
                if not told:
                    told = True
                    on_event(str(exc))

    def running(self) -> bool:
        """Whether the server of this home is up."""
        state = self._home / "state"
        data = (state.resolve() if state.is_symlink() else self._home) / "data"
        return postmaster(data) is not None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[_Places]:
        """One process at a time makes, starts or stops; each of these ends by its own time limit."""
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self._home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise EmbeddedPostgresError(
                f"The database's folder {self._home} can't be used ({exc.strerror}); "
                "make it writable or set PORTRAITIST_HOME to a folder that is."
            ) from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._places()
        except OSError as exc:
            raise EmbeddedPostgresError(
                f"The embedded database can't use {exc.filename or self._home}: {exc.strerror}."
            ) from exc
        finally:
            os.close(lock)

    def _places(self) -> _Places:
        runner = account()
        pointer = self._home / "state"
        if not runner.other:
            return _Places(self._home, self._home, runner)
        if not pointer.is_symlink():
            reachable_folder(self._state_root)
            state = Path(tempfile.mkdtemp(prefix="postgres-", dir=self._state_root))
            state.chmod(0o711)
            pointer.symlink_to(state)
        return _Places(self._home, pointer.resolve(), runner)

    def _server(self, places: _Places) -> Server:
        if not places.password.exists():
            if places.data.exists():
                raise EmbeddedPostgresError(
                    f"The database in {places.data} is there, but its password file {places.password} is "
                    "gone; put it back from a backup."
                )
            _write_private(places.password, secrets.token_urlsafe(32))
        socket_dir = places.socket_dir()
        for folder in (socket_dir, places.log):
            _private_folder(folder, places.account)
        return Server(socket_dir, PORT, places.password.read_text())

    def _check_disk(self, places: _Places) -> None:
        free = shutil.disk_usage(places.state).free
        if free < LEAST_FREE_BYTES:
            raise EmbeddedPostgresError(
                f"The disk that holds {places.state} has {free // 2**20} MB left; "
                f"the database needs at least {LEAST_FREE_BYTES // 2**20} MB. Free some space first."
            )

    def _launch(self, places: _Places, binaries: Binaries, server: Server) -> None:
        forget_the_dead(places.data, server.socket_dir)
        lines = self._settings | {
            "unix_socket_directories": str(server.socket_dir),
            "log_directory": str(places.log),
        }
        conf = "".join(f"{key} = '{value.replace(chr(39), chr(39) * 2)}'\n" for key, value in lines.items())
        _write_private(places.data / "postgresql.conf", "# Written at each start.\n" + conf, places.account)
        log = places.log / "start.log"
        command = [binaries.program("pg_ctl"), "start", "-D", str(places.data), "-l", str(log)]
        command += ["-s", "-w", "-t", str(START_TIMEOUT_S)]
        for _ in range(5):  # after a kill -9, its last children may hold the shared memory for a moment
            _write_private(log, "", places.account)
            if _run(places.account, command).returncode == 0:
                return
            told = log.read_text(errors="replace")
            if "still in use" not in told:
                break
            time.sleep(0.5)
        raise EmbeddedPostgresError(_why_not_started(places, told))


def ensure_role(server: Server, name: str, password: str, *, options: str) -> None:
    """Make a login role, or give an existing one this password and these options.

    `options` are role options as SQL writes them, for instance "nosuperuser nobypassrls"; never user input.
    """
    statement = sql.SQL("{verb} role {name} login password {password} ").format
    wanted = sql.SQL(options)
    with psycopg.connect(server.url("postgres"), autocommit=True, connect_timeout=10) as conn:
        known = conn.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
        verb = sql.SQL("alter" if known else "create")
        conn.execute(statement(verb=verb, name=sql.Identifier(name), password=password) + wanted)


def ensure_database(server: Server, name: str, owner: str) -> None:
    """Make a database that `owner` owns; one that is there already gets this owner."""
    quoted = [sql.Identifier(name), sql.Identifier(owner)]
    with psycopg.connect(server.url("postgres"), autocommit=True, connect_timeout=10) as conn:
        query = "select datdba::regrole::text = quote_ident(%s) from pg_database where datname = %s"
        found = conn.execute(query, [owner, name]).fetchone()
        if found is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):  # another process was faster
                conn.execute(sql.SQL("create database {} owner {}").format(*quoted))
        elif not found[0]:
            conn.execute(sql.SQL("alter database {} owner to {}").format(*quoted))


def _make(places: _Places, binaries: Binaries, password: str, *, sync: bool) -> None:
    """Run initdb into a folder that gets its name only when complete."""
    unfinished = places.state / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    _private_folder(unfinished, places.account)
    told = places.state / "password.initdb"  # initdb reads it as the server's account
    _write_private(told, password, places.account)
    try:
        done = _run(
            places.account,
            [
                *[binaries.program("initdb"), "-D", str(unfinished), "-U", "postgres", "--pwfile", str(told)],
                *["--auth=scram-sha-256", "--data-checksums", "--no-locale", "--encoding=UTF8"],
                *([] if sync else ["--no-sync"]),
            ],
        )
    finally:
        told.unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        hint = " (PORTRAITIST_STATE must be a folder that `nobody` can reach)" if places.account.other else ""
        raise EmbeddedPostgresError(f"The database could not be made: {_reason(done.stdout)}{hint}")
    unfinished.rename(places.data)


def _run(account: Account, command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run one of PostgreSQL's programs as its account, with an environment of its own.

    Its output goes to a file: a server started by it would keep a pipe open for ever.
    """
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
                env=environment, umask=0o077, timeout=2 * START_TIMEOUT_S, check=False, **account.switch(),
            )  # fmt: skip
        except subprocess.TimeoutExpired as exc:
            raise EmbeddedPostgresError(f"{command[0]} did not end within {exc.timeout:.0f} s.") from exc
        output.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, output.read(), "")


def _major(data: Path) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        return int((data / "PG_VERSION").read_text())
    return None


def _private_folder(path: Path, account: Account) -> None:
    """A folder only the account may enter; one that somebody else put there is refused."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        account.own(path)
    found = path.lstat()
    if found.st_uid != account.uid or path.is_symlink() or found.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{path} must be a folder of user id {account.uid} alone (mode 0700); remove it and start again."
        )


def _write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    handle, unfinished = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        if account:
            account.own(Path(unfinished))
        Path(unfinished).replace(path)
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _why_not_started(places: _Places, told: str) -> str:
    """One sentence from the server's own words."""
    newest = max(places.log.glob("postgresql-*.log"), key=lambda p: p.stat().st_mtime, default=None)
    text = told + (newest.read_text(errors="replace")[-4000:] if newest else "")
    if "No space left on device" in text:
        return f"The embedded database can't start: the disk that holds {places.state} is full."
    fatal = [line for line in text.splitlines() if "FATAL" in line or "PANIC" in line]
    reason = fatal[-1].partition("FATAL:")[2].strip() or fatal[-1] if fatal else _last_line(told)
    return f"The embedded database did not start: {reason or 'no reason given'} (log: {places.log})."


def _reason(text: str) -> str:
    """The first line that says what is wrong."""
    wrong = [line for line in text.splitlines() if "error" in line or "FATAL" in line]
    return wrong[0] if wrong else _last_line(text)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
