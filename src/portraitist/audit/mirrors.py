"""Trees that were copied aside: a second root with the same files, which nothing builds, starts or imports.

Looks at names first and at texts only where many names under two roots are equal. Names that say `backup` themselves
are in `source`; one that says `legacy` says so only beside its successor, and is here.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

from portraitist.audit.source import COMPOSE, SourceFile

FEWEST = 6
"""So many files must stand under both roots."""
COVERED = 0.8
"""The part of the copy's code that must stand under the other root, too."""
MOSTLY = 0.6
"""That part where a compose file says which of the two is built: both may have grown since."""
ALIKE = 0.7
"""The part of those files that must be mostly equal, and the part of a file's lines for that."""
MOST_OF_A_NAME = 12
"""A name that occurs oftener (`index.ts`, `route.ts`) says nothing of a copy."""

_MANIFESTS = {
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
    "Pipfile",
    "deno.json",
    "go.mod",
}
_BUILT = _MANIFESTS | {"Dockerfile", "Procfile", "vercel.json", "netlify.toml", "wrangler.toml", "fly.toml"}
"""Files by whose presence a folder is built or served on its own."""
_SERVED = re.compile(
    r"(^|/)(api|app|pages|functions|supabase|netlify|lambdas?|workers?|convex|public)(/|$)", re.I
)
"""Folders that a platform serves without a word from anywhere."""


def set_aside(files: list[SourceFile], known: Iterable[str]) -> list[SourceFile]:
    """The files, those of trees that were copied aside with the role `backup`."""
    code = {
        each.path: each for each in files if each.language in {"javascript", "python"} and each.role == "src"
    }
    pairs = _twins(code)
    built = [each for each in known if each.rpartition("/")[2] in _BUILT] if pairs else []
    composed = _composed(files) if pairs else []
    copies = (
        *_succeeded(code),
        *(
            f"{copy}/"
            for (copy, root), names in pairs.items()
            if _is_left_out(code, composed, copy, root, names)
            or (
                _stands_alone(built, copy, root)
                and _is_copied(code, copy, root, names)
                and not _named(files, copy, root)
            )
        ),
    )
    if not copies:
        return files
    return [
        replace(each, role="backup")
        if each.path.startswith(copies) and each.role in {"src", "script"}
        else each
        for each in files
    ]


_LEGACY = re.compile(r"(?P<stem>.*\w)[._-]legacy$", re.I)


def _succeeded(code: Iterable[str]) -> set[str]:
    """The folders that are named as the legacy of one beside them: `frontend_legacy/` beside `frontend/`."""
    if not any("legacy" in each.lower() for each in code):
        return set()
    folders = {folder for path in code for folder in _folders(path)}
    named = ((each, _LEGACY.match(each)) for each in folders)
    return {f"{each}/" for each, legacy in named if legacy is not None and legacy["stem"] in folders}


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: deep + 1]) for deep in range(len(parts))]


_CONTEXT = re.compile(r"^\s*(?:build|context):[ \t]*[\"']?(?P<folder>[\w./-]+)[\"']?[ \t]*(?:#.*)?$", re.M)


def _composed(files: list[SourceFile]) -> list[str]:
    """The folders that compose files build services from, `""` where one builds all that lies around it."""
    found = []
    for each in files:
        home, _, name = each.path.rpartition("/")
        if COMPOSE.match(name):
            built = (posixpath.join(home, one["folder"]) for one in _CONTEXT.finditer(each.text))
            found += [posixpath.normpath(one) if posixpath.normpath(one) != "." else "" for one in built]
    return found


def _is_left_out(
    code: dict[str, SourceFile], composed: list[str], copy: str, root: str, names: list[str]
) -> bool:
    """Whether a compose file builds the one root and nothing that the other lies in, most of whose code is the same.

    What a platform would serve by its name (`app/`) is then not asked: it is the other that the image holds.
    """
    builds = [any(f"{one}/".startswith(f"{each}/") or not each for each in composed) for one in (copy, root)]
    return builds == [False, True] and _is_copied(code, copy, root, names, MOSTLY)


def _twins(code: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """(one root, another root) in both orders -> the names below both, where there are enough of them."""
    named: defaultdict[str, list[str]] = defaultdict(list)
    for path in code:
        named[path.rpartition("/")[2]].append(path)
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for same in named.values():
        for one, other in combinations(same, 2) if len(same) <= MOST_OF_A_NAME else ():
            first, second, name = _roots(one.split("/"), other.split("/"))
            if not (first and second):  # `app/` and `backend/app/`, not all and `backend/`
                top, _, name = name.partition("/") if "/" in name else ("", "", name)
                first, second = posixpath.join(first, top), posixpath.join(second, top)
            found[first, second].append(name)
            found[second, first].append(name)
    return {
        each: names
        for each, names in found.items()
        if len(names) >= FEWEST and each[0] and not f"{each[1]}/".startswith(f"{each[0]}/")
    }


def _roots(one: list[str], other: list[str]) -> tuple[str, str, str]:
    """What two paths begin with, and the end that they share."""
    shared = 0
    while shared < min(len(one), len(other)) and one[-1 - shared] == other[-1 - shared]:
        shared += 1
    return "/".join(one[:-shared]), "/".join(other[:-shared]), "/".join(one[-shared:])


def _apart(copy: str, root: str) -> str:
    """The folder of the copy that holds nothing of the other root: `review` of `review/src` beside `backend/src`."""
    parts, others = copy.split("/"), root.split("/")
    shared = 0
    while shared < min(len(parts) - 1, len(others)) and parts[shared] == others[shared]:
        shared += 1
    return "/".join(parts[: shared + 1])


def _stands_alone(built: list[str], copy: str, root: str) -> bool:
    """Whether the copy is built and served by nothing, and the other root is a package's."""
    aside = _apart(copy, root)
    if _SERVED.search(copy) or any(each.startswith(f"{aside}/") for each in built):
        return False
    homes, inner = {root}, root
    while inner and inner != _apart(root, copy):
        inner = inner.rpartition("/")[0]
        homes.add(inner)
    return any(each.rpartition("/")[0] in homes and each.rpartition("/")[2] in _MANIFESTS for each in built)


def _is_copied(
    code: dict[str, SourceFile], copy: str, root: str, names: list[str], covered: float = COVERED
) -> bool:
    below = sum(each.startswith(f"{copy}/") for each in code)
    if len(names) < covered * below:
        return False
    head = f"{root}/" if root else ""
    alike = sum(_are_alike(code[f"{copy}/{each}"].text, code[f"{head}{each}"].text) for each in names)
    return alike >= ALIKE * len(names)


def _are_alike(one: str, other: str) -> bool:
    """Whether most lines of each stand in the other."""
    if one == other:
        return True
    first, second = set(one.split("\n")), set(other.split("\n"))
    return len(first & second) >= ALIKE * max(len(first), len(second))


def _named(files: list[SourceFile], copy: str, root: str) -> bool:
    """Whether a file elsewhere that is code or a setting names the folder that was copied to."""
    aside = _apart(copy, root)
    word = re.compile(rf"(?<![\w-]){re.escape(aside.rpartition('/')[2])}(?![\w-])")
    return any(
        word.search(each.text)
        for each in files
        if each.language in {"javascript", "python", "config"} and not each.path.startswith(f"{aside}/")
    )
