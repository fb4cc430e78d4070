"""Risks in the code around it: imports that lead nowhere, and variables of the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Fact, Finding, Place
from portraitist.audit.rules.base import finding, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.missing_packages import missing_packages
from portraitist.audit.rules.names.undefined import has_dynamic_names
from portraitist.audit.rules.syntax import is_tried
from portraitist.audit.rules.unread_settings import unread_settings

_ASSET = re.compile(
    r"\.(css|scss|sass|less|svg|png|jpe?g|webp|gif|json|md|mdx|txt|woff2?|mp4|html|graphql|wasm|vue|svelte|astro|yaml|yml)(\?\w+)?$"
)


_MADE = re.compile(
    r"generated|/dist|/build|\.next|__generated__|\+types|/types/|prisma/client|_version|package\.json|\.velite|contentlayer"
)


def broken_import(ctx: Context) -> Iterator[Finding]:
    """An import of a file of this repository that does not exist, or of a name it does not export.

    Generated files, assets, submodules and imports inside `try` are left out; a name that may come through a star is
    not judged. In a file that nothing imports it weighs little, and says so. Also packages that nothing lists
    (`missing_packages`).
    """
    yield from missing_packages(ctx)
    for module in ctx.live:
        for each in _broken(ctx, module):
            if module.path in ctx.dead_modules:
                yield replace(each, message=f"{each.message}; nothing imports this file either", weight=18)
            else:
                yield each


def _broken(ctx: Context, module: Module) -> Iterator[Finding]:
    for each in module.all(ir.Import):
        if each.type_only or _ASSET.search(each.module) or _MADE.search(each.module) or is_tried(each):
            continue
        if _fetched_apart(ctx, each.module):
            continue
        path = ctx.program.resolver.resolve(module.path, each.module, module.language)
        local = ctx.program.resolver.is_local(module.path, each.module, module.language)
        if path is None and local and not _only_types(ctx, each.module):
            if module.language == "javascript" or not _is_package(ctx, module, each.module):
                message = f"{each.module} does not exist"
                yield finding("broken-import", module, each, message, key=each.module, weight=41)
        elif path in ctx.program.modules:
            yield from _missing_names(ctx, module, each, ctx.program.modules[path])


def _fetched_apart(ctx: Context, specifier: str) -> bool:
    """Whether an import leads into a submodule, whose files are in a repository of their own."""
    apart = ctx.once(_submodules)
    stem = re.sub(r"^([@~]/|(\.{1,2}/)+)", "", specifier) if apart else ""
    return any(stem == each or stem.startswith(f"{each}/") for each in apart)


def _submodules(ctx: Context) -> tuple[str, ...]:
    listed = [each.text for each in ctx.tree.files if each.path == ".gitmodules"]
    return tuple(path for text in listed for path in re.findall(r"^\s*path\s*=\s*(\S+)", text, re.M))


def _only_types(ctx: Context, specifier: str) -> bool:
    """Whether some unparsed file (declarations, components of another kind) may be meant."""
    stem = re.sub(r"^([@~]/|(\.{1,2}/)+)", "", specifier)
    ends = tuple(f"/{stem}{suffix}" for suffix in (".d.ts", "/index.d.ts", ".vue", ".svelte", ".mdx", ""))
    return any(f"/{path}".endswith(ends) for path in ctx.unparsed)


def _is_package(ctx: Context, module: Module, specifier: str) -> bool:
    """Whether a Python import names a folder without `__init__`, or only dots."""
    root = ctx.program.resolver.own_root(module.path, specifier)
    if root is not None:
        return ctx.program.resolver.is_folder(str(PurePosixPath(root) / specifier.replace(".", "/")))
    dots = len(specifier) - len(specifier.lstrip("."))
    folder = PurePosixPath(module.path).parents[min(dots - 1, len(PurePosixPath(module.path).parents) - 1)]
    rest = specifier[dots:].replace(".", "/")
    return not rest or ctx.program.resolver.is_folder(str(folder / rest))


def _missing_names(ctx: Context, module: Module, node: ir.Import, target: Module) -> Iterator[Finding]:
    if all(imported in {"*", "default"} or imported in target.exports for imported, _local in node.names):
        return
    if target.stars or target.errors or target.language != module.language or _loads_names(target):
        return
    missing = [
        imported for imported, _local in node.names if not _is_exported(ctx, module, node, target, imported)
    ]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        yield finding(
            "broken-import",
            module,
            node,
            f"{', '.join(missing)} {verb} not exported by {target.path}",
            key=f"{node.module}:{missing[0]}",
            weight=41,
        )


def _is_exported(ctx: Context, module: Module, node: ir.Import, target: Module, name: str) -> bool:
    """Whether a file has a name for others, as far as its text says: a type, a submodule, what is made later."""
    if name in {"*", "default"} or name in target.exports or name in ctx.once(_typed_names, target):
        return True
    if target.language == "python" and name in target.top.names:
        return True
    if ctx.program._submodule(module, node.module, name):
        return True
    if re.search(r"\bmodule\.exports\b|\b__getattr__\b", target.file.text):
        return True
    exported = rf"export\s+(declare\s+|abstract\s+|async\s+)*\w+\*?\s+{re.escape(name)}\b"
    return target.language == "javascript" and re.search(exported, target.file.text) is not None


_KINDS = "|".join(rf"{each}(?<=\b{each})" for each in ("type", "interface", "enum", "namespace", "class"))
_TYPED = re.compile(rf"(?:{_KINDS})\s+(?=([\w$]+))")


def _typed_names(_ctx: Context, target: Module) -> set[str]:
    """The names of types and classes, as far as a file's text says."""
    return set(_TYPED.findall(target.file.text))


def _loads_names(target: Module) -> bool:
    return has_dynamic_names(target) or (
        target.path.endswith("__init__.py") and "__getattr__" in target.top.names
    )


def env_undeclared(ctx: Context) -> Iterator[Finding]:
    """A variable that live code reads and that no example file declares.

    With a default that is no placeholder it counts where the provider is meant, or where its siblings, or a name so
    like it that it must be the same, are declared; what a platform sets by itself is left out. Told once for each file.
    The report tells of all of them among the environment's facts, and of none among the risks.
    """
    useful = {
        each.key
        for each in ctx.of("env.default")
        if each.value != "" and not _PLACEHOLDER.search(str(each.value))
    }
    declared = {each.key for each in ctx.of("env.declared")}
    unused = {each.key for each in ctx.of("env.unused")}
    for fact in ctx.of("env.undeclared"):
        if fact.key in useful and not _expected(fact.key, declared, unused):
            continue
        if _is_second_name(ctx, fact) or _BY_PLATFORM.match(fact.key):
            continue
        others = ctx.once(_product_reads).get(fact.key, [])
        places = {each.path: each for each in reversed((fact.place, *others))}
        for place in places.values():
            message = f"{fact.key} is read and no example file names it"
            elsewhere = tuple(each for each in (fact.place, *fact.evidence) if each != place)
            yield Finding(
                "env-undeclared",
                place.path,
                place.line,
                place.line,
                message,
                fact.key,
                fact.scope,
                elsewhere,
                BARELY,
            )


def _product_reads(ctx: Context) -> dict[str, list[Place]]:
    """Where the product itself reads each variable, in order; the fact of one that is not declared names only a few."""
    found: dict[str, list[Place]] = {}
    for each in ctx.of("env.read"):
        if each.role in LIVE_ROLES and ctx.program.modules[each.path].role == "src":
            found.setdefault(each.key, []).append(each.place)
    return found


def _expected(name: str, declared: set[str], unused: set[str]) -> bool:
    """Whether an example file would name a variable that has a default: with two siblings, or under a like name."""
    family = name.rpartition("_")[0]
    siblings = [each for each in declared if family and each.rpartition("_")[0] == family]
    alike = any(each.startswith(f"{name}_") or name.startswith(f"{each}_") for each in unused)
    return name.startswith("REPLICATE_") or len(siblings) > 1 or alike


_PLACEHOLDER = re.compile(r"^(change[_-]?me|your[_-]|replace[_-]|todo\b|xxx|<\w)", re.I)
_BY_PLATFORM = re.compile(
    r"^(GITHUB_(HEAD_REF|BASE_REF|REF\w*|SHA|RUN_\w+|ACTIONS?|ACTOR|REPOSITORY|WORKSPACE|EVENT_\w+|OUTPUT|ENV"
    r"|STEP_SUMMARY|SERVER_URL)|RUNNER_\w+|VERCEL_(GIT_\w+|PROJECT_PRODUCTION_URL|BRANCH_URL|REGION|DEPLOYMENT_ID)"
    r"|RAILWAY_\w+|RENDER_(EXTERNAL|SERVICE|GIT)_\w+|NETLIFY|CF_PAGES\w*|DYNO|K_SERVICE|AWS_LAMBDA_\w+)$"
)
"""Variables that a build service or a host sets."""


def _is_second_name(ctx: Context, fact: Fact) -> bool:
    """`process.env.BUCKET_NAME ?? process.env.BUCKET`: an old name behind one that is declared."""
    declared = {each.key for each in ctx.of("env.declared")}
    return any(
        each.op == "or"
        and each.line <= fact.line <= each.end
        and fact.key in names_in(each.right)
        and not any(isinstance(one, ir.Bin) and one.op != "or" for one in ir.walk(each.left))
        and bool(names_in(each.left) & declared)
        for each in ctx.program.modules[fact.path].all(ir.Bin)
    )


def env_unused(ctx: Context) -> Iterator[Finding]:
    """A variable in an example file that nothing reads, or a field of pydantic's settings that nothing else names.

    Also what another class takes from the environment for nobody (`unread_settings`).
    """
    yield from unread_settings(ctx)
    for fact in ctx.of("env.unused"):
        yield Finding(
            "env-unused",
            fact.path,
            fact.line,
            fact.line,
            f"{fact.key} is declared and read nowhere",
            fact.key,
            "",
            (),
            12,
        )
