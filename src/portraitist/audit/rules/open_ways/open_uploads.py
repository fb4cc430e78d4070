"""Routes for files that a library makes, which ask nobody: uploads, folders of the disk. Part of `missing-auth`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.library_uploads import library_routes
from portraitist.audit.rules.syntax import is_of_express


def takes_from_anybody(ctx: Context) -> Iterator[Finding]:
    """Upload routes without a check: `f({ image: … }).onUploadComplete(…)`, and what other libraries make.

    A `middleware` that leaves or throws for whatever reason may be the one that asks. Middleware files of Next are not
    judged: what they may cover is told in the JSON only.
    """
    for module in ctx.live:
        yield from _folders(module)
        if module.language != "javascript":
            continue
        for call in module.calls({"onUploadComplete"}):
            root, guarded = _chain(call)
            pretended = _pretended(ctx, call) if guarded else None
            if root is not None and pretended is not None and _is_uploader(ctx, module, root):
                where, func = pretended
                message = (
                    f"uploads are open to anybody: {func.name or 'their check'} answers the same whoever asks"
                )
                yield finding("missing-auth", where, func, message, key=f"upload {root.line}", weight=BARELY)
            if root is not None and not guarded and _is_uploader(ctx, module, root):
                message = "an upload route lets files into the storage from anybody: its middleware turns nobody away"
                yield finding("missing-auth", module, root, message, key=f"upload {root.line}", weight=50)
        yield from library_routes(ctx, module)


_OF_MEMBERS = re.compile(
    r"upload|output|generated|results?\b|storage|media|photos|pictures|models|loras?\b|temp", re.I
)
_FIXED = re.compile(r"static[/_-]?(images|assets)|public|assets|dist|build|frontend|template", re.I)


def _folders(module: Module) -> Iterator[Finding]:
    """`app.use("/uploads", express.static("uploads"))`, `StaticFiles(directory="outputs")`: JSON only.

    Whoever knows a file's name has it; whether names can be guessed is not known. Not where something stands before it.
    """
    for call in module.calls({"StaticFiles", "static"}):
        mount = ir.enclosing(call, ir.Call)
        if mount is None or len(mount.args) > 2 or not (module.language == "python" or is_of_express(call)):
            continue
        folder = ir.keyword(call, "directory") or (call.args[0] if call.args else None)
        parts = [*ir.walk(folder)] if folder is not None else []
        told = [
            ir.text_of(each) or ir.dotted(each)
            for each in parts
            if isinstance(each, ir.Lit | ir.Attr | ir.Name)
        ]
        address = ir.text_of(mount.args[0]) if mount.args else None
        words = " ".join((*told, address or ""))
        if _OF_MEMBERS.search(words) and not _FIXED.search(words):
            message = "a folder of what members bring and get is served to whoever knows a file's name"
            yield finding("missing-auth", module, call, message, key=f"folder {address}", weight=BARELY)


def _chain(call: ir.Call) -> tuple[ir.Call | None, bool]:
    """The call that a chain begins with, and whether a `middleware` in it can leave."""
    guarded = False
    node: ir.Node = call
    root: ir.Call | None = None
    while isinstance(node, ir.Call):
        root = node
        if not isinstance(node.func, ir.Attr):
            break
        if node.func.name == "middleware":
            guarded = guarded or any(_leaves(each) for each in node.args)
        node = node.func.obj
    return root, guarded


def _pretended(ctx: Context, call: ir.Call) -> tuple[Module, ir.Func] | None:
    """The one helper of the repository by which a chain's `middleware` asks who uploads, where it answers a constant.

    `const auth = (req) => ({ id: "fakeId" })` is how the library's own template begins.
    """
    for each in chain_calls(call):
        given = each.args[0] if call_name(each) == "middleware" and each.args else None
        asked = [*ir.find(given, ir.Call)] if isinstance(given, ir.Func) else []
        made = [one for one in asked if not one.is_new]
        found = [one for each in made for one in ctx.program.functions_called(each)]
        if len(made) == 1 and len(found) == 1 and isinstance(found[0].node, ir.Func) and found[0].module:
            answers = returns(found[0].node)
            if answers and all(_is_constant(one) for one in answers):
                return found[0].module, found[0].node
    return None


def _is_constant(node: ir.Node) -> bool:
    """Whether an answer is an object of plain literals, which is never nothing."""
    return (
        isinstance(node, ir.Obj)
        and bool(node.props)
        and all(isinstance(each.value, ir.Lit) and not each.spread for each in node.props)
    )


def _leaves(given: ir.Node) -> bool:
    """Whether a function throws or calls anything that may; one that is named is not looked into."""
    if not isinstance(given, ir.Func):
        return True
    return any(each.throws for each in ir.find(given, ir.Return)) or any(
        True for _ in ir.find(given, ir.Call)
    )


def _is_uploader(ctx: Context, module: Module, root: ir.Call) -> bool:
    if "uploadthing" not in module.lowered:
        return False
    return "uploadthing" in ctx.program.origin(module, root.func).lower()
