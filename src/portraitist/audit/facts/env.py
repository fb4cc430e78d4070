"""Environment variables: where they are read, defaulted, set and declared, and what does not fit.

Reads come from code; declarations from example files, compose files, Dockerfiles and platform settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.env_libraries import MANIFEST, read_by_library
from portraitist.audit.facts.env_settings import declared_settings, idle_settings
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, Outside, fold, renderings
from portraitist.audit.model import LIVE_ROLES, Fact

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_LINE = re.compile(r"^\s*#?\s*(?:export\s+)?([A-Z][A-Z0-9_]{2,})\s*=(.*)$")
_CONFIG_LINE = re.compile(
    r"^\s*(?:-\s*)?(?:ENV\s+|ARG\s+|key:\s*|name:\s*)?\"?([A-Z][A-Z0-9_]{2,})\"?\s*(?:[:=]|$)"
)
_OBJECTS = {
    "process.env",
    "import.meta.env",
    "os.environ",
    "environ",
    "Deno.env",
    "Bun.env",
    "c.env",
    "env",
    "context.env",
}
_DIRECT = {"process.env", "import.meta.env", "Bun.env", "c.env", "context.env"}
_WORDS = ("env", "config", "Env", "BaseSettings")
"""A file without one of these neither reads nor sets the environment in any way known here."""
_PLATFORM = {
    "NODE_ENV", "PORT", "HOME", "PATH", "CI", "PWD", "USER", "HOSTNAME", "TZ", "VERCEL", "VERCEL_URL",
    "VERCEL_ENV", "DEBUG", "LANG", "REPLIT_DOMAINS", "REPL_ID", "REPL_SLUG", "REPL_OWNER", "NEXT_RUNTIME",
    "NEXT_PHASE", "DEV", "PROD", "MODE", "BASE_URL", "SSR", "TMPDIR", "NEXT_PUBLIC_VERCEL_URL",
    "PYTHONPATH", "RENDER", "RAILWAY_ENVIRONMENT", "FLY_APP_NAME", "TEMP", "TMP", "SHELL",
    "npm_package_version",
}  # fmt: skip


def collect(ctx: Context) -> None:
    """Adds every `env.*` fact."""
    for file in ctx.tree.files:
        if file.language in {"env", "config"}:
            _declarations(ctx, file.path, file.text, file.language)
    for module in ctx.modules:
        if not any(word in module.file.words for word in _WORDS):
            continue
        for name, node, default in _reads(ctx, module):
            _read_facts(ctx, module, name, node, default)
        for name, where, node, default in _passed_names(ctx, module):
            _read_facts(ctx, where, name, node, default)
        _sets(ctx, module)
    _undeclared(ctx)
    _inconsistent(ctx)


def _declarations(ctx: Context, path: str, text: str, language: str) -> None:
    name = path.rpartition("/")[2]
    environment_file = language == "env"
    if not environment_file and not re.match(
        r"(docker-)?compose|Dockerfile|render\.yaml|fly\.toml|app\.(yaml|json)|vercel\.json|wrangler", name
    ):
        return
    for number, line in enumerate(text.split("\n"), 1):
        found = (_LINE if environment_file else _CONFIG_LINE).match(line)
        if found is None or (
            environment_file and line.lstrip().startswith("#") and " " in found.group(2).strip()
        ):
            continue
        kind = "env.declared" if environment_file else "env.set"
        ctx.add_at(kind, found.group(1), path, number, value=None)


def _reads(ctx: Context, module: Module) -> Iterator[tuple[str, ir.Node, ir.Node | None]]:
    """(name, node, default) of every read; a computed name has holes."""
    aliases = _aliases(module)
    for attr in module.all(ir.Attr):
        dotted = ir.plain_dotted(attr.obj)
        reads = (dotted in _DIRECT or dotted in aliases) and not _is_written(attr)
        called = isinstance(attr.parent, ir.Call) and attr.parent.func is attr
        if reads and not called and _NAME.match(attr.name):
            yield attr.name, attr, None
    for index in module.all(ir.Index):
        if ir.plain_dotted(index.obj) in _OBJECTS - {"env"} and not _is_written(index):
            yield from _indexed(ctx, module, index)
    for call in module.all(ir.Call):
        yield from _call_reads(ctx, module, call)
    yield from declared_settings(ctx, module)
    for assign in module.all(ir.Assign):
        if (
            isinstance(assign.target, ir.Obj)
            and assign.value is not None
            and ir.plain_dotted(assign.value) in {"process.env", "import.meta.env"}
        ):
            for prop in assign.target.props:
                if prop.key:
                    yield prop.key, prop, prop.computed


_GLOBAL = ("globalThis.", "global.", "window.", "self.")


def _aliases(module: Module) -> set[str]:
    """What else a file calls the environment: `globalThis.process.env`, `env` of `const env = process.env || {}`."""
    found = {f"{each}{name}" for each in _GLOBAL for name in ("process.env", "Bun.env")}
    for assign in module.all(ir.Assign) if module.language == "javascript" else ():
        if not isinstance(assign.target, ir.Name) or not assign.decl:
            continue
        value = assign.value
        while isinstance(value, ir.Bin) and value.op == "or":
            value = value.left
        dotted = ir.plain_dotted(value) if value is not None else ""
        if dotted in _DIRECT or dotted in found:
            found.add(assign.target.id)
    return found


def _indexed(ctx: Context, module: Module, index: ir.Index) -> Iterator[tuple[str, ir.Node, ir.Node | None]]:
    """`process.env["X"]`; a computed name has holes, its literal values are read where they are passed in."""
    if _given_name(module, index.key) is None:
        for name in _names(ctx, module, index.key):
            yield name, _spelled(module, name, index), None
    elif isinstance(index.key, ir.Name):
        yield "{" + index.key.id + "}", index, None


def _given_name(module: Module, key: ir.Node) -> ir.Param | None:
    """The parameter that a name to be read is, where it is one."""
    found = module.lookup(key.id, key) if isinstance(key, ir.Name) else None
    nodes = [each.node for each in found[1] if each.kind == "param"] if found else []
    plain = found is not None and len(nodes) == len(found[1])
    return next((each for each in nodes if isinstance(each, ir.Param)), None) if plain else None


def _spelled(module: Module, name: str, index: ir.Index) -> ir.Node:
    """Where a name stands: in the expression, or the literal it is taken from (a list that is looped over)."""
    if name in module.text(index.line) or "{" in name:
        return index
    return next((each for each in module.all(ir.Lit) if each.value == name), index)


def _passed_names(ctx: Context, module: Module) -> Iterator[tuple[str, Module, ir.Call, ir.Node | None]]:
    """The names that callers hand to a helper which reads `process.env[name]`, and what they hand it beside them."""
    for index in module.all(ir.Index):
        if ir.plain_dotted(index.obj) in _OBJECTS - {"env"}:
            yield from _handed(ctx, _given_name(module, index.key))
    for call in module.all(ir.Call):
        if call.args and _is_reader(ctx, module, call):
            yield from _handed(ctx, _given_name(module, call.args[0]))


def _handed(
    ctx: Context, param: ir.Param | None, hops: int = 2
) -> Iterator[tuple[str, Module, ir.Call, ir.Node | None]]:
    func = param.parent if param is not None else None
    if param is None or not isinstance(func, ir.Func):
        return
    second = next(
        (each for each in func.params if "default" in (each.name or "") or each.name == "fallback"), None
    )
    for site in ctx.program.callers.get(func, []):
        passed = argument_for(site.call, func, param)
        text = ir.text_of(passed)
        if text is not None and _NAME.match(text):
            yield text, site.module, site.call, second and argument_for(site.call, func, second)
        elif passed is not None and hops:
            yield from _handed(ctx, _given_name(site.module, passed), hops - 1)


def _is_written(node: ir.Node) -> bool:
    return isinstance(node.parent, ir.Assign) and node.parent.target is node and node.parent.op == "="


def _names(ctx: Context, module: Module, key: ir.Node) -> list[str]:
    found = renderings(ctx.ev.eval(module, key))
    if not found and isinstance(ctx.ev.eval(module, key), Outside):
        value = ctx.ev.eval(module, key)
        found = ["{" + value.name.rpartition(".")[2] + "}"] if isinstance(value, Outside) else []
    return [each for each in found if re.match(r"^[\w{}.]+$", each)] or ["{}"]


def _is_reader(ctx: Context, module: Module, call: ir.Call) -> bool:
    """Whether a call is a language's or a library's reader of the environment."""
    name = ir.plain_dotted(call.func)
    origin = ""
    asks = name.endswith((".get", ".getOrThrow")) and "ConfigService" in module.file.words
    if (
        asks
        or name in {"config", "getenv", "env", "env_config", "decouple_config"}
        or name.startswith("env.")
    ):
        origin = ctx.program.origin(module, call.func)
    library = origin.startswith(
        ("decouple", "os.getenv", "environ", "environs", "starlette.config", "@nestjs/config.ConfigService()")
    )
    return name in _READERS or library


_READERS = {
    "os.getenv", "os.environ.get", "environ.get", "Deno.env.get", "os.environ.pop", "os.environ.setdefault",
}  # fmt: skip


def _call_reads(ctx: Context, module: Module, call: ir.Call) -> Iterator[tuple[str, ir.Node, ir.Node | None]]:
    if not call.args or not _is_reader(ctx, module, call):
        return
    key = call.args[0]
    if isinstance(key, ir.Name) and _given_name(module, key) is not None:
        yield "{" + key.id + "}", call, None
        return
    default = call.args[1] if len(call.args) > 1 else ir.keyword(call, "default")
    for each in _names(ctx, module, key):
        if "." not in each:  # `config.get("database.host")` asks for a part of the configuration
            yield each, call, default


def _read_facts(ctx: Context, module: Module, name: str, node: ir.Node, default: ir.Node | None) -> None:
    if "{" in name:
        ctx.add("env.dynamic", name, module, node, shows="env")
        return
    field = node.target.id if isinstance(node, ir.Assign) and isinstance(node.target, ir.Name) else ""
    shows = ctx.shown(module, node.line, node.end, name, field, "env")
    ctx.add("env.read", name, module, node, shows=shows)
    given = default if default is not None else _fallback(node)
    if given is not None:
        value = ctx.ev.eval(module, given)
        null = isinstance(value, Known) and value.value is None
        if not null and not isinstance(value, Outside):
            ctx.add("env.default", name, module, node, value=fold(value), end=given.end, shows=shows)


def _fallback(node: ir.Node) -> ir.Node | None:
    """The right side of `process.env.X || default`, of the whole chain where another name stands between."""
    last: ir.Node | None = None
    inside, parent = node, node.parent
    while isinstance(parent, ir.Bin) and parent.op == "or":
        last = parent.right if parent.left is inside else last
        inside, parent = parent, parent.parent
    return last


def _sets(ctx: Context, module: Module) -> None:
    for assign in module.all(ir.Assign):
        target = assign.target
        if isinstance(target, ir.Attr) and ir.plain_dotted(target.obj) == "process.env":
            ctx.add("env.set", target.name, module, assign)
        elif isinstance(target, ir.Index) and ir.plain_dotted(target.obj) in {"process.env", "os.environ"}:
            name = ir.text_of(target.key)
            if name:
                ctx.add("env.set", name, module, assign)
    for call in module.calls({"setdefault", "putenv", "setenv"}):
        if (
            ir.plain_dotted(call.func) in {"os.environ.setdefault", "os.putenv", "monkeypatch.setenv"}
            and call.args
        ):
            name = ir.text_of(call.args[0])
            if name:
                ctx.add("env.set", name, module, call)


def _undeclared(ctx: Context) -> None:
    declared = {each.key: each for each in sorted(ctx.of("env.declared"), key=_as_example, reverse=True)}
    known = set(declared) | {each.key for each in ctx.of("env.set") if not _hands_on(ctx, each)}
    reads = [each for each in ctx.of("env.read") if each.role in LIVE_ROLES | {"dead"}]
    reads.sort(key=lambda each: each.role != "src")  # the product's own reading before a script's
    read_names = {each.key for each in ctx.of("env.read")}
    if declared:
        first: dict[str, list[Fact]] = {}
        for each in reads:
            first.setdefault(each.key, []).append(each)
        for name, (fact, *others) in sorted(first.items()):
            if name not in known and name not in _PLATFORM:
                ctx.add_at(
                    "env.undeclared",
                    name,
                    fact.path,
                    fact.line,
                    end=fact.end_line,
                    evidence=[each.place for each in others[:5]],
                    shows=fact.shows,
                )
    dynamic = [
        re.sub(r"\{[^}]*\}", ".+", re.escape(each.key).replace(r"\{", "{").replace(r"\}", "}"))
        for each in ctx.of("env.dynamic")
    ]
    text_names = _mentioned(ctx, set(declared) - read_names)
    idle = idle_settings(ctx)
    manifests = "\n".join(each.text for each in ctx.tree.files if MANIFEST.search(each.path))
    for name, fact in sorted(declared.items()):
        if read_by_library(name, manifests):
            continue
        unread = name not in read_names and name not in text_names
        if name in idle or (unread and not any(re.fullmatch(each, name) for each in dynamic if each != ".+")):
            ctx.add_at("env.unused", name, fact.path, fact.line)
    for name, (field, at) in idle.items():
        if name not in declared:
            ctx.add_at("env.unused", name, at.path, at.line, shows=field)


def _hands_on(ctx: Context, fact: Fact) -> bool:
    """Whether the line that sets a variable names it twice: `os.environ["TOKEN"] = settings.TOKEN` hands it on."""
    module = ctx.program.modules.get(fact.path)
    return module is not None and len(re.findall(rf"\b{re.escape(fact.key)}\b", module.text(fact.line))) > 1


_EXAMPLE = re.compile(r"example|sample|template|\.dist\b", re.IGNORECASE)


def _as_example(fact: Fact) -> tuple[bool, str, int]:
    """Example files before others: they are what a newcomer copies."""
    return (_EXAMPLE.search(fact.path) is None, fact.path, fact.line)


def _mentioned(ctx: Context, names: set[str]) -> set[str]:
    """Names that some code or configuration mentions in another way (compose substitution, Prisma's `env()`)."""
    found: set[str] = set()
    for file in ctx.tree.files:
        if file.language in {"javascript", "python", "prisma", "config"} and names - found:
            words = set(re.findall(r"[A-Z][A-Z0-9_]{2,}", file.text))
            found |= names & words
    return found


def _inconsistent(ctx: Context) -> None:
    """One purpose under two names, or one name with two defaults."""
    reads = [each for each in ctx.of("env.read") if each.role in LIVE_ROLES]
    groups: dict[str, dict[str, Fact]] = {}
    for each in reads:
        groups.setdefault(_purpose(each.key), {}).setdefault(each.key, each)
    for names in groups.values():
        if len(names) > 1:
            (first, fact), *others = sorted(names.items(), key=lambda item: item[1].place)
            for name, other in others:
                _differs(ctx, name, other, [first, name], fact)
    defaults: dict[str, dict[str, Fact]] = {}
    for each in ctx.of("env.default"):
        if each.role in LIVE_ROLES:
            defaults.setdefault(each.key, {}).setdefault(repr(each.value), each)
    for name, values in sorted(defaults.items()):
        if len(values) > 1:
            facts = sorted(values.values(), key=lambda each: each.place)
            _differs(ctx, name, facts[1], sorted(values), facts[0])


def _differs(ctx: Context, name: str, fact: Fact, value: list[str], other: Fact) -> None:
    ctx.add_at(
        "env.inconsistent",
        name,
        fact.path,
        fact.line,
        end=fact.end_line,
        value=value,
        evidence=[other.place],
        shows=fact.shows,
    )


def _purpose(name: str) -> str:
    bare = re.sub(r"^(NEXT_PUBLIC|VITE|REACT_APP|EXPO_PUBLIC|PUBLIC|NUXT_PUBLIC)_", "", name)
    return re.sub(r"_(API_TOKEN|API_KEY|KEY|TOKEN|API_KEY_ID|ACCESS_TOKEN)$", "_<secret>", bare)
