"""Names that declarations alone make known: ambient ones of TypeScript. Part of `undefined-name`.

What defines such a name lies outside the code: a tool that runs the file, a script that a page loads.
"""

from __future__ import annotations

import re

from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module

_KINDS = r"function\*?|const(?:\s+enum)?|let|var|class|enum|namespace|module"
_NAMED = rf"(?:abstract\s+)?(?:{_KINDS})\s+([\w$]+)"
_DECLARED = re.compile(rf"\bdeclare\s+{_NAMED}")
_ANY = re.compile(rf"^[ \t]*(?:export\s+)?(?:declare\s+)?{_NAMED}", re.M)
_GLOBAL = re.compile(r"^(?P<indent>[ \t]*)declare\s+global\s*\{(?P<body>.*?)^(?P=indent)\}", re.M | re.S)
_ELSEWHERE = re.compile(r"^\s*///\s*<reference\s+path\s*=", re.M)


def ambient(ctx: Context) -> frozenset[str]:
    """The names that a `*.d.ts` declares, or a `declare` of any other file: `declare function $config(…)`."""
    found: set[str] = set()
    for file in ctx.tree.others:
        if file.path.endswith((".d.ts", ".d.mts", ".d.cts")):
            found.update(_ANY.findall(file.text))
    for file in ctx.tree.files:
        if file.language == "javascript" and "declare" in file.words:
            found.update(_DECLARED.findall(file.text))
            found.update(name for each in _GLOBAL.finditer(file.text) for name in _ANY.findall(each["body"]))
    return frozenset(found)


def is_declared(ctx: Context, module: Module, name: str) -> bool:
    """Whether a name of a JavaScript file may be ambient: declared here, or by a file that this one refers to."""
    if module.language != "javascript":
        return False
    return name in ctx.once(ambient) or _ELSEWHERE.search(module.file.text) is not None
