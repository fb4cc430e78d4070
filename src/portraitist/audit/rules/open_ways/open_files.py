"""Stored files: the calls that take, give out and delete them with the server's own rights. Part of `missing-auth`.

Buckets of Supabase, S3 and what speaks its language, Google's and Vercel's. Which route may do so is in `open_deeds`
and, for those who are signed in, in `others.files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.db_common import call_name, from_call
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.rules.open_ways.clients import all_rights_behind

TAKES, GIVES, DELETES = "lets files into", "gives out files of", "deletes files of"
MOVES = "moves or copies files of"
_STORES = {
    "createSignedUploadUrl", "create_signed_upload_url", "upload", "PutObjectCommand", "createPresignedPost",
    "generate_presigned_post", "handleUpload", "put", "upload_file", "upload_fileobj", "put_object", "upload_stream",
    "upload_from_string", "upload_from_file", "unsigned_upload", "save",
}  # fmt: skip
_TAKEN = re.compile(
    r"^(@aws-sdk/client-s3.*\.PutObjectCommand|@aws-sdk/s3-presigned-post\.createPresignedPost|@vercel/blob\.put"
    r"|@vercel/blob/client\.handleUpload|cloudinary.*\.uploader\.(upload|upload_stream)"
    r"|(aio)?boto(3|core).*\.(upload_file|upload_fileobj|put_object|generate_presigned_post)"
    r"|(@google-cloud/storage|google\.cloud\.storage|firebase[_-]admin).*\.(upload|upload_from_\w+|file\(\)\.save))$"
)
_SIGNED_HERE = {"createSignedUploadUrl", "create_signed_upload_url", "upload"}
_HANDED_OUT = {"createSignedUrl", "createSignedUrls", "create_signed_url", "download"}
_BY_KEY = {
    "GetObjectCommand": GIVES, "DeleteObjectCommand": DELETES, "get_object": GIVES, "delete_object": DELETES,
    "download_file": GIVES, "download_fileobj": GIVES, "generate_presigned_url": GIVES, "getSignedUrl": GIVES,
    "getObject": GIVES, "deleteObject": DELETES, "del": DELETES, "destroy": DELETES, "download_as_bytes": GIVES,
    "generate_signed_url": GIVES, "createReadStream": GIVES, "delete": DELETES, "remove": DELETES,
    "download": GIVES, "move": MOVES, "copy": MOVES, "rename": MOVES, "getFiles": GIVES,
}  # fmt: skip
"""Calls that are told which object they mean, and what they do to it."""
_OF_STORAGE = re.compile(
    r"^(@aws-sdk/client-s3.*\.(Get|Delete)ObjectCommand|(aio)?boto(3|core).*\.(get_object|delete_object|download_file(obj)?)"
    r"|(aio)?boto(3|core).*\.generate_presigned_url|aws-sdk.*\.(getObject|deleteObject|getSignedUrl)|@vercel/blob\.del"
    r"|cloudinary.*\.uploader\.destroy"
    r"|(@google-cloud/storage|google\.cloud\.storage|firebase[_-]admin).*"
    r"\.(getSignedUrl|download|createReadStream|delete|download_as_bytes|generate_signed_url"
    r"|(file|blob|get_blob)\(\)\.(move|copy|rename)|bucket\(\)\.getFiles))$"
)
_OF_SUPABASE = {*_SIGNED_HERE, *_HANDED_OUT, "remove"}
_COMMON = {"delete", "remove", "download", "createReadStream"}
"""Names that many other things have."""
_HOLDS_KEY = {"file", "blob", "get_blob"}
_OBJECT = re.compile(r"\.(file|blob|get_blob)\(\)\.\w+$")
"""What is done to an object of a bucket, whatever the variable that holds it is called."""
_READS_OBJECT = {"getSignedUrl", "download", "createReadStream", "publicUrl", "makePublic"}


@dataclass(frozen=True, slots=True, eq=False)
class Deed:
    """A call that does what nobody should have done without being asked; `what` is a service, a bucket or a table.

    `keys` are the expressions that say which object is meant.
    """

    module: Module
    call: ir.Call
    does: str
    what: str
    keys: tuple[ir.Node, ...] = ()


def stored(ctx: Context, module: Module) -> Iterator[Deed]:
    """Files that are stored, given out or deleted, and addresses signed for that, with the server's own rights."""
    yield from _by_signed_request(ctx, module)
    for call in module.calls(_STORES | _HANDED_OUT | _BY_KEY.keys()):
        name = call_name(call)
        source = from_call(call) if name in _OF_SUPABASE else None
        if source is not None and isinstance(source.func, ir.Attr):
            base = source.func.obj
            client = base.obj if isinstance(base, ir.Attr) and base.name == "storage" else None
            if client is not None and all_rights_behind(ctx, module, client):
                bucket = ir.text_of(source.args[0]) or "a bucket"
                does = TAKES if name in _SIGNED_HERE else _BY_KEY.get(name, GIVES)
                yield Deed(module, call, does, bucket, tuple(call.args[:1]))
        elif name in _STORES and _TAKEN.match(ctx.program.origin(module, call.func)):
            yield Deed(module, call, TAKES, "the storage", tuple(_keys(module, call)))
        elif name in _BY_KEY and _is_done_to_object(ctx, module, call, name):
            does = TAKES if _signs_to_write(module, call) else _BY_KEY[name]
            yield Deed(module, call, does, "the storage", tuple(_keys(module, call)))


_BY_METHOD = {"PUT": TAKES, "POST": TAKES, "DELETE": DELETES, "GET": GIVES, "": GIVES}
_SIGNED_REQUEST = re.compile(r"aws4fetch\.AwsClient.*\.(fetch|sign)$")


def _by_signed_request(ctx: Context, module: Module) -> Iterator[Deed]:
    """Plain requests to a storage that a library signs with the server's keys: `client.fetch(url, { method })`."""
    for call in module.calls({"fetch", "sign"}) if "aws4fetch" in module.file.text else ():
        if _SIGNED_REQUEST.match(ctx.program.origin(module, call.func)):
            does = _BY_METHOD.get((ir.text_of(ir.keyword(call, "method")) or "").upper())
            if does is not None:
                address = call.args[0] if call.args else None
                keys = [address, *(each.value for each in bindings_of(module, address))]
                parts = (part for each in keys if each is not None for part in ir.find(each, ir.Name))
                yield Deed(module, call, does, "the storage", tuple(dict.fromkeys(parts)))


def _is_done_to_object(ctx: Context, module: Module, call: ir.Call, name: str) -> bool:
    """Whether a call is of a storage's library, and of an object; a list counts where its files are then given out."""
    origin = ctx.program.origin(module, call.func)
    if not _OF_STORAGE.match(origin):
        return False
    if name == "getFiles":
        inside = ir.find(call.within, ir.Call) if call.within is not None else ()
        return any(call_name(each) in _READS_OBJECT for each in inside)
    return name not in _COMMON or _OBJECT.search(origin) is not None or _is_of_object(call)


def _is_of_object(call: ir.Call) -> bool:
    """Whether what is deleted or read may be an object of a bucket, by the name or the call before."""
    held = call.func.obj if isinstance(call.func, ir.Attr) else None
    if isinstance(held, ir.Call):
        return call_name(held) in _HOLDS_KEY
    return held is not None and re.search(r"file|blob|object", ir.dotted(held), re.I) is not None


def _signs_to_write(module: Module, call: ir.Call) -> bool:
    """Whether an address is signed to store something: `getSignedUrl({ action: "write" })`."""
    options = [call.kw, *call.args, *(each.value for arg in call.args for each in bindings_of(module, arg))]
    texts = (each.value for one in options if one is not None for each in ir.find(one, ir.Lit))
    return any(each in {"write", "put_object", "putObject", "PUT", "resumable"} for each in texts)


def _keys(module: Module, call: ir.Call) -> Iterator[ir.Node]:
    """What names the object: the field `Key`, the argument of `bucket.file(…)`, else the first argument."""
    named = ir.keyword(call, "Key") or ir.keyword(call, "Params")
    if call_name(call) == "getFiles":
        listed = call.args[0] if call.args else None
        prefix = listed.get("prefix") if isinstance(listed, ir.Obj) else None
        yield from (prefix,) if prefix is not None else ()
        return
    for each in (named, *call.args):
        inner = each.get("Key") if isinstance(each, ir.Obj) else None
        told = inner if inner is not None else each if each is named else None
        if told is not None:
            yield told
            return
    holder = call.func.obj if isinstance(call.func, ir.Attr) else None
    made = [each.value for each in bindings_of(module, holder) if not each.keys] if holder is not None else []
    for each in (holder, *made):
        if isinstance(each, ir.Call) and call_name(each) in _HOLDS_KEY:
            yield from each.args[:1]
            return
    yield from call.args[:1]


_SERVES = {
    "send_from_directory", "send_file", "FileResponse", "sendFile", "createReadStream", "readFile", "readFileSync",
    "download",
}  # fmt: skip
_OF_MEMBERS = re.compile(
    r"upload|output|result|generat|photo|image|picture|pet|model|train|temp|tmp|storage|media|data|video|file|lora",
    re.I,
)


def served(_ctx: Context, module: Module) -> list[ir.Call]:
    """The calls that answer with a file of the disk, in folders that may hold what members bring and get."""
    return [each for each in module.calls(_SERVES) if _is_served(each)]


def _is_served(call: ir.Call) -> bool:
    if call_name(call) == "download" and not re.match(r"res(ponse)?\.", ir.dotted(call.func)):
        return False
    func = call.within
    words = " ".join((*(ir.dotted(each) for each in call.args), func.name if func is not None else ""))
    told = (each.value for each in ir.find(func or call, ir.Lit) if isinstance(each.value, str))
    return bool(_OF_MEMBERS.search(words)) or any(_OF_MEMBERS.search(each) for each in told if "/" in each)
