"""Secrets spelled out in code under a name that says so, without a form of their own. Part of `secret-in-repo`.

Keys with a known form, and values in environment files, are in `secrets`. No secret is ever printed.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import last_name

_NAMED = re.compile(
    r"(secret|secret_?key|api_?key|(access|auth|bearer|api|refresh|bot|admin|service)_?token|passw(or)?d|private_?key"
    r"|access_?key|service_?key|encryption_?key|signing_?key|jwt_?key|authorization)$",
    re.I,
)
_SIGNS = re.compile(
    r"^(jwt_?secret|secret_?key|session_?secret|nextauth_?secret|auth_?secret|cookie_?secret)$", re.I
)
"""What signs sessions: a fallback for one is known to everybody who reads the code, whatever it looks like."""
_PUBLIC_NAME = re.compile(
    r"anon|public|publishable|client_?id|site_?key|placeholder|label|test|mock|example|hint", re.I
)
_NO_SECRET = re.compile(
    r"your|xxx|example|placeholder|<|>|\.\.\.|here$|insert|todo|dummy|\{|\$|^(pk_|phc_|AIza|0x|https?:|/|\.|sha\d|test)"
    r"|^[a-z]+([_.:-][a-z]+)*[_.:-]?\d{1,4}$"
    r"|^test|pass|(?-i:^[A-Z][A-Z0-9_]+$)|^[a-z]+([_.:-][a-z]+)*$|\s",
    re.I,
)
_JWT = re.compile(r"\beyJ[\w-]{10,}\.(eyJ[\w-]{10,})\.[\w-]{20,}")
_ADDRESS = re.compile(
    r"\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|rediss?|amqps?)(?:\+\w+)?://[\w.-]*:(?P<word>[^@\s:/'\"${}<>]{6,})@"
    r"(?P<host>[\w.-]+\.[a-z]{2,})\b"
)
_SETS_TESTS_UP = re.compile(r"(^|/)(playwright|vitest|jest|cypress)\.(config|setup)\.\w+$")
_PLAIN_WORDS = re.compile(
    r"^(password|postgres|secret|changeme|change_me|admin|root|user|pass|mysecretpassword)$", re.I
)


def spelled(ctx: Context) -> Iterator[Finding]:
    """Secrets by the name they are given in live code, service keys that are tokens, passwords in addresses."""
    for module in (each for each in ctx.live if not _SETS_TESTS_UP.search(each.path)):
        for name, lit in _named_literals(module):
            if _is_secret(name, lit):
                yield _found(module.path, lit.line, name)
        for call in module.calls({"getenv", "get", "config", "env"}):
            name = _falls_back(call)
            if name and (name.upper() != "SECRET_KEY" or module.language != "python" or ctx.once(_signs)):
                yield _known(module.path, call.line, name)
        for either in module.all(ir.Bin):
            name = _or_spelled(either)
            if name:
                yield _known(module.path, either.line, name)
    for file in ctx.tree.files:
        if file.role in {"generated", "test", "vendored"} or (
            "eyJ" not in file.text and "://" not in file.text
        ):
            continue
        for number, line in enumerate(file.text.split("\n"), 1):
            if len(line) < 2000 and (
                (file.role != "doc" and not file.path.endswith(".md") and _opens(line))
                or (file.language != "env" and _serves(line))
            ):
                yield _found(file.path, number, "")


def _found(path: str, line: int, name: str, weight: int = 78) -> Finding:
    message = f"a secret{' in ' + name if name else ''} is committed (redacted)"
    return Finding("secret-in-repo", path, line, line, message, name or str(line), "", (), weight)


def _known(path: str, line: int, name: str) -> Finding:
    message = (
        f"where {name} is not set, sessions are signed with a text that everybody who reads this code knows"
    )
    return Finding("secret-in-repo", path, line, line, message, name, "", (), 60)


def _named_literals(module: Module) -> Iterator[tuple[str, ir.Lit]]:
    """Literals with the name of the key, variable, attribute or parameter they are given to."""
    for lit in module.all(ir.Lit):
        parent = lit.parent
        if not isinstance(lit.value, str) or len(lit.value) < 12 or parent is None:
            continue
        if isinstance(parent, ir.Prop) and parent.key and parent.value is lit:
            yield parent.key, lit
        elif isinstance(parent, ir.Assign) and parent.value is lit:
            yield ir.dotted(parent.target).rpartition(".")[2], lit


def _is_secret(name: str, lit: ir.Lit) -> bool:
    if not _names_secret(name):
        return False
    text = str(lit.value).removeprefix("Bearer ").removeprefix("Token ").removeprefix("Basic ")
    if _NO_SECRET.search(text):
        return False
    return len(re.findall(r"\d", text)) > 2 and bool(re.search(r"[A-Za-z]{2}", text))


@functools.cache
def _names_secret(name: str) -> bool:
    plain = re.sub(r"[-\s]", "_", name)
    return _NAMED.search(plain) is not None and not _PUBLIC_NAME.search(plain)


def _falls_back(call: ir.Call) -> str:
    """`os.getenv("SECRET_KEY", "…")`: the name, where a key that signs has a literal to fall back on."""
    if len(call.args) < 2:
        return ""
    read, fallback = ir.text_of(call.args[0]), ir.text_of(call.args[1])
    return read if read and fallback and _SIGNS.match(read) else ""


_SIGNERS = re.compile(
    r"^(jwt|jose|joserfc|itsdangerous|hmac|django|rest_framework|authlib|fastapi_users"
    r"|(flask|quart)_(login|wtf|jwt|session|security|httpauth|user|admin)\w*)(\.|$)"
)
_SIGNED = {"session", "flash", "SessionMiddleware"}
"""What a framework signs with its key, once a product asks for it."""


def _signs(ctx: Context) -> bool:
    """Whether a Python product signs something: a `SECRET_KEY` is a setting of frameworks that many never use."""
    return any(_signs_in(module) for module in ctx.live if module.language == "python")


def _signs_in(module: Module) -> bool:
    for each in module.all(ir.Import):
        if _SIGNERS.search(each.module) or _SIGNED & {name for name, _ in each.names}:
            return True
    uses: list[ir.Name | ir.Attr] = []
    if "secret_key" in module.lowered:
        uses = [*module.all(ir.Name), *module.all(ir.Attr)]
    return any(last_name(each).upper() == "SECRET_KEY" and not _is_set(each) for each in uses)


def _is_set(node: ir.Node) -> bool:
    return isinstance(node.parent, ir.Assign) and node.parent.target is node


def _or_spelled(either: ir.Bin) -> str:
    """`process.env.JWT_SECRET || "…"`."""
    if either.op not in {"or", "??"} or not isinstance(either.left, ir.Attr | ir.Index):
        return ""
    name = ir.dotted(either.left).rpartition(".")[2]
    return name if _SIGNS.match(name) and ir.text_of(either.right) else ""


def _serves(line: str) -> bool:
    """Whether a line holds a signed token of the service role, which passes by every policy of the database."""
    for found in _JWT.finditer(line) if "eyJ" in line else ():
        try:
            payload = json.loads(base64.urlsafe_b64decode(found.group(1) + "=" * (-len(found.group(1)) % 4)))
        except ValueError:
            continue
        if isinstance(payload, dict) and payload.get("role") == "service_role" and payload.get("ref"):
            return True
    return False


def _opens(line: str) -> bool:
    """Whether a line holds the address of a database elsewhere, with its password."""
    found = _ADDRESS.search(line) if "://" in line else None
    plain = found is not None and (
        _PLAIN_WORDS.match(found.group("word"))
        or re.search(r"your|xxx|example|\*{3}|^pass|placeholder|\.local", found.group(), re.I)
    )
    return found is not None and not plain
