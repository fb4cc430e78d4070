"""Which file an import names: relative paths, tsconfig aliases, workspaces, Python packages.

Answers None for packages that are not in the repository. Never reads anything but parsed configuration.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import PurePosixPath

from portraitist.audit.source import SourceFile

_SUFFIXES = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
_WORD = re.compile(r"[a-z][a-z\d]+")
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.S)


def _folders(paths: set[str]) -> set[str]:
    """Every folder above one of these paths, the root among them as `.`."""
    found = {"."} if paths else set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


class Resolver:
    """Resolves import specifiers among the paths of one repository."""

    def __init__(self, files: list[SourceFile]) -> None:
        self.paths = {each.path for each in files}
        self.aliases: dict[str, list[tuple[str, str]]] = {}
        self.workspaces: dict[str, str] = {}
        self.packages: set[str] = set()
        """The packages that a manifest asks of a registry."""
        self._required: set[str] = set()
        """The words in the names of the packages that Python's manifests ask for: `telegram` of python-telegram-bot."""
        self.cache: dict[tuple[str, str, str], str | None] = {}
        self.folders = _folders(self.paths)
        for each in files:
            name = each.path.rpartition("/")[2]
            if name.startswith(("tsconfig", "jsconfig")):
                self._tsconfig(each)
            elif name == "package.json":
                self._package(each)
            elif name.startswith("requirements") and name.endswith(".txt"):
                self._required.update(_WORD.findall(each.text.lower()))

    def _tsconfig(self, file: SourceFile) -> None:
        options = _json(file.text).get("compilerOptions")
        if not isinstance(options, dict):
            return
        folder = str(PurePosixPath(file.path).parent)
        base = _join(folder, str(options.get("baseUrl", ".")))
        found: list[tuple[str, str]] = []
        paths = options.get("paths")
        for pattern, targets in paths.items() if isinstance(paths, dict) else ():
            if isinstance(targets, list):
                found.extend((pattern, _join(base, target)) for target in targets if isinstance(target, str))
        if "baseUrl" in options:
            found.append(("*", _join(base, "*")))
        self.aliases.setdefault(folder, []).extend(found)

    def _package(self, file: SourceFile) -> None:
        manifest = _json(file.text)
        for group in ("dependencies", "devDependencies", "peerDependencies"):
            asked = manifest.get(group)
            for package, version in asked.items() if isinstance(asked, dict) else ():
                if not str(version).startswith(("workspace:", "file:", "link:", "portal:")):
                    self.packages.add(package)
        name = manifest.get("name")
        if isinstance(name, str) and name:
            self.workspaces[name] = str(PurePosixPath(file.path).parent)

    def resolve(self, importer: str, module: str, language: str) -> str | None:
        """The path that `module` means when imported from `importer`, or None when it is outside."""
        folder, _, name = importer.rpartition("/")
        own = name.partition(".")[0] == module.partition(".")[0]
        key = (importer if own else folder, module, language)
        if key not in self.cache:
            find = self._python if language == "python" else self._javascript
            self.cache[key] = find(importer, module)
        return self.cache[key]

    def _javascript(self, importer: str, module: str) -> str | None:
        folders = _above(importer)
        if module.startswith("."):
            return self._file(_join(folders[0], module))
        for up in folders:
            for pattern, target in self.aliases.get(up, ()):
                found = self._alias(pattern, target, module)
                if found:
                    return found
        if "/".join(module.split("/")[:2]) in self.packages:
            return self._workspace(module)
        return self._workspace(module) or self._conventional(folders, module)

    def _alias(self, pattern: str, target: str, module: str) -> str | None:
        head, star, tail = pattern.partition("*")
        if not star:
            return self._file(target) if module == pattern else None
        if module.startswith(head) and module.endswith(tail) and len(module) > len(head):
            return self._file(target.replace("*", module[len(head) : len(module) - len(tail)]))
        return None

    def _workspace(self, module: str) -> str | None:
        parts = module.split("/")
        take = 2 if module.startswith("@") else 1
        folder = self.workspaces.get("/".join(parts[:take]))
        if folder is None:
            return None
        rest = "/".join(parts[take:])
        options = [rest, f"src/{rest}"] if rest else ["src/index", "index", "lib/index"]
        return next((found for each in options if (found := self._file(_join(folder, each)))), None)

    def _conventional(self, folders: list[str], module: str) -> str | None:
        """Bundler aliases that live in code: `@/x`, `~/x`, SvelteKit's `$lib/x` and `@name/x` for a folder `name`."""
        if module.startswith("$lib/"):
            rest = [module[1:]]
        elif module.startswith(("@/", "~/")):
            rest = [module[2:]]
        elif module.startswith("@") and "/" in module:
            rest = [module[1:]]
        else:
            return None
        for up in folders:
            for base in ("", "src", "app"):
                for each in rest:
                    found = self._file(_join(_join(up, base), each))
                    if found:
                        return found
        return None

    def _file(self, path: str) -> str | None:
        stem = path.rpartition(".")[0] if path.endswith((".js", ".mjs", ".cjs", ".jsx")) else path
        written = next(
            (stem + each for each in (".ts", ".tsx") if stem != path and stem + each in self.paths), None
        )
        if (
            written is not None
        ):  # `./x.js` means the source `./x.ts`, also where a built `x.js` lies beside it
            return written
        if path in self.paths and path.endswith(_SUFFIXES):
            return path
        for candidate in dict.fromkeys((path, stem)):
            for suffix in _SUFFIXES:
                if candidate + suffix in self.paths:
                    return candidate + suffix
            for suffix in _SUFFIXES:
                index = _join(candidate, "index" + suffix)
                if index in self.paths:
                    return index
        return None

    def _python(self, importer: str, module: str) -> str | None:
        folder = PurePosixPath(importer).parent
        dots = len(module) - len(module.lstrip("."))
        rest = module[dots:].replace(".", "/")
        if dots:
            for _ in range(dots - 1):
                folder = folder.parent
            return self._module(_join(str(folder), rest) if rest else str(folder))
        standard = module.partition(".")[0] in sys.stdlib_module_names
        for up in (folder, *folder.parents):
            for base in ("", "src"):
                place = _join(str(up), base)
                found = self._module(_join(place, rest))
                if found == importer or (
                    folder.name == module.partition(".")[0] and self._is_installed(up, module)
                ):
                    continue  # `import replicate` in a file of that name means the library
                if found and not (standard and _join(place, "__init__.py") in self.paths):
                    return found
        return None

    def _is_installed(self, around: PurePosixPath, module: str) -> bool:
        """Whether `module` in a folder of its name, inside another package, is meant to be what a manifest asks for.

        `around` is the folder that holds what would be found.
        """
        package = module.partition(".")[0]
        return package in self._required and _join(str(around), "__init__.py") in self.paths

    def own_root(self, importer: str, module: str) -> str | None:
        """The source folder in which an absolute Python import's package lies, when that is one of this repository.

        A package counts where `importer` lies in it, or where it stands beside a file that Python can start; without an
        `__init__` where the folder in it that is named too has files. Inside another package its name may be that of
        one that is installed.
        """
        package = module.partition(".")[0]
        inner = "/".join(module.split(".")[:2]) if module.count(".") > 1 else ""
        for up in PurePosixPath(importer).parents if "." in module else ():
            if up.name == package and _join(str(up), "__init__.py") in self.paths:
                return None if self._is_installed(up.parent, module) else str(up.parent)
            if inner and up.name == package and self.is_folder(_join(str(up.parent), inner)):
                return str(up.parent)
            beside = _join(_join(str(up), package), "__init__.py") in self.paths
            if beside and _join(str(up), "__init__.py") not in self.paths:
                return str(up)
        return None

    def _module(self, path: str) -> str | None:
        for candidate in (_join(path, "__init__.py"), f"{path}.py"):  # a package hides a file of its name
            if candidate in self.paths:
                return candidate
        return None

    def is_local(self, importer: str, module: str, language: str) -> bool:
        """Whether `module` is meant to be a file of this repository, found or not."""
        if language == "javascript":
            return module.startswith((".", "@/", "~/"))
        return module.startswith(".") or self.own_root(importer, module) is not None

    def is_folder(self, path: str) -> bool:
        """Whether some read file lies below `path`."""
        return path in self.folders


def _above(path: str) -> list[str]:
    """The folders around a path, nearest first; the root is `.`."""
    found: list[str] = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return [*found, "."]


def _join(folder: str, rest: str) -> str:
    parts: list[str] = []
    for part in [*folder.split("/"), *rest.split("/")]:
        if part == "..":
            if parts and parts[-1] != "..":
                parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _json(text: str) -> dict[str, object]:
    """JSON with comments and trailing commas, {} when it is none."""
    bare = _COMMENT.sub(lambda found: found.group(1) or "", text)
    try:
        loaded = json.loads(re.sub(r",(\s*[}\]])", r"\1", bare))
    except (ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
