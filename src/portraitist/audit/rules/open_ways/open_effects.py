"""Payments, mails and files of the disk that a call makes, or deletes, for whomever it is told. Part of `missing-auth`.

Which route may do so is in `open_deeds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.db_common import call_name
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.rules.open_ways.open_files import DELETES, Deed

BILLS, ENDS, BEGINS = (
    "opens the billing of whoever the request names at",
    "changes the subscription that the request names at",
    "begins payments for whoever the request names at",
)
MAILS, WRITES = "sends mail to whomever the request names through", "writes what is sent onto"
WEIGHTS = {BILLS: 64, ENDS: 64, MAILS: 19, BEGINS: 19, WRITES: 19}
"""How grave each is; what begins a payment costs the one who pays, and a disk is only filled."""

_STRIPE = re.compile(
    r"^stripe\b.*?(?P<does>billing_?portal\.sessions?\.create|subscriptions?\.(cancel|del|delete|update)|checkout\.sessions?\.create)$",
    re.I,
)
_MAILS = re.compile(
    r"^(?P<who>resend|nodemailer|@sendgrid/mail|sendgrid|mailgun\.js|postmark|@aws-sdk/client-ses)\b.*\.(send|sendMail|sendEmail)$",
    re.I,
)
_DOES = re.compile(r"(portal|checkout)\.?\w*\.sessions?\.create$|subscriptions?\.\w+$|send\w*$", re.I)
_NAMES = {"create", "cancel", "del", "delete", "update", "send", "sendMail", "sendEmail"}
_FOR_WHOM = ("client_reference_id", "customer", "customer_email", "metadata")
_OF_FS = {"writeFile", "writeFileSync", "createWriteStream"}
ERASES = {"unlink", "unlinkSync", "rm", "rmSync", "remove", "rmtree", "removeSync"}
"""What deletes a file, or a folder, of the disk."""
_OF_DISK = re.compile(
    r"(node:)?fs\b|fs-extra|os\.(remove|unlink)$|shutil\.rmtree$|aiofiles\.os\.(remove|unlink)$"
)
_DISK = {*_OF_FS, "open", "copyfileobj", "write_bytes", "save"}


def effects(ctx: Context, module: Module) -> Iterator[Deed]:
    """The calls of a file that open or end what is paid, begin payments, mail, or write or delete a server's files."""
    for call in module.calls(_NAMES):
        origin = ctx.program.origin(module, call.func) if _DOES.search(ir.dotted(call.func)) else ""
        if found := _STRIPE.match(origin):
            yield from _of_payments(module, call, found.group("does").lower())
        elif (found := _MAILS.match(origin)) and (to := ir.keyword(call, "to")) is not None:
            yield Deed(module, call, MAILS, found.group("who"), (to,))
    for call in module.calls(_DISK):
        if keys := _written(ctx, module, call):
            yield Deed(module, call, WRITES, "the server's disk", tuple(keys))
    for call in module.calls(ERASES):
        if _is_erased(ctx, module, call):
            yield Deed(module, call, DELETES, "the server's disk", tuple(call.args[:1]))


def _is_erased(ctx: Context, module: Module, call: ir.Call) -> bool:
    """Whether a call deletes a file of the disk that its function did not write itself."""
    if not _OF_DISK.match(ctx.program.origin(module, call.func)) or not call.args or call.within is None:
        return False
    if re.search(r"\bfiles?\b|temp|tmp", ir.dotted(call.args[0]), re.I):
        return False  # what an upload left on the disk for this one request
    beside = (one for each in (call.within, *_around(call)) for one in ir.find(each, ir.Call))
    return not any(call_name(each) in _DISK for each in beside)


def _around(call: ir.Call) -> Iterator[ir.Func]:
    """The functions around the one that a call stands in."""
    return (each for each in ir.ancestors(call) if isinstance(each, ir.Func))


def _of_payments(module: Module, call: ir.Call, does: str) -> Iterator[Deed]:
    if "portal" in does:
        customer = ir.keyword(call, "customer")
        yield Deed(module, call, BILLS, "Stripe", (customer,) if customer is not None else ())
    elif "checkout" in does:
        named = [each for name in _FOR_WHOM if (each := ir.keyword(call, name)) is not None]
        parts = [one.value for each in named for one in (each.props if isinstance(each, ir.Obj) else [])]
        yield Deed(
            module, call, BEGINS, "Stripe", tuple(each for each in (*named, *parts) if each is not None)
        )
    else:
        yield Deed(module, call, ENDS, "Stripe", tuple(call.args[:1]))


def _written(ctx: Context, module: Module, call: ir.Call) -> list[ir.Node]:
    """What a call writes onto the disk, and where: its parts; none where it does not."""
    name, func = call_name(call), call.func
    if module.language == "javascript":
        origin = ctx.program.origin(module, func) if name in _OF_FS else ""
        return [*call.args] if re.match(r"(node:)?fs\b|fs-extra", origin) else []
    held = [func.obj] if isinstance(func, ir.Attr) and ir.dotted(func) != "aiofiles.open" else []
    if name == "open":
        mode = ir.text_of(call.args[-1]) if call.args else None
        return [*held, *call.args[:1]] if mode is not None and re.match(r"[wxa]b?\+?$", mode) else []
    if name in {"copyfileobj", "write_bytes"}:
        return [*call.args]
    sent = [each for each in held for one in (each, *(by.value for by in bindings_of(module, each)))
            if one is not None and any(".files" in ir.dotted(part) for part in ir.walk(one))]  # fmt: skip
    return sent if name == "save" and call.args else []
