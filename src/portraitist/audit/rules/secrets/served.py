"""Folders served as static files in which secrets lie: the program's own, or one with a file of settings.

Express leaves out files that begin with a dot; Flask and Starlette give out whatever is there. Part of
`client-exposed-token`; whether a proxy in front keeps such files back is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.db_common import call_name
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, last_name
from portraitist.audit.rules.syntax import is_of_express

_SERVES = {"Flask", "Quart", "Blueprint", "StaticFiles", "send_from_directory", "static"}
_HERE = re.compile(r"^\.?/?$")
_SECRET_FILE = re.compile(
    r"^[\w.-]*(settings|config|credential|secret|token|keys?)[\w.-]*\.(json|ya?ml|toml|ini)$", re.I
)
_HOLDS = re.compile(r"(api|replicate|openai|secret|access)_?-?(key|token)|token|secret", re.I)


def served(ctx: Context) -> Iterator[Finding]:
    """The calls that serve the folder that a program runs in, beside its `.env`, or one that keeps a file of tokens."""
    for module in ctx.live:
        for call in module.calls(_SERVES):
            folder = _folder(module, call)
            if folder is None:
                continue
            if _is_own(module, folder) and _gives_dots(module, call) and ctx.once(_reads_env_file):
                message = "everybody is given what lies in the program's own folder, the .env file that it reads too"
                yield finding("client-exposed-token", module, call, message, key="own folder", weight=84)
                continue
            kept = _kept_in(ctx, module, folder)
            if kept is not None:
                where, line, name = kept
                message = f"the file {name} with keys lies in a folder that is served to everybody"
                yield Finding("client-exposed-token", where.path, line, line, message, name, "",
                              (Place(module.path, call.line),), 70)  # fmt: skip


def _folder(module: Module, call: ir.Call) -> ir.Node | None:
    """The folder that a call serves."""
    name = call_name(call)
    if name in {"Flask", "Quart", "Blueprint"}:
        given = ir.keyword(call, "static_folder")
        address = ir.keyword(call, "static_url_path")
        own = given is not None and _is_own(module, given)
        return given if not own or (address is not None and ir.text_of(address) in {"", "/"}) else None
    if name == "StaticFiles":
        return ir.keyword(call, "directory") or (call.args[0] if call.args else None)
    if name == "send_from_directory":
        fixed = len(call.args) > 1 and isinstance(call.args[1], ir.Lit)
        return None if fixed or not call.args else call.args[0]
    return call.args[0] if is_of_express(call) and call.args else None


def _gives_dots(module: Module, call: ir.Call) -> bool:
    if module.language == "python":
        return True
    said = ir.keyword(call, "dotfiles")
    return ir.text_of(said) == "allow"


def _is_own(module: Module, folder: ir.Node, depth: int = 0) -> bool:
    """`"."`, `os.getcwd()`, `os.path.dirname(__file__)`, `__dirname`, also through a variable."""
    text = ir.text_of(folder)
    if text is not None:
        return _HERE.match(text) is not None
    if isinstance(folder, ir.Call):
        name = last_name(folder.func)
        if name in {"getcwd", "cwd"}:
            return not folder.args
        inner = folder.args[0] if folder.args else None
        if name in {"dirname", "abspath", "realpath", "str", "Path", "resolve"}:
            inner = inner or (folder.func.obj if isinstance(folder.func, ir.Attr) else None)
            return inner is not None and (last_name(inner) == "__file__" or _is_own(module, inner, depth + 1))
        return False
    if isinstance(folder, ir.Name):
        if folder.id == "__dirname":
            return True
        values = [each.value for each in bindings_of(module, folder)] if depth < 2 else []
        return len(values) == 1 and values[0] is not None and _is_own(module, values[0], depth + 1)
    return isinstance(folder, ir.Attr) and folder.name == "parent" and "__file__" in ir.dotted(folder)


def _reads_env_file(ctx: Context) -> bool:
    return any(each.language == "python" and "dotenv" in each.lowered for each in ctx.live)


def _named_in(node: ir.Node) -> set[str]:
    """The variables and members at or below a node; no texts."""
    return variables_in(node) | {each.name for each in ir.find(node, ir.Attr)}


def _names_of(module: Module, folder: ir.Node) -> set[str]:
    """The settings and variables by which a folder is called, and not those that it only lies below."""
    found = _plain_names(folder)
    for each in (one.value for name in ir.find(folder, ir.Name) for one in bindings_of(module, name)):
        found |= _plain_names(each) if each is not None else set()
    return {each for each in found if re.search(r"path|dir|folder|root", each, re.I) and len(each) > 6}


def _plain_names(folder: ir.Node) -> set[str]:
    """The names of which a folder is made, where no text makes another folder of them."""
    deeper = any(
        isinstance(each.value, str) and not _HERE.match(each.value) for each in ir.find(folder, ir.Lit)
    )
    return set() if deeper else _named_in(folder) - {"__dirname"}


def _kept_in(ctx: Context, module: Module, folder: ir.Node) -> tuple[Module, int, str] | None:
    """A file of settings with keys that some code keeps directly in a folder of that name."""
    names = _names_of(module, folder)
    for where in ctx.live if names else ():
        if not any(each in where.file.text for each in names) or not _HOLDS.search(where.file.text):
            continue
        for lit in where.all(ir.Lit):
            text = lit.value if isinstance(lit.value, str) else ""
            if _SECRET_FILE.match(text) and names & _joined_with(lit):
                return where, lit.line, text
    return None


def _joined_with(lit: ir.Lit) -> set[str]:
    """The names that a text is joined with, to the path of a file."""
    whole = lit.parent
    if not isinstance(whole, ir.Bin | ir.Call | ir.Tmpl):
        return set()
    return _named_in(whole)
