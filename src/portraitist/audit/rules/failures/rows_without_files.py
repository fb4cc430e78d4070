"""Part of the rule on swallowed failures: a row that is made for a file although storing the file failed.

Reads stores that answer with an error instead of throwing; what a helper does about the error is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.link.bindings import reaching, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, live_statements, names_in
from portraitist.audit.rules.gravity import BARELY

_STORES = {"upload", "uploadToSignedUrl"}
_GOES = {"continue_statement", "break_statement"}


def rows_without_files(ctx: Context) -> Iterator[Finding]:
    """An `if (uploadError)` that notes the failure and leaves nothing, in front of the row that names the file."""
    seen: set[ir.If] = set()
    yield from _unread_uploads(ctx)
    for statement in live_statements(ctx, "write"):
        if statement.func is None or not statement.module.calls(_STORES):
            continue
        for test in ir.find(statement.func, ir.If):
            upload = _failed_upload(ctx, statement.module, test) if _in_front(test, statement) else None
            if upload is None or test in seen or not _names_file(upload, statement):
                continue
            seen.add(test)
            message = f"the upload that failed here still gets its row in {statement.table}"
            yield finding("fallback-swallow", statement.module, test, message, key=statement.table,
                          weight=44 if statement.insert else BARELY, end=test.test.end)  # fmt: skip


def _unread_uploads(ctx: Context) -> Iterator[Finding]:
    """An upload to Supabase's storage, which throws nothing, whose answer nobody takes before a row names the file."""
    for module in (each for each in ctx.live if each.language == "javascript"):
        for upload in module.calls(_STORES):
            func = upload.within
            live = ctx.role_at(module, upload) in LIVE_ROLES
            if func is None or not live or not _is_unread(module, upload):
                continue
            for statement in ctx.statements_under.get(func, ()):
                later = statement.kind == "write" and upload.end < statement.line
                if later and _under(upload, statement) and _names_file(upload, statement):
                    message = (
                        f"whether this upload failed is never looked at, and {statement.table} gets its name"
                    )
                    yield finding("fallback-swallow", module, upload, message, key=f"upload {statement.table}",
                                  weight=45, end=upload.end, evidence=[Place(module.path, statement.line)])  # fmt: skip
                    break


def _is_unread(module: Module, call: ir.Call) -> bool:
    """Whether a call is `await ….storage.from(…).upload(…)` as a statement of its own."""
    chain = f".{ir.dotted(call.func)}"
    if ".storage.from." not in chain:
        return False
    plain = isinstance(call.parent, ir.Func | ir.If | ir.Try | ir.Loop)
    return plain and module.text(call.line).strip().startswith("await ")


def _under(upload: ir.Call, statement: Statement) -> bool:
    """Whether a statement follows an upload in the upload's own block, or in one below."""
    return upload.parent in set(ir.ancestors(statement.node))


def _in_front(test: ir.If, statement: Statement) -> bool:
    """Whether a statement follows a branch in its block, whichever way the branch goes."""
    return test.end < statement.line and not test.other and test.parent in set(ir.ancestors(statement.node))


def _failed_upload(ctx: Context, module: Module, test: ir.If) -> ir.Call | None:
    """The upload whose error a branch asks for and does nothing about, else None."""
    if not isinstance(test.test, ir.Name):
        return None
    for part in test.then:
        for each in ir.walk(part):
            goes = isinstance(each, ir.Other) and each.kind in _GOES
            helper = isinstance(each, ir.Call) and ctx.program.functions_called(each)
            if goes or helper or isinstance(each, ir.Return | ir.Assign):
                return None
    for binding in reaching(module, test.test):
        call = binding.value
        stores = isinstance(call, ir.Call) and ir.dotted(call.func).rpartition(".")[2] in _STORES
        if stores and binding.keys == ("error",) and isinstance(call, ir.Call):
            return call
    return None


def _names_file(upload: ir.Call, statement: Statement) -> bool:
    """Whether a row holds what the upload was named by, or what that is made of."""
    named = {each.id for arg in upload.args[:1] for each in ir.find(arg, ir.Name)}
    for assign in ir.find(statement.func, ir.Assign) if statement.func is not None else ():
        if isinstance(assign.target, ir.Name) and assign.target.id in named and assign.end < upload.line:
            named |= variables_in(assign.value) if assign.value is not None else set()
    for assign in ir.find(statement.func, ir.Assign) if statement.func is not None else ():
        if upload.end < assign.line < statement.line and assign.value is not None:
            named |= variables_in(assign.target) if named & variables_in(assign.value) else set()
    return any(named & names_in(each.node) for each in statement.columns if "user" not in each.column.lower())
