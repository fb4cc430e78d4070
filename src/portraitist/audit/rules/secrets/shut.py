"""Texts that look like keys and open nothing: in looks that verify nothing, in tests, behind checks at the start.

Part of `secret-in-repo`; branches around the text are looked at in `signing`. What a deployment sets is not known, nor
whether a service outside the repository believes what is signed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import bindings_of, entry_of, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name, names_in

_SIGNS = {"sign", "encode"}
_READS = {"verify", "decode"}
_RUNNERS = re.compile(r"(^|/)(vite|vitest|jest|playwright|cypress|karma|wdio|craco)\.[\w.]+$")
"""Settings files that have a part for the tests."""
_ENVIRONMENT = re.compile(
    r"(^|\.)(process\.env|import\.meta\.env|Deno\.env|Bun\.env|os\.environ)(\.|$)|getenv$|environ\.get$"
)
_BY_NAME = re.compile(
    r"(process|Deno|Bun)\.env(\[[a-z]|\.get\([a-z])|environ(\[|\.get\()[a-z]|getenv\([a-z]|\bnot in os\.environ"
)
"""The environment, asked with a name that a variable holds."""
_ENDS = {"exit", "_exit"}
WORDY = 8
"""A shorter text may stand in a comparison of anything else: `"dev"`."""
_WORKSPACES = {"apps", "packages", "services", "projects"}


def verifies_nothing(module: Module, call: ir.Call) -> bool:
    """`jwt.decode(token, "dummy", options={"verify_signature": False})`, the options also by a variable."""
    said = entry_of(module, ir.keyword(call, "options"), "verify_signature")
    return any(
        isinstance(each, ir.Lit) and each.value is False for each in (said, ir.keyword(call, "verify"))
    )


def is_for_tests(module: Module, line: int) -> bool:
    """Whether a line belongs to what a test runner is given: `test: { env: { … } }` in its settings file."""
    if not _RUNNERS.search(module.path):
        return False
    return any(each.key == "test" and each.line <= line <= each.end for each in module.all(ir.Prop))


def is_believed_by_nobody(ctx: Context, call: ir.Call, text: str) -> bool:
    """Whether what this call signs is accepted nowhere here: its key is never read with, and others sign with another.

    The text stands in the whole repository only as the key of calls that sign, while tokens are read with something
    else and signed with that, too: whoever signs with the text gets no further than before.
    """
    if last_name(call.func) not in _SIGNS:
        return False
    keys = ctx.once(_token_keys)
    ours = {key for verb, key in keys if verb in _SIGNS and ir.text_of(key) == text}
    others = {verb for verb, key in keys if ir.text_of(key) != text}
    known = {module.path for module in ctx.live}
    if not others & _SIGNS or not others & _READS:
        return False
    if any(
        text in each.text for each in ctx.tree.files if each.path not in known and each.language == "config"
    ):
        return False
    holding = (each for each in ctx.live if text in each.file.text)
    return all(lit in ours for each in holding for lit in each.all(ir.Lit) if lit.value == text)


def _token_keys(ctx: Context) -> list[tuple[str, ir.Node]]:
    """What tokens are signed and read with anywhere, by the verb."""
    found: list[tuple[str, ir.Node]] = []
    for module in ctx.live:
        for call in module.calls(_SIGNS | _READS):
            if not _OF_TOKENS.match(ctx.program.origin(module, call.func)) or verifies_nothing(module, call):
                continue
            key = ir.keyword(call, "key") or (call.args[1] if call.args[1:] else None)
            if key is not None:
                found.append((last_name(call.func), key))
    return found


_OF_TOKENS = re.compile(r"^(jsonwebtoken|jose|jwt|PyJWT|python_jose)\b")


def is_demanded_at_start(ctx: Context, module: Module, name: str, text: str) -> bool:
    """Whether some line of the program ends it, or throws while it is loaded, where a key is not set or is known.

    It may ask the environment for it by its name or in a list of names, or a helper, a property or a variable that
    judges the key: `if (!config.isSecretSafe) process.exit(1)`.
    """
    home = _root(module.path)
    sources = (each for each in ctx.live if each.role == "src")
    near = [each for each in sources if _is_part(home, _root(each.path))]
    naming = [each for each in near if name.lower() in each.lowered]
    judges = {one for each in naming for one in _judges(each, name, text)}
    for each in near:
        demands = each in naming
        if demands and _demands_list(ctx, each, name):
            return True
        if not demands and not any(one.lower() in each.lowered for one in judges):
            continue
        for branch in each.all(ir.If):
            asks = (demands and _misses(branch.test, name)) or judges & names_in(branch.test)
            if asks and _is_final(ctx, branch):
                return True
    return False


def is_listed_as_refused(module: Module, test: ir.Node, name: str, text: str) -> bool:
    """`settings.jwt_secret in WEAK_SECRETS`, `WEAK.includes(config.jwtSecret)`, where that list holds the text."""
    for each in ir.walk(test):
        asked, among = _membership(each)
        if asked is not None and snake(last_name(asked)) == snake(name) and among is not None:
            lists = [among, *(by.value for by in bindings_of(module, among) if by.value is not None)]
            if any(lit.value == text for one in lists for lit in ir.find(one, ir.Lit)):
                return True
    return False


def _membership(node: ir.Node) -> tuple[ir.Node | None, ir.Node | None]:
    """What a node asks for, and in which list; nothing where it asks for no membership."""
    if isinstance(node, ir.Bin) and node.op == "in":
        return node.left, node.right
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name in {"includes", "has"}:
        return (node.args[0] if node.args else None), node.func.obj
    return None, None


def _root(path: str) -> str:
    """The folder of a path that its program fills, as far as the path tells: `apps/api/`, `server/`, or "" for all."""
    parts = path.split("/")[:-1]
    return "".join(f"{each}/" for each in parts[: 2 if parts and parts[0] in _WORKSPACES else 1])


def _is_part(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _judges(module: Module, name: str, text: str) -> Iterator[str]:
    """Names of functions, properties and variables that say whether the key is set, or whether it is the known text."""
    for func in module.all(ir.Func):
        held = _name_of(func)
        if (
            held
            and name in names_in(func)
            and any(_judges_by(each.value) for each in ir.find(func, ir.Return))
        ):
            yield held
    for each in module.all(ir.Assign):
        held = last_name(each.target)
        asked = names_in(each.value) if held and _judges_by(each.value) else set()
        if name in asked or (text in asked and len(text) >= WORDY):
            yield held


def _name_of(func: ir.Func) -> str:
    if func.name:
        return func.name
    up = func.parent
    return (
        (up.key or "")
        if isinstance(up, ir.Prop)
        else last_name(up.target)
        if isinstance(up, ir.Assign)
        else ""
    )


def _judges_by(value: ir.Node | None) -> bool:
    """Whether a value is a verdict: a comparison, a negation, or several of them."""
    if not isinstance(value, ir.Bin):
        return False
    if value.op in {"and", "or"}:
        return _judges_by(value.left) or (value.op == "and" and _judges_by(value.right))
    return value.op in {"not", "!", *EQUALITY, "<", ">", "<=", ">=", "in", "not in"}


def _misses(test: ir.Node, name: str) -> bool:
    """`!process.env.KEY`, `os.getenv("KEY") is None`: no variable, which may hold the fallback."""
    for each in ir.find(test, ir.Bin):
        asked = each.left if each.op in {"not", "!", "is", *EQUALITY} else None
        if (
            isinstance(asked, ir.Attr)
            and asked.name == name
            and _ENVIRONMENT.search(ir.plain_dotted(asked.obj))
        ):
            return True
        if isinstance(asked, ir.Index | ir.Call) and _asks_by_text(asked, name):
            return True
        if each.op == "not in" and ir.text_of(each.left) == name:
            return True
    return False


def _asks_by_text(asked: ir.Index | ir.Call, name: str) -> bool:
    """`os.getenv("KEY")` without a fallback, `process.env["KEY"]`."""
    if isinstance(asked, ir.Index):
        return ir.text_of(asked.key) == name and bool(_ENVIRONMENT.search(ir.plain_dotted(asked.obj)))
    plain = len(asked.args) == 1 and ir.text_of(asked.args[0]) == name
    return plain and bool(_ENVIRONMENT.search(ir.plain_dotted(asked.func)))


def _demands_list(ctx: Context, module: Module, name: str) -> bool:
    """`for (const key of ["KEY", …]) if (!process.env[key]) throw …`, or what a filter of such a list leaves."""
    if not _BY_NAME.search(module.file.text):
        return False
    lists = [each for each in module.all(ir.Arr) if any(ir.text_of(one) == name for one in each.items)]
    names = {last_name(up.target) for each in lists if isinstance(up := each.parent, ir.Assign)} - {""}
    for branch in module.all(ir.If) if lists else ():
        if _is_final(ctx, branch) and any(_comes_of(each, lists, names) for each in _sources(module, branch)):
            return True
    return False


def _comes_of(source: ir.Node, lists: list[ir.Arr], names: set[str]) -> bool:
    return bool(variables_in(source) & names) or any(each in lists for each in ir.find(source, ir.Arr))


def _sources(module: Module, branch: ir.If) -> Iterator[ir.Node]:
    """What a branch asks about: the list of a loop or a call around it, what the variables in its test were made of."""
    for each in ir.ancestors(branch):
        if isinstance(each, ir.Loop) and each.source is not None:
            yield each.source
        if isinstance(each, ir.Call):
            yield each.func
    for name in ir.find(branch.test, ir.Name):
        yield from (each.value for each in bindings_of(module, name) if each.value is not None)


def _is_final(ctx: Context, branch: ir.If) -> bool:
    """Whether a branch ends the process, or throws while the program is loaded."""
    calls = {last_name(each.func) for part in branch.then for each in ir.find(part, ir.Call)}
    if calls & _ENDS:
        return True
    throws = any(each.throws for part in branch.then for each in ir.find(part, ir.Return))
    return throws and exits(branch.then) and _runs_on_load(ctx, branch.within)


def _runs_on_load(ctx: Context, func: ir.Func | None, depth: int = 0) -> bool:
    """Whether a function runs while its file is loaded: it is none, or is called or handed over there."""
    if func is None:
        return True
    if depth > 2:
        return False
    if isinstance(func.parent, ir.Call):
        return _runs_on_load(ctx, func.parent.within, depth + 1)
    sites = ctx.program.callers.get(func, [])
    return any(
        each.module.role == "src" and _runs_on_load(ctx, each.call.within, depth + 1) for each in sites
    )
