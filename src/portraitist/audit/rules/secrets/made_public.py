"""Which public variables hold keys that their service makes for browsers. Part of `client-exposed-token`.

Known by what the key begins with, or by the only thing it is handed to: a library's provider component.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name

_PUBLIC_VALUE = re.compile(r"(pk|ck|pub|public|publishable)_|pub[0-9a-f]{8}")
"""What services let the keys begin with that they give to browsers."""


def made_public(ctx: Context, name: str, strong: bool) -> bool:
    """Whether a variable's key is made for browsers, as far as the repository shows.

    A `strong` name says that it is none: then only the key itself can show it.
    """
    if any(_PUBLIC_VALUE.match(each) for each in _values(ctx, name)):
        return True
    reads = [] if strong else [(module, each) for module in ctx.live for each in _reads(module, name)]
    return bool(reads) and all(_is_handed_over(ctx, module, each) for module, each in reads)


def read_by_pages(ctx: Context, name: str) -> bool:
    """Whether a file that may run in the browser reads a variable: there its value stands in the bundle."""
    return any(
        (module.path.endswith((".tsx", ".jsx")) or _is_for_browsers(module)) and _reads(module, name)
        for module in ctx.live
    )


_BUNDLERS = (
    r"next|vite|react-scripts|react-app-rewired|@craco/craco|webpack(-cli)?|parcel|esbuild|tsup|rollup|astro|nuxt3?|expo"
    r"|gatsby|@vue/cli-service|@angular/cli|@remix-run/\w+|@react-router/dev|@sveltejs/kit|@rspack/\w+|@rsbuild/\w+|snowpack"
    r"|bun|turbo|nx|lerna|@babel/core|browserify|metro|react-native|@tanstack/\w*start|vinxi|wxt|plasmo|electron-vite|react"
)
"""What puts variables that are public by their name into a bundle, or builds projects that may."""
_BUNDLES = re.compile(
    rf"\"({_BUNDLERS})\"\s*:|[\"\s]({_BUNDLERS})\s+(run|dev|build|start|serve)\b|\"workspaces\"\s*:"
)
_BUNDLER_SETTINGS = re.compile(
    r"(^|/)(next|vite|nuxt|astro|webpack|gatsby|svelte|craco|rollup)\.config\.\w+$"
)


def is_bundled(ctx: Context) -> bool:
    """Whether anything here may put public variables into a bundle: False where the manifests name no bundler at all.

    A repository without a manifest that lists its libraries says nothing of it.
    """
    manifests = [each.text for each in ctx.tree.files if each.path.rpartition("/")[2] == "package.json"]
    listed = [each for each in manifests if re.search(r"\"(dev)?[dD]ependencies\"\s*:", each)]
    settings = any(_BUNDLER_SETTINGS.search(each) for each in ctx.tree.paths)
    return not listed or settings or any(_BUNDLES.search(each) for each in manifests)


def _is_for_browsers(module: Module) -> bool:
    first = module.body.parts[0] if module.body.parts else None
    return first is not None and ir.text_of(first) == "use client"


def _values(ctx: Context, name: str) -> Iterator[str]:
    """What environment files set a variable to, and what code falls back on."""
    line = re.compile(rf"^\s*(?:export\s+)?{re.escape(name)}\s*=\s*[\"']?(\S+)", re.M)
    for file in ctx.tree.files:
        if file.language == "env" and name in file.text:
            yield from line.findall(file.text)
    for module in ctx.live:
        for either in (each.parent for each in _reads(module, name)):
            if (
                isinstance(either, ir.Bin)
                and either.op in {"or", "??"}
                and (text := ir.text_of(either.right))
            ):
                yield text


def _reads(module: Module, name: str) -> list[ir.Attr]:
    return module.attributes.get(name, [])


def _is_handed_over(ctx: Context, module: Module, read: ir.Node) -> bool:
    """Whether a read, or the variable that it is kept in, goes nowhere but to a provider component."""
    used = _whole(read)
    kept = used.parent
    if not isinstance(kept, ir.Assign) or not isinstance(kept.target, ir.Name):
        return _is_given_to_provider(ctx, module, used) or _is_tested(used)
    name = kept.target.id
    found = module.lookup(name, kept.target)
    again = [each for each in module.all(ir.Name) if each.id == name and each is not kept.target]
    if found is None or len(found[1]) != 1 or name in module.exports or not again:
        return False
    return all(_is_given_to_provider(ctx, module, each) or _is_tested(each) for each in map(_whole, again))


def _whole(node: ir.Node) -> ir.Node:
    """An expression with the text that it falls back on: `KEY ?? ""`."""
    either = node.parent
    return (
        either if isinstance(either, ir.Bin) and either.op in {"or", "??"} and either.left is node else node
    )


def _is_tested(node: ir.Node) -> bool:
    """Whether a value is only asked for: `if (!key) throw …`."""
    for each in ir.ancestors(node):
        if isinstance(each, ir.If):
            return node in set(ir.walk(each.test))
        if not isinstance(each, ir.Bin):
            return False
    return False


def _is_given_to_provider(ctx: Context, module: Module, node: ir.Node) -> bool:
    """`<VendorProvider apiKey={…}>`, where the component comes from a library."""
    prop = node.parent
    props = prop.parent if isinstance(prop, ir.Prop) else None
    call = props.parent if isinstance(props, ir.Obj) else None
    if not isinstance(call, ir.Call) or not last_name(call.func).endswith("Provider"):
        return False
    root = ir.root_of(call.func)
    sources = [each.node for each in bindings_of(module, root)]
    return bool(sources) and all(
        isinstance(each, ir.Import)
        and ctx.program.resolver.resolve(module.path, each.module, module.language) is None
        for each in sources
    )
