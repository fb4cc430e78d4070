"""Routes of AWS Lambda functions in Python: `lambda_handler(event, context)`, and what it dispatches on.

Those of JavaScript are in `routes_servers`. What an API gateway asks before it calls a function is not seen: where the
repository's description of it names an authorizer, or the function itself speaks of who calls, it is taken for a job.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.by_name import lambda_handlers
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target

_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
_REQUEST = re.compile(
    r"\bevent(\.get\(|\[)\s*[\"'](httpMethod|path|rawPath|requestContext|queryStringParameters|pathParameters|headers)\b"
)
_ASKS = re.compile(r"authori[sz]|auth_|jwt|cognito|api_?key|verify|claims", re.I)
_GATE = re.compile(
    r"authorizer|authorization(_type)?\s*=\s*\"(?!NONE)|apiKeyRequired|api_key_required\s*=\s*true", re.I
)


def routes(ctx: Context) -> Iterator[Route]:
    """Every handler that reads a request, by the paths and methods that it asks for, and every other one as a job."""
    for module in ctx.modules:
        for func in lambda_handlers(module):
            text = module.file.text
            own = "\n".join(text.split("\n")[func.line - 1 : func.end])
            if not _REQUEST.search(own) or _ASKS.search(own) or ctx.once(_gated):
                yield Route("JOB", func.name, module, func, (Target(module, func),), (), "job")
                continue
            found = list(_dispatched(ctx, module, func))
            if found:
                yield Route("JOB", func.name, module, func, (), (), "job")
            yield from found or [Route("ANY", "/", module, func, (Target(module, func),), (), "cloud")]


def _gated(ctx: Context) -> bool:
    """Whether any description of the infrastructure speaks of who may call."""
    files = [*ctx.tree.others, *ctx.tree.files]
    return any(each.suffix in {".tf", ".yml", ".yaml"} and _GATE.search(each.text) for each in files)


def _dispatched(ctx: Context, module: Module, func: ir.Func) -> Iterator[Route]:
    """`if path == "/x" and method == "POST": return handle(body)`, with the method asked here or around it."""
    for branch in ir.find(func, ir.If):
        paths = [one for each in ir.walk(branch.test) if (one := _path(each))]
        targets = [
            each
            for part in (branch.then if paths else ())
            for call in ir.find(part, ir.Call)
            for each in ctx.program.functions_called(call)
            if each.module is module and isinstance(each.node, ir.Func)
        ]
        for path in paths if targets else ():
            handler = targets[-1].node
            assert handler is not None
            yield Route(_method(func, branch), path, module, handler, tuple(targets), (), "cloud")


def _path(node: ir.Node) -> str | None:
    """The path that a comparison asks for: `path == "/x"`, `path.startswith("/x/")`."""
    if isinstance(node, ir.Bin) and node.op == "==":
        sides = [ir.text_of(each) for each in (node.left, node.right) if each is not None]
        return next((each for each in sides if each and each.startswith("/")), None)
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name == "startswith":
        text = ir.text_of(node.args[0]) if node.args else None
        return f"{text.rstrip('/')}/{{rest}}" if text and text.startswith("/") and len(text) > 1 else None
    return None


def _method(func: ir.Func, branch: ir.If) -> str:
    """The method that a branch, or one that it stands in, asks for."""
    asked = [
        branch,
        *(each for each in ir.ancestors(branch) if isinstance(each, ir.If) and each.within is func),
    ]
    for each in asked:
        if each is branch or any(branch in set(ir.walk(part)) for part in each.then):
            texts = {ir.text_of(one) for one in ir.find(each.test, ir.Lit)}
            if len(texts & _METHODS) == 1:
                return str(next(iter(texts & _METHODS)))
    return "ANY"
