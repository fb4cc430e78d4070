"""Running a command as an ordinary user where the tests run as root."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import portraitist
from portraitist.kit.postgres_binaries import Account

SOURCE = Path(portraitist.__file__).parents[1]
IMPORTS = "import psycopg, rich, portraitist.cli.main"


def python_of(account: Account, folder: Path) -> str:
    """A Python that the account can run, with this checkout and its libraries; its environment lies in `folder`.

    Skips where this machine has none of this version, or where the checkout lies out of the account's reach.
    """
    run = {"cwd": "/", "env": {"PATH": os.defpath, "HOME": str(folder)}, "capture_output": True}
    base, made = _base(account), folder / "environment"
    subprocess.run([base, "-m", "venv", "--without-pip", made], check=True, **run, **account.switch())
    (packages,) = made.glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("-packages")]
    (packages / "tested.pth").write_text("\n".join([str(SOURCE), *libraries]) + "\n")
    python = str(made / "bin" / "python")
    if subprocess.run([python, "-I", "-c", IMPORTS], check=False, **run, **account.switch()).returncode:
        pytest.skip("this checkout lies where no other user can read it")
    return python


def _base(account: Account) -> str:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (os.path.realpath(sys.executable), f"/usr/bin/{name}"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run([python, "-V"], check=True, capture_output=True, cwd="/", **account.switch())
            return python
    pytest.skip(f"NOT RUN: another user can't reach this Python; apt-get install {name}")
