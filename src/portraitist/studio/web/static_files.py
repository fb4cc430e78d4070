"""Where the pages' own scripts, styles and drawings lie, and the version that stands for all of them."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

STATIC = Path(str(files("portraitist.studio.web") / "static"))


@cache
def version() -> str:
    """Changes with every one of the files."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]
